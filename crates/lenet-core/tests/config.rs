//! Shapes, costs and errors of `LeNetConfig`.

use burn::tensor::{Device, Tensor, Tolerance};
use lenet_core::{Activation, ConfigError, Initializer, LayerKind, LeNetConfig, Pooling};
use proptest::prelude::*;

#[test]
fn presets_have_the_published_geometry() {
    let classic = LeNetConfig::classic(10).layer_table().unwrap();
    assert_eq!((classic.flattened(), classic.parameters()), (400, 61_706));
    assert_eq!(classic.multiply_adds(), 416_520);
    let tweakable = LeNetConfig::tweakable(10).layer_table().unwrap();
    assert_eq!(tweakable.flattened(), 784);
    insta::assert_snapshot!(classic.to_string());
}

#[test]
fn a_network_prints_its_layer_table() {
    let config = LeNetConfig::modern(10);
    let lenet = config.init(&Device::flex(), 0).unwrap();
    assert_eq!(lenet.to_string(), config.layer_table().unwrap().to_string());
}

/// The kernel sizes of the notebook's sweep and the resulting number of features; each side is padded by 2.
#[test]
fn every_kernel_of_the_sweep_fits_the_tweakable_geometry() {
    let flattened = [3, 4, 5, 6, 7].map(|kernel_size| {
        let config = LeNetConfig::tweakable(10).with_kernel_size(kernel_size);
        config.layer_table().unwrap().flattened()
    });
    assert_eq!(flattened, [16 * 64, 16 * 49, 16 * 49, 16 * 36, 16 * 25]);
}

#[test]
fn four_convolutions_fit_the_tweakable_geometry() {
    let config = LeNetConfig::tweakable(10).with_out_channels([6, 16, 22, 28]);
    assert_eq!(config.layer_table().unwrap().flattened(), 28);
}

#[test]
fn impossible_networks_are_refused_with_the_layer_and_the_shapes() {
    let refuse = |config: LeNetConfig| config.init(&Device::flex(), 0).unwrap_err().to_string();
    let modern = || LeNetConfig::modern(10);
    let cases = [
        refuse(
            modern()
                .with_kernel_size(7)
                .with_image_size([3, 3])
                .with_padding(0),
        ),
        refuse(modern().with_kernel_size([5, 11]).with_image_size([20, 20])),
        refuse(modern().with_image_size([5, 28])),
        refuse(modern().with_out_channels([6, 0])),
        refuse(modern().with_out_channels([])),
        refuse(modern().with_out_channels([6, 16, 22])),
        refuse(modern().with_kernel_size([5])),
        refuse(modern().with_kernel_size(0)),
        refuse(modern().with_in_channels(0)),
        refuse(modern().with_image_size([0, 28])),
        refuse(modern().with_hidden_dims([120, 0])),
        refuse(LeNetConfig::modern(0)),
        refuse(modern().with_hidden_dims([usize::MAX])),
        refuse(modern().with_hidden_dims([2_000_000, 2_000_000])),
        refuse(modern().with_padding(usize::MAX)),
        refuse(modern().with_image_size([usize::MAX, 2])),
        refuse(modern().with_initializer(Initializer::Normal(f64::NAN))),
    ];
    insta::assert_snapshot!(cases.join("\n"));
}

#[test]
fn a_configuration_survives_json() {
    let config = LeNetConfig::tweakable(26)
        .with_kernel_size([3, 5])
        .with_activation(Activation::Tanh)
        .with_pooling(Pooling::Average)
        .with_initializer(Initializer::Normal(0.01));
    let json = serde_json::to_string_pretty(&config).unwrap();
    insta::assert_snapshot!(json);
    assert_eq!(serde_json::from_str::<LeNetConfig>(&json).unwrap(), config);
    assert!(serde_json::from_str::<LeNetConfig>(&json.replace("classes", "klasses")).is_err());
}

#[test]
fn zero_classes_are_an_error_of_their_own() {
    let error = LeNetConfig::modern(0).layer_table().unwrap_err();
    assert_eq!(
        error,
        ConfigError::Zero {
            what: "classes".to_owned()
        }
    );
}

prop_compose! {
    fn configs()(
        out_channels in prop::collection::vec(0_usize..6, 0..4),
        kernel_size in 0_usize..9,
        padding in 0_usize..4,
        image_size in [0_usize..24, 0_usize..24],
        in_channels in 0_usize..4,
        hidden_dims in prop::collection::vec(0_usize..12, 0..3),
        classes in 0_usize..5,
        modern in any::<bool>(),
    ) -> LeNetConfig {
        let preset = if modern { LeNetConfig::modern(classes) } else { LeNetConfig::classic(classes) };
        preset
            .with_out_channels(out_channels)
            .with_kernel_size(kernel_size)
            .with_padding(padding)
            .with_image_size(image_size)
            .with_in_channels(in_channels)
            .with_hidden_dims(hidden_dims)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The network has the shapes and parameters in the table, and an invalid configuration has no network.
    #[test]
    fn the_layer_table_is_true(config in configs()) {
        let device = Device::flex();
        let Ok(table) = config.layer_table() else {
            prop_assert!(config.init(&device, 0).is_err());
            return Ok(());
        };
        let lenet = config.init(&device, 0).unwrap();
        prop_assert_eq!(burn::module::Module::num_params(&lenet), table.parameters());
        let [height, width] = config.image_size;
        let images = Tensor::ones([2, config.in_channels, height, width], &device);
        let stages = lenet.forward_with_activations(images.clone()).unwrap();
        prop_assert_eq!(stages.len(), table.rows().len());
        for (stage, row) in stages.iter().zip(table.rows()) {
            prop_assert_eq!(stage.name(), &row.name);
            let dims = match (stage.maps(), stage.features()) {
                (Some(maps), _) => maps.dims()[1..].to_vec(),
                (_, Some(features)) => features.dims()[1..].to_vec(),
                _ => unreachable!(),
            };
            prop_assert_eq!(&dims, &row.output_shape);
        }
        let logits = lenet.forward(images).into_data();
        let last = stages.last().unwrap().features().unwrap().to_data();
        logits.assert_approx_eq::<f32>(&last, Tolerance::absolute(1e-4));
        let dense = matches!(table.rows().last().unwrap().kind, LayerKind::Dense { .. });
        prop_assert!(dense);
    }
}
