//! Certificates, and a client that speaks TLS.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use time::{Duration, OffsetDateTime};

use super::{PATIENCE, Response};

pub const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];
const NAME: &str = "auth.home.arpa";

/// A certificate for `auth.home.arpa`, signed by itself, and its key: PEM both.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    pub fn new() -> Self {
        Self::of_days(0, 90)
    }

    /// Good from so many days ahead to so many.
    pub fn of_days(begin: i64, end: i64) -> Self {
        let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
        // An hour ago, for clocks that count in seconds.
        let now = OffsetDateTime::from_unix_timestamp(super::now()).unwrap() - Duration::HOUR;
        params.not_before = now + Duration::days(begin);
        params.not_after = now + Duration::days(end);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// As `tls.crt` and `tls.key`.
    pub fn write_to(&self, folder: &Path) {
        std::fs::write(folder.join("tls.crt"), &self.certificate).unwrap();
        let key = folder.join("tls.key");
        std::fs::write(&key, &self.key).unwrap();
        // Whatever the umask is: some tests look at the warning.
        std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    }

    /// A client that believes this certificate and no other.
    pub fn client(&self, address: SocketAddr) -> TlsClient {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        roots.add(certificate).unwrap();
        TlsClient { address, roots }
    }
}

pub struct TlsClient {
    address: SocketAddr,
    roots: RootCertStore,
}

/// A connection over TLS.
pub type TlsConnection = StreamOwned<ClientConnection, TcpStream>;

impl TlsClient {
    /// A connection whose handshake is done, with these versions and protocols in it.
    pub fn connect(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> std::io::Result<TlsConnection> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap();
        let mut config = config
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        let name = ServerName::try_from(NAME).unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = TcpStream::connect(self.address)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let mut connection = StreamOwned::new(client, tcp);
        while connection.conn.is_handshaking() {
            connection.conn.complete_io(&mut connection.sock)?;
        }
        Ok(connection)
    }

    /// The answer to bytes, read to the connection's end.
    pub fn ask(&self, request: &[u8]) -> std::io::Result<Response> {
        exchange(self.connect(BOTH, &[])?, request)
    }

    /// The answer to a GET.
    #[track_caller]
    pub fn get(&self, path: &str, authorization: Option<&str>) -> Response {
        self.ask(request(path, authorization).as_bytes()).unwrap()
    }
}

/// A GET, after which the connection ends.
pub fn request(path: &str, authorization: Option<&str>) -> String {
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{}\r\n",
        authorization.unwrap_or_default()
    )
}

/// Sends bytes over whatever it is, and reads an answer to its end.
pub fn exchange(mut stream: impl Read + Write, request: &[u8]) -> std::io::Result<Response> {
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Response::parse(&answer).ok_or_else(|| std::io::Error::other("no whole answer came back"))
}
