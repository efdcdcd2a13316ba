#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| git_lake_fuzz::check("url", bytes));
