//! What the page asks of the server, from a drawing to a trained network.

use std::io::Cursor;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use image::{GrayImage, ImageFormat, Luma};
use lenet_core::{LeNet, Pretrained};
use serde_json::{Value, json};

use crate::server::{Answer, Server, drawn_seven};

/// The view of a drawn seven.
fn view_seven(server: &Server, network: &str) -> Answer {
    let (width, height, pixels) = drawn_seven();
    let query = format!("network={network}&source=drawing&width={width}&height={height}");
    server.post(&format!("/api/view?{query}"), &pixels)
}

/// The image as seen, from a view.
fn seen(view: &Answer) -> Vec<u8> {
    let (_, values) = view.binary();
    values[..784]
        .iter()
        .map(|value| (value * 255.0).round() as u8)
        .collect()
}

/// The quoted texts of a file that begin with `prefix`.
fn quoted<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let parts = text.split('"').skip(1).step_by(2);
    parts.filter(|part| part.starts_with(prefix)).collect()
}

#[test]
fn the_page_is_complete_and_asks_no_other_server() {
    let server = Server::start();
    let page = server.get("/");
    assert_eq!(
        (page.status, &*page.content_type),
        (200, "text/html; charset=utf-8")
    );
    let page = String::from_utf8(page.body).unwrap();
    let mut assets: Vec<String> = quoted(&page, "/assets/")
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert!(
        assets.iter().any(|asset| asset.ends_with(".js")),
        "{assets:?}"
    );
    let mut next = 0;
    while let Some(asset) = assets.get(next).cloned() {
        let answer = server.get(&asset);
        assert_eq!(answer.status, 200, "{asset}");
        let text = String::from_utf8(answer.body).unwrap();
        if answer.content_type.starts_with("text/javascript") {
            let modules = quoted(&text, "./")
                .into_iter()
                .filter(|name| name.ends_with(".js"));
            for module in modules.map(|name| name.replace("./", "/assets/")) {
                if !assets.contains(&module) {
                    assets.push(module);
                }
            }
        }
        next += 1;
    }
    for text in quoted(&page, "http") {
        // Links are followed only if the user wants to.
        assert!(page.contains(&format!("href=\"{text}\"")), "{text}");
    }
}

#[test]
fn a_drawn_seven_is_seen_in_every_layer() {
    let server = Server::start();
    let view = view_seven(&server, "mnist-modern");
    let (header, values) = view.binary();
    assert_eq!(header["network"], "mnist-modern");
    assert_eq!(header["step"], Value::Null);
    assert_eq!(header["inverted"], false);
    assert!(header["rule"].as_str().unwrap().contains("centre of mass"));
    assert_eq!(header["prediction"]["class"], 7);
    assert_eq!(header["prediction"]["name"], "7");

    let networks = server.get("/api/networks").expect(200);
    let networks = networks["networks"].as_array().unwrap();
    let network = networks
        .iter()
        .find(|network| network["id"] == "mnist-modern")
        .unwrap();
    let layers = network["layers"].as_array().unwrap();
    let stages = header["stages"].as_array().unwrap();
    assert_eq!(stages.len(), layers.len() + 2);
    let mut offset = 0;
    for stage in stages {
        assert_eq!(stage["offset"], offset);
        let shape = stage["shape"].as_array().unwrap();
        offset += shape
            .iter()
            .map(|side| side.as_u64().unwrap())
            .product::<u64>();
    }
    assert_eq!(offset, values.len() as u64);
    for (stage, layer) in stages[1..].iter().zip(layers) {
        assert_eq!(
            (&stage["name"], &stage["shape"]),
            (&layer["name"], &layer["shape"])
        );
    }
    let sum: f32 = values[values.len() - 10..].iter().sum();
    assert!((sum - 1.0).abs() < 1e-5);

    // The image as seen gives the same view.
    let pixels = seen(&view);
    let again = server.post(
        "/api/view?network=mnist-modern&source=pixels&width=28&height=28",
        &pixels,
    );
    assert_eq!(again.binary().1, values);
}

#[test]
fn a_picture_is_converted_as_its_rule_says() {
    let server = Server::start();
    let picture = GrayImage::from_fn(60, 40, |x, _| {
        Luma([if (25..35).contains(&x) { 20 } else { 240 }])
    });
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).unwrap();
    let png = png.into_inner();
    for (polarity, inverted, expected) in [
        ("auto", true, "inverted because its border is light"),
        ("dark-on-light", true, "inverted, as chosen"),
        ("light-on-dark", false, "not inverted, as chosen"),
    ] {
        let path = format!("/api/view?network=mnist-modern&source=picture&polarity={polarity}");
        let (header, _) = server.post(&path, &png).binary();
        assert_eq!(header["inverted"], inverted);
        let rule = header["rule"].as_str().unwrap();
        assert!(rule.contains(expected), "{rule}");
    }
}

