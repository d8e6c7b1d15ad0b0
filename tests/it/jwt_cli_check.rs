//! `config check` on issuers: what it shows of their keys, and how it and `serve` end on a key that
//! is of no use.

use std::fs;
use std::path::Path;

use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Idp, Output, SigningKey, base64url, ended, netbird_auth, only_line};

fn config_check(folder: &Path) -> Output {
    let mut command = netbird_auth(folder);
    command.args(["config", "check"]);
    ended(command)
}

/// Both outputs, for what must be in neither.
fn all(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).unwrap()
}

/// RFC 7638 §3: the required members, in the order of their names, hashed.
pub fn thumbprint(jwk: &Value) -> String {
    let members = match jwk["kty"].as_str().unwrap() {
        "RSA" => format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, jwk["e"], jwk["n"]),
        "EC" => format!(
            r#"{{"crv":{},"kty":"EC","x":{},"y":{}}}"#,
            jwk["crv"], jwk["x"], jwk["y"]
        ),
        "OKP" => format!(r#"{{"crv":{},"kty":"OKP","x":{}}}"#, jwk["crv"], jwk["x"]),
        other => panic!("no thumbprint of {other}"),
    };
    base64url(digest::digest(&digest::SHA256, members.as_bytes()))
}

/// What a shared secret would have as its thumbprint.
fn thumbprint_of_secret(jwk: &Value) -> String {
    let members = format!(r#"{{"k":{},"kty":"oct"}}"#, jwk["k"]);
    base64url(digest::digest(&digest::SHA256, members.as_bytes()))
}

#[test]
fn config_check_shows_every_key_with_algorithm_size_and_thumbprint_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let all_public = "algorithms = [\"PS256\", \"ES256\", \"ES384\", \"EdDSA\"]\n";
    let home = Idp {
        settings: all_public.to_owned(),
        ..Idp::new("home", "ES256")
    };
    let shared = Idp::new("shared", "HS256").with("allow_symmetric = true");
    fs::write(
        folder.path().join("netbird-auth.toml"),
        home.toml() + &shared.toml(),
    )
    .unwrap();
    let public = [
        (SigningKey::new("rsa", "PS256").jwk(), "2048"),
        (SigningKey::new("p256", "ES256").jwk(), "256"),
        (SigningKey::new("p384", "ES384").jwk(), "384"),
        (SigningKey::new("okp", "EdDSA").jwk(), "256"),
    ];
    let mut keys: Vec<Value> = public.iter().map(|(jwk, _)| jwk.clone()).collect();
    let mut bare = SigningKey::new("", "EdDSA").jwk();
    bare.as_object_mut().unwrap().remove("kid");
    keys.push(bare.clone());
    let mut for_encryption = SigningKey::new("other-use", "ES256").jwk();
    for_encryption["use"] = json!("enc");
    keys.push(for_encryption);
    let mut unseen = SigningKey::new("turned-\u{202e}", "ES256").jwk();
    keys.push(unseen.clone());
    unseen["kid"] = json!("turned-\\u{202e}");
    home.write_jwks(folder.path(), &keys);
    let secret = shared.key.jwk();
    shared.write_jwks(folder.path(), std::slice::from_ref(&secret));

    let output = config_check(folder.path());
    let (shown, told) = (
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    );
    assert_eq!(output.status.code(), Some(0), "{told}");
    for line in [
        "home",
        "https://home.home.arpa",
        "shared",
        "https://shared.home.arpa",
    ] {
        assert!(shown.lines().any(|shown| shown.ends_with(line)), "{shown}");
    }
    let rows: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let mut expected: Vec<[String; 4]> = Vec::new();
    let with_kid = public
        .iter()
        .map(|(jwk, bits)| (jwk, *bits))
        .chain([(&unseen, "256")]);
    for (jwk, bits) in with_kid {
        let text = |name: &str| jwk[name].as_str().unwrap().to_owned();
        expected.push([text("kid"), text("alg"), bits.to_owned(), thumbprint(jwk)]);
    }
    expected.push(["-", "EdDSA", "256", &thumbprint(&bare)].map(str::to_owned));
    expected.push(["shared-1", "HS256", "512", "-"].map(str::to_owned));
    for row in &expected {
        assert!(
            rows.iter().any(|shown| shown == row),
            "{row:?} is not in {shown}"
        );
    }
    let key_rows = rows
        .iter()
        .filter(|row| matches!(row[..], [_, _, bits, _] if bits.parse::<u32>().is_ok()));
    assert_eq!(key_rows.count(), expected.len(), "{shown}");

    let told: Vec<&str> = told.lines().collect();
    let [skipped, valid] = told[..] else {
        panic!("{told:?}")
    };
    for word in ["home.jwks.json", "key 6", "other-use", "skipped", "\"enc\""] {
        assert!(skipped.contains(word), "{skipped}");
    }
    assert_eq!(valid, "the configuration is valid");
    let secret_text = secret["k"].as_str().unwrap();
    for piece in secret_text
        .as_bytes()
        .windows(16)
        .map(|piece| std::str::from_utf8(piece).unwrap())
    {
        assert!(!all(&output).contains(piece), "a piece of a secret");
    }
    assert!(!all(&output).contains(&thumbprint_of_secret(&secret)));
}

