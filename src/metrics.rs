//! Numbers for monitoring, in the text format of OpenMetrics, which Prometheus reads.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::backup;
use crate::clock::Timestamp;
use crate::index::Index;
use crate::issuers::Issuers;
use crate::tls::Tls;
use crate::writer::Writer;

/// Counters that requests move, and the registry that shows them.
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    passed: Counter,
    panics: Counter,
    registry: Registry,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    outcome: &'static str,
    reason: &'static str,
}

impl Metrics {
    /// Counters at zero; what the index and the writer know is read at each scrape.
    pub fn new(
        index: Arc<Index>,
        writer: Writer,
        issuers: Arc<Issuers>,
        backups: Arc<backup::Status>,
        tls: Option<Arc<Tls>>,
    ) -> Self {
        let requests = Family::<RequestLabels, Counter>::default();
        let panics = Counter::default();
        let mut registry = Registry::with_prefix("netbird_auth");
        registry.register(
            "requests",
            "Requests answered, by outcome and, where one was refused, by reason",
            requests.clone(),
        );
        registry.register("panics", "Handlers that panicked", panics.clone());
        registry.register_collector(Box::new(State {
            index,
            writer,
            issuers,
            backups,
            tls,
        }));
        let passed = requests
            .get_or_create(&RequestLabels {
                outcome: "ok",
                reason: "",
            })
            .clone();
        Self {
            requests,
            passed,
            panics,
            registry,
        }
    }

    /// A request was answered with success.
    pub fn passed(&self) {
        self.passed.inc();
    }

    /// A request was answered with an error: 401 and 403 are `refused`, other 4xx `invalid`, 5xx
    /// `failed`.
    pub fn not_passed(&self, status: u16, reason: &'static str) {
        let outcome = match status {
            401 | 403 => "refused",
            500.. => "failed",
            _ => "invalid",
        };
        let labels = RequestLabels { outcome, reason };
        self.requests.get_or_create(&labels).inc();
    }

    /// A handler panicked.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// What a scrape gets.
    ///
    /// # Errors
    /// Never in practice: writing to a string.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

struct State {
    index: Arc<Index>,
    writer: Writer,
    issuers: Arc<Issuers>,
    backups: Arc<backup::Status>,
    tls: Option<Arc<Tls>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let age = self
            .index
            .oldest_mark()
            .map_or(Duration::ZERO, |since| Timestamp::now().since(since));
        let (users, tokens) = self.index.counts();
        let (issuers, keys) = self.issuers.counts();
        let status = self.writer.status();
        let mut gauge = |name: &str, help: &str, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                prometheus_client::metrics::MetricType::Gauge,
            )?)
        };
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
        {
            gauge("users", "Users in the database.", users as f64)?;
            gauge(
                "tokens",
                "Tokens in the database, expired ones too.",
                tokens as f64,
            )?;
            gauge(
                "queue_depth",
                "Changes that wait for the writer.",
                self.writer.queue_depth() as f64,
            )?;
            gauge(
                "issuers",
                "Issuers whose JWTs are believed.",
                issuers as f64,
            )?;
            gauge("issuer_keys", "Keys of all issuers.", keys as f64)?;
        }
        gauge(
            "oldest_mark_seconds",
            "Age of the oldest last_used that is not in the database yet.",
            age.as_secs_f64(),
        )?;
        gauge(
            "writable",
            "1 while the database can be written.",
            f64::from(u8::from(status.trouble().is_none())),
        )?;
        gauge(
            "issuers_current",
            "1 while the newest state of the issuers' files is in force.",
            f64::from(u8::from(self.issuers.reloads.is_current())),
        )?;
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
        if let Some(last) = self.backups.last() {
            gauge(
                "last_backup_timestamp_seconds",
                "When the newest scheduled backup was made, in seconds since 1970.",
                last.seconds() as f64,
            )?;
        }
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
        if let Some(tls) = &self.tls {
            gauge(
                "certificate_end_timestamp_seconds",
                "Until when the TLS certificate is good, in seconds since 1970.",
                tls.current().end.seconds() as f64,
            )?;
            gauge(
                "certificate_current",
                "1 while the newest state of the certificate's files is in force.",
                f64::from(u8::from(tls.reloads.is_current())),
            )?;
        }
        let mut counter = |name: &str, help: &str, value: u64| {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                prometheus_client::metrics::MetricType::Counter,
            )?)
        };
        counter("commits", "Transactions committed.", status.commits())?;
        counter(
            "failed_commits",
            "Transactions that failed.",
            status.failures(),
        )?;
        counter(
            "writer_panics",
            "Panics of the writer, after which the server ends.",
            status.panics(),
        )?;
        counter(
            "issuers_failed_reloads",
            "Reloads of the issuers that failed.",
            self.issuers.reloads.failures(),
        )?;
        if let Some(tls) = &self.tls {
            counter(
                "certificate_failed_reloads",
                "Reloads of the certificate that failed.",
                tls.reloads.failures(),
            )?;
        }
        counter(
            "failed_backups",
            "Scheduled backups that failed.",
            self.backups.failures(),
        )
    }
}
