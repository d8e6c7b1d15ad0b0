//! JWTs against four issuers, each with a key of another kind: as they come, and signed here, so that
//! claims are reached which no forged signature would let through.

use std::path::Path;
use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{hmac, signature};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use netbird_auth::clock::Timestamp;
use netbird_auth::config::{Environment, read_bytes};
use netbird_auth::json::parse_object;
use netbird_auth::jwt::{
    Algorithm, IssuerSet, JwtFault, LONGEST_JWT, Verified, Verifier, check_form, inspect,
};
use netbird_auth::user::Role;
use serde_json::Value;

/// The private half of the public example in RFC 7515 A.2.
const RSA: &[u8] = include_bytes!("../keys/rfc7515-a2.der");
/// RFC 7515 A.3, RFC 8037 A.1, and RFC 7515 A.1.
const P256: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
const ED25519: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const SECRET: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const SETTINGS: &[u8] = include_bytes!("../keys/issuers.toml");
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

/// When every token is judged, in seconds; `issuers.toml` has leeway and greatest age.
const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 30;
const MAX_AGE: i64 = 30 * 86_400;

struct Keys {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    secret: Vec<u8>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let bytes = |text| BASE64.decode(text).unwrap();
    let point = [vec![4], bytes(X), bytes(Y)].concat();
    let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
    Keys {
        rsa: RsaKeyPair::from_der(RSA).unwrap(),
        p256: EcdsaKeyPair::from_private_key_and_public_key(kind, &bytes(P256), &point).unwrap(),
        ed25519: Ed25519KeyPair::from_seed_unchecked(&bytes(ED25519)).unwrap(),
        secret: bytes(SECRET),
    }
});

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let loaded = read_bytes(Path::new("a.toml"), SETTINGS, &Environment::default());
    let loaded = loaded.unwrap_or_else(|fault| panic!("{fault}"));
    let loaded = IssuerSet::load(loaded.config.issuers);
    Verifier::new(loaded.unwrap_or_else(|fault| panic!("{fault}")).set)
});

/// `r`, `e`, `d` or `h`, a header, a line break and claims: signed by that key. Anything else is a token.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((key @ (b'r' | b'e' | b'd' | b'h'), rest)) => signed(*key, rest),
        _ => {
            judge(data);
        }
    }
}

fn signed(key: u8, data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (header, claims) = (parts.next().unwrap(), parts.next().unwrap_or_default());
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    // What is longer is not looked at, and not worth a signature.
    if message.len() > LONGEST_JWT {
        return;
    }
    let signature = sign(key, message.as_bytes());
    let token = format!("{message}.{}", BASE64.encode(&signature));
    let is_good = judge(token.as_bytes());
    let known = |text| parse_object(text).ok().map(Value::Object);
    if let (Some(header), Some(claims)) = (known(header), known(claims))
        && is_plain(key, &header, &claims)
        && token.len() <= LONGEST_JWT
    {
        assert!(is_good, "refused: {header} {claims}");
    }
    // Nothing of it may be another.
    if is_good {
        let mut altered = signature;
        altered[header.len() % 32] ^= 1 << (claims.len() % 8);
        refused(format!("{message}.{}", BASE64.encode(altered)));
        let other = match key {
            b'h' => b'd',
            _ => b'h',
        };
        let signature = BASE64.encode(sign(other, message.as_bytes()));
        refused(format!("{message}.{signature}"));
        refused(format!("{message}."));
        let longer = format!(
            "{}.{}",
            BASE64.encode(header),
            BASE64.encode([claims, b" "].concat())
        );
        refused(format!("{longer}.{}", token.rsplit('.').next().unwrap()));
    }
}

fn refused(token: String) {
    assert!(VERIFIER.verify(token.as_bytes(), now()).is_err());
}

/// A token with nothing unusual in it, which has to pass.
fn is_plain(key: u8, header: &Value, claims: &Value) -> bool {
    let (name, algorithm) = name(key);
    let has = |object: &Value, names: &[&str]| {
        let object = object.as_object();
        object.is_some_and(|object| object.keys().all(|name| names.contains(&name.as_str())))
    };
    let is_word = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
        is_word && text.len() < 200 && !["current", "sys"].contains(&text)
    };
    has(header, &["alg", "kid"])
        && header["alg"] == algorithm
        && header["kid"] == name
        && has(claims, &["iss", "aud", "sub", "exp", "iat"])
        && claims["iss"] == format!("https://{name}.example")
        && claims["aud"] == "netbird"
        && is_word(&claims["sub"])
        && claims["iat"]
            .as_i64()
            .is_some_and(|at| (0..=NOW).contains(&at))
        && claims["exp"]
            .as_i64()
            .is_some_and(|at| (NOW..NOW + MAX_AGE).contains(&at))
}

fn name(key: u8) -> (&'static str, &'static str) {
    match key {
        b'r' => ("rsa", "RS256"),
        b'e' => ("ec", "ES256"),
        b'd' => ("ed", "EdDSA"),
        _ => ("hs", "HS256"),
    }
}

