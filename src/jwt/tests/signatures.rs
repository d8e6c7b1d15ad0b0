//! Signatures of fresh keys: good under one key and one algorithm, and under no other.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};
use jsonwebtoken::EncodingKey;

use super::pem::block;
use super::*;
use crate::jwt::{Family, Key};

const MESSAGE: &[u8] = b"e30.e30";

/// A fresh pair: what signs, and what the configuration gets.
pub(super) struct Pair {
    family: Family,
    private: EncodingKey,
    pub(super) public: KeySource,
}

pub(super) fn pair(family: Family) -> Pair {
    let random = SystemRandom::new();
    let (private, public) = match family {
        Family::Rsa => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let pkcs8 = pair.as_der().unwrap();
            // What stands in front of the PKCS#1 key inside.
            let pkcs1 = &pkcs8.as_ref()[26..];
            let public = block("RSA PUBLIC KEY", pair.public_key().as_ref());
            (
                EncodingKey::from_rsa_der(pkcs1),
                KeySource::Pem(public.into()),
            )
        }
        Family::P256 => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        Family::P384 => elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        Family::Ed25519 => {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
            let x = base64(pair.public_key().as_ref());
            let public = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
            (EncodingKey::from_ed_der(pkcs8.as_ref()), jwk(&public))
        }
        Family::Symmetric => {
            let mut secret = [0; 64];
            aws_lc_rs::rand::fill(&mut secret).unwrap();
            let public = json!({"kty": "oct", "k": base64(&secret)});
            (EncodingKey::from_secret(&secret), jwk(&public))
        }
    };
    Pair {
        family,
        private,
        public,
    }
}

fn elliptic(algorithm: &'static EcdsaSigningAlgorithm, crv: &str) -> (EncodingKey, KeySource) {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap();
    let coordinates = &pair.public_key().as_ref()[1..];
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let public = json!({"kty": "EC", "crv": crv, "x": base64(x), "y": base64(y)});
    (EncodingKey::from_ec_der(pkcs8.as_ref()), jwk(&public))
}

impl Pair {
    fn key(&self, algorithm: Algorithm) -> Key {
        let mut settings = home(algorithm.as_str());
        settings.keys.push(named(self.public.clone()));
        let loaded = load(settings).unwrap();
        let issuer = std::sync::Arc::clone(loaded.set.by_name("home").unwrap());
        drop(loaded);
        std::sync::Arc::into_inner(issuer).unwrap().keys.remove(0)
    }

    fn sign(&self, algorithm: Algorithm) -> String {
        self.sign_bytes(algorithm, MESSAGE)
    }

    pub(super) fn sign_bytes(&self, algorithm: Algorithm, message: &[u8]) -> String {
        jsonwebtoken::crypto::sign(message, &self.private, algorithm.library()).unwrap()
    }
}

const FAMILIES: [Family; 5] = [
    Family::Rsa,
    Family::P256,
    Family::P384,
    Family::Ed25519,
    Family::Symmetric,
];

fn keys(pairs: &[Pair]) -> Vec<Key> {
    let algorithms = Algorithm::ALL.into_iter();
    algorithms
        .flat_map(|algorithm| {
            let fitting = pairs
                .iter()
                .filter(move |pair| pair.family == algorithm.family());
            fitting.map(move |pair| pair.key(algorithm))
        })
        .collect()
}

#[test]
fn a_signature_is_good_under_its_own_key_and_algorithm_only() {
    let pairs: Vec<Pair> = FAMILIES.map(pair).into();
    let own = keys(&pairs);
    let others = keys(&FAMILIES.map(pair));
    assert_eq!((own.len(), others.len()), (12, 12));
    for pair in &pairs {
        let algorithms = Algorithm::ALL.into_iter();
        for algorithm in algorithms.filter(|algorithm| algorithm.family() == pair.family) {
            let signature = pair.sign(algorithm);
            for key in &own {
                let good = key.algorithm == algorithm;
                assert_eq!(
                    key.verify(MESSAGE, &signature),
                    good,
                    "{algorithm} {}",
                    key.algorithm
                );
                assert!(!key.verify(b"e30.e31", &signature), "{algorithm}");
            }
            for key in &others {
                assert!(!key.verify(MESSAGE, &signature), "{algorithm}");
            }
        }
    }
}

#[test]
fn a_signature_has_one_spelling() {
    for pair in [Family::P256, Family::Ed25519, Family::Symmetric].map(pair) {
        let algorithms = Algorithm::ALL.into_iter();
        for algorithm in algorithms.filter(|algorithm| algorithm.family() == pair.family) {
            let (key, good) = (pair.key(algorithm), pair.sign(algorithm));
            assert!(key.verify(MESSAGE, &good));
            let cut = &good[..good.len() - 1];
            let spellings = [
                format!("{good}="),
                format!("{good}A"),
                format!("{good}\n"),
                format!(" {good}"),
                format!("{good}AAAA"),
                cut.to_owned(),
                String::new(),
            ];
            for other in spellings {
                assert!(!key.verify(MESSAGE, &other), "{algorithm} {other:?}");
            }
            // The last character holds bits that no byte has: they must be zero.
            let same = ('A'..='z').filter(|last| key.verify(MESSAGE, &format!("{cut}{last}")));
            assert!(same.count() <= 1, "{algorithm}");
        }
    }
}

#[test]
fn a_signature_of_zeros_is_never_good() {
    for algorithm in Algorithm::ALL {
        let key = pair(algorithm.family()).key(algorithm);
        for bytes in [0, 1, 32, 48, 63, 64, 65, 96, 256] {
            let zeros = base64(&vec![0; bytes]);
            assert!(!key.verify(MESSAGE, &zeros), "{algorithm} {bytes}");
            assert!(!key.verify(b"", &zeros), "{algorithm} {bytes}");
        }
    }
}

#[test]
fn a_signature_of_ecdsa_in_der_is_not_good() {
    // The form of TLS: JOSE has the two numbers side by side (RFC 7518 §3.4).
    let pair = pair(Family::P256);
    let signature = URL_SAFE_NO_PAD.decode(pair.sign(Algorithm::Es256)).unwrap();
    let number = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes
            .iter()
            .copied()
            .skip_while(|byte| *byte == 0)
            .collect();
        let sign = vec![0; usize::from(bytes[0] > 0x7f)];
        let size = (bytes.len() + sign.len()) as u8;
        [vec![2, size], sign, bytes].concat()
    };
    let numbers = [number(&signature[..32]), number(&signature[32..])].concat();
    let der = [vec![0x30, numbers.len() as u8], numbers].concat();
    assert!(!pair.key(Algorithm::Es256).verify(MESSAGE, &base64(&der)));
}
