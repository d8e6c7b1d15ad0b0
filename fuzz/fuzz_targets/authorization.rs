//! See `netbird_auth_fuzz::authorization`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| netbird_auth_fuzz::authorization::run(data));
