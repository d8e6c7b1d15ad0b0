//! TLS of the server's own: its certificate, and taking over the next one.

mod anybody;
mod certificate;
mod watch;

pub use anybody::client_of_anybody;
pub use certificate::{Certificate, TlsFault};
pub use watch::{Watch, dates_warning};

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use crate::follow::Reloads;

/// The certificate that is shown at present.
pub struct Tls {
    current: RwLock<Arc<Certificate>>,
    /// Of its files.
    pub reloads: Reloads,
}

impl Tls {
    fn new(certificate: Certificate) -> Self {
        Self {
            current: RwLock::new(Arc::new(certificate)),
            reloads: Reloads::default(),
        }
    }

    /// The certificate that new connections are shown.
    pub fn current(&self) -> Arc<Certificate> {
        Arc::clone(&self.current.read())
    }

    fn replace(&self, certificate: Certificate) {
        *self.current.write() = Arc::new(certificate);
        self.reloads.succeeded();
    }

    /// How the server speaks TLS: 1.2 and 1.3, HTTP/1.1 in it, and no certificates of clients.
    ///
    /// # Errors
    /// The operating system has no random bytes.
    pub fn config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsFault> {
        let config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(TlsFault::Library)?;
        let shown: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let mut config = config.with_no_client_auth().with_cert_resolver(shown);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Sessions are resumed by what the client keeps: nothing is kept here for each of them. No early data,
        // which anybody could send again.
        config.ticketer = Ticketer::new().map_err(TlsFault::Library)?;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Tls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().key())
    }
}

/// rustls asks for it; there is a private key behind.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// The cryptography, the same as that of the JWTs.
pub fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}
