//! One key that signatures are checked with.

use super::Algorithm;

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

/// Why a key is not accepted. Never holds a byte of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Placeholder.
    #[error("unusable")]
    Unusable,
}

impl Key {
    /// Whether a signature (base64url) over a message is this key's.
    pub fn verify(&self, message: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.decoding, self.algorithm.library())
            .unwrap_or(false)
    }
}
