//! Any bytes as a gzip stream of an IDX file, of at most a mebibyte.

#![no_main]

use lenet_data::idx::{self, Idx};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(inflated) = idx::decode(bytes, LIMIT) {
        let is_plain = inflated.as_ref() == bytes;
        assert!(is_plain || inflated.len() <= LIMIT && Idx::parse(&inflated).is_ok());
    }
});
