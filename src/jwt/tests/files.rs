//! Whole files and whole issuers: all or nothing.

use std::path::{Path, PathBuf};

use super::*;
use proptest::prelude::*;

#[test]
fn a_file_that_is_no_key_set_is_refused() {
    let table = [
        ("", "the text is empty"),
        ("{", "not valid JSON"),
        (r#"{"keys":[]} x"#, "not valid JSON"),
        ("[]", "not a JSON object"),
        (
            r#"{"keys":[],"keys":[]}"#,
            "a name stands twice in one JSON object",
        ),
        (
            r#"{"keys":[{"kty":"RSA","kty":"EC"}]}"#,
            "a name stands twice in one JSON object",
        ),
        ("{}", r#"there is no array "keys""#),
        (r#"{"keys":{}}"#, r#"there is no array "keys""#),
        (
            "\n <!DOCTYPE html>",
            "this is a web page, not a key set: save what the provider's jwks_uri names",
        ),
        (
            r#"{"issuer":"https://id.home.arpa","jwks_uri":"https://id.home.arpa/keys"}"#,
            "this is the discovery document: save what its jwks_uri names",
        ),
        (
            r#"{"keys":{},"jwks_uri":"x"}"#,
            r#"there is no array "keys""#,
        ),
        (r#"{"keys":[1]}"#, "key 1: not a JSON object"),
        (r#"{"keys":[[]]}"#, "key 1: not a JSON object"),
    ];
    for (text, reason) in table {
        let fault = format!("issuer home: keys.json: {reason}");
        assert_eq!(load_text(home("RS256"), text).err(), Some(fault), "{text}");
    }
    let none = load_text(home("RS256"), r#"{"keys":[]}"#);
    assert_eq!(
        none.err().as_deref(),
        Some("issuer home: keys.json: no usable key")
    );
    assert_eq!(
        load(home("RS256")).err().as_deref(),
        Some("issuer home: no usable key")
    );
}

#[test]
fn a_file_has_a_limit_to_the_byte() {
    let text = |size| {
        let mut text = json!({"keys": [rsa()]}).to_string().into_bytes();
        text.resize(size, b' ');
        text
    };
    assert!(load_text(home("RS256"), text(1024 * 1024)).is_ok());
    assert_eq!(
        load_text(home("RS256"), text(1024 * 1024 + 1))
            .err()
            .as_deref(),
        Some("issuer home: keys.json: is larger than 1024 KiB")
    );
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let read = |path: &str| {
        let mut settings = home("RS256");
        settings.jwks_file = Some(path.into());
        load(settings).err().unwrap()
    };
    assert_eq!(
        read("/no\nfile"),
        r"issuer home: /no\nfile: can't be read: No such file or directory (os error 2)"
    );
    for path in ["/", "/dev/null"] {
        assert_eq!(
            read(path),
            format!("issuer home: {path}: is not a regular file")
        );
    }
}

#[test]
fn one_bad_key_spoils_everything() {
    let keys = [rsa(), with(p256(), json!({"kid": "a1", "x": "AA"}))];
    assert_eq!(
        load_keys(home("RS256 ES256"), &keys).err().as_deref(),
        Some(r#"issuer home: keys.json: key 2 (kid "a1"): x has 1 bytes, 32 are needed"#)
    );
}

#[test]
fn a_kid_stands_once_in_an_issuer() {
    let key = |kid: &str| with(rsa(), json!({"kid": kid}));
    let reason = "another key of the issuer has the same kid";
    assert_eq!(
        load_keys(home("RS256"), &[key("a"), key("a")]).err(),
        Some(format!(
            r#"issuer home: keys.json: key 2 (kid "a"): {reason}"#
        ))
    );
    let mut settings = home("RS256");
    settings.keys.push(named(jwk(&key("a"))));
    assert_eq!(
        load_keys(settings, &[key("b"), key("a")]).err(),
        Some(format!("issuer home: auth.toml, line 7: {reason}"))
    );
    // Of a skipped key it does not count, and no kid is no kid.
    let skipped = with(key("a"), json!({"use": "enc"}));
    let loaded = load_keys(home("RS256"), &[skipped, key("a"), rsa(), rsa()]).unwrap();
    assert_eq!(only(&loaded).keys.len(), 3);
}

#[test]
fn issuers_are_told_apart_by_name_and_by_issuer() {
    let issuer = |name: &str, issuer: &str| {
        let mut settings = home("RS256");
        (settings.name, settings.issuer) = (name.into(), issuer.into());
        settings.keys.push(named(jwk(&rsa())));
        settings
    };
    let load = |second| IssuerSet::load(vec![issuer("a", "x"), second]);
    let fault = |second| load(second).err().unwrap().to_string();
    assert_eq!(
        fault(issuer("a", "y")),
        "issuer a: another issuer has the same name"
    );
    assert_eq!(
        fault(issuer("b", "x")),
        "issuer b: another issuer has the same issuer"
    );
    let loaded = load(issuer("b", "y")).unwrap();
    let names = loaded.set.iter().map(|issuer| &*issuer.settings.name);
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn every_file_is_named_for_those_who_watch() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut settings = home("RS256");
    settings.jwks_file = Some(path("set"));
    settings.keys.push(named(KeySource::PemFile(path("pem"))));
    settings.keys.push(named(jwk(&rsa())));
    let files: Vec<PathBuf> = settings.files().map(Path::to_owned).collect();
    assert_eq!(files, [path("set"), path("pem")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_panic(text in any::<Vec<u8>>()) {
        prop_assert!(load_text(home("RS256"), text).is_err());
    }

    #[test]
    fn no_members_panic(
        kty in "RSA|EC|OKP|oct",
        crv in "P-256|P-384|Ed25519|X",
        names in proptest::collection::vec("n|e|x|y|k|use|alg|kid|key_ops", 0..6),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        raw in any::<String>(),
    ) {
        let mut key = json!({"kty": kty, "crv": crv});
        for (index, name) in names.iter().enumerate() {
            let text = if index % 3 == 0 { raw.clone() } else { base64(&bytes) };
            key[name] = json!(text);
        }
        for algorithms in ["RS256 ES256 ES384 EdDSA", "HS256"] {
            if let Err(fault) = load_keys(home(algorithms), std::slice::from_ref(&key)) {
                prop_assert!(!fault.chars().any(char::is_control));
            }
            let mut settings = home(algorithms);
            settings.keys.push(named(KeySource::Pem(raw.clone().into())));
            prop_assert!(load(settings).is_err());
        }
    }
}
