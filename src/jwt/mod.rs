//! JSON Web Tokens of other issuers: keys from local files, and checks as strict as anyone can.
//!
//! Nothing here is fetched, nothing of a token chooses its key or its algorithm, and only the one
//! signature check is a library's: header and claims are read by our own strict code, because what
//! a library leaves to its caller is what goes wrong (RFC 8725).

mod algorithm;
mod cache;
mod check;
mod claims;
mod fault;
mod inspect;
mod key;
mod set;
mod settings;
mod verifier;

pub use algorithm::{Algorithm, AlgorithmFault, Family};
pub use check::LONGEST_JWT;
pub use claims::Verified;
pub use fault::{Check, JwtFault};
pub use inspect::{Inspection, inspect};
pub use key::{Key, KeyFault};
pub use set::{Issuer, IssuerSet, LoadFault, Loaded, NoKey};
pub use settings::{IssuerSettings, KeySettings, KeySource, RoleClaim, UnknownUsers};
pub use verifier::Verifier;