/// A configuration that must not be taken.
struct Bad {
    what: &'static str,
    /// The settings file.
    toml: String,
    /// The text of `home.jwks.json`; without it there is no such file.
    jwks: Option<String>,
    /// What the message says.
    words: Vec<&'static str>,
    /// What no message says.
    secrets: Vec<String>,
}

/// `home` with these algorithms and a set of these keys.
fn set(what: &'static str, algorithms: &str, keys: &[&Value], words: &[&'static str]) -> Bad {
    let home = Idp {
        settings: format!("algorithms = {algorithms}\n"),
        ..Idp::new("home", "ES256")
    };
    let secret = |jwk: &&Value| {
        ["d", "k"]
            .iter()
            .filter_map(|name| Some(jwk[*name].as_str()?.to_owned()))
            .collect::<Vec<_>>()
    };
    Bad {
        what,
        toml: home.toml(),
        jwks: Some(json!({ "keys": keys }).to_string()),
        words: [&["issuer home", "home.jwks.json"], words].concat(),
        secrets: keys.iter().flat_map(secret).collect(),
    }
}

/// `home` with a good set, and lines of settings more.
fn settings(what: &'static str, lines: &str, words: &[&'static str], secrets: &[&str]) -> Bad {
    let key = SigningKey::new("home-1", "ES256").jwk();
    let mut bad = set(what, "[\"ES256\"]", &[&key], &[]);
    bad.toml += lines;
    bad.words = words.to_vec();
    bad.secrets = secrets.iter().map(|&text| text.to_owned()).collect();
    bad
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

fn random(bytes: usize) -> Vec<u8> {
    let mut random = vec![0; bytes];
    rand::fill(&mut random).unwrap();
    random
}

fn all_bad() -> Vec<Bad> {
    let ec = |kid| SigningKey::new(kid, "ES256").jwk();
    let private = with(ec("a"), "d", json!(base64url(random(32))));
    let mut modulus = random(128);
    (modulus[0], modulus[127]) = (modulus[0] | 0x80, modulus[127] | 1);
    let weak =
        json!({"kty": "RSA", "kid": "a", "alg": "RS256", "n": base64url(modulus), "e": "AQAB"});
    let secret = SigningKey::new("a", "HS256").jwk();
    let pkcs8 = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
    let body = STANDARD.encode(&pkcs8);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let k = secret["k"].as_str().unwrap();
    let d = private["d"].as_str().unwrap();
    let missing = Bad {
        jwks: None,
        ..set("missing", "[\"ES256\"]", &[], &["can't be read"])
    };
    let not_json = Bad {
        jwks: Some(format!("{{\"keys\": [{{\"k\": \"{k}")),
        secrets: vec![k.to_owned()],
        ..set("no JSON", "[\"ES256\"]", &[], &["not valid JSON"])
    };
    let es = "[\"ES256\"]";
    let pem_in_set = Bad {
        jwks: Some(pem.clone()),
        secrets: vec![body.clone()],
        ..set("PEM as set", es, &[], &["not valid JSON"])
    };
    let private_file = Bad {
        toml: pem_in_set
            .toml
            .replace("jwks_file", "key = [{ pem_file")
            .replace(".json\"\n", ".json\" }]\n"),
        words: vec![
            "issuer home",
            "netbird-auth.toml:",
            "home.jwks.json",
            "private key",
        ],
        jwks: Some(pem.clone()),
        secrets: vec![body.clone()],
        what: "private PEM file",
    };
    vec![
        missing,
        not_json,
        pem_in_set,
        private_file,
        set("private", es, &[&private], &["key 1", "private key"]),
        set("weak", "[\"RS256\"]", &[&weak], &["1024 bits", "2048"]),
        set("kid twice", es, &[&ec("a"), &ec("a")], &["key 2", "kid"]),
        set(
            "unfit",
            "[\"ES256\", \"RS256\"]",
            &[&with(ec("a"), "alg", json!("RS256"))],
            &["RS256 does not fit a P-256 key"],
        ),
        set(
            "skipped",
            es,
            &[&with(ec("a"), "use", json!("enc"))],
            &["\"enc\"", "no usable key"],
        ),
        set("shared", es, &[&secret], &["allow_symmetric = true"]),
        settings(
            "private JWK by itself",
            &format!("[[issuer.key]]\njwk = '{private}'\n"),
            &["issuer home", "netbird-auth.toml:", "private key"],
            &[d],
        ),
        settings(
            "private PEM by itself",
            &format!("[[issuer.key]]\nkid = 'b'\npem = '''\n{pem}'''\n"),
            &["issuer home", "netbird-auth.toml:", "private key"],
            &[&body],
        ),
        settings(
            "secret in broken TOML",
            &format!("[[issuer.key]]\njwk = '{secret}\n"),
            &["netbird-auth.toml:", "TOML"],
            &[k],
        ),
        settings(
            "secret of a wrong type",
            &format!("[[issuer.key]]\njwk = ['{secret}']\n"),
            &["netbird-auth.toml:", "issuer.key.jwk"],
            &[k],
        ),
        settings(
            "ES512",
            "[[issuer]]\nname = 'b'\nissuer = 'b'\naudiences = ['b']\njwks_file = 'b'\n\
             algorithms = ['ES512']\n",
            &["issuer.algorithms", "ES512 is not supported here", "ES384"],
            &[],
        ),
        settings(
            "name twice",
            "[[issuer]]\nname = 'home'\nissuer = 'b'\naudiences = ['b']\njwks_file = 'b'\n",
            &["issuer.name", "must differ"],
            &[],
        ),
    ]
}

#[test]
fn an_unusable_key_ends_check_and_serve_with_2_and_one_line_and_leaves_nothing() {
    for bad in all_bad() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("netbird-auth.toml"), &bad.toml).unwrap();
        if let Some(jwks) = &bad.jwks {
            fs::write(folder.path().join("home.jwks.json"), jwks).unwrap();
        }
        let entries = || fs::read_dir(folder.path()).unwrap().count();
        let before = entries();
        for arguments in [&["config", "check"][..], &["serve"]] {
            let mut command = netbird_auth(folder.path());
            command.args(arguments);
            let output = ended(command);
            let what = format!("{}, {arguments:?}", bad.what);
            let said = only_line(&output);
            assert_eq!(output.status.code(), Some(2), "{what}: {said}");
            for word in &bad.words {
                assert!(said.contains(word), "{what}: {word} is not in {said}");
            }
            for secret in &bad.secrets {
                assert!(!all(&output).contains(&secret[..16]), "{what}: a secret");
            }
            assert_eq!(entries(), before, "{what}: something was left behind");
        }
        let lines = config_check(folder.path()).stderr;
        assert_eq!(String::from_utf8(lines).unwrap().lines().count(), 1);
    }
}
