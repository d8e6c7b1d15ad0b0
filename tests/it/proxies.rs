//! The files of `deploy/` in the real proxies: who gets through, and what the app is told of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Kind, Site, eventually, with_each_proxy};

with_each_proxy! {
    a_request_without_credential_is_401_with_a_challenge_and_the_app_does_not_see_it,
    a_token_passes_in_each_of_four_places_and_the_app_is_told_who_it_is,
    a_jwt_passes_in_each_of_four_places_and_the_app_is_told_who_it_is,
    a_revoked_token_is_401_at_once,
    a_user_without_the_role_is_403_and_one_with_it_passes,
    a_public_path_passes_as_nobody_with_and_without_a_credential,
    a_credential_that_is_none_of_ours_is_401,
    a_client_address_that_a_rule_is_for_passes_and_another_is_403,
    the_app_is_not_asked_while_netbird_auth_is_down,
    the_question_itself_cannot_be_asked_from_outside,
}

const NOBODY: [&str; 5] = ["-"; 5];

fn a_request_without_credential_is_401_with_a_challenge_and_the_app_does_not_see_it(site: &Site) {
    for (method, path) in [
        ("GET", "/"),
        ("POST", "/x?a=b"),
        ("GET", "/admin"),
        ("POST", "/feed"),
    ] {
        let outcome = site.send(method, path, &[], b"");
        outcome.stopped(401);
        let challenges = outcome.response.headers_of("www-authenticate");
        assert!(
            challenges[0].starts_with("Bearer realm=\"netbird-auth\""),
            "{challenges:?}"
        );
    }
}

/// Each place that carries a credential of ann's.
fn places(credential: &str) -> Vec<(&'static str, String)> {
    let pair = STANDARD.encode(format!("whoever:{credential}"));
    vec![
        ("Authorization", format!("Token {credential}")),
        ("authorization", format!("bearer {credential}")),
        ("AUTHORIZATION", format!("Basic {pair}")),
        ("x-api-Key", credential.to_owned()),
    ]
}

fn a_token_passes_in_each_of_four_places_and_the_app_is_told_who_it_is(site: &Site) {
    let (token, id) = &site.ann;
    for (name, value) in places(token) {
        let outcome = site.get("/dashboards?a=b", &[(name, &value)]);
        let seen = outcome.passed();
        seen.is_of([
            "ann",
            "%C3%84nn%2C the first",
            "ann@home.arpa",
            "user,g1,a%2Cb",
            id,
        ]);
        seen.has_no_credential();
        assert_eq!((&*seen.method, &*seen.target), ("GET", "/dashboards?a=b"));
        // It is the app's own answer that comes back.
        assert_eq!(outcome.response.json()["target"], "/dashboards?a=b");
    }
}

fn a_jwt_passes_in_each_of_four_places_and_the_app_is_told_who_it_is(site: &Site) {
    for (name, value) in places(&site.idp.jwt("jo")) {
        let outcome = site.get("/", &[(name, &value)]);
        let seen = outcome.passed();
        seen.is_of(["jo", "jo", "jo@home.arpa", "user", "-"]);
        seen.has_no_credential();
    }
    let expired = site
        .idp
        .jwt_with("jo", serde_json::json!({"exp": 1_000_000_000}));
    site.get("/", &[("Authorization", &format!("Bearer {expired}"))])
        .stopped(401);
}

fn a_revoked_token_is_401_at_once(site: &Site) {
    let (token, id) = &site.root;
    let ask = || site.with_token(token, "GET", "/", &[]);
    ask().passed();
    let path = format!("/api/users/root/tokens/{id}");
    site.server.client(token).delete(&path).ok();
    ask().stopped(401);
}

fn a_user_without_the_role_is_403_and_one_with_it_passes(site: &Site) {
    for path in ["/admin", "/admin/", "/admin/users", "/admin?x=/public"] {
        site.as_ann(path, &[]).stopped(403);
        site.get(path, &[]).stopped(401);
        let outcome = site.with_token(&site.root.0, "GET", path, &[]);
        assert_eq!(outcome.passed().all("Remote-Groups"), ["admin"]);
        assert_eq!(outcome.passed().target, path);
    }
    site.as_ann("/administration", &[]).passed();
}

fn a_public_path_passes_as_nobody_with_and_without_a_credential(site: &Site) {
    site.get("/public/logo.svg", &[]).passed().is_of(NOBODY);
    site.get("/feed", &[]).passed().is_of(NOBODY);
    for (name, value) in places(&site.ann.0) {
        let outcome = site.get("/public", &[(name, &value)]);
        outcome.passed().is_of(NOBODY);
        outcome.passed().has_no_credential();
    }
}

fn a_credential_that_is_none_of_ours_is_401(site: &Site) {
    for value in [
        "Basic YW5uOnNlY3JldA==",
        "Bearer abc",
        "Token nbp_abc",
        "ann",
        "",
    ] {
        site.get("/", &[("Authorization", value)]).stopped(401);
        site.get("/", &[("X-Api-Key", value)]).stopped(401);
    }
    let outcome = site.get("/public", &[("Authorization", "Basic YW5uOnNlY3JldA==")]);
    outcome.passed().has_no_credential();
}

fn a_client_address_that_a_rule_is_for_passes_and_another_is_403(site: &Site) {
    let ask = |path: &str| site.with_token(&site.ann.0, "PUT", path, &[]);
    ask("/near").passed();
    ask("/far").stopped(403);
}

fn the_app_is_not_asked_while_netbird_auth_is_down(site: &Site) {
    site.as_ann("/", &[]).passed();
    site.server.signal(rustix::process::Signal::KILL);
    eventually("the server is gone", || {
        let answer = site
            .server
            .anonymous()
            .try_send("GET", "/healthz", &[], b"");
        answer.err().map(|_| ())
    });
    let is_unserved = || {
        for path in ["/", "/public", "/admin"] {
            let outcome = site.as_ann(path, &[("Remote-User", "root")]);
            assert!(
                outcome.response.status >= 500,
                "{}",
                outcome.response.status
            );
            assert!(outcome.seen.is_empty());
        }
    };
    // Connections that end without an answer, then none at all.
    is_unserved();
    site.relay.close();
    is_unserved();
}

fn the_question_itself_cannot_be_asked_from_outside(site: &Site) {
    let claims = [("X-Forwarded-Uri", "/public")];
    // What nginx calls it is no path of the site's. Caddy has no name for it.
    if site.kind == Kind::Nginx {
        site.get("/netbird-auth-verify", &claims).stopped(404);
        site.as_ann("/netbird-auth-verify", &claims).stopped(404);
        assert_eq!(site.relay.connections(), 0);
    }
    // With netbird-auth's own paths, the app's are meant.
    for path in ["/auth/verify", "/api/users"] {
        site.get(path, &claims).stopped(401);
        assert_eq!(site.as_ann(path, &claims).passed().target, path);
    }
}
