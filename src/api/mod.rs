//! The HTTP API: every route on one screen.

pub mod bodies;
mod body;
mod client;
mod document;
mod events;
pub mod field;
mod health;
mod list;
mod path;
mod refusal;
mod respond;
mod setup;
mod told;
mod tokens;
mod users;
mod verify;

pub use body::Fields;
pub use client::forwarded_for;
pub use path::decode_segment;
pub use refusal::{refused, sum_up};
pub use respond::respond;
pub use verify::original;

use actix_web::guard::GuardContext;
use actix_web::http::Method;
use actix_web::{HttpResponse, Route, guard, web};
use percent_encoding::percent_decode_str;

use crate::error::ApiError;
use crate::openapi::Operation;

/// A path, and for each method on it what answers and what the document says. HEAD goes where GET does.
pub type Resource = (&'static str, Vec<(Method, Route, &'static Operation)>);

/// Every route, but for `/auth/verify`, which takes every method. Of two patterns that fit a path, the
/// upper one counts.
#[rustfmt::skip]
pub fn routes() -> Vec<Resource> {
    use Method as M;
    use web::to;
    vec![
        ("/healthz",                            vec![(M::GET, to(health::alive), &told::ALIVE)]),
        ("/readyz",                             vec![(M::GET, to(health::ready), &told::READY)]),
        ("/openapi.json",                       vec![(M::GET, to(document::openapi), &told::DOCUMENT)]),
        ("/api/instance",                       vec![(M::GET, to(setup::instance), &told::INSTANCE)]),
        ("/api/setup",                          vec![(M::POST, to(setup::setup), &told::SETUP)]),
        ("/api/users",                          vec![(M::GET, to(users::list), &told::LIST_USERS),
                                                     (M::POST, to(users::create), &told::CREATE_USER)]),
        ("/api/users/current",                  vec![(M::GET, to(users::current), &told::CURRENT_USER)]),
        ("/api/users/{user}",                   vec![(M::PUT, to(users::update), &told::UPDATE_USER),
                                                     (M::DELETE, to(users::delete), &told::DELETE_USER)]),
        ("/api/users/{user}/approve",           vec![(M::POST, to(users::approve), &told::APPROVE_USER)]),
        ("/api/users/{user}/reject",            vec![(M::DELETE, to(users::reject), &told::REJECT_USER)]),
        ("/api/users/{user}/tokens",            vec![(M::GET, to(tokens::list), &told::LIST_TOKENS),
                                                     (M::POST, to(tokens::create), &told::CREATE_TOKEN)]),
        ("/api/users/{user}/tokens/{token}",    vec![(M::GET, to(tokens::show), &told::SHOW_TOKEN),
                                                     (M::DELETE, to(tokens::delete), &told::DELETE_TOKEN)]),
        ("/api/events/audit",                   vec![(M::GET, to(events::list), &told::LIST_EVENTS)]),
    ]
}

/// Puts the routes, the 404 and the 405 into an actix application.
pub fn configure(config: &mut web::ServiceConfig) {
    // First, since it is asked most, and with the method of the proxy's choice.
    config.service(web::resource(verify::PATH).to(verify::verify));
    for (path, methods) in routes() {
        let mut allowed = Vec::new();
        let mut answers = Vec::new();
        for (method, route, _) in methods {
            allowed.push(method.as_str().to_owned());
            let is_get = method == Method::GET;
            let mut method = guard::Any(guard::Method(method));
            if is_get {
                allowed.push("HEAD".to_owned());
                method = method.or(guard::Head());
            }
            answers.push((method, route));
        }
        let allowed = allowed.join(", ");
        let not_allowed = web::to(move || {
            let error = ApiError::Method(allowed.clone());
            async { Err::<HttpResponse, _>(error) }
        });
        let Some((start, _)) = path.split_once("/{") else {
            let mut resource = web::resource(path);
            for (method, route) in answers {
                resource = resource.route(route.guard(method));
            }
            config.service(resource.default_service(not_allowed));
            continue;
        };
        // actix finds a path with variable parts by regular expressions, which took two fifths of a
        // worker's time. So these are told by their shape.
        let shape = move |context: &GuardContext<'_>| fits(path, context.head().uri.path());
        let scope = || web::scope(start);
        for (method, route) in answers {
            let scope = scope().guard(method).guard(guard::fn_guard(shape));
            config.service(scope.default_service(route));
        }
        let scope = scope().guard(guard::fn_guard(shape));
        config.service(scope.default_service(not_allowed));
    }
    config.default_service(web::to(async || {
        Err::<HttpResponse, _>(ApiError::NotFound("path"))
    }));
}

/// Whether a raw path has the shape of a pattern, segment by segment: a variable one is anything but
/// empty, and a fixed one may be percent-encoded, as in the paths that actix matches.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        let is_right = match (wanted.next(), segments.next()) {
            (None, None) => return true,
            (Some(wanted), Some(segment)) if wanted.starts_with('{') => !segment.is_empty(),
            (Some(wanted), Some(segment)) => {
                percent_decode_str(segment).eq(wanted.as_bytes().iter().copied())
            }
            _ => false,
        };
        if !is_right {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_path_has_the_shape_of_a_pattern_segment_by_segment() {
        let pattern = "/api/users/{user}/tokens";
        for (path, expected) in [
            ("/api/users/a/tokens", true),
            ("/api/users/a%2Fb/tokens", true),
            ("/api/users/tokens/tokens", true),
            ("/api/users//tokens", false),
            ("/api/users/a/tokens/", false),
            ("/api/users/a/tokens/b", false),
            ("/api/users/a", false),
            ("/api/users/a/%74okens", true),
            ("/%61pi/users/a/tokens", true),
            ("/api%2Fusers/a/tokens", false),
            ("/api/users/a/%2574okens", false),
            ("/api/users/a/Tokens", false),
            ("/api//users/a/tokens", false),
            ("api/users/a/tokens", false),
            ("", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{path}");
        }
    }
}
