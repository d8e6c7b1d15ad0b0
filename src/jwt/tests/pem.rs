//! Public keys in PEM.

use super::*;

/// RFC 7515 A.2, as SPKI.
pub const RSA: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj
NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz
P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo
9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB
EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX
FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp
oQIDAQAB
-----END PUBLIC KEY-----
";

/// The same, as PKCS#1.
const PKCS1: &str = "-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0l8W2
6mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMs
D1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5
z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxv
b3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8q2et
hFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQAB
-----END RSA PUBLIC KEY-----
";

const NO_KEY: &str = "the PEM block is no public key of type RSA, P-256, P-384 or Ed25519";
const ONE_BLOCK: &str = "exactly one PEM block is needed, with no text around it";

/// A block with this in it, on one line.
pub fn block(label: &str, der: &[u8]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

pub fn load_pem(algorithms: &str, text: &str) -> Result<Loaded, String> {
    let mut settings = home(algorithms);
    settings
        .keys
        .push(named(KeySource::Pem(text.to_owned().into())));
    let prefix = "issuer home: auth.toml, line 7: ";
    load(settings).map_err(|fault| fault.replace(prefix, ""))
}

fn hex(text: &str) -> Vec<u8> {
    let text = text.replace(' ', "");
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// An SPKI of an elliptic curve: the DER before the point, and the point.
fn curve(head: &str, key: &Value, form: u8) -> Vec<u8> {
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let y = if form < 4 {
        Vec::new()
    } else {
        coordinate("y")
    };
    [hex(head), vec![form], coordinate("x"), y].concat()
}

const P256_HEAD: &str = "3059 3013 06072a8648ce3d0201 06082a8648ce3d030107 034200";
const P384_HEAD: &str = "3076 3010 06072a8648ce3d0201 06052b81040022 036200";

fn p384() -> Value {
    json!({
        "kty": "EC", "crv": "P-384",
        "x": "inUkObiEUWBG98W3hy3y-bTsxrdQAGzyABLm9KoqLctA2WhWItSMC3cmL_BBy4qD",
        "y": "LROxojhKw1g4Gr4aW57zF8pSvvT0HggnE-yRU4giJkuUZgifmlBASbXama769AN5",
    })
}

fn ed25519_spki(head: &str) -> Vec<u8> {
    let x = URL_SAFE_NO_PAD.decode(ed25519()["x"].as_str().unwrap());
    [hex(head), x.unwrap()].concat()
}

#[test]
fn a_key_in_pem_is_the_key_in_a_jwk() {
    let crlf = RSA.replace('\n', "\r\n");
    let table = [
        (RSA.to_owned(), rsa()),
        (PKCS1.to_owned(), rsa()),
        (crlf, rsa()),
        (format!("\n  {RSA}\n\n"), rsa()),
        (RSA.trim_end().to_owned(), rsa()),
        (block("PUBLIC KEY", &curve(P256_HEAD, &p256(), 4)), p256()),
        (block("PUBLIC KEY", &curve(P384_HEAD, &p384(), 4)), p384()),
        (
            block("PUBLIC KEY", &ed25519_spki("302a 3005 06032b6570 032100")),
            ed25519(),
        ),
    ];
    let algorithms = "RS256 ES256 ES384 EdDSA";
    for (text, key) in table {
        let pem = load_pem(algorithms, &text).unwrap();
        let jwk = load_keys(home(algorithms), std::slice::from_ref(&key)).unwrap();
        let (pem, jwk) = (&only(&pem).keys[0], &only(&jwk).keys[0]);
        assert_eq!(pem.thumbprint, jwk.thumbprint, "{key}");
        assert_eq!((pem.bits, pem.algorithm), (jwk.bits, jwk.algorithm));
    }
}

#[test]
fn what_is_no_single_public_key_is_refused() {
    let private = "this is a private key: put the public key here instead";
    let certificate =
        "this is a certificate: put its public key here, from openssl x509 -in FILE -pubkey -noout";
    let label = "the PEM block is neither PUBLIC KEY nor RSA PUBLIC KEY";
    let table = [
        (String::new(), ONE_BLOCK),
        ("AAAA".into(), ONE_BLOCK),
        (format!("# my key\n{RSA}"), ONE_BLOCK),
        (format!("{RSA}{RSA}"), ONE_BLOCK),
        (format!("{RSA}trailing"), "not valid PEM"),
        (format!("\u{feff}{RSA}"), ONE_BLOCK),
        (
            RSA.replace("BEGIN PUBLIC", "BEGIN RSA PUBLIC"),
            "not valid PEM",
        ),
        (RSA.replace("oQIDAQAB", "oQ!DAQAB"), "not valid PEM"),
        (
            RSA.replace("-----END PUBLIC KEY-----\n", ""),
            "not valid PEM",
        ),
        (RSA.replace("oQIDAQAB", "oQIDAQA"), "not valid PEM"),
        (block("PRIVATE KEY", b"x"), private),
        (block("RSA PRIVATE KEY", b"x"), private),
        (block("EC PRIVATE KEY", b"x"), private),
        (block("ENCRYPTED PRIVATE KEY", b"x"), private),
        (block("OPENSSH PRIVATE KEY", b"x"), private),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----".into(), private),
        (format!("{RSA}{}", block("PRIVATE KEY", b"x")), private),
        (block("CERTIFICATE", b"x"), certificate),
        (block("CERTIFICATE", b"x").repeat(2), certificate),
        (block("X PUBLIC KEY", b"x"), label),
        (block("EC PARAMETERS", b"x"), label),
    ];
    for (text, reason) in table {
        assert_eq!(
            load_pem("RS256", &text).err().as_deref(),
            Some(reason),
            "{text}"
        );
    }
}

#[test]
fn only_the_usual_encodings_of_keys_are_read() {
    let p256_compressed = "3039 3013 06072a8648ce3d0201 06082a8648ce3d030107 032200";
    let explicit = "305c 3016 06072a8648ce3d0201 300b 020101 06060000000000 034200";
    let secp256k1 = "3056 3010 06072a8648ce3d0201 06052b8104000a 034200";
    let pss = "300d 300b 06092a864886f70d01010a";
    let long = [curve(P256_HEAD, &p256(), 4), vec![0]].concat();
    let table = [
        curve(p256_compressed, &p256(), 2),
        curve(p256_compressed, &p256(), 3),
        curve(explicit, &p256(), 4),
        curve(secp256k1, &p256(), 4),
        curve(P256_HEAD, &p256(), 6),
        // X25519, and Ed25519 with parameters.
        ed25519_spki("302a 3005 06032b656e 032100"),
        ed25519_spki("302c 3007 06032b6570 0500 032100"),
        hex(pss),
        // RSA without the parameters that must be NULL.
        hex("3019 300b 06092a864886f70d010101 030a 00 3007 020203e9 020103"),
        long,
        b"x".to_vec(),
    ];
    for der in table {
        let text = block("PUBLIC KEY", &der);
        assert_eq!(
            load_pem("RS256", &text).err().as_deref(),
            Some(NO_KEY),
            "{der:x?}"
        );
    }
    let pkcs1 = [
        "3007 020203e9 020103 00",
        "300a 020203e9 020103 020103",
        // A negative modulus, one with a zero too many, one without an exponent.
        "3007 0202ffe9 020103",
        "3008 0203 0003e9 020103",
        "3004 020203e9",
        "3000",
        "00",
    ];
    for text in pkcs1 {
        let text = block("RSA PUBLIC KEY", &hex(text));
        assert_eq!(
            load_pem("RS256", &text).err().as_deref(),
            Some(NO_KEY),
            "{text}"
        );
    }
}

#[test]
fn a_key_in_pem_is_judged_as_any_other() {
    let head = "302a 3005 06032b6570 032100";
    let table = [
        (
            "RS256",
            block("RSA PUBLIC KEY", &hex("3007 020203e9 020103")),
            "RSA modulus of 10 bits, 2048 to 8192 are accepted",
        ),
        (
            "EdDSA",
            block("PUBLIC KEY", &[hex(head), vec![0; 32]].concat()),
            "the Ed25519 point is of small order: anybody can sign for it",
        ),
        (
            "EdDSA",
            block(
                "PUBLIC KEY",
                &hex(
                    "3029 3005 06032b6570 0320 00 00000000000000000000000000000000000000000000000000000000000000",
                ),
            ),
            "x has 31 bytes, 32 are needed",
        ),
        (
            "ES256",
            block(
                "PUBLIC KEY",
                &curve(P256_HEAD, &with(p256(), json!({"y": p256()["x"]})), 4),
            ),
            "the point is not on the curve P-256",
        ),
        (
            "ES256",
            RSA.to_owned(),
            "none of the issuer's algorithms fits an RSA key",
        ),
        (
            "RS256 RS512",
            RSA.to_owned(),
            "several of the algorithms fit, say which one: alg",
        ),
        (
            "HS256",
            RSA.to_owned(),
            "allow_symmetric = true is for shared secrets only, and this is an RSA key",
        ),
    ];
    for (algorithms, text, reason) in table {
        assert_eq!(
            load_pem(algorithms, &text).err().as_deref(),
            Some(reason),
            "{text}"
        );
    }
}

#[test]
fn a_file_in_pem_is_named_in_the_message() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key.pem");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let mut settings = home("RS256");
        settings.keys.push(named(KeySource::PemFile(path.clone())));
        load(settings).err()
    };
    let fault = |reason: &str| {
        Some(format!(
            "issuer home: auth.toml, line 7: {}: {reason}",
            path.display()
        ))
    };
    assert_eq!(read(RSA.as_bytes()), None);
    assert_eq!(read(&[RSA.as_bytes(), &vec![b'\n'; 60_000]].concat()), None);
    assert_eq!(read(b"\xff"), fault("not valid PEM"));
    assert_eq!(read(b""), fault(ONE_BLOCK));
    assert_eq!(
        read(&vec![b'\n'; 64 * 1024 + 1]),
        fault("is larger than 64 KiB")
    );
}
