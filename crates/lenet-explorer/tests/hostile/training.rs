//! Trainings that are impossible.

use super::{Table, request};
use crate::server::Server;

const TRAINING: &str = "POST /api/training";

const JSON: &str = "Content-Type: application/json\r\n";

pub(super) fn training(server: &Server, table: &mut Table) {
    let nested = "[".repeat(100_000);
    let many = format!(
        r#"{{"dataset":"synthetic","out_channels":[{}1]}}"#,
        "1,".repeat(100_000)
    );
    for (what, body, status, sentence) in [
        ("half a JSON", r#"{"dataset":"#, 400, "not JSON"),
        ("100,000 brackets", &nested, 422, "not valid"),
        ("a list", "[]", 422, "not valid"),
        ("no data set", "{}", 422, "missing field `dataset`"),
        (
            "an unknown field",
            r#"{"dataset":"synthetic","optimizer":"adam"}"#,
            422,
            "unknown field `optimizer`",
        ),
        (
            "a field twice",
            r#"{"dataset":"synthetic","dataset":"mnist"}"#,
            422,
            "duplicate field",
        ),
        (
            "an unknown data set",
            r#"{"dataset":"imagenet"}"#,
            422,
            "no data set 'imagenet'",
        ),
        (
            "a data set that is unavailable",
            r#"{"dataset":"kmnist"}"#,
            404,
            "kmnist was not found",
        ),
        (
            "a data set to look at",
            r#"{"dataset":"unfamiliar"}"#,
            422,
            "not to train on",
        ),
        (
            "a learning rate of NaN",
            r#"{"dataset":"synthetic","learning_rate":NaN}"#,
            400,
            "not JSON",
        ),
        (
            "a learning rate of 1e999",
            r#"{"dataset":"synthetic","learning_rate":1e999}"#,
            400,
            "number out of range",
        ),
        (
            "a negative learning rate",
            r#"{"dataset":"synthetic","learning_rate":-0.1}"#,
            422,
            "learning_rate is -0.1",
        ),
        (
            "negative epochs",
            r#"{"dataset":"synthetic","epochs":-1}"#,
            422,
            "integer `-1`",
        ),
        (
            "no epochs",
            r#"{"dataset":"synthetic","epochs":0}"#,
            422,
            "epochs is 0",
        ),
        (
            "2⁶⁴ epochs",
            r#"{"dataset":"synthetic","epochs":18446744073709551616}"#,
            422,
            "expected usize",
        ),
        (
            "half an epoch",
            r#"{"dataset":"synthetic","epochs":0.5}"#,
            422,
            "expected usize",
        ),
        (
            "empty batches",
            r#"{"dataset":"synthetic","batch_size":0}"#,
            422,
            "batch_size is 0",
        ),
        (
            "huge batches",
            r#"{"dataset":"synthetic","batch_size":10000}"#,
            422,
            "for a batch",
        ),
        (
            "more images than there are",
            r#"{"dataset":"synthetic","images":60001}"#,
            422,
            "60000 training images",
        ),
        (
            "a kernel that does not fit",
            r#"{"dataset":"synthetic","kernel_size":99}"#,
            422,
            "99×99 kernel does not fit",
        ),
        (
            "a kernel of 0",
            r#"{"dataset":"synthetic","kernel_size":0}"#,
            422,
            "is 0",
        ),
        (
            "no convolution",
            r#"{"dataset":"synthetic","out_channels":[]}"#,
            422,
            "at least one convolution",
        ),
        (
            "100,001 convolutions",
            &many,
            422,
            "at most 16 are supported",
        ),
        (
            "33 dense layers",
            r#"{"dataset":"synthetic","hidden_dims":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}"#,
            422,
            "33 dense layers: at most 32",
        ),
        (
            "a million channels",
            r#"{"dataset":"synthetic","out_channels":[1000000]}"#,
            422,
            "reduce channels",
        ),
        (
            "2⁶³ channels",
            r#"{"dataset":"synthetic","out_channels":[9223372036854775808]}"#,
            422,
            "reduce channels",
        ),
        (
            "a huge dense layer",
            r#"{"dataset":"synthetic","hidden_dims":[1000000]}"#,
            422,
            "parameters, more than",
        ),
    ] {
        let answer = server.raw(&request(server, TRAINING, JSON, body.as_bytes()));
        table.check(what, &answer, (Some(status), sentence));
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = server.raw(&request(server, TRAINING, form, b"dataset=synthetic"));
    table.check("a form", &answer, (Some(415), "expected JSON"));
    let answer = server.raw(&request(server, "POST /api/training/stop", "", &[]));
    table.check(
        "stop without a training",
        &answer,
        (Some(409), "no training is running"),
    );
    assert_eq!(server.get("/api/training").expect(200)["status"], "idle");
}
