//! One key that signatures are checked with.

use super::jwk::{is_kid, shown};
use super::key_fault::KeyFault;
use super::material::Material;
use super::{Algorithm, Family, IssuerSettings, KeySettings};

/// A judged key, pinned to one algorithm. Has no `Debug`: it may be a shared secret.
pub struct Key {
    /// Its id, by which tokens name it.
    pub kid: Option<Box<str>>,
    /// The only algorithm that it is used with.
    pub algorithm: Algorithm,
    /// Its size in bits: of the modulus, the curve, the secret.
    pub bits: usize,
    /// RFC 7638, SHA-256, base64url; of a shared secret none is shown, since it is guessable.
    pub thumbprint: Option<String>,
    decoding: jsonwebtoken::DecodingKey,
}

impl Key {
    /// Whether a signature (base64url) over a message is this key's.
    pub fn verify(&self, message: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.decoding, self.algorithm.library())
            .unwrap_or(false)
    }

    /// The one way to make a key.
    pub(super) fn judge(
        kid: Option<Box<str>>,
        algorithm: Algorithm,
        material: &Material,
    ) -> Result<Self, KeyFault> {
        material.judge(algorithm)?;
        Ok(Self {
            kid,
            algorithm,
            bits: material.bits(),
            thumbprint: material.thumbprint(),
            decoding: material.decoding(),
        })
    }
}

/// What the configuration wants of a key.
pub(super) struct Wanted<'a> {
    algorithms: &'a [Algorithm],
    symmetric: bool,
    algorithm: Option<Algorithm>,
    kid: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Of a key in a set.
    pub(super) fn of_set(issuer: &'a IssuerSettings) -> Self {
        Self {
            algorithms: &issuer.algorithms,
            symmetric: issuer.allow_symmetric,
            algorithm: None,
            kid: None,
        }
    }

    /// Of a key that is named by itself.
    pub(super) fn of_key(issuer: &'a IssuerSettings, key: &'a KeySettings) -> Self {
        Self {
            algorithm: key.algorithm,
            kid: key.kid.as_deref(),
            ..Self::of_set(issuer)
        }
    }

    /// Of a key for nothing but one algorithm.
    pub(super) fn only(algorithm: &'a Algorithm) -> Self {
        Self {
            algorithms: std::slice::from_ref(algorithm),
            symmetric: algorithm.family() == Family::Symmetric,
            algorithm: None,
            kid: None,
        }
    }

    /// The one algorithm of a key: its own word, or the configuration's, or the only one that fits
    /// its type. Never one of several, or a token could choose.
    pub(super) fn pin(&self, family: Family, alg: Option<&str>) -> Result<Algorithm, KeyFault> {
        match (family, self.symmetric) {
            (Family::Symmetric, true) => {}
            (Family::Symmetric, false) => return Err(KeyFault::NeedsSymmetric),
            (family, true) => return Err(KeyFault::NotSymmetric(family)),
            (_, false) => {}
        }
        let own = alg
            .map(|alg| {
                Algorithm::parse(alg).map_err(|fault| KeyFault::AlgorithmUnknown(shown(alg), fault))
            })
            .transpose()?;
        if let (Some(jwk), Some(named)) = (own, self.algorithm)
            && jwk != named
        {
            return Err(KeyFault::AlgorithmDiffers { jwk, named });
        }
        if let Some(algorithm) = own.or(self.algorithm) {
            if algorithm.family() != family {
                return Err(KeyFault::AlgorithmUnfit(algorithm, family));
            }
            if !self.algorithms.contains(&algorithm) {
                return Err(KeyFault::NotListed(algorithm));
            }
            return Ok(algorithm);
        }
        let mut fitting = Algorithm::ALL
            .into_iter()
            .filter(|known| known.family() == family && self.algorithms.contains(known));
        match (fitting.next(), fitting.next()) {
            (None, _) => Err(KeyFault::NoneFits(family)),
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(KeyFault::SeveralFit),
        }
    }

    /// The id of a key: its own, or the configuration's.
    pub(super) fn kid(&self, own: Option<&str>) -> Result<Option<Box<str>>, KeyFault> {
        if [own, self.kid]
            .into_iter()
            .flatten()
            .any(|kid| !is_kid(kid))
        {
            return Err(KeyFault::Kid);
        }
        match (own, self.kid) {
            (Some(jwk), Some(named)) if jwk != named => Err(KeyFault::KidDiffers {
                jwk: jwk.into(),
                named: named.into(),
            }),
            (own, named) => Ok(own.or(named).map(Into::into)),
        }
    }
}
