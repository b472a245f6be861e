//! Training on GPUs beside training on the CPU, and trials that train side by side.
//!
//! Without an adapter, nothing is tested, unless `LENET_REQUIRE_WGPU` is set, as in CI: then it is a failure.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use lenet_core::{DeviceChoice, LeNetConfig};
use lenet_data::{Augmentation, synthetic};
use lenet_train::sweep::{Sweep, SweepResult, SweepRunner, Worker};
use lenet_train::{
    Checkpoints, EpochMetrics, Event, Observer, Schedule, Trainer, TrainingConfig, TrainingError,
    TrainingRun,
};

fn gpu() -> Option<Device> {
    match DeviceChoice::Wgpu.select() {
        Ok(selected) => Some(selected.device),
        Err(error) => {
            let required = std::env::var_os("LENET_REQUIRE_WGPU").is_some();
            assert!(!required, "{error}");
            println!("not tested: {error}");
            None
        }
    }
}

/// Everything that a recipe offers.
fn training() -> TrainingConfig {
    let augmentation = Augmentation::default()
        .with_horizontal_flip(true)
        .with_max_shift(2);
    TrainingConfig::default()
        .with_epochs(2)
        .with_batch_size(32)
        .with_momentum(0.9)
        .with_weight_decay(0.01)
        .with_gradient_clipping(0.5)
        .with_learning_rate(0.02)
        .with_schedule(Schedule::Cosine { final_rate: 0.001 })
        .with_augmentation(augmentation)
}

fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-4,
            "{what}: {found}, expected {expected}"
        );
    }
}

/// The metrics without the time that they took.
fn without_seconds(epochs: &[EpochMetrics]) -> Vec<EpochMetrics> {
    let mut epochs = epochs.to_vec();
    epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
    epochs
}

#[test]
fn a_gpu_trains_as_the_cpu_does() {
    let Some(device) = gpu() else { return };
    let (train, validation) = (synthetic::garments(90, 0), synthetic::garments(40, 1));
    for network in [LeNetConfig::classic(10), LeNetConfig::modern(10)] {
        let config = training();
        let fit = |device: &Device| -> TrainingRun {
            let trainer = Trainer::new(&network, &config).with_validation(&validation);
            trainer.fit(&train, device).unwrap()
        };
        let (expected, found) = (fit(&Device::flex()), fit(&device));
        let (expected_state, state) = (
            expected.lenet.state_dict().unwrap(),
            found.lenet.state_dict().unwrap(),
        );
        for (found, expected) in state.iter().zip(&expected_state) {
            assert_close(&found.name, &found.values, &expected.values);
        }
        for (found, expected) in found.epochs.iter().zip(&expected.epochs) {
            assert!((found.mean_loss - expected.mean_loss).abs() < 1e-4);
            let [found, expected] = [found, expected].map(|epoch| epoch.validation_loss.unwrap());
            assert!(
                (found - expected).abs() < 1e-4,
                "{found}, expected {expected}"
            );
        }
    }
}

#[test]
fn a_run_on_a_gpu_resumes_without_losing_a_bit() {
    /// Stops the run in the second epoch.
    struct StopLater<'a>(&'a AtomicBool);

    impl Observer for StopLater<'_> {
        fn observe(&mut self, event: &Event<'_>) {
            if matches!(
                event,
                Event::Step {
                    epoch: 2,
                    step: 2,
                    ..
                }
            ) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
    }

    let Some(device) = gpu() else { return };
    let (network, config, images) = (
        LeNetConfig::modern(10),
        training(),
        synthetic::garments(90, 0),
    );
    let whole = Trainer::new(&network, &config)
        .fit(&images, &device)
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path()).with_resume(true);
    let trainer = || Trainer::new(&network, &config).with_checkpoints(checkpoints.clone());
    let stop = AtomicBool::new(false);
    let mut observer = StopLater(&stop);
    let stopped = trainer()
        .with_observer(&mut observer)
        .with_stop(&stop)
        .fit(&images, &device);
    assert!(matches!(
        stopped,
        Err(TrainingError::Interrupted {
            epochs: 1,
            step: 2,
            ..
        })
    ));
    let resumed = trainer().fit(&images, &device).unwrap();
    assert_eq!(
        resumed.lenet.state_dict().unwrap(),
        whole.lenet.state_dict().unwrap()
    );
    assert_eq!(
        without_seconds(&resumed.epochs),
        without_seconds(&whole.epochs)
    );
}

#[test]
fn trials_that_train_side_by_side_on_a_gpu_have_the_results_of_those_alone() {
    let Some(device) = gpu() else { return };
    let mut sweep = Sweep::new("rates", "learning rate").with_seeds([4, 5]);
    let network = LeNetConfig::modern(10);
    for rate in [0.02, 0.05, 1e9] {
        sweep.push_setting(
            rate.to_string(),
            network.clone(),
            training().with_learning_rate(rate),
        );
    }
    // Another geometry, and another number of epochs.
    let longer = training().with_epochs(3);
    sweep.push_setting("kernel 3", network.clone().with_kernel_size(3), training());
    sweep.push_setting("longer", network, longer);
    let data = synthetic::garment_splits(90, 40);
    let run = |jobs: usize| -> SweepResult {
        let workers = Worker::share_cores(&device, jobs);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("trials.jsonl");
        SweepRunner::new(&sweep, &workers)
            .run(&data.train, &data.test, file)
            .unwrap()
    };
    let (together, alone) = (run(10), run(1));
    assert_eq!(together.results().count(), 10);
    for (found, expected) in together.results().zip(alone.results()) {
        let outcome = format!("{:?}", found.outcome);
        assert_eq!(outcome, format!("{:?}", expected.outcome));
        let diverges = found.label == "1000000000";
        assert_eq!(outcome.contains("Diverged"), diverges, "{outcome}");
        assert_eq!(
            without_seconds(&found.epochs),
            without_seconds(&expected.epochs)
        );
    }
}
