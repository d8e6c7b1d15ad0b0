//! What the writer last knew, for `/readyz` and the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::store::StoreError;

/// Shared between the writer's thread and whoever asks.
#[derive(Default)]
pub struct Status {
    trouble: Mutex<Option<&'static str>>,
    commits: AtomicU64,
    failures: AtomicU64,
    panics: AtomicU64,
}

impl Status {
    /// Why nothing can be written at present, in words fit for a client; `None` is all well.
    pub fn trouble(&self) -> Option<&'static str> {
        *self.trouble.lock()
    }

    /// Transactions committed since the start.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Transactions that failed since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Panics of the writer: 1 from then on until the server has ended.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(super) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        *self.trouble.lock() = Some("the writer has failed: the server is ending");
        log::error!("the writer has failed: the server ends, so that it can be started anew");
    }

    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        if self.trouble.lock().take().is_some() {
            log::info!("the database can be written again");
        }
    }

    pub(super) fn transaction_failed(&self, error: &StoreError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.in_trouble(error);
    }

    /// Logs once for as long as the trouble stays the same.
    pub(super) fn in_trouble(&self, error: &StoreError) {
        let summary = summary(error);
        if self.trouble.lock().replace(summary) != Some(summary) {
            log::error!("nothing can be written until this is mended: {error}");
        }
    }
}

fn summary(error: &StoreError) -> &'static str {
    use rusqlite::Error;
    use rusqlite::ErrorCode;
    match error {
        StoreError::TransactionLost => "the disk is full or failing",
        StoreError::Sqlite(
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..),
        ) => "a row of the database can't be read: it was edited by hand",
        StoreError::Replaced(_) => "the database file was replaced or deleted",
        StoreError::Sqlite(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "the database is locked",
            Some(ErrorCode::DiskFull) => "the disk is full",
            Some(ErrorCode::ReadOnly) => "the database is read-only",
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the database is damaged",
            _ => "the database can't be written",
        },
        _ => "the database can't be written",
    }
}
