//! The IDX parser and writer: what they accept and refuse, and that they never panic.

use crate::common::gzip;
use lenet_data::idx::{ElementType, Header, Idx, IdxError, MAX_DECOMPRESSED, Values};
use proptest::prelude::*;

fn header(code: u8, dimensions: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|d| d.to_be_bytes()));
    bytes
}

/// The decompressed bytes.
fn decode(bytes: &[u8]) -> Result<Vec<u8>, IdxError> {
    Ok(Idx::decode(bytes, MAX_DECOMPRESSED)?.bytes().to_vec())
}

#[test]
fn errors_say_what_is_wrong() {
    let refuse = |bytes: &[u8]| Idx::parse(bytes).unwrap_err().to_string();
    let with_payload = |mut bytes: Vec<u8>, len: usize| {
        bytes.resize(bytes.len() + len, 0);
        bytes
    };
    assert_eq!(refuse(&[]), "the header needs 4 bytes, but there are 0");
    assert_eq!(
        refuse(b"PK\x03\x04"),
        "not an IDX file: bytes 0 and 1 must be 00 00, found 50 4b"
    );
    assert!(refuse(&[0, 0, 7, 1]).starts_with("unknown element type 0x07 at byte 2"));
    assert_eq!(
        refuse(&[0, 0, 8, 3, 0, 0]),
        "the header needs 16 bytes, but there are 6"
    );
    let truncated = with_payload(header(8, &[2, 3]), 5);
    assert_eq!(
        refuse(&truncated),
        "truncated: the header promises shape [2, 3] of u8, 18 bytes in all, but there are 17"
    );
    let oversized = with_payload(header(8, &[2, 3]), 9);
    assert_eq!(
        refuse(&oversized),
        "oversized: the header promises shape [2, 3] of u8, 18 bytes in all, but there are 21"
    );
    let claims_everything = header(0x0E, &[u32::MAX; 4]);
    assert!(matches!(
        Idx::parse(&claims_everything),
        Err(IdxError::Overflow { .. })
    ));
}

#[test]
fn a_gzip_file_is_recognised_by_content() {
    let plain = Values::F32(vec![1.5, -2.0]).to_idx(&[2]).unwrap();
    assert_eq!(decode(&plain).unwrap(), plain);
    assert_eq!(decode(&gzip(&plain)).unwrap(), plain);
    // Two members, as `cat a.gz b.gz` produces.
    let members = [gzip(&plain[..7]), gzip(&plain[7..])].concat();
    assert_eq!(decode(&members).unwrap(), plain);
}

#[test]
fn a_damaged_gzip_file_is_refused() {
    let plain = Values::U8(vec![7; 5000]).to_idx(&[5000]).unwrap();
    let whole = gzip(&plain);
    for cut in [2, 11, whole.len() / 2, whole.len() - 1] {
        assert!(decode(&whole[..cut]).is_err(), "cut at {cut}");
    }
    let mut wrong_checksum = whole.clone();
    let position = whole.len() - 6;
    wrong_checksum[position] ^= 1;
    assert!(matches!(
        decode(&wrong_checksum),
        Err(IdxError::Gzip { .. })
    ));
    let trailing = [whole.as_slice(), b"rest"].concat();
    assert!(decode(&trailing).is_err());
}

#[test]
fn decompression_stops_at_the_promise_of_the_header_and_at_the_limit() {
    let bomb = [header(8, &[10]), vec![0; 50_000_000]].concat();
    match decode(&gzip(&bomb)) {
        Err(IdxError::Length {
            expected, found, ..
        }) => assert_eq!((expected, found), (18, 19)),
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
    let promise = gzip(&header(8, &[4_000_000_000]));
    assert!(matches!(decode(&promise), Err(IdxError::Limit { .. })));
    let empty_promise = gzip(&header(8, &[1_000_000_000]));
    assert!(matches!(
        decode(&empty_promise),
        Err(IdxError::Length {
            expected: 1_000_000_008,
            found: 8,
            ..
        })
    ));
}

#[test]
fn what_cannot_be_written_is_refused() {
    let values = Values::U8(vec![0; 6]);
    assert!(matches!(
        values.to_idx(&[2, 2]),
        Err(IdxError::ShapeMismatch { found: 6, .. })
    ));
    assert!(matches!(
        values.to_idx(&[1; 256]),
        Err(IdxError::ShapeTooLarge { .. })
    ));
    let too_long = [0, usize::MAX];
    assert!(matches!(
        Values::U8(vec![]).to_idx(&too_long),
        Err(IdxError::ShapeTooLarge { .. })
    ));
}

fn values() -> impl Strategy<Value = Values> {
    let len = 0..40_usize;
    prop_oneof![
        prop::collection::vec(any::<u8>(), len.clone()).prop_map(Values::U8),
        prop::collection::vec(any::<i8>(), len.clone()).prop_map(Values::I8),
        prop::collection::vec(any::<i16>(), len.clone()).prop_map(Values::I16),
        prop::collection::vec(any::<i32>(), len.clone()).prop_map(Values::I32),
        prop::collection::vec(any::<f32>(), len.clone()).prop_map(Values::F32),
        prop::collection::vec(any::<f64>(), len).prop_map(Values::F64),
    ]
}

proptest! {
    /// Values of any type and rank survive a round trip, plain or compressed.
    #[test]
    fn written_values_are_read_back(values in values(), ones in 0_usize..5, compress in any::<bool>()) {
        let mut shape = vec![1; ones];
        shape.push(values.len());
        let plain = values.to_idx(&shape).unwrap();
        let bytes = if compress { gzip(&plain) } else { plain };
        let idx = Idx::decode(&bytes, MAX_DECOMPRESSED).unwrap();
        prop_assert_eq!(idx.shape(), &shape[..]);
        prop_assert_eq!(idx.element_type(), values.element_type());
        prop_assert_eq!(idx.payload().len(), values.len() * values.element_type().size());
        prop_assert_eq!(idx.values(), values);
    }

    /// A single value has rank 0.
    #[test]
    fn rank_zero_holds_one_value(value in any::<i32>()) {
        let bytes = Values::I32(vec![value]).to_idx(&[]).unwrap();
        prop_assert_eq!(bytes.len(), 8);
        prop_assert_eq!(Idx::parse(&bytes).unwrap().values(), Values::I32(vec![value]));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Idx::parse(&bytes);
        let _ = Idx::decode(&bytes, 10_000);
        let gzip_like = [&[0x1f, 0x8b, 8, 0][..], &bytes].concat();
        let _ = Idx::decode(&gzip_like, 10_000);
    }

    /// A header either describes the bytes exactly or is refused.
    #[test]
    fn headers_are_never_trusted(
        code in any::<u8>(),
        dimensions in prop::collection::vec(any::<u32>(), 0..6),
        payload in 0_usize..100,
    ) {
        let mut bytes = header(code, &dimensions);
        let len = bytes.len();
        bytes.resize(len + payload, 1);
        if let Ok(idx) = Idx::parse(&bytes) {
            let elements: usize = idx.shape().iter().product();
            prop_assert_eq!(elements * ElementType::from_code(code).unwrap().size(), payload);
            prop_assert_eq!(Header::parse(&bytes).unwrap().len, len);
        }
    }
}
