//! The binary: the only place that exits.

#![forbid(unsafe_code)]

#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that exits"
)]
fn main() {
    std::process::exit(netbird_auth::cli::run());
}