#[test]
fn a_view_leads_to_explanations_units_and_comparisons() {
    let server = Server::start();
    let pixels = seen(&view_seven(&server, "mnist-modern"));
    for method in ["gradient", "occlusion"] {
        let path = format!("/api/explain?network=mnist-modern&class=7&method={method}");
        let (header, values) = server.post(&path, &pixels).binary();
        assert_eq!(header["method"], method);
        assert_eq!((&header["shape"], values.len()), (&json!([28, 28]), 784));
        assert!(values.iter().any(|&value| value > 0.0));
    }

    let unit = server.get("/api/unit?network=mnist-modern&stage=conv2.activation&channel=3");
    let unit = unit.expect(200);
    assert_eq!(unit["layer"], "conv2");
    assert_eq!(unit["weights"]["shape"], json!([6, 5, 5]));

    let both = [pixels.clone(), vec![0; 784]].concat();
    let comparison = server
        .post("/api/compare?network=mnist-modern", &both)
        .expect(200);
    assert_eq!(comparison["a"]["name"], "7");
    assert!(comparison["words"].as_array().unwrap().len() > 1);
    let same = [pixels.clone(), pixels].concat();
    let same = server
        .post("/api/compare?network=mnist-modern", &same)
        .expect(200);
    assert_eq!(same["stages"][0]["distance"], json!([0.0]));
}

#[test]
fn test_images_are_chosen_by_class_order_and_mistake() {
    let server = Server::start();
    let datasets = server.get("/api/datasets").expect(200);
    assert_eq!(datasets["datasets"].as_array().unwrap().len(), 6);
    // Only what needs no download is offered as available.
    for dataset in datasets["datasets"].as_array().unwrap() {
        assert_eq!(dataset["available"], dataset["synthetic"], "{dataset}");
    }

    let fives = "/api/images/synthetic-digits?class=5&count=3";
    let first = server.get(fives).expect(200);
    assert_eq!(first["total"], 200);
    assert_eq!(first["images"][2]["label"], 5);
    let one = format!(
        "/api/images/synthetic-digits/{}",
        first["images"][1]["index"]
    );
    assert_eq!(server.get(&one).expect(200), first["images"][1]);
    let next = server.get(&format!("{fives}&offset=2")).expect(200);
    assert_eq!(next["images"][0], first["images"][2]);

    let coats = server
        .get("/api/images/synthetic?class=coat&count=1")
        .expect(200);
    assert_eq!(coats["images"][0]["class"], "coat");

    let random = |seed: u64| {
        let path = format!("/api/images/unfamiliar?order=random&seed={seed}&count=5");
        server.get(&path).expect(200)["images"].clone()
    };
    assert_eq!(random(1), random(1));
    assert_ne!(random(1), random(2));

    let mistakes = "/api/images/synthetic-digits?misclassified=mnist-modern&count=1";
    let mistakes = server.get(mistakes).expect(200);
    let image = &mistakes["images"][0];
    assert_ne!(image["predicted"], image["label"]);
    assert!(mistakes["total"].as_u64().unwrap() < 2000);
}

#[test]
fn weights_come_back_as_they_were_sent() {
    let server = Server::start();
    let weights = server.get("/api/networks/mnist-classic/weights").body;
    let upload = |name: &str| {
        let path = format!("/api/networks?name={name}&dataset=mnist");
        server.post(&path, &weights).expect(201)
    };
    let network = upload("mine.safetensors");
    assert_eq!(network["id"], "mine");
    assert_eq!(network["classes"][9], "9");
    let second = upload("mine.safetensors");
    assert_eq!(second["id"], "mine-2");
    assert_eq!(second["name"], "mine.safetensors (2)");
    assert_eq!(server.get("/api/networks/mine/weights").body, weights);
    let views = ["mine", "mnist-classic"].map(|id| view_seven(&server, id).binary().1);
    assert_eq!(views[0], views[1]);

    assert_eq!(server.delete("/api/networks/mine").status, 204);
    view_seven(&server, "mine").expect(404);
    for number in 3..=17 {
        upload(&format!("{number}"));
    }
    let path = "/api/networks?name=another";
    let message = server.post(path, &weights).expect(409)["error"].clone();
    assert!(
        message.as_str().unwrap().contains("delete one first"),
        "{message}"
    );
}

