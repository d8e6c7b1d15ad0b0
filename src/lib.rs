//! NetBird's API authentication as one binary with one SQLite file: personal access tokens, users
//! and roles.
//!
//! The modules stand in reading order: each uses only those above it, which a test checks. Up to
//! `writer` nothing knows HTTP. ARCHITECTURE.md walks a request through them.

#![forbid(unsafe_code)]

// What things are. Pure.
pub mod clock;
pub mod json;
pub mod file;
pub mod address;
pub mod refusals;
pub mod xid;
pub mod token;
pub mod user;
pub mod policy;
pub mod jwt;
pub mod forward;
pub mod config;
pub mod follow;
pub mod issuers;
pub mod tls;

// What is kept, and how it changes.
pub mod store;
pub mod index;
pub mod change;
pub mod first_start;
pub mod backup;
pub mod writer;

// How it is asked.
pub mod metrics;
pub mod answer;
pub mod error;
pub mod connection;
pub mod app;
pub mod auth;
pub mod schema;
pub mod view;
pub mod openapi;
pub mod api;
pub mod logging;
pub mod server;
pub mod cli;
