//! The TLS certificate, as `config check` shows it.

use super::failure::Failure;
use super::output::{fields, or_dash};
use crate::clock::Timestamp;
use crate::config::TlsFiles;
use crate::tls::{self, Certificate};

/// What it is, and what should be mended.
pub(super) fn describe(files: &TlsFiles) -> Result<(String, Vec<String>), Failure> {
    let certificate = Certificate::load(files)?;
    let described = fields(&[
        ("certificate", or_dash(&certificate.names.join(", "))),
        ("from", certificate.begin.to_string()),
        ("until", certificate.end.to_string()),
    ]);
    let mut warnings = certificate.warnings(files);
    warnings.extend(tls::dates_warning(&certificate, files, Timestamp::now()));
    Ok((described, warnings))
}
