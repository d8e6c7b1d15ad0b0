//! What the handlers share.

use std::sync::Arc;

use ipnet::IpNet;

use crate::error::ApiError;
use crate::index::Index;
use crate::issuers::Issuers;
use crate::metrics::Metrics;
use crate::store::Readers;
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
    /// Counters.
    pub metrics: Metrics,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may read answers.
    pub cors_origins: Vec<String>,
    /// NetBird's wording for refusals.
    pub netbird_messages: bool,
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
