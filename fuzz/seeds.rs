//! Writes what the fuzz targets begin with into `corpus/`.

use std::error::Error;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use burn::tensor::Device;
use flate2::{Compression, write::GzEncoder};
use lenet_core::LeNetConfig;
use lenet_data::idx::Values;
use lenet_data::synthetic;
use lenet_train::{Checkpoints, Trainer, TrainingConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let write = |target: &str, name: &str, bytes: &[u8]| -> std::io::Result<()> {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };

    let files = [
        ("bytes", Values::U8((0..24).collect()), vec![2, 3, 4]),
        ("labels", Values::U8(vec![1, 2, 3]), vec![3]),
        ("floats", Values::F32(vec![0.5, -1.0]), vec![2]),
        ("empty", Values::U8(vec![]), vec![0, 28, 28]),
    ];
    for (name, values, shape) in files {
        let idx = values.to_idx(&shape)?;
        write("idx", name, &idx)?;
        write("gzip", name, &stored(&idx)?)?;
    }

    let device = Device::flex();
    let small = LeNetConfig::modern(2)
        .with_image_size([8, 8])
        .with_out_channels([1, 2])
        .with_kernel_size(3)
        .with_padding(1)
        .with_hidden_dims([3]);
    let lenet = small.init(&device, 0)?;
    write("weights", "small", &lenet.to_safetensors()?)?;
    let record = tempfile::NamedTempFile::new()?;
    lenet.save_record(record.path())?;
    write("weights", "record", &fs::read(record.path())?)?;
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/lenet-core/tests/fixtures");
    for name in ["tiny.pt", "tiny_legacy.pt"] {
        write("pytorch", name, &fs::read(fixtures.join(name))?)?;
    }

    let trial = br#"{"label":"a","seed":0,"outcome":{"status":"failed","message":"m"},"epochs":[],"seconds":0.5,"threads":1,"device":"flex"}"#;
    write("sweep", "trial", &[&[0], &trial[..], b"\n"].concat())?;

    let network = LeNetConfig::modern(10)
        .with_out_channels([1, 1])
        .with_kernel_size(1)
        .with_hidden_dims([2]);
    let images = synthetic::garments(8, 0);
    for (name, momentum) in [("plain", 0.0), ("momentum", 0.9)] {
        let config = TrainingConfig::default().with_epochs(1).with_momentum(momentum);
        let folder = tempfile::tempdir()?;
        let trainer = Trainer::new(&network, &config);
        let trainer = trainer.with_checkpoints(Checkpoints::new(folder.path()));
        trainer.fit(&images, &device)?;
        let file = folder.path().join("checkpoint-000000001.safetensors");
        write("checkpoint", name, &fs::read(file)?)?;
    }

    let mut png = Cursor::new(Vec::new());
    let picture = image::GrayImage::from_fn(5, 4, |x, y| image::Luma([(50 * x + y) as u8]));
    picture.write_to(&mut png, image::ImageFormat::Png)?;
    write("picture", "small.png", png.get_ref())?;
    write("picture", "small.pgm", b"P5 2 2 255\n\x00\x40\x80\xff")?;
    Ok(())
}

/// A gzip stream without compression: a fuzzer sees what it changes.
fn stored(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes)?;
    encoder.finish()
}
