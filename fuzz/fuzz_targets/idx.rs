//! Any bytes as an IDX file: what is accepted is written back to the same bytes.

#![no_main]

use lenet_data::idx::Idx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(idx) = Idx::parse(bytes) {
        let written = idx.values().to_idx(idx.shape());
        assert_eq!(written.as_deref(), Ok(bytes));
    }
});