fn sign(key: u8, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    match key {
        b'r' => {
            let mut made = vec![0; KEYS.rsa.public_modulus_len()];
            KEYS.rsa
                .sign(&RSA_PKCS1_SHA256, &random, message, &mut made)
                .unwrap();
            made
        }
        b'e' => KEYS.p256.sign(&random, message).unwrap().as_ref().into(),
        b'd' => KEYS.ed25519.sign(message).as_ref().into(),
        _ => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &KEYS.secret);
            hmac::sign(&key, message).as_ref().into()
        }
    }
}

/// Whether the issuer's key made a signature, by the library alone.
fn is_signed(issuer: &str, message: &[u8], signature: &[u8]) -> bool {
    use signature::{KeyPair, UnparsedPublicKey};
    let is = |kind: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
        UnparsedPublicKey::new(kind, key)
            .verify(message, signature)
            .is_ok()
    };
    match issuer {
        "rsa" => is(
            &signature::RSA_PKCS1_2048_8192_SHA256,
            KEYS.rsa.public_key().as_ref(),
        ),
        "ec" => is(
            &signature::ECDSA_P256_SHA256_FIXED,
            KEYS.p256.public_key().as_ref(),
        ),
        "ed" => is(&signature::ED25519, KEYS.ed25519.public_key().as_ref()),
        _ => sign(b'h', message) == signature,
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * 1_000_000)
}

/// Judges a token in every way there is, which must agree.
fn judge(token: &[u8]) -> bool {
    let form = check_form(token);
    let inspection = inspect(VERIFIER.issuers(), token, now());
    let found = VERIFIER.verify(token, now());
    assert_eq!(found.as_ref().err(), inspection.result.as_ref().err());
    let failed = inspection
        .checks()
        .filter(|(_, outcome)| matches!(outcome, Some(Err(_))));
    assert_eq!(failed.count(), usize::from(found.is_err()));
    let _ = (inspection.role(), inspection.no_address());
    match &found {
        Ok(verified) => {
            assert_eq!(form, Ok(()));
            accepted(token, verified);
            // It is remembered, and only for as long as it is good.
            assert!(VERIFIER.verify(token, now()).is_ok());
            let late = VERIFIER.verify(token, verified.good_until);
            assert!(matches!(late, Err(JwtFault::Expired)));
            true
        }
        Err(fault) => {
            let text = fault.to_string();
            assert!(text.len() < 80 && text.is_ascii());
            false
        }
    }
}

/// What must hold of every token that passes.
fn accepted(token: &[u8], verified: &Verified) {
    assert!(token.len() <= LONGEST_JWT);
    let token = std::str::from_utf8(token).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let json = |part| serde_json::from_slice::<Value>(&BASE64.decode(part).unwrap()).unwrap();
    let (header, claims) = (json(header), json(claims));
    let settings = &verified.issuer.settings;
    let signature = BASE64.decode(signature).unwrap();
    assert!(is_signed(&settings.name, message.as_bytes(), &signature));

    let algorithm = header["alg"]
        .as_str()
        .and_then(|name| Algorithm::parse(name).ok());
    assert!(
        settings
            .algorithms
            .iter()
            .any(|known| Some(*known) == algorithm)
    );
    assert!(header.get("kid").is_none_or(|kid| *kid == *settings.name));
    for name in ["crit", "jwk", "jku", "x5u", "x5c", "zip", "cty"] {
        assert!(header.get(name).is_none());
    }
    if let Some(typ) = header.get("typ") {
        let typ = typ.as_str().unwrap().to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        assert!(["jwt", "at+jwt"].contains(&typ));
    }

    assert_eq!(claims["iss"], *settings.issuer);
    let audience = claims["aud"].as_array();
    let audience = audience.map_or(std::slice::from_ref(&claims["aud"]), Vec::as_slice);
    assert!(audience.iter().any(|one| one == "netbird"));
    let time = |name: &str| claims.get(name).map(|time| time.as_f64().unwrap());
    let (now, leeway) = (NOW as f64, LEEWAY as f64);
    let expiry = time("exp").unwrap();
    assert!(now < expiry + leeway && expiry <= now + leeway + MAX_AGE as f64);
    assert!(
        ["nbf", "iat"]
            .iter()
            .all(|name| time(name).is_none_or(|at| at <= now + leeway))
    );
    assert!(verified.good_until > Timestamp::from_micros(NOW * 1_000_000));

    let id = verified.user_id.as_str();
    assert_eq!(claims["sub"], id);
    assert!((1..=255).contains(&id.len()) && !["current", "sys", "-", ".", ".."].contains(&id));
    let email = verified.email.as_str();
    assert!(email.is_empty() || (claims["email"] == email && claims["email_verified"] == true));
    let name = verified.name.as_str();
    assert!(name == id || claims["name"] == name);
    assert_eq!(verified.role.is_some(), settings.role_claim.is_some());
    assert!(
        verified
            .role
            .is_none_or(|role| role >= Role::Auditor && verified.issued_at.is_some())
    );
}
