//! Files that are not the weights of a LeNet.

use super::{Table, request};
use crate::server::Server;

const UPLOAD: &str = "POST /api/networks?name=weights";

pub(super) fn weights(server: &Server, table: &mut Table) {
    let real = server.get("/api/networks/mnist-modern/weights").body;
    let mut not_finite = real.clone();
    let end = not_finite.len();
    not_finite[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let another = r#"{"encoder.weight":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}}"#;
    let overlapping = r#"{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,64]}}"#;
    let text = String::from_utf8_lossy(&real[8..real.len() - 4 * 61_706]).into_owned();
    let enlarged = text.replace("[28,28]", "[99999,99]");
    assert_ne!(text, enlarged);
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend([0xff; 200]);
    for (what, query, body, expected) in [
        (
            "text as weights",
            "",
            b"hello, this is text".to_vec(),
            "not a weights file",
        ),
        ("no weights at all", "", vec![], "not a weights file"),
        (
            "truncated weights",
            "",
            real[..real.len() / 2].to_vec(),
            "not a readable safetensors file",
        ),
        (
            "weights of another network",
            "",
            safetensors(another, 64),
            "do not form a LeNet",
        ),
        (
            "tensors that claim 4 TB",
            "",
            safetensors(overlapping, 64),
            "safetensors",
        ),
        (
            "a weight that is NaN",
            "",
            not_finite,
            "not a finite number",
        ),
        (
            "weights for images of 9899901 pixels",
            "",
            safetensors(&enlarged, 4 * 61_706),
            "more than",
        ),
        (
            "a broken PyTorch file",
            "",
            zip,
            "not a readable PyTorch file",
        ),
        (
            "a pickle that runs a program",
            "",
            b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.".to_vec(),
            "not a readable PyTorch file",
        ),
        (
            "weights with unfit class names",
            "&dataset=synthetic",
            real.clone(),
            "does not name the classes",
        ),
    ] {
        let line = format!("{UPLOAD}{query}");
        let answer = server.raw(&request(server, &line, "", &body));
        table.check(what, &answer, (Some(422), expected));
    }
    let no_name = server.raw(&request(server, "POST /api/networks", "", &real));
    table.check(
        "weights without a name",
        &no_name,
        (Some(400), "missing field `name`"),
    );
    let preset = format!("{UPLOAD}&preset=resnet");
    let preset = server.raw(&request(server, &preset, "", &real));
    table.check(
        "weights of an unknown preset",
        &preset,
        (Some(400), "unknown variant `resnet`"),
    );
}

/// A safetensors file with this header and so many bytes of zeros.
fn safetensors(header: &str, bytes: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(vec![0; bytes]);
    file
}
