//! A bug that ends the writer's thread: it is seen and counted, who waits is told, and the server ends
//! with an error, so that a supervisor starts it anew.

use std::net::TcpListener;
use std::sync::Arc;

use netbird_auth::change::Changed;
use netbird_auth::server::{self, Listeners, ServerError, Socket};
use netbird_auth::writer::WriteError;

use crate::connections::state;
use crate::support::{Client, Connection, eventually};

#[actix_web::test]
async fn a_panic_of_the_writer_is_told_counted_and_ends_the_server_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (app, thread) = state(folder.path());
    let app = Arc::new(app);
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (api, metrics) = (listen(), listen());
    let client_of = |listener: &TcpListener| Client {
        address: listener.local_addr().unwrap(),
        authorization: None,
    };
    let (client, scraper) = (client_of(&api), client_of(&metrics));
    let listeners = Listeners {
        api: Socket::Tcp(api),
        tls: None,
        metrics: Some(metrics),
        connections: 1000,
        workers: 1,
    };
    let writer = app.writer.clone();
    let asked = std::thread::spawn(move || {
        // On the way when it happens; its change can't be made any more.
        let body = br#"{"name":"Ada","email":"ada@home.arpa"}"#;
        let head = format!(
            "POST /api/setup HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\
             Expect: 100-continue\r\n\r\n",
            body.len()
        );
        let mut connection = Connection::open(client.address);
        connection.send(head.as_bytes());
        assert_eq!(connection.answer(false).status, 100);
        let panicked: Result<(), WriteError> = actix_web::rt::System::new()
            .block_on(writer.submit(|_, _| -> Result<Changed<()>, _> { panic!("a bug") }));
        assert!(matches!(panicked, Err(WriteError::Unavailable)));
        drop(writer);
        eventually("it is counted", || {
            let text = scraper.get("/metrics").body;
            let text = String::from_utf8(text).unwrap();
            let counted = "netbird_auth_writer_panics_total 1\n";
            text.contains(counted).then_some(())
        });
        connection.send(body);
        connection.answer(false).error(503);
    });
    let ended = server::run(listeners, app, thread, std::future::pending()).await;
    assert!(matches!(ended, Err(ServerError::WriterEnded)), "{ended:?}");
    asked.join().unwrap();
}
