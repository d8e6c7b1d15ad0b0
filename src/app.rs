//! What the handlers share.

use std::sync::Arc;

use actix_web::http::header::{HeaderName, HeaderValue};
use ipnet::IpNet;
use tokio::sync::Mutex;

use crate::backup;
use crate::config::Limits;
use crate::error::ApiError;
use crate::forward::ForwardAuth;
use crate::index::Index;
use crate::issuers::Issuers;
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::store::Readers;
use crate::tls::Tls;
use crate::writer::Writer;

/// One for the process; each worker holds a reference.
pub struct App {
    /// Who may pass.
    pub index: Arc<Index>,
    /// Whose JWTs are believed.
    pub issuers: Arc<Issuers>,
    /// The write queue.
    pub writer: Writer,
    /// For what is not in memory: names and dates of tokens, audit events.
    pub readers: Readers,
    /// How the scheduled backups went.
    pub backups: Arc<backup::Status>,
    /// Held by the list whose next page is due.
    pub list_turn: Mutex<()>,
    /// Rules for other people's sites.
    pub forward_auth: ForwardAuth,
    /// Its headers, made once.
    pub identity_headers: IdentityHeaderNames,
    /// Of each source.
    pub refusals: Refusals,
    /// What a request may cost.
    pub limits: Limits,
    /// Counters.
    pub metrics: Metrics,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The certificate, where TLS is spoken.
    pub tls: Option<Arc<Tls>>,
    /// Then: see [`crate::answer::guard`].
    pub strict_transport: Option<HeaderValue>,
    /// Origins whose pages may read answers.
    pub cors_origins: Vec<String>,
    /// NetBird's wording for refusals.
    pub netbird_messages: bool,
}

/// The names of headers in [`ForwardAuth`], made once.
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct IdentityHeaderNames {
    pub api_key: Option<HeaderName>,
    pub user: HeaderName,
    pub name: HeaderName,
    pub email: HeaderName,
    pub groups: HeaderName,
    pub token_id: HeaderName,
}

impl IdentityHeaderNames {
    /// `None` for a name that is none; the configuration lets none in.
    pub fn of(settings: &ForwardAuth) -> Option<Self> {
        let header = |name: &str| HeaderName::try_from(name).ok();
        let names = &settings.headers;
        Some(Self {
            api_key: match &settings.api_key_header {
                Some(name) => Some(header(name)?),
                None => None,
            },
            user: header(&names.user)?,
            name: header(&names.name)?,
            email: header(&names.email)?,
            groups: header(&names.groups)?,
            token_id: header(&names.token_id)?,
        })
    }
}

impl App {
    /// Runs a query on a reader, off the worker's thread.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`]; the log says why.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let app = Arc::clone(self);
        let done = actix_web::web::block(move || {
            let connection = app.readers.get().map_err(|error| error.to_string())?;
            query(&connection).map_err(|error| error.to_string())
        });
        let error = match done.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(error) => error.to_string(),
        };
        log::error!("the database could not be read: {error}");
        Err(ApiError::Unavailable)
    }
}
