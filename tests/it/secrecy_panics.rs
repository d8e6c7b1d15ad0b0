//! What the log has of a panic whose text is a request with its credential. No request is known that makes
//! a handler or the writer panic, so here are ones that do, with all that they hold.

use std::process::Command;
use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, HttpRequest, HttpResponse, web};
use netbird_auth::change::Changed;
use netbird_auth::config::{Log, LogFormat};
use netbird_auth::logging;
use netbird_auth::writer::WriteError;

use crate::connections::state;
use crate::support::{ended, fresh_token};

const TOKEN: &str = "TEST_PANICS_WITH";
const FORMAT: &str = "TEST_PANICS_IN_JSON";
const JWT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.bm9ib2R5cy1zaWduYXR1cmUtYXQtYWxs";

async fn panicking(request: HttpRequest) -> HttpResponse {
    panic!("{} {:?}", request.uri(), request.headers())
}

/// The log is a process's, so this is one of its own.
fn panic_with(token: &str) {
    let format = match std::env::var_os(FORMAT) {
        Some(_) => LogFormat::Json,
        None => LogFormat::Text,
    };
    logging::start(&Log {
        level: log::LevelFilter::Trace,
        format,
    });
    let folder = tempfile::tempdir().unwrap();
    let (app, thread) = state(folder.path());
    let app = Arc::new(app);
    actix_web::rt::System::new().block_on(async {
        let service = init_service(
            App::new()
                .app_data(web::Data::new(Arc::clone(&app)))
                .wrap(from_fn(netbird_auth::api::respond))
                .route("/panic/{any}", web::to(panicking)),
        )
        .await;
        for (path, value) in [
            (token, format!("Token {token}")),
            (JWT, format!("Bearer {JWT}")),
        ] {
            let request = TestRequest::get()
                .uri(&format!("/panic/{path}?token={token}"))
                .insert_header(("Authorization", value));
            let failed = try_call_service(&service, request.to_request()).await;
            assert_eq!(failed.unwrap_err().error_response().status(), 500);
        }
        let text = token.to_owned();
        let panicked = app
            .writer
            .submit(move |_, _| -> Result<Changed<()>, _> { panic!("{text}") });
        assert!(matches!(panicked.await, Err(WriteError::Unavailable)));
    });
    drop(app);
    assert_eq!(thread.join(), None);
}

#[test]
fn a_panic_is_told_by_its_place_and_never_by_its_text() {
    if let Ok(token) = std::env::var(TOKEN) {
        return panic_with(&token);
    }
    for format in ["text", "json"] {
        let token = fresh_token();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = "secrecy_panics::a_panic_is_told_by_its_place_and_never_by_its_text";
        command
            .args(["--exact", name, "--nocapture"])
            .env(TOKEN, &token);
        if format == "json" {
            command.env(FORMAT, "");
        }
        let output = ended(command);
        let log = [output.stdout, output.stderr].concat();
        let log = String::from_utf8(log).unwrap();
        assert!(output.status.success(), "{log}");
        let secrets = [&token[4..34]].into_iter().chain(JWT.split('.').skip(1));
        for secret in secrets {
            assert!(!log.contains(secret), "{format}: a secret stands in {log}");
        }
        let count = |text| log.matches(text).count();
        assert_eq!(count("panic: this is a bug"), 3, "{log}");
        assert_eq!(count("a handler panicked"), 2, "{log}");
        assert_eq!(count("tests/it/secrecy_panics.rs:"), 3, "{log}");
        assert_eq!(count("(holds a token)"), 2, "{log}");
    }
}
