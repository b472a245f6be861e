//! Any bytes as an IDX file: what is accepted must come out as it went in.

#![no_main]

use lenet_data::idx::Idx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(view) = Idx::parse(bytes) {
        let again = view.values().to_idx(view.shape());
        assert_eq!(again.as_deref().ok(), Some(bytes));
    }
});
