//! See `netbird_auth_fuzz::forwarded`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| netbird_auth_fuzz::forwarded::run(data));
