//! `healthcheck`: for containers and supervisors without curl.

use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use super::listen::url_of;
use super::output;
use crate::config::Server;

const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(super) struct Healthcheck {
    /// Also fail while the database can't be written
    #[arg(long)]
    ready: bool,
}

impl Healthcheck {
    pub(super) fn run(&self, server: &Server) -> Result<(), Failure> {
        let path = if self.ready { "/readyz" } else { "/healthz" };
        let url = format!("{}{path}", url_of(server.listen));
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .proxy(None)
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent.get(&url).call().map_err(|error| {
            let hint = "is the server running, and is this its configuration?";
            Failure::Failed(format!("{url}: {error}; {hint}"))
        })?;
        if answer.status().is_success() {
            output::tell(&format!("{url}: ok"));
            return Ok(());
        }
        let status = answer.status().to_string();
        let body = answer.body_mut().read_to_string().unwrap_or_default();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let message = body.get("message").and_then(|message| message.as_str());
        Err(Failure::Failed(format!(
            "{url}: {}",
            message.unwrap_or(&status)
        )))
    }
}
