//! Signature algorithms by their JOSE names (RFC 7518 §3.1, RFC 8037 §3.1).

use std::fmt;

/// An algorithm that signatures are checked with. `none` is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are JOSE's")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
    Hs256,
    Hs384,
    Hs512,
}

/// The type of key that an algorithm needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
    /// A secret that issuer and checker share.
    Symmetric,
}

/// A name that is no algorithm here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlgorithmFault {
    /// Standard, but the cryptographic library has no such check.
    #[error("{0} is not supported here: choose RS256, PS256, ES256, ES384 or EdDSA (Ed25519)")]
    Unsupported(&'static str),
    /// `none`: a token without a signature.
    #[error("`none` is never accepted")]
    None,
    /// No name of a signature algorithm.
    #[error("no such signature algorithm")]
    Unknown,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 12] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
    ];

    /// The name in `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// Reads a name, in this case of the letters only (RFC 7515 §4.1.1).
    ///
    /// # Errors
    /// [`AlgorithmFault`] says why a name is none.
    pub fn parse(name: &str) -> Result<Self, AlgorithmFault> {
        // The newer name of the one curve that there is here (RFC 9864 §2.2).
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        let known = Self::ALL.into_iter().find(|known| known.as_str() == name);
        known.ok_or(match name {
            "ES512" => AlgorithmFault::Unsupported("ES512"),
            "ES256K" => AlgorithmFault::Unsupported("ES256K"),
            "Ed448" => AlgorithmFault::Unsupported("Ed448"),
            name if name.eq_ignore_ascii_case("none") => AlgorithmFault::None,
            _ => AlgorithmFault::Unknown,
        })
    }

    /// The type of its keys.
    pub const fn family(self) -> Family {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                Family::Rsa
            }
            Self::Es256 => Family::P256,
            Self::Es384 => Family::P384,
            Self::EdDsa => Family::Ed25519,
            Self::Hs256 | Self::Hs384 | Self::Hs512 => Family::Symmetric,
        }
    }

    /// The library's name of it.
    pub(super) const fn library(self) -> jsonwebtoken::Algorithm {
        use jsonwebtoken::Algorithm as Library;
        match self {
            Self::Rs256 => Library::RS256,
            Self::Rs384 => Library::RS384,
            Self::Rs512 => Library::RS512,
            Self::Ps256 => Library::PS256,
            Self::Ps384 => Library::PS384,
            Self::Ps512 => Library::PS512,
            Self::Es256 => Library::ES256,
            Self::Es384 => Library::ES384,
            Self::EdDsa => Library::EdDSA,
            Self::Hs256 => Library::HS256,
            Self::Hs384 => Library::HS384,
            Self::Hs512 => Library::HS512,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for known in Algorithm::ALL {
            assert_eq!(Algorithm::parse(known.as_str()), Ok(known));
            let other_case = known.as_str().to_lowercase();
            assert_eq!(Algorithm::parse(&other_case), Err(AlgorithmFault::Unknown));
        }
        assert_eq!(Algorithm::parse("Ed25519"), Ok(Algorithm::EdDsa));
        for none in ["none", "None", "nOnE"] {
            assert_eq!(Algorithm::parse(none), Err(AlgorithmFault::None));
        }
        for name in ["ES512", "ES256K", "Ed448"] {
            let refused = Algorithm::parse(name);
            assert_eq!(refused, Err(AlgorithmFault::Unsupported(name)));
        }
    }
}
