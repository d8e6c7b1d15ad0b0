//! `/healthz` and `/readyz`, for supervisors and load balancers. Neither touches the disk.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::ok;
use crate::app::App;
use crate::error::ApiError;

/// How the server is.
#[derive(Serialize, JsonSchema)]
pub(super) struct Health {
    #[schemars(extend("enum" = [ALIVE, READY]))]
    status: &'static str,
    /// What does not keep requests from being answered, and needs somebody's attention.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
}

const ALIVE: &str = "ok";
const READY: &str = "ready";

const STALE_ISSUERS: &str = "the issuers could not be read anew: the former keys are in force, and \
                             the log says why";

const STALE_CERTIFICATE: &str = "the certificate could not be read anew: the former one is in force, and \
                                 the log says why";

const NO_BACKUP: &str = "the last scheduled backup failed: the log says why, and it is tried again";

/// `GET /healthz`: the process answers.
pub async fn alive() -> HttpResponse {
    ok(&Health {
        status: ALIVE,
        warnings: Vec::new(),
    })
}

/// `GET /readyz`: whether the writer could write when it last did; 503 says why not.
/// Authentication goes on meanwhile.
pub async fn ready(app: web::Data<Arc<App>>) -> Result<HttpResponse, ApiError> {
    let warnings = [
        (!app.issuers.reloads.is_current()).then_some(STALE_ISSUERS),
        (app.tls.iter())
            .any(|tls| !tls.reloads.is_current())
            .then_some(STALE_CERTIFICATE),
        app.backups.is_failing().then_some(NO_BACKUP),
    ];
    let warnings = warnings.into_iter().flatten();
    match app.writer.status().trouble() {
        None => Ok(ok(&Health {
            status: READY,
            warnings: warnings.collect(),
        })),
        Some(trouble) => Err(ApiError::NotReady(trouble)),
    }
}
