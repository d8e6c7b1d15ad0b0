//! `netbird-auth.toml`, which is the list of all settings for whoever runs the server.

use super::super::forward::RULE;
use super::super::issuers::{ISSUER, KEY};
use super::issuers::{LEAST, only};
use super::*;

const SAMPLE: &str = include_str!("../../../netbird-auth.toml");

#[test]
fn the_sample_is_the_defaults() {
    let sample = parse(SAMPLE, &[]).unwrap();
    assert_eq!(shown(&sample), shown(&Config::default()));
    assert!(sample.issuers.is_empty());
    assert!(sample.forward_auth.rules.is_empty());
}

#[test]
fn the_sample_shows_every_setting_in_its_section() {
    let mut section = "";
    let mut seen = Vec::new();
    for line in SAMPLE.lines().take_while(|line| !line.starts_with("# [[")) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ") {
            seen.push((section, key));
        }
    }
    assert_eq!(seen, known_names());
}

/// The lines of the sample from a heading to the end of its kind, without the # where it is not
/// prose.
fn commented(heading: &str, wanted: impl Fn(&str) -> bool) -> String {
    let lines = SAMPLE.lines().filter_map(|line| line.strip_prefix("# "));
    let below = lines.skip_while(|line| *line != heading);
    let within = heading.trim_end_matches(']');
    let code = below.take_while(|line| !line.starts_with("[[") || line.starts_with(within));
    code.filter(|code| name_of(code).is_some_and(&wanted))
        .map(|code| format!("{code}\n"))
        .collect()
}

fn sample(wanted: impl Fn(&str) -> bool) -> String {
    commented("[[issuer]]", wanted)
}

/// The name of a key or a section, if a line of the sample has one.
fn name_of(line: &str) -> Option<&str> {
    if line.starts_with('[') {
        return Some(line);
    }
    let (key, _) = line.split_once(" = ")?;
    let is_key = key
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_key.then_some(key)
}

#[test]
fn the_sample_shows_every_key_of_an_issuer() {
    let text = sample(|_| true);
    let seen: Vec<&str> = text.lines().filter_map(name_of).collect();
    let of_issuer = ISSUER.keys.iter().filter(|key| **key != "key");
    let mut expected = vec!["[[issuer]]"];
    expected.extend(of_issuer);
    expected.push("[[issuer.key]]");
    expected.extend(KEY.keys);
    assert_eq!(seen, expected);
}

#[test]
fn the_sample_of_an_issuer_has_the_defaults_and_is_valid_as_a_whole() {
    let is_role = |key: &str| ["role_claim", "role_map", "max_role"].contains(&key);
    let is_key = |key: &str| key == "[[issuer.key]]" || KEY.keys.contains(&key);
    let plain = sample(|key| !is_role(key) && !is_key(key));
    assert_eq!(only("f", &plain), only("f", LEAST));
    let sources = ["pem_file", "pem", "jwk"];
    for source in sources {
        let text = sample(|key| key == source || !sources.contains(&key));
        let issuer = only("f", &text);
        assert_eq!(issuer["role_map"], r#"Some({"netbird-admins": Admin})"#);
        assert_eq!(issuer["max_role"], "Some(Admin)");
        assert!(issuer["key"].contains(r#"Some("a1") Some(Es256)"#));
    }
}

#[test]
fn the_sample_shows_every_key_of_a_rule_and_is_valid_as_a_whole() {
    let text = commented("[[forward_auth.rule]]", |_| true);
    let seen: Vec<&str> = text.lines().filter_map(name_of).collect();
    let mut expected = vec!["[[forward_auth.rule]]"];
    expected.extend(RULE.keys);
    assert_eq!(seen, expected);
    // Below the section as it stands there, too.
    let whole = SAMPLE.replace(
        "# [[forward_auth.rule]]",
        &format!("{text}# [[forward_auth.rule]]"),
    );
    for text in [&text, &whole] {
        let rules = parse(text, &[]).unwrap().forward_auth.rules;
        let [rule] = &rules[..] else {
            panic!("{rules:?}")
        };
        assert_eq!(rule.allow_users.len(), 1);
    }
}

#[test]
fn the_sample_of_a_rule_has_the_defaults() {
    let narrow = [
        "path_prefix",
        "methods",
        "allow_roles",
        "allow_users",
        "client_cidrs",
    ];
    let defaults = commented("[[forward_auth.rule]]", |key| !narrow.contains(&key));
    let least = commented("[[forward_auth.rule]]", |key| {
        ["[[forward_auth.rule]]", "host"].contains(&key)
    });
    let rules = |text: &str| parse(text, &[]).unwrap().forward_auth.rules;
    assert_eq!(rules(&defaults), rules(&least));
}