#[test]
fn weights_of_every_format_are_read() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.bpk");
    let lenet = LeNet::pretrained(Pretrained::MnistModern, &Device::flex()).unwrap();
    lenet.save_record(&record).unwrap();
    let record = std::fs::read(record).unwrap();
    let network = server
        .post("/api/networks?name=record.bpk", &record)
        .expect(201);
    assert_eq!(network["classes"][9], "class 9");
    let [own, original] = ["record", "mnist-modern"].map(|id| view_seven(&server, id).binary().1);
    assert_eq!(own, original);

    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lenet-core");
    let classic = std::fs::read(core.join("tests/fixtures/classic.pt")).unwrap();
    for (preset, activation) in [("classic", "sigmoid"), ("modern", "relu")] {
        let path = format!("/api/networks?name=classic.pt&preset={preset}&dataset=fashion-mnist");
        let network = server.post(&path, &classic).expect(201);
        assert_eq!(network["layers"][1]["kind"], activation);
        assert_eq!(network["classes"][4], "coat");
    }
}

#[test]
fn a_training_is_watched_explored_and_stopped() {
    let server = Server::start();
    assert_eq!(server.get("/api/training").expect(200)["status"], "idle");
    let training = json!({
        "dataset": "synthetic-digits", "preset": "tweakable", "kernel_size": 3, "out_channels": [4, 8],
        "hidden_dims": [32], "learning_rate": 0.05, "epochs": 1000, "batch_size": 64, "seed": 1, "images": 2000,
    });
    let started = server.post_json("/api/training", &training).expect(202);
    assert_eq!(started["network"], "trained");
    server.post_json("/api/training", &training).expect(409);
    assert_eq!(server.delete("/api/networks/trained").status, 409);
    server
        .get("/api/images/synthetic-digits?misclassified=trained")
        .expect(409);

    let start = Instant::now();
    let states = server.watch(|state| state["validation"].as_array().unwrap().len() >= 3);
    let tenths = start.elapsed().as_secs_f64() * 10.0;
    assert!(
        states.len() as f64 <= tenths + 2.0,
        "{} events",
        states.len()
    );
    let first = &states[0];
    assert_eq!(
        (&first["status"], &first["synthetic"]),
        (&json!("running"), &json!(true))
    );
    let last = states.last().unwrap();
    let losses = last["losses"].as_array().unwrap();
    let loss = |point: &Value| point[1].as_f64().unwrap();
    assert!(
        loss(losses.last().unwrap()) < loss(&losses[0]),
        "{losses:?}"
    );

    // The maps change while it is trained.
    let (earlier, _) = view_seven(&server, "trained").binary();
    let target = earlier["step"].as_u64().unwrap() + 100;
    server.watch(|state| state["total_step"].as_u64().unwrap() > target);
    let (later, _) = view_seven(&server, "trained").binary();
    assert!(later["step"].as_u64() > earlier["step"].as_u64());
    assert_ne!(later["stages"], earlier["stages"]);

    server.post("/api/training/stop", &[]).expect(202);
    let states = server.watch(|state| state["status"] != "running");
    let end = states.last().unwrap();
    assert_eq!(end["status"], "stopped");
    assert_eq!(end["test_accuracy"], Value::Null);
    // All steps are in the weights.
    let (header, _) = view_seven(&server, "trained").binary();
    assert_eq!(header["step"], end["total_step"]);
    server.post("/api/training/stop", &[]).expect(409);
    assert_eq!(server.get("/api/networks/trained/weights").status, 200);
    assert_eq!(server.delete("/api/networks/trained").status, 204);
}

#[test]
fn a_training_comes_to_its_end() {
    let server = Server::start();
    let training =
        json!({"dataset": "synthetic", "images": 1000, "epochs": 2, "learning_rate": 0.05});
    server.post_json("/api/training", &training).expect(202);
    let states = server.watch(|state| state["status"] != "running");
    let end = states.last().unwrap();
    assert_eq!(end["status"], "finished");
    assert_eq!(end["validation"].as_array().unwrap().len(), 2);
    assert_eq!(end["message"], Value::Null);
    let networks = server.get("/api/networks").expect(200);
    let trained = networks["networks"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(trained["test_accuracy"], end["test_accuracy"]);
    assert_eq!(trained["classes"][4], "coat");
    // 900 images in batches of 128: 8 steps in an epoch.
    assert_eq!(
        (&trained["step"], &end["total_step"]),
        (&json!(16), &json!(16))
    );
}

#[test]
fn a_diverging_training_fails_with_the_reason() {
    let server = Server::start();
    let training = json!({"dataset": "synthetic-digits", "images": 1000, "epochs": 50, "learning_rate": 1000,
        "out_channels": [6]});
    server.post_json("/api/training", &training).expect(202);
    let states = server.watch(|state| state["status"] != "running");
    let end = states.last().unwrap();
    assert_eq!(end["status"], "failed");
    let message = end["message"].as_str().unwrap();
    assert!(message.contains("training diverged"), "{message}");
    // The network is still there, and says what is wrong with it if it has such weights.
    let view = view_seven(&server, "trained");
    assert!([200, 422].contains(&view.status));
    server
        .post_json(
            "/api/training",
            &json!({"dataset": "synthetic", "images": 100, "epochs": 1}),
        )
        .expect(202);
}
