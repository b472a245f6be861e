//! Predictions, and values read back from the device.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Distribution, Int, Tensor};
use lenet_core::{LeNet, LeNetConfig, PredictError, read_back};

fn modern() -> LeNet {
    LeNetConfig::modern(10).init(&Device::flex(), 0).unwrap()
}

/// A network with these logits for every image.
fn constant(logits: [f32; 4]) -> LeNet {
    let lenet = LeNetConfig::modern(4).init(&Device::flex(), 0).unwrap();
    let mut state = lenet.state_dict().unwrap();
    let [.., weight, bias] = &mut *state else {
        panic!("expected at least two parameters");
    };
    weight.values.fill(0.0);
    bias.values.copy_from_slice(&logits);
    lenet.load_state_dict(state).unwrap()
}

#[test]
fn predictions_are_the_softmax_of_the_logits() {
    let device = Device::flex();
    let images = Tensor::random([5, 1, 28, 28], Distribution::Uniform(0.0, 1.0), &device);
    let logits = modern().forward(images.clone());
    let classes = read_back::<i64>(logits.clone().argmax(1)).unwrap();
    let probabilities = read_back::<f32>(softmax(logits, 1)).unwrap();
    let predictions = modern().predict(images).unwrap();
    assert_eq!(predictions.len(), 5);
    for (index, prediction) in predictions.iter().enumerate() {
        assert_eq!(prediction.class() as i64, classes[index]);
        assert_eq!(prediction.top(1)[0].class, prediction.class());
        for class in prediction.top(10) {
            assert_eq!(class.probability, probabilities[10 * index + class.class]);
        }
        let sum: f32 = prediction.top(10).iter().map(|c| c.probability).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }
}

#[test]
fn classes_are_sorted_by_probability_and_ties_by_class() {
    let lenet = constant([1.0, 3.0, -2.0, 3.0]);
    let images = Tensor::zeros([1, 1, 28, 28], &Device::flex());
    let prediction = lenet.predict(images).unwrap().remove(0);
    let ranking: Vec<usize> = prediction.top(4).iter().map(|c| c.class).collect();
    assert_eq!(ranking, [1, 3, 0, 2]);
    assert_eq!(prediction.class(), 1);
    assert_eq!(prediction.probability(), prediction.top(2)[1].probability);
    assert_eq!(prediction.top(0), []);
    assert_eq!(prediction.top(99), prediction.top(4));
}

#[test]
fn every_batch_is_predicted_or_refused() {
    let device = Device::flex();
    let predict = |images: Tensor<4>| modern().predict(images);
    let none = predict(Tensor::zeros([0, 1, 28, 28], &device)).unwrap();
    assert_eq!(none, []);
    let error = predict(Tensor::zeros([1, 3, 28, 28], &device)).unwrap_err();
    assert!(matches!(error, PredictError::Input(_)), "{error}");
    let infinite = Tensor::full([1, 1, 28, 28], f32::INFINITY, &device);
    let images = Tensor::cat(vec![Tensor::zeros([2, 1, 28, 28], &device), infinite], 0);
    let error = predict(images).unwrap_err();
    assert!(
        matches!(error, PredictError::NotANumber { image: 2 }),
        "{error}"
    );
}

#[test]
fn values_come_back_in_row_major_order_from_any_rank_and_kind() {
    let device = Device::flex();
    let floats = Tensor::<2>::from_floats([[1.5, 2.0, 3.0], [4.0, 5.0, 6.0]], &device);
    let expected = [1.5, 4.0, 2.0, 5.0, 3.0, 6.0];
    assert_eq!(read_back::<f32>(floats.transpose()).unwrap(), expected);
    let ints = Tensor::<1, Int>::from_ints([7, -8], &device);
    assert_eq!(read_back::<i64>(ints).unwrap(), [7, -8]);
    let booleans = Tensor::<1>::from_floats([0.0, 1.0], &device).greater_elem(0.5);
    assert_eq!(read_back::<bool>(booleans).unwrap(), [false, true]);
    let tracked = Tensor::<3>::ones([1, 2, 1], &device.autodiff());
    assert_eq!(read_back::<f32>(tracked.require_grad()).unwrap(), [1.0; 2]);
}
