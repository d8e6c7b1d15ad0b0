//! The one integration binary: the real server on a random port over a real file.
//!
//! Each test has its own folder, database and server; none needs an order or the network.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

mod support;

mod bad_files;
mod bad_input;
mod bad_paths;
mod bootstrap;
mod cli;
mod compat;
mod configuration;
mod connections;
mod cors;
mod credentials;
mod durability;
mod events;
mod exit_codes;
mod first_start;
mod follow;
mod index;
mod jwt_checks;
mod jwt_claims;
mod jwt_cli;
mod jwt_cli_check;
mod jwt_cli_roles;
mod jwt_cli_users;
mod jwt_config_check;
mod jwt_confusion;
mod jwt_last_login;
mod jwt_login;
mod jwt_reload;
mod jwt_role_by_hand;
mod jwt_roles;
mod jwt_rotation;
mod jwt_settings;
mod jwt_told;
mod jwt_trouble;
mod layers;
mod operations;
mod permissions;
mod replaced;
mod secrecy;
mod setup;
mod stop;
mod tokens;
mod tokens_create;
mod trouble;
mod users;
mod users_change;
mod users_create;
