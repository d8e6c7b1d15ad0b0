//! Why a key is not used.

use super::{Algorithm, AlgorithmFault, Family};

/// Why a key is not used. Holds no byte of a key: only sizes, and names that every key shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyFault {
    #[error("this is a private key: put the public key here instead")]
    Private,
    #[error("the text is empty")]
    Empty,
    #[error("not valid JSON")]
    Syntax,
    #[error("not a JSON object")]
    NotAnObject,
    #[error("this is a web page, not a key set: save what the provider's jwks_uri names")]
    WebPage,
    #[error("this is the discovery document: save what its jwks_uri names")]
    Discovery,
    #[error("there is no array \"keys\"")]
    NoKeys,
    #[error("a name stands twice in one JSON object")]
    DuplicateName,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is not a string")]
    NotAString(&'static str),
    #[error("{0} is not base64url without padding")]
    NotBase64(&'static str),
    #[error("key_ops is not an array of strings")]
    KeyOps,

    #[error("kid must have 1 to 255 bytes and no control characters")]
    Kid,
    #[error("the JWK's kid is {jwk:?}, not {named:?}")]
    KidDiffers { jwk: Box<str>, named: Box<str> },
    #[error("another key of the issuer has the same kid")]
    KidTwice,

    #[error("the JWK's alg is {jwk}, not {named}")]
    AlgorithmDiffers { jwk: Algorithm, named: Algorithm },
    #[error("{0} does not fit {name}", name = name(*.1))]
    AlgorithmUnfit(Algorithm, Family),
    #[error("several of the algorithms fit, say which one: alg")]
    SeveralFit,
    #[error("a shared secret needs allow_symmetric = true")]
    NeedsSymmetric,
    #[error("allow_symmetric = true is for shared secrets only, and this is {}", name(*.0))]
    NotSymmetric(Family),

    #[error("RSA modulus of {0} bits, 2048 to 8192 are accepted")]
    ModulusSize(usize),
    #[error("RSA modulus is even")]
    ModulusEven,
    #[error("RSA exponent is even, below 65537 or over 33 bits")]
    Exponent,
    #[error("{member} has {bytes} bytes, {needed} are needed")]
    Length {
        member: &'static str,
        bytes: usize,
        needed: usize,
    },
    #[error("the point is not on the curve {0}")]
    OffCurve(&'static str),
    #[error("the Ed25519 point is not in its canonical form")]
    NotCanonical,
    #[error("the Ed25519 point is of small order: anybody can sign for it")]
    SmallOrder,
    #[error("shared secret of {bits} bits, {algorithm} needs {needed} at least")]
    SecretShort {
        bits: usize,
        algorithm: Algorithm,
        needed: usize,
    },

    #[error("not valid PEM")]
    Pem,
    #[error("exactly one PEM block is needed, with no text around it")]
    PemBlocks,
    #[error("the PEM block is neither PUBLIC KEY nor RSA PUBLIC KEY")]
    PemLabel,
    #[error("the PEM block is no public key of type RSA, P-256, P-384 or Ed25519")]
    PemKey,
    #[error(
        "this is a certificate: put its public key here, from openssl x509 -in FILE -pubkey -noout"
    )]
    Certificate,

    #[error("kty is {0:?}, not RSA, EC, OKP or oct")]
    Kty(String),
    #[error("crv is {0:?}, not P-256 or P-384 (EC) or Ed25519 (OKP)")]
    Crv(String),
    #[error("use is {0:?}, not \"sig\"")]
    Use(String),
    #[error("key_ops is without \"verify\"")]
    NotForVerify,
    #[error("alg is {0:?}: {1}")]
    AlgorithmUnknown(String, AlgorithmFault),
    #[error("{0} is not among the issuer's algorithms")]
    NotListed(Algorithm),
    #[error("none of the issuer's algorithms fits {}", name(*.0))]
    NoneFits(Family),
}

impl KeyFault {
    /// Whether the key is merely not for us, so that a set may hold it.
    pub(super) const fn skips(&self) -> bool {
        matches!(
            self,
            Self::Kty(_)
                | Self::Crv(_)
                | Self::Use(_)
                | Self::NotForVerify
                | Self::AlgorithmUnknown(..)
                | Self::NotListed(_)
                | Self::NoneFits(_)
        )
    }
}

const fn name(family: Family) -> &'static str {
    match family {
        Family::Rsa => "an RSA key",
        Family::P256 => "a P-256 key",
        Family::P384 => "a P-384 key",
        Family::Ed25519 => "an Ed25519 key",
        Family::Symmetric => "a shared secret",
    }
}
