//! The training loop, the configurations it rejects, and its observers.

use burn::tensor::Device;
use lenet_core::{LeNet, LeNetConfig};
use lenet_data::{ImageDataset, synthetic};
use lenet_train::observer::{CurrentNetwork, JsonLines, TextLines};
use lenet_train::{
    Event, Observer, Schedule, Trainer, TrainingConfig, TrainingError, TrainingRun, evaluate,
};

fn run(config: &TrainingConfig, images: &ImageDataset) -> Result<TrainingRun, TrainingError> {
    Trainer::new(&LeNetConfig::modern(10), config).fit(images, &Device::flex())
}

fn weights(lenet: &LeNet) -> Vec<u8> {
    lenet.to_safetensors().unwrap()
}

/// Synthetic images are at chance before training and at least 90 % after it, with room for improvement.
#[test]
fn synthetic_images_are_recognised_but_not_all_of_them() {
    for splits in [
        synthetic::garment_splits(20_000, 2_000),
        synthetic::digit_splits(20_000, 2_000),
    ] {
        let device = Device::flex();
        let untrained = LeNetConfig::modern(10).init(&device, 0).unwrap();
        let before = evaluate(&untrained, &splits.test, &device).unwrap();
        assert!(
            (0.02..0.25).contains(&before.accuracy),
            "untrained: {}",
            before.accuracy
        );

        // A rate that falls to zero, so that the result does not depend on the last few steps.
        let schedule = Schedule::Cosine { final_rate: 0.0 };
        let config = TrainingConfig::default()
            .with_epochs(10)
            .with_schedule(schedule);
        let trained = run(&config, &splits.train).unwrap();
        let after = evaluate(&trained.lenet, &splits.test, &device).unwrap();
        println!("{}: {:.4}", splits.test.name(), after.accuracy);
        assert!(
            (0.9..0.995).contains(&after.accuracy),
            "{}: {}\n{}",
            splits.test.name(),
            after.accuracy,
            after.confusion
        );
        assert!(after.mean_loss < before.mean_loss);
        assert_eq!(after.confusion.accuracy(), after.accuracy);
    }
}

#[test]
fn a_seed_fixes_the_run_bit_for_bit() {
    let images = synthetic::digits(300, 0);
    let config = TrainingConfig::default().with_epochs(2).with_batch_size(64);
    let (a, b) = (
        run(&config, &images).unwrap(),
        run(&config, &images).unwrap(),
    );
    assert_eq!(weights(&a.lenet), weights(&b.lenet));
    assert_eq!(a.epochs[1].mean_loss, b.epochs[1].mean_loss);
    let other = run(&config.with_seed(1), &images).unwrap();
    assert_ne!(weights(&a.lenet), weights(&other.lenet));
}

/// Rayon runs the kernels and the matrix products; the result does not depend on its number of threads.
#[test]
fn the_number_of_threads_changes_nothing() {
    let images = synthetic::garments(700, 0);
    let config = TrainingConfig::default().with_epochs(2);
    let train = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        weights(&pool.install(|| run(&config, &images)).unwrap().lenet)
    };
    let one = train(1);
    for threads in [2, 4] {
        assert!(train(threads) == one, "{threads} threads");
    }
}

/// With a tiny learning rate, the mean loss is that of the untrained network, which `evaluate` computes in
/// another way.
#[test]
fn the_loss_is_the_mean_over_all_images() {
    let images = synthetic::garments(300, 0);
    let untrained = LeNetConfig::modern(10).init(&Device::flex(), 0).unwrap();
    let expected = evaluate(&untrained, &images, &Device::flex())
        .unwrap()
        .mean_loss;
    let still = TrainingConfig::default()
        .with_epochs(1)
        .with_learning_rate(1e-12);
    for batch_size in [300, 128, 7] {
        let run = run(&still.clone().with_batch_size(batch_size), &images).unwrap();
        let found = run.epochs[0].mean_loss;
        assert!(
            (found - expected).abs() < 1e-5,
            "batch {batch_size}: {found}, not {expected}"
        );
    }
}

/// PyTorch's momentum buffer starts as the first gradient and is not damped: the first step is that
/// of plain SGD, later ones are longer.
#[test]
fn momentum_is_undamped_as_in_pytorch() {
    let images = synthetic::digits(64, 0);
    let plain = TrainingConfig::default()
        .with_epochs(3)
        .with_batch_size(64)
        .with_learning_rate(0.01);
    let loss = |config: &TrainingConfig| run(config, &images).unwrap().epochs[2].mean_loss;
    let first = |config: &TrainingConfig| run(config, &images).unwrap().epochs[1].mean_loss;
    let momentum = plain.clone().with_momentum(0.9);
    assert_eq!(
        first(&plain),
        first(&momentum),
        "the first step is the same"
    );
    assert!(loss(&momentum) < loss(&plain), "later ones are longer");
    assert_ne!(loss(&plain.clone().with_weight_decay(0.1)), loss(&plain));
    assert!(loss(&plain.clone().with_gradient_clipping(1e-6)) > loss(&plain));
}

