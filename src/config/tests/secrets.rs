//! The token: never shown, never twice, read late.

use std::fs;
use std::path::Path;

use super::*;

#[test]
fn no_message_holds_a_secret() {
    let broken = "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632eyrXX";
    let texts = [
        format!("[bootstrap]\ntoken = '{broken}'"),
        format!("[bootstrap]\ntoken = {broken}"),
        format!("[bootstrap]\ntoken = ['{broken}']"),
        format!("[bootstrap]\ntoken = '{broken}"),
        format!("[bootstrap]\ntoken_days = '{broken}'"),
    ];
    for text in texts {
        let message = fault(&text, &[]);
        assert!(message.starts_with("netbird-auth.toml:2: "), "{message}");
        assert!(!message.contains("nbp_"), "{message}");
    }
    let message = fault("", &[("NETBIRD_AUTH_BOOTSTRAP__TOKEN", broken)]);
    assert_eq!(
        message,
        "NETBIRD_AUTH_BOOTSTRAP__TOKEN is no token: bad token checksum"
    );
}

#[test]
fn a_secret_given_twice_is_refused_wherever_the_two_stand() {
    let inline = format!("bootstrap.token = '{TOKEN}'\n");
    let file = "bootstrap.token_file = 't'\n".to_owned();
    let inline_variable = ("NETBIRD_AUTH_BOOTSTRAP__TOKEN", TOKEN);
    let file_variable = ("NETBIRD_AUTH_BOOTSTRAP__TOKEN_FILE", "t");
    let table = [
        (
            format!("{inline}{file}"),
            vec![],
            "`bootstrap.token` (netbird-auth.toml:1) and `bootstrap.token_file` (netbird-auth.toml:2)",
        ),
        (
            inline.clone(),
            vec![file_variable],
            "`bootstrap.token` (netbird-auth.toml:1) and NETBIRD_AUTH_BOOTSTRAP__TOKEN_FILE",
        ),
        (
            file,
            vec![inline_variable],
            "NETBIRD_AUTH_BOOTSTRAP__TOKEN and `bootstrap.token_file` (netbird-auth.toml:1)",
        ),
        (
            String::new(),
            vec![inline_variable, file_variable],
            "NETBIRD_AUTH_BOOTSTRAP__TOKEN and NETBIRD_AUTH_BOOTSTRAP__TOKEN_FILE",
        ),
    ];
    for (text, variables, places) in table {
        let message = fault(&text, &variables);
        assert_eq!(message, format!("{places} are both set: keep one of them"));
    }
    assert!(parse(&inline, &[inline_variable]).is_ok());
}

#[test]
fn a_token_file_is_opened_when_the_token_is_wanted_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let source = |path: &Path| {
        let variable = ("NETBIRD_AUTH_BOOTSTRAP__TOKEN_FILE", path.to_str().unwrap());
        parse("", &[variable]).unwrap().bootstrap.token.unwrap()
    };
    let read = |path: &Path| source(path).read().map_err(|fault| fault.to_string());

    let missing = read(&path).err().unwrap();
    assert!(
        missing.starts_with(&format!("[bootstrap] token_file {}: ", path.display())),
        "{missing}"
    );
    fs::write(&path, format!("{TOKEN}\r\n")).unwrap();
    assert_eq!(read(&path).unwrap().expose(), TOKEN);
    fs::write(&path, format!("{TOKEN}\n{TOKEN}\n")).unwrap();
    let twice = read(&path).err().unwrap();
    assert!(
        twice.contains(": malformed token; ") && !twice.contains("nbp_"),
        "{twice}"
    );
    fs::write(&path, vec![b' '; 100_000]).unwrap();
    assert!(read(&path).is_err());
}
