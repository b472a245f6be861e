//! Pictures and pixels that are not what they claim to be.

use std::io::Cursor;

use image::{GrayImage, ImageFormat};

use super::{PICTURE, Table, VIEW, request};
use crate::server::Server;

pub(super) fn pixels(server: &Server, table: &mut Table) {
    let picture = |line: &str| line.to_owned();
    let view = |query: &str| format!("POST /api/view?network=mnist-modern&source=drawing{query}");
    let truncated = png(100, 100);
    for (what, line, body, expected) in [
        (
            "text as a picture",
            picture(PICTURE),
            b"hello".to_vec(),
            (422, "is not a readable picture"),
        ),
        (
            "an empty picture",
            picture(PICTURE),
            vec![],
            (422, "is not a readable picture"),
        ),
        (
            "a truncated PNG",
            picture(PICTURE),
            truncated[..truncated.len() / 2].to_vec(),
            (422, "is not a readable picture"),
        ),
        (
            "a PNG that claims 60000×60000",
            picture(PICTURE),
            png_claiming(60_000),
            (422, "60000×60000 pixels"),
        ),
        (
            "a PNG that claims 10000×10000 without data",
            picture(PICTURE),
            png_claiming(10_000),
            (422, "not a readable picture"),
        ),
        (
            "an unknown polarity",
            format!("{PICTURE}&polarity=sideways"),
            png(9, 9),
            (422, "unknown polarity 'sideways'"),
        ),
        (
            "an unknown source",
            picture("POST /api/view?network=mnist-modern&source=video"),
            vec![],
            (400, "unknown variant `video`"),
        ),
        (
            "an unknown network",
            VIEW.replace("mnist-modern", "resnet"),
            vec![0; 784],
            (404, "no network 'resnet'"),
        ),
        (
            "one pixel too few",
            picture(VIEW),
            vec![0; 783],
            (422, "783 bytes: expected 784"),
        ),
        (
            "one pixel too many",
            picture(VIEW),
            vec![0; 785],
            (422, "785 bytes: expected 784"),
        ),
        (
            "no width",
            view("&height=28"),
            vec![0; 784],
            (400, "need a width and a height"),
        ),
        (
            "a width of 0",
            view("&width=0&height=28"),
            vec![],
            (422, "from 1 to 4096"),
        ),
        (
            "a width of 2⁶³",
            view("&width=9223372036854775808&height=2"),
            vec![],
            (422, "from 1 to 4096"),
        ),
        (
            "a width of −28",
            view("&width=-28&height=-28"),
            vec![0; 784],
            (400, "invalid digit"),
        ),
        (
            "a width of NaN",
            view("&width=NaN&height=28"),
            vec![0; 784],
            (400, "invalid digit"),
        ),
        (
            "a class out of range",
            picture("POST /api/explain?network=mnist-modern&class=10&method=gradient"),
            vec![0; 784],
            (422, "unknown class 10"),
        ),
        (
            "an unknown method",
            picture("POST /api/explain?network=mnist-modern&class=1&method=magic"),
            vec![0; 784],
            (400, "unknown variant `magic`"),
        ),
        (
            "a comparison of one image",
            picture("POST /api/compare?network=mnist-modern"),
            vec![0; 784],
            (422, "expected 1568"),
        ),
    ] {
        let (status, sentence) = expected;
        let answer = server.raw(&request(server, &line, "", &body));
        table.check(what, &answer, (Some(status), sentence));
    }
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    GrayImage::new(width, height)
        .write_to(&mut png, ImageFormat::Png)
        .unwrap();
    png.into_inner()
}

/// A PNG with a header that claims another size, and the checksum that belongs to it.
fn png_claiming(side: u32) -> Vec<u8> {
    let mut png = png(1, 1);
    png[16..20].copy_from_slice(&side.to_be_bytes());
    png[20..24].copy_from_slice(&side.to_be_bytes());
    let mut crc = !0_u32;
    for &byte in &png[12..29] {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    png[29..33].copy_from_slice(&(!crc).to_be_bytes());
    png
}
