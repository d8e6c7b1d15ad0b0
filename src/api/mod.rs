//! The HTTP API: every route on one screen.

mod body;
mod client;
mod events;
mod health;
mod list;
mod path;
mod respond;
mod setup;
mod tokens;
mod users;
mod verify;

pub use body::LONGEST_BODY;
pub use respond::respond;

use actix_web::http::Method;
use actix_web::{HttpResponse, Route, guard, web};

use crate::error::ApiError;

/// A path, and what answers each method on it. HEAD goes where GET does.
pub type Resource = (&'static str, Vec<(Method, Route)>);

/// Every route, but for `/auth/verify`, which takes every method. Of two patterns that fit a path, the
/// upper one counts.
#[rustfmt::skip]
pub fn routes() -> Vec<Resource> {
    use Method as M;
    use web::to;
    vec![
        ("/healthz",                            vec![(M::GET, to(health::alive))]),
        ("/readyz",                             vec![(M::GET, to(health::ready))]),
        ("/api/instance",                       vec![(M::GET, to(setup::instance))]),
        ("/api/setup",                          vec![(M::POST, to(setup::setup))]),
        ("/api/users",                          vec![(M::GET, to(users::list)), (M::POST, to(users::create))]),
        ("/api/users/current",                  vec![(M::GET, to(users::current))]),
        ("/api/users/{user}",                   vec![(M::PUT, to(users::update)), (M::DELETE, to(users::delete))]),
        ("/api/users/{user}/approve",           vec![(M::POST, to(users::approve))]),
        ("/api/users/{user}/reject",            vec![(M::DELETE, to(users::reject))]),
        ("/api/users/{user}/tokens",            vec![(M::GET, to(tokens::list)), (M::POST, to(tokens::create))]),
        ("/api/users/{user}/tokens/{token}",    vec![(M::GET, to(tokens::show)), (M::DELETE, to(tokens::delete))]),
        ("/api/events/audit",                   vec![(M::GET, to(events::list))]),
    ]
}

/// Puts the routes, the 404 and the 405 into an actix application.
pub fn configure(config: &mut web::ServiceConfig) {
    // First, since it is asked most, and with the method of the proxy's choice.
    config.service(web::resource(verify::PATH).to(verify::verify));
    for (path, methods) in routes() {
        let mut allowed = Vec::new();
        let mut resource = web::resource(path);
        for (method, route) in methods {
            allowed.push(method.as_str().to_owned());
            let is_get = method == Method::GET;
            let mut fits = guard::Any(guard::Method(method));
            if is_get {
                allowed.push("HEAD".to_owned());
                fits = fits.or(guard::Head());
            }
            resource = resource.route(route.guard(fits));
        }
        let allowed = allowed.join(", ");
        config.service(resource.default_service(web::to(move || {
            let error = ApiError::Method(allowed.clone());
            async { Err::<HttpResponse, _>(error) }
        })));
    }
    config.default_service(web::to(async || {
        Err::<HttpResponse, _>(ApiError::NotFound("path"))
    }));
}
