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

mod audit_catch_up;
mod audit_floor;
mod audit_retention;
mod backup;
mod backup_refused;
mod backup_schedule;
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
mod failures;
mod first_start;
mod follow;
mod framing;
mod fuzz_seeds;
mod headers;
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
mod limits;
mod openapi;
mod openapi_bodies;
mod operations;
mod permissions;
mod proxies;
mod proxies_paths;
mod proxies_spoofing;
mod proxies_traffic;
mod replaced;
mod replaced_log;
mod restore;
mod restore_killed;
mod restore_refused;
mod secrecy;
mod secrecy_many;
mod secrecy_panics;
mod setup;
mod stalled;
mod stop;
mod supervisor;
mod tls;
mod tls_reload;
mod tokens;
mod tokens_create;
mod trouble;
mod unix_socket;
mod users;
mod users_change;
mod users_create;
mod verify;
mod verify_addresses;
mod verify_credentials;
mod verify_elsewhere;
mod verify_explain;
mod verify_explain_calls;
mod verify_identity;
mod verify_methods;
mod verify_original;
mod verify_property;
mod verify_trouble;
mod writer_panic;
