//! See `netbird_auth_fuzz::body`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| netbird_auth_fuzz::body::run(data));
