//! Binary answers: a JSON header, then numbers that the page reads in place.

use serde::Serialize;

/// Size of the length and of each value, in bytes.
const WORD: usize = 4;

/// Encodes a header and values:
///
/// 1. the length of the header in bytes, a little-endian `u32`;
/// 2. the header as JSON, padded with spaces to a multiple of 4 bytes, so that the page can read the values
///    in place as a `Float32Array`;
/// 3. the values, each a little-endian `f32`.
pub(crate) fn message(header: &impl Serialize, values: &[f32]) -> Vec<u8> {
    let mut message = vec![0; WORD];
    if let Err(error) = serde_json::to_writer(&mut message, header) {
        unreachable!("expected a header to be JSON: {error}");
    }
    message.resize(message.len().next_multiple_of(WORD), b' ');
    let Ok(length) = u32::try_from(message.len() - WORD) else {
        unreachable!("expected a header below 4 GiB");
    };
    for (byte, value) in message.iter_mut().zip(length.to_le_bytes()) {
        *byte = value;
    }
    message.reserve_exact(values.len() * WORD);
    message.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    message
}

/// Decodes a message as the page does.
#[cfg(test)]
pub(crate) fn decode(message: &[u8]) -> (serde_json::Value, Vec<f32>) {
    let (length, rest) = message.split_first_chunk::<WORD>().unwrap();
    let length = u32::from_le_bytes(*length) as usize;
    assert_eq!((WORD + length) % WORD, 0, "the values must be aligned");
    let (header, values) = rest.split_at(length);
    let (values, rest) = values.as_chunks::<WORD>();
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    (
        serde_json::from_slice(header).unwrap(),
        values
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_documentation() {
        let message = message(&json!({"a": "é"}), &[1.0, -2.5]);
        let mut expected = vec![12, 0, 0, 0];
        expected.extend("{\"a\":\"é\"}  ".as_bytes());
        expected.extend([0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0]);
        assert_eq!(message, expected);
    }

    proptest! {
        #[test]
        fn a_message_is_decoded_to_what_was_encoded(
            text in any::<String>(),
            number in any::<u32>(),
            bits in prop::collection::vec(any::<u32>(), 0..50),
        ) {
            let values: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
            let header = json!({"text": text, "number": number});
            let (found, decoded) = decode(&message(&header, &values));
            prop_assert_eq!(found, header);
            let decoded: Vec<u32> = decoded.iter().map(|value| value.to_bits()).collect();
            prop_assert_eq!(decoded, bits);
        }
    }
}
