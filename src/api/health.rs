//! `/healthz` and `/readyz`, for supervisors and load balancers. Neither touches the disk.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::answer::ok;
use crate::app::App;
use crate::error::ApiError;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /healthz`: the process answers.
pub async fn alive() -> HttpResponse {
    ok(&Health { status: "ok" })
}

/// `GET /readyz`: whether the writer could write when it last did; 503 says why not.
/// Authentication goes on meanwhile.
pub async fn ready(app: web::Data<Arc<App>>) -> Result<HttpResponse, ApiError> {
    match app.writer.status().trouble() {
        None => Ok(ok(&Health { status: "ready" })),
        Some(trouble) => Err(ApiError::NotReady(trouble)),
    }
}
