//! `[forward_auth]` and its rules, and which of them are only probably not meant.

use super::super::forward::RULE;
use super::*;
use crate::forward::{ForwardAuth, HostPattern, PathPrefix, Rule};
use crate::user::{Role, UserId};

/// What a rule must have at least, in two lines.
pub(super) const LEAST: &str = "[[forward_auth.rule]]
host = 'grafana.home.arpa'
";

/// The same with every key that can stand beside the others, none of them at its default.
const EVERYTHING: &str = r#"[[forward_auth.rule]]
host = "*.Home.arpa"
path_prefix = "/api/"
methods = ["GET", "PROPFIND"]
allow_roles = ["Owner", "admin"]
allow_users = ["ann", "b|2"]
allow_service_users = true
client_cidrs = ["10.0.0.0/8", "::1"]
public = false
cors_preflight = true
"#;

fn rules(text: &str) -> Vec<Rule> {
    parse(text, &[]).unwrap().forward_auth.rules.to_vec()
}

fn least() -> Rule {
    Rule {
        host: HostPattern::Exact("grafana.home.arpa".into()),
        path_prefix: None,
        methods: Vec::new(),
        allow_roles: Vec::new(),
        allow_users: Vec::new(),
        allow_service_users: false,
        client_cidrs: Vec::new(),
        public: false,
        cors_preflight: false,
    }
}

#[test]
fn nothing_is_the_default() {
    for text in ["", "[forward_auth]", "forward_auth.rule = []"] {
        let settings = parse(text, &[]).unwrap().forward_auth;
        assert_eq!(settings, ForwardAuth::default(), "{text}");
    }
}

#[test]
fn every_key_has_its_effect() {
    assert_eq!(rules(LEAST), [least()]);
    let everything = Rule {
        host: HostPattern::Below("home.arpa".into()),
        path_prefix: Some(PathPrefix::parse("/api").unwrap()),
        methods: vec!["GET".into(), "PROPFIND".into()],
        allow_roles: vec![Role::Owner, Role::Admin],
        allow_users: ["ann", "b|2"].map(|id| UserId::parse(id).unwrap()).into(),
        allow_service_users: true,
        client_cidrs: ["10.0.0.0/8", "::1/128"]
            .map(|net| net.parse().unwrap())
            .into(),
        public: false,
        cors_preflight: true,
    };
    assert_eq!(rules(EVERYTHING), [everything]);
    let text = format!("{LEAST}public = true\nallow_service_users = false\ncors_preflight = true");
    let public = Rule {
        public: true,
        cors_preflight: true,
        ..least()
    };
    assert_eq!(rules(&text), [public]);
    let shown = EVERYTHING.lines().filter_map(|line| line.split_once(" = "));
    assert_eq!(shown.map(|(key, _)| key).collect::<Vec<_>>(), RULE.keys);
}

#[test]
fn rules_keep_their_order_and_may_stand_before_the_section() {
    let text = format!("{LEAST}{EVERYTHING}[log]\n{LEAST}[forward_auth]\nuser_header = 'X-User'\n");
    let settings = parse(&text, &[]).unwrap().forward_auth;
    let methods = settings.rules.iter().map(|rule| rule.methods.len());
    assert_eq!(methods.collect::<Vec<_>>(), [0, 2, 0]);
    assert_eq!(&*settings.headers.user, "X-User");
}

#[test]
fn the_api_key_header_is_kept_in_lower_case_and_others_as_they_are() {
    let longest = "a".repeat(64);
    for (given, kept) in [
        ("", None),
        ("X-Token-2", Some("x-token-2")),
        (&longest, Some(&*longest)),
    ] {
        let text = format!("[forward_auth]\napi_key_header = '{given}'\nname_header = 'X-NAME'");
        let settings = parse(&text, &[]).unwrap().forward_auth;
        assert_eq!(settings.api_key_header.as_deref(), kept);
        assert_eq!(&*settings.headers.name, "X-NAME");
    }
}

#[test]
fn no_key_is_known_that_nobody_reads() {
    // No setting is a date.
    for key in RULE.keys {
        let host = if *key == "host" { "" } else { "host = 'a'\n" };
        let text = format!("[[forward_auth.rule]]\n{host}{key} = 1979-05-27");
        let expected = format!("`forward_auth.rule.{key}` must be ");
        let message = fault(&text, &[]);
        assert!(message.contains(&expected), "{message}");
    }
}

/// Rules as [`rule`] writes them, and which of them never match because of which.
type Shadowed = (&'static [&'static str], &'static [(usize, usize)]);

#[rustfmt::skip]
const SHADOWED: &[Shadowed] = &[
    (&["a", "b"], &[]),
    (&["a", "a"], &[(2, 1)]),
    (&["a", "A", "a"], &[(2, 1), (3, 1)]),
    (&["a /x", "a"], &[]),
    (&["a", "a /x"], &[(2, 1)]),
    (&["a /", "a"], &[]),
    (&["a /x/", "a /x"], &[(2, 1)]),
    (&["a /x", "a /x/y"], &[(2, 1)]),
    (&["a /x", "a /xy"], &[]),
    (&["a /x/y", "a /x"], &[]),
    (&["*.a", "b.a"], &[(2, 1)]),
    (&["*.a", "c.b.a"], &[(2, 1)]),
    (&["*.a", "*.b.a"], &[(2, 1)]),
    (&["*.a", "*.a"], &[(2, 1)]),
    (&["*.a", "a"], &[]),
    (&["*.a", "ba"], &[]),
    (&["*.b.a", "*.a"], &[]),
    (&["b.a", "*.a"], &[]),
    (&["a / GET", "a"], &[]),
    (&["a / GET", "a / GET"], &[(2, 1)]),
    (&["a / GET,PUT", "a / PUT"], &[(2, 1)]),
    (&["a / GET", "a / GET,PUT"], &[]),
    (&["a / GET", "a / GET preflight"], &[]),
    (&["a", "a / GET preflight"], &[(2, 1)]),
    (&["a", "b", "b /x GET", "*.a"], &[(3, 2)]),
];

/// TOML of a host, and a path, methods and `preflight` if there are any.
fn rule(line: &str) -> String {
    let mut words = line.split(' ');
    let mut text = format!(
        "[[forward_auth.rule]]\nhost = '{}'\n",
        words.next().unwrap()
    );
    for word in words {
        text += &match word {
            "preflight" => "cors_preflight = true\n".to_owned(),
            path if path.starts_with('/') => format!("path_prefix = '{path}'\n"),
            methods => format!("methods = ['{}']\n", methods.replace(',', "', '")),
        };
    }
    text
}

#[test]
fn a_rule_of_which_nothing_is_left_is_told() {
    for (rules, expected) in SHADOWED {
        let text: String = rules.iter().map(|line| rule(line)).collect();
        let places: Vec<usize> = text
            .lines()
            .zip(1..)
            .filter_map(|(line, number)| line.starts_with("[[").then_some(number))
            .collect();
        let expected = expected.iter().map(|(rule, by)| {
            let line = places[rule - 1];
            format!(
                "netbird-auth.toml:{line}: forward_auth rule {rule} never matches: rule {by} is \
                 for all of it"
            )
        });
        let nothing = environment(&[]);
        let file = reader::File::parse(Path::new("netbird-auth.toml"), text.as_bytes());
        let (_, warnings) = read(Reader::new(Some(file.unwrap()), &nothing)).unwrap();
        assert_eq!(warnings, expected.collect::<Vec<_>>(), "{rules:?}");
    }
}
