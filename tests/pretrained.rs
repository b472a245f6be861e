//! The pretrained networks reach the accuracy of their model cards on the whole test sets.

use burn::tensor::Device;
use lenet::core::{LeNet, Pretrained};
use lenet::data::{DataError, KnownDataset, Loader};
use lenet::train::evaluate;

#[test]
fn every_name_is_a_network_and_other_names_are_errors() {
    for pretrained in Pretrained::ALL {
        assert_eq!(pretrained.name().parse(), Ok(pretrained));
        let lenet = LeNet::pretrained(pretrained, &Device::flex()).unwrap();
        assert_eq!(lenet.config().classes, 10);
        assert!(lenet.config().layer_table().unwrap().parameters() == 61_706);
        let stated = format!("| test accuracy | {:.4} on", pretrained.test_accuracy());
        assert!(pretrained.model_card().contains(&stated), "{pretrained}");
    }
    let error = "resnet".parse::<Pretrained>().unwrap_err().to_string();
    assert!(
        error.contains("'resnet'") && error.contains("mnist-modern"),
        "{error}"
    );
}

#[test]
fn each_recognises_what_its_model_card_says() {
    let device = Device::flex();
    for pretrained in Pretrained::ALL {
        let dataset: KnownDataset = pretrained.dataset().parse().unwrap();
        let splits = match Loader::new(dataset).with_download(false).load() {
            Err(DataError::Missing { .. }) => {
                println!("{pretrained}: not tested, {dataset:?} is unavailable");
                continue;
            }
            splits => splits.unwrap(),
        };
        let lenet = LeNet::pretrained(pretrained, &device).unwrap();
        let result = evaluate(&lenet, &splits.test, &device).unwrap();
        let expected = pretrained.test_accuracy();
        println!(
            "{pretrained}: {:.4} of {} images",
            result.accuracy, result.images
        );
        // Rounding on another machine may change the class of an image or two.
        let found = result.accuracy;
        assert!(
            (found - expected).abs() < 5e-4,
            "{pretrained}: {found}, expected {expected}"
        );
    }
}