#[test]
fn validation_images_are_evaluated_and_not_trained_on() {
    let images = synthetic::digits(400, 0);
    let (train, validation) = images.split_validation(100, 0);
    let config = TrainingConfig::default().with_epochs(2);
    let network = LeNetConfig::modern(10);
    let device = Device::flex();
    let trainer = Trainer::new(&network, &config).with_validation(&validation);
    let with = trainer.fit(&train, &device).unwrap();
    let trainer = Trainer::new(&network, &config);
    let without = trainer.fit(&train, &device).unwrap();
    assert_eq!(weights(&with.lenet), weights(&without.lenet));
    let last = evaluate(&with.lenet, &validation, &device).unwrap();
    assert_eq!(with.epochs[1].validation_accuracy, Some(last.accuracy));
    assert_eq!(without.epochs[1].validation_accuracy, None);
}

#[test]
fn an_observer_sees_the_network_after_each_step() {
    #[derive(Default)]
    struct Networks {
        seen: usize,
        last: Option<LeNet>,
    }
    impl Observer for Networks {
        fn observe(&mut self, _event: &Event<'_>) {}

        fn observe_network(&mut self, network: &CurrentNetwork<'_>) {
            self.seen += 1;
            self.last = Some(network.copy().unwrap());
        }
    }
    let images = synthetic::digits(50, 0);
    let (network, config) = (
        LeNetConfig::modern(10),
        TrainingConfig::default().with_epochs(2).with_batch_size(20),
    );
    let (mut first, mut second) = (Networks::default(), Networks::default());
    let mut both = (&mut first, &mut second);
    let trainer = Trainer::new(&network, &config).with_observer(&mut both);
    let run = trainer.fit(&images, &Device::flex()).unwrap();
    for networks in [first, second] {
        assert_eq!(networks.seen, 6);
        assert_eq!(weights(&networks.last.unwrap()), weights(&run.lenet));
    }

    // Keeping the network does not change the training.
    let unobserved = Trainer::new(&network, &config)
        .fit(&images, &Device::flex())
        .unwrap();
    assert_eq!(weights(&unobserved.lenet), weights(&run.lenet));
}

#[test]
fn invalid_configurations_are_rejected_before_the_first_step() {
    struct NoStep;
    impl Observer for NoStep {
        fn observe(&mut self, event: &Event<'_>) {
            panic!("{event:?}");
        }
    }
    let images = synthetic::digits(20, 0);
    let config = TrainingConfig::default;
    let network = || LeNetConfig::modern(10);
    let refuse = |network: LeNetConfig, config: TrainingConfig, images: &ImageDataset| {
        let mut observer = NoStep;
        let trainer = Trainer::new(&network, &config).with_observer(&mut observer);
        let result = trainer.fit(images, &Device::flex());
        result.unwrap_err().to_string()
    };
    let step = Schedule::Step {
        epochs: 0,
        factor: 0.1,
    };
    let cases = [
        (
            refuse(network(), config().with_epochs(0), &images),
            "epochs is 0",
        ),
        (
            refuse(network(), config().with_batch_size(0), &images),
            "batch_size is 0",
        ),
        (
            refuse(network(), config().with_learning_rate(-0.1), &images),
            "learning_rate is -0.1",
        ),
        (
            refuse(
                network(),
                config().with_learning_rate(f64::INFINITY),
                &images,
            ),
            "is inf",
        ),
        (
            refuse(network(), config().with_momentum(1.0), &images),
            "momentum is 1",
        ),
        (
            refuse(network(), config().with_weight_decay(-1.0), &images),
            "weight_decay is -1",
        ),
        (
            refuse(network(), config().with_gradient_clipping(0.0), &images),
            "gradient_clipping is 0",
        ),
        (
            refuse(network(), config().with_schedule(step), &images),
            "Step",
        ),
        (
            refuse(network(), config(), &synthetic::digits(0, 0)),
            "has no images",
        ),
        (
            refuse(LeNetConfig::modern(9), config(), &images),
            "has 10 classes, the network 9",
        ),
        (
            refuse(network().with_image_size([32, 32]), config(), &images),
            "images have shape [20, 1, 28, 28], but the network takes [batch, 1, 32, 32]",
        ),
        (
            refuse(network().with_kernel_size(40), config(), &images),
            "conv1: a 40×40 kernel",
        ),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "'{expected}' is not in '{found}'");
    }
}

