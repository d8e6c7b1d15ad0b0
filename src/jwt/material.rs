//! What a key is made of, and whether it is strong enough. Pure.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use zeroize::Zeroizing;

use super::key_fault::KeyFault;
use super::{Algorithm, Family, ed25519};

/// The numbers of a key. Has no `Debug`: it may be a shared secret.
pub(super) enum Material {
    /// Both big-endian, without zeros in front.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Ec {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    Ed25519 {
        x: Vec<u8>,
    },
    Symmetric(Zeroizing<Vec<u8>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// Bytes of a coordinate.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

impl Material {
    /// Some issuers write zeros in front of the numbers. They are taken away before anything else,
    /// or one key had two thumbprints and two sizes.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Self {
        Self::Rsa {
            n: significant(n),
            e: significant(e),
        }
    }

    pub(super) const fn family(&self) -> Family {
        match self {
            Self::Rsa { .. } => Family::Rsa,
            Self::Ec {
                curve: Curve::P256, ..
            } => Family::P256,
            Self::Ec {
                curve: Curve::P384, ..
            } => Family::P384,
            Self::Ed25519 { .. } => Family::Ed25519,
            Self::Symmetric(_) => Family::Symmetric,
        }
    }

    pub(super) fn bits(&self) -> usize {
        match self {
            Self::Rsa { n, .. } => bits(n),
            Self::Ec { curve, .. } => curve.size() * 8,
            Self::Ed25519 { .. } => 256,
            Self::Symmetric(secret) => secret.len() * 8,
        }
    }

    /// Whether it is a key that a signature of this algorithm can be believed by.
    pub(super) fn judge(&self, algorithm: Algorithm) -> Result<(), KeyFault> {
        if algorithm.family() != self.family() {
            return Err(KeyFault::AlgorithmUnfit(algorithm, self.family()));
        }
        match self {
            Self::Rsa { n, e } => judge_rsa(n, e),
            Self::Ec { curve, x, y } => judge_ec(*curve, x, y),
            Self::Ed25519 { x } => ed25519::judge(x),
            Self::Symmetric(secret) => judge_secret(secret, algorithm),
        }
    }

    /// RFC 7638: the required members, in the order of their names, through SHA-256.
    pub(super) fn thumbprint(&self) -> Option<String> {
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let members = match self {
            Self::Rsa { n, e } => {
                let (n, e) = (base64(n), base64(e));
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
            Self::Ec { curve, x, y } => {
                let (crv, x, y) = (curve.name(), base64(x), base64(y));
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Ed25519 { x } => {
                let x = base64(x);
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
            }
            Self::Symmetric(_) => return None,
        };
        let hash = digest::digest(&digest::SHA256, members.as_bytes());
        Some(base64(hash.as_ref()))
    }

    pub(super) fn decoding(&self) -> DecodingKey {
        match self {
            Self::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            Self::Ec { x, y, .. } => DecodingKey::from_ec_der(&point(x, y)),
            Self::Ed25519 { x } => DecodingKey::from_ed_der(x),
            Self::Symmetric(secret) => DecodingKey::from_secret(secret),
        }
    }
}

fn judge_rsa(n: &[u8], e: &[u8]) -> Result<(), KeyFault> {
    let size = bits(n);
    if !(2048..=8192).contains(&size) {
        return Err(KeyFault::ModulusSize(size));
    }
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    if !odd(n) {
        return Err(KeyFault::ModulusEven);
    }
    // The library refuses a longer exponent at the first signature only, which is too late to say.
    if !odd(e) || !(17..=33).contains(&bits(e)) {
        return Err(KeyFault::Exponent);
    }
    Ok(())
}

fn judge_ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<(), KeyFault> {
    for (member, bytes) in [("x", x.len()), ("y", y.len())] {
        let needed = curve.size();
        if bytes != needed {
            return Err(KeyFault::Length {
                member,
                bytes,
                needed,
            });
        }
    }
    let algorithm = match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED,
    };
    match ParsedPublicKey::new(algorithm, point(x, y)) {
        Ok(_) => Ok(()),
        Err(_) => Err(KeyFault::OffCurve(curve.name())),
    }
}

/// RFC 7518 §3.2: a secret is at least as long as the hash.
fn judge_secret(secret: &[u8], algorithm: Algorithm) -> Result<(), KeyFault> {
    let needed = match algorithm {
        Algorithm::Hs384 => 384,
        Algorithm::Hs512 => 512,
        _ => 256,
    };
    let bits = secret.len() * 8;
    if bits < needed {
        return Err(KeyFault::SecretShort {
            bits,
            algorithm,
            needed,
        });
    }
    Ok(())
}

/// SEC 1 §2.3.3: the uncompressed form.
fn point(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

fn significant(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.iter().skip(zeros).copied().collect()
}

/// Of a big-endian number without zeros in front.
fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| first.leading_zeros());
    number.len() * 8 - unused as usize
}
