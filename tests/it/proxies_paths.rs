//! The files of `deploy/` in the real proxies: proxy, netbird-auth and app mean the same path.

use crate::support::{HOST, Kind, Site, with_each_proxy};

with_each_proxy! {
    no_spelling_of_a_path_leads_to_the_admin_page_without_the_role,
    a_path_of_any_spelling_is_asked_about_and_handed_on_to_the_letter,
    another_letter_case_is_another_path_and_stays_it,
    a_query_arrives_to_the_letter_and_has_no_say,
    an_address_in_the_request_line_is_judged_by_its_path_and_host,
    the_host_is_known_in_any_letter_case_and_with_a_port,
    a_request_for_another_host_is_not_served_even_if_that_one_is_public,
    a_host_that_is_named_twice_is_refused,
}

/// What an app may take for `/admin`.
const ADMIN: [&str; 20] = [
    "/public/..%2fadmin",
    "/public/../admin",
    "/public/%2e%2e/admin",
    "/public/..;/admin",
    "/public;/../admin",
    "/public//../admin",
    "//admin",
    "/public//admin",
    "/./admin",
    "/%61dmin",
    "/%61%64min/users",
    "/%2561dmin",
    "/admin%3Fx",
    "/admin%23x",
    "/admin%2Fusers",
    "/admin;x",
    "/admin/.",
    "/public/..%5cadmin",
    "/feed/../admin",
    "/public/.%2e/admin?x=/public",
];

fn no_spelling_of_a_path_leads_to_the_admin_page_without_the_role(site: &Site) {
    for path in ADMIN {
        // 400 is the proxy's own.
        let outcome = site.get(path, &[]);
        assert!([400, 401].contains(&outcome.response.status), "{path}");
        assert!(outcome.seen.is_empty(), "{path}");
        let outcome = site.as_ann(path, &[]);
        assert!([400, 403].contains(&outcome.response.status), "{path}");
        assert!(outcome.seen.is_empty(), "{path}");
    }
}

fn a_path_of_any_spelling_is_asked_about_and_handed_on_to_the_letter(site: &Site) {
    for path in ADMIN {
        let outcome = site.with_token(&site.root.0, "GET", path, &[]);
        assert_eq!(outcome.passed().target, path);
        let asked = site.relay.sent().to_lowercase();
        let asked: Vec<&str> = asked
            .lines()
            .filter_map(|line| line.strip_prefix("x-forwarded-uri: "))
            .collect();
        assert_eq!(asked.last(), Some(&&*path.to_lowercase()));
    }
}

fn another_letter_case_is_another_path_and_stays_it(site: &Site) {
    for path in ["/ADMIN", "/Admin/users", "/%41dmin"] {
        site.get(path, &[]).stopped(401);
        assert_eq!(site.as_ann(path, &[]).passed().target, path);
    }
    site.get("/PUBLIC", &[]).stopped(401);
}

fn a_query_arrives_to_the_letter_and_has_no_say(site: &Site) {
    for query in [
        "a=%2F&b=..%2f..&c=/../admin&&d",
        "",
        "?",
        "a=b;c=d&e=%zz&f=%00",
        "redirect=https://a.example/?x=y",
        "X-Forwarded-Uri=/admin",
        "a=b+c%20d&%C3%A4",
    ] {
        let path = format!("/search?{query}");
        assert_eq!(site.as_ann(&path, &[]).passed().target, path);
        site.get(&path, &[]).stopped(401);
        let public = format!("/public?{query}");
        assert_eq!(site.get(&public, &[]).passed().target, public);
        let admin = format!("/admin?{query}");
        site.as_ann(&admin, &[]).stopped(403);
    }
}

fn an_address_in_the_request_line_is_judged_by_its_path_and_host(site: &Site) {
    let ask = |target: &str, host: &str| {
        let token = &site.ann.0;
        let text = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Authorization: Token {token}\r\n\r\n"
        );
        site.raw(text.as_bytes())
    };
    let outcome = ask(&format!("http://{HOST}/search?q=1"), HOST);
    assert_eq!(outcome.passed().target, "/search?q=1");
    ask(&format!("http://{HOST}/admin"), HOST).stopped(403);
    ask(&format!("http://{HOST}//admin"), HOST).stopped(403);
    for (target, host) in [
        ("http://open.home.arpa/admin", HOST),
        ("http://open.home.arpa/", HOST),
        ("http://grafana.home.arpa/admin", "open.home.arpa"),
        ("http://grafana.home.arpa?/public", "open.home.arpa"),
    ] {
        let outcome = ask(target, host);
        assert!(
            outcome.seen.iter().all(|seen| seen.target == "/?/public"),
            "{target} {host}"
        );
        assert!(
            outcome
                .seen
                .iter()
                .all(|seen| seen.all("Remote-User") == ["ann"])
        );
    }
}

/// A request with some `Host` lines, without a credential.
fn with_hosts(site: &Site, path: &str, hosts: &[&str]) -> crate::support::Outcome {
    let lines: String = hosts
        .iter()
        .map(|host| format!("Host: {host}\r\n"))
        .collect();
    site.raw(format!("GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n").as_bytes())
}

fn the_host_is_known_in_any_letter_case_and_with_a_port(site: &Site) {
    let port = site.port();
    for host in [
        HOST.to_owned(),
        format!("{HOST}:{port}"),
        format!("Grafana.HOME.arpa:{port}"),
        "GRAFANA.HOME.ARPA".to_owned(),
    ] {
        with_hosts(site, "/public", &[&host]).passed();
        with_hosts(site, "/", &[&host]).stopped(401);
    }
}

fn a_request_for_another_host_is_not_served_even_if_that_one_is_public(site: &Site) {
    for host in [
        "open.home.arpa",
        "OPEN.home.arpa:80",
        "127.0.0.1",
        "a.grafana.home.arpa",
    ] {
        for path in ["/", "/public", "/admin"] {
            let outcome = with_hosts(site, path, &[host]);
            assert!(outcome.seen.is_empty(), "{host} {path}");
            // Caddy has an empty answer for hosts that it does not know.
            match site.kind {
                Kind::Nginx => assert!(outcome.response.status >= 400, "{host} {path}"),
                Kind::Caddy => assert!(outcome.response.body.is_empty(), "{host} {path}"),
            }
        }
    }
}

fn a_host_that_is_named_twice_is_refused(site: &Site) {
    for hosts in [
        ["open.home.arpa", HOST],
        [HOST, "open.home.arpa"],
        [HOST, HOST],
    ] {
        with_hosts(site, "/public", &hosts).stopped(400);
    }
}
