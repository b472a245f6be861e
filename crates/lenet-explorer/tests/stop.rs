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
