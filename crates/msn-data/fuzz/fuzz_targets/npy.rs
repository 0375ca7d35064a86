#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| msn_data::fuzz::npy(bytes));
