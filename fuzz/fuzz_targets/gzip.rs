//! Any bytes as a gzip stream of an IDX file, limited to 1 MiB: memory stays within the limit.

#![no_main]

use lenet_data::idx::Idx;
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(idx) = Idx::decode(bytes, LIMIT) {
        assert!(idx.bytes() == bytes || idx.bytes().len() <= LIMIT);
        assert_eq!(Idx::parse(idx.bytes()).as_ref(), Ok(&idx));
    }
});
