//! `healthcheck`: for containers and supervisors without curl.

use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use super::output;
use super::serve::url_of;
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
            .build()
            .into();
        match agent.get(&url).call() {
            Ok(_) => {
                output::tell(&format!("{url}: ok"));
                Ok(())
            }
            Err(error) => Err(Failure::Failed(format!("{url}: {error}"))),
        }
    }
}