#[test]
fn a_diverged_run_ends_early_and_says_where() {
    let images = synthetic::garments(2_000, 0);
    let config = TrainingConfig::default()
        .with_batch_size(8)
        .with_learning_rate(1e6);
    match run(&config, &images).unwrap_err() {
        TrainingError::NonFiniteLoss {
            epoch,
            step,
            steps,
            loss,
            ..
        } => {
            assert_eq!((epoch, steps), (1, 250));
            assert!(step < 250 && !loss.is_finite(), "step {step}, loss {loss}");
        }
        other => panic!("{other}"),
    }
}

/// One step after which the outputs overflow, and one after which the weights do.
#[test]
fn weights_that_diverged_in_the_last_step_are_reported() {
    let images = synthetic::garments(50, 0);
    let config = |rate| {
        TrainingConfig::default()
            .with_epochs(1)
            .with_learning_rate(rate)
    };
    let large = run(&config(1e38), &images).unwrap();
    let error = evaluate(&large.lenet, &images, &Device::flex()).unwrap_err();
    assert!(
        matches!(error, TrainingError::NonFiniteOutput { images: 50, found, .. } if found > 0),
        "{error}"
    );
    let error = run(&config(1e300), &images).unwrap_err();
    assert!(
        matches!(
            error,
            TrainingError::NonFiniteWeight {
                epoch: 1,
                step: 1,
                steps: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn schedules_start_and_end_where_they_should() {
    let rate = |schedule: Schedule, step| schedule.learning_rate(0.1, step, 10, 100);
    let cosine = Schedule::Cosine { final_rate: 0.01 };
    assert_eq!(rate(cosine, 0), 0.1);
    assert!((rate(cosine, 100) - 0.01).abs() < 1e-12);
    let linear = Schedule::Linear { final_rate: 0.0 };
    assert!((rate(linear, 50) - 0.05).abs() < 1e-12);
    let step = Schedule::Step {
        epochs: 3,
        factor: 0.5,
    };
    assert_eq!(
        [0, 29, 30, 60].map(|at| rate(step, at)),
        [0.1, 0.1, 0.05, 0.025]
    );
    assert_eq!(rate(Schedule::Constant, 99), 0.1);

    let config = TrainingConfig::default()
        .with_epochs(4)
        .with_schedule(linear)
        .with_batch_size(10);
    let run = run(&config, &synthetic::digits(20, 0)).unwrap();
    let rates: Vec<f64> = run.epochs.iter().map(|epoch| epoch.learning_rate).collect();
    assert!(rates.is_sorted_by(|a, b| a > b), "{rates:?}");
}

#[test]
fn observers_write_a_line_for_each_epoch() {
    let images = synthetic::digits(50, 0);
    let config = TrainingConfig::default().with_epochs(3);
    let mut observers = (TextLines::new(Vec::new()), JsonLines::new(Vec::new()));
    let network = LeNetConfig::modern(10);
    let trainer = Trainer::new(&network, &config).with_observer(&mut observers);
    let run = trainer.fit(&images, &Device::flex()).unwrap();
    let evaluation = evaluate(&run.lenet, &synthetic::digits(30, 9), &Device::flex()).unwrap();
    observers.observe(&Event::Evaluated {
        split: "test",
        evaluation: &evaluation,
    });

    let lines = String::from_utf8(observers.1.finish().unwrap()).unwrap();
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "started",
            "epoch",
            "epoch",
            "epoch",
            "finished",
            "evaluated"
        ]
    );
    assert_eq!(lines[0]["synthetic"], true);
    assert_eq!(lines[0]["training"]["seed"], 0);
    close(&lines[2]["mean_loss"], run.epochs[1].mean_loss);
    close(&lines[5]["accuracy"], evaluation.accuracy);
}

/// Reading a float back from JSON may lose its last bit.
fn close(found: &serde_json::Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
}

/// A full disk or a closed pipe ends the log, not the training.
#[test]
fn an_observer_that_cannot_write_does_not_end_the_run() {
    #[derive(Debug)]
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut observers = (TextLines::new(Full), JsonLines::new(Full));
    let config = TrainingConfig::default().with_epochs(1);
    let images = synthetic::digits(20, 0);
    let network = LeNetConfig::modern(10);
    let trainer = Trainer::new(&network, &config).with_observer(&mut observers);
    trainer.fit(&images, &Device::flex()).unwrap();
    assert_eq!(
        observers.1.finish().unwrap_err().kind(),
        std::io::ErrorKind::StorageFull
    );
}
