//! Trainings that are stopped where there is no step to wait for.

use serde_json::{Value, json};

use crate::server::Server;

#[test]
fn a_training_is_stopped_while_it_is_tested() {
    let server = Server::start();
    // Few images to train on, and a network that takes a while for 2,000 test images.
    let training = json!({
        "dataset": "synthetic-digits", "images": 10, "epochs": 1, "out_channels": [80, 420],
    });
    server.post_json("/api/training", &training).expect(202);
    server.watch(|state| state["validation"].as_array().unwrap().len() == 1);
    server.post("/api/training/stop", &[]).expect(202);
    let states = server.watch(|state| state["status"] != "running");
    let end = states.last().unwrap();
    assert_eq!(
        (&end["status"], &end["test_accuracy"]),
        (&json!("stopped"), &Value::Null)
    );
    // All steps are in the weights.
    let networks = server.get("/api/networks").expect(200);
    let trained = networks["networks"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&trained["id"], &trained["step"]),
        (&json!("trained"), &end["total_step"])
    );
    assert_eq!(trained["test_accuracy"], Value::Null);
}

#[test]
fn a_training_is_stopped_while_its_images_are_drawn() {
    let server = Server::start();
    let training = json!({"dataset": "synthetic-digits", "epochs": 1000});
    std::thread::scope(|scope| {
        let start = scope.spawn(|| server.post_json("/api/training", &training));
        // Until the request has arrived, there is nothing to stop.
        while server.post("/api/training/stop", &[]).status != 202 {
            assert!(!start.is_finished(), "it began before it was stopped");
        }
        assert_eq!(server.get("/api/training").expect(200)["status"], "idle");
        let error = start.join().unwrap().expect(409);
        let error = error["error"].as_str().unwrap();
        assert!(error.contains("stopped before it began"), "{error}");
    });
    server.post("/api/training/stop", &[]).expect(409);
    let networks = server.get("/api/networks").expect(200);
    let networks = networks["networks"].as_array().unwrap();
    assert!(networks.iter().all(|network| network["id"] != "trained"));
    // The next one is not stopped.
    server.post_json("/api/training", &training).expect(202);
    server.watch(|state| state["total_step"].as_u64() > Some(0));
}
