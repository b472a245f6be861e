//! Networks saved by PyTorch give the same logits here. `fixtures/pytorch_files.py` wrote the files.

#![cfg(feature = "pytorch")]
use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use lenet_core::{LeNet, LeNetConfig, TensorDifference, Weights, WeightsError, read_back};
use safetensors::SafeTensors;

use super::chain;

const EXPECTED: &[u8] = include_bytes!("fixtures/expected.safetensors");

fn fixture(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    PathBuf::from(folder).join(format!("{name}.pt"))
}

fn expected(name: &str) -> Vec<f32> {
    let file = SafeTensors::deserialize(EXPECTED).unwrap();
    let (numbers, _) = file.tensor(name).unwrap().data().as_chunks::<4>();
    numbers.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

/// Largest difference of the logits.
fn difference(lenet: &LeNet, name: &str) -> f32 {
    let images = TensorData::new(expected("images"), [8, 1, 28, 28]);
    let logits = lenet.forward(Tensor::from_data(images, &Device::flex()));
    let logits = read_back::<f32>(logits).unwrap();
    let expected = expected(&format!("{name}.logits"));
    assert_eq!(logits.len(), expected.len());
    let pairs = logits.iter().zip(&expected);
    pairs.fold(0.0, |largest, (a, b)| f32::max(largest, (a - b).abs()))
}

/// The fixtures have narrow dense layers.
fn narrow(config: LeNetConfig) -> LeNetConfig {
    config.with_hidden_dims([16, 12])
}

fn networks() -> [(&'static str, LeNetConfig); 5] {
    let tweakable = || narrow(LeNetConfig::tweakable(10));
    [
        ("classic", narrow(LeNetConfig::classic(10))),
        ("modern", narrow(LeNetConfig::modern(10))),
        ("kernel3", tweakable().with_kernel_size(3)),
        ("kernel7", tweakable().with_kernel_size(7)),
        (
            "four_convolutions",
            tweakable().with_out_channels([4, 6, 8, 10]),
        ),
    ]
}

#[test]
fn every_way_of_torch_save_gives_pytorchs_logits() {
    for (name, config) in networks() {
        let fresh = config.init(&Device::flex(), 0).unwrap();
        assert!(
            difference(&fresh, name) > 1e-2,
            "{name}: the initial weights already give these logits"
        );
        let lenet = fresh.load_weights(Weights::open(fixture(name)).unwrap());
        let difference = difference(&lenet.unwrap(), name);
        assert!(difference < 1e-4, "{name}: logits differ by {difference}");
        println!("{name}: logits differ by at most {difference:.1e}");
    }
}

/// Channels, kernels and layers come from the shapes, everything else from the preset.
#[test]
fn the_configuration_follows_from_the_shapes() {
    for (name, config) in networks() {
        let preset = match name {
            "classic" => LeNetConfig::classic(99),
            _ => LeNetConfig::modern(99),
        };
        let weights = Weights::open(fixture(name)).unwrap();
        assert!(weights.config().is_err());
        let weights = weights.with_preset(preset);
        let found = weights.config().unwrap();
        assert_eq!(found.layer_table().unwrap(), config.layer_table().unwrap());
        let lenet = LeNet::from_weights(weights, &Device::flex()).unwrap();
        assert!(difference(&lenet, name) < 1e-4, "{name}");
    }
}

#[test]
fn a_file_of_another_network_is_refused_with_all_that_differs() {
    let lenet = LeNetConfig::modern(10).init(&Device::flex(), 0).unwrap();
    let error = lenet.load_weights(Weights::open(fixture("kernel3")).unwrap());
    insta::assert_snapshot!(error.unwrap_err().to_string());

    let weights = Weights::open(fixture("float64")).unwrap();
    let [.., (_, config)] = networks();
    let error = config
        .init(&Device::flex(), 0)
        .unwrap()
        .load_weights(weights);
    let Err(WeightsError::Mismatch { differences }) = error else {
        panic!("expected float64 to be refused");
    };
    assert_eq!(differences.len(), 14);
    assert!(
        matches!(&differences[0], TensorDifference::ElementType { found, .. } if found == "F64")
    );
}

#[test]
fn files_of_old_versions_are_refused_with_what_to_do() {
    let error = chain(&Weights::open(fixture("tiny_legacy")).unwrap_err());
    assert!(error.contains("before PyTorch 1.6"), "{error}");
}

/// torch.save does not compress; a compressed archive could unpack to any size.
#[test]
fn compressed_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pt");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let compressed = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("bomb/data.pkl", compressed).unwrap();
    std::io::Write::write_all(&mut archive, &vec![b'N'; 64 << 20]).unwrap();
    archive.finish().unwrap();
    assert!(path.metadata().unwrap().len() < 1 << 20);
    let error = chain(&Weights::open(&path).unwrap_err());
    assert!(error.contains("data.pkl is compressed"), "{error}");

    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("bomb/data.pkl", stored).unwrap();
    std::io::Write::write_all(&mut archive, &vec![b'N'; 1 << 20]).unwrap();
    archive.finish().unwrap();
    let error = chain(&Weights::open(&path).unwrap_err());
    assert!(error.contains("1048576 bytes, more than 131072"), "{error}");
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pt");
    for name in ["classic", "modern"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for len in [2, 60, 300, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let result = Weights::open(&path).and_then(|weights| {
                let weights = weights.with_preset(LeNetConfig::modern(10));
                LeNet::from_weights(weights, &Device::flex())
            });
            let error = chain(&result.unwrap_err());
            assert!(
                error.contains("damaged.pt") || error.contains("net."),
                "{error}"
            );
        }
    }
}
