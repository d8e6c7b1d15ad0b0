//! JSON Web Tokens of other issuers: keys from local files, and checks as strict as anyone can.
//!
//! Nothing here is fetched, nothing of a token chooses its key or its algorithm, and only the one
//! signature check is a library's: header and claims are read by our own strict code, because what
//! a library leaves to its caller is what goes wrong (RFC 8725).

// What is configured, and the keys of it.
mod algorithm;
mod ed25519;
mod jwk;
mod key;
mod key_fault;
mod load;
mod material;
mod pem;
mod self_test;
mod set;
mod settings;

// What is done with a token.
mod cache;
mod check;
mod claims;
mod fault;
mod inspect;
mod verifier;

#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, AlgorithmFault, Family};
pub use check::{LONGEST_JWT, check_form};
pub use claims::Verified;
pub use fault::{Check, JwtFault};
pub use inspect::{Inspection, inspect};
pub use key::Key;
pub use load::{LoadFault, Loaded};
pub use self_test::{SelfTestFault, self_test};
pub use set::{Issuer, IssuerSet, NoKey};
pub use settings::{IssuerSettings, KeySettings, KeySource, RoleClaim, UnknownUsers};
pub use verifier::Verifier;
