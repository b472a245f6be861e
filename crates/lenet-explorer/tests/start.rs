//! How `lenet explore` starts and ends.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::Command;

use serde_json::json;

use crate::server::{Server, explore};

/// Sends a signal, as Ctrl-C or a service manager does.
#[cfg(unix)]
fn signal(server: &Server, signal: &str) {
    let mut kill = Command::new("kill");
    kill.args([format!("-{signal}"), server.child.id().to_string()]);
    assert!(kill.status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_streams_and_training() {
    for name in ["INT", "TERM"] {
        let mut server = Server::start();
        let training = json!({"dataset": "synthetic-digits", "images": 2000, "epochs": 1000});
        server.post_json("/api/training", &training).expect(202);
        server.watch(|state| state["total_step"].as_u64() > Some(5));
        let mut events = server.events();
        signal(&server, name);
        let (code, time) = server.wait();
        println!("{name}: ended after {} ms", time.as_millis());
        assert_eq!(code, Some(0));
        // The stream ends as HTTP ends it, with an empty chunk.
        let mut rest = String::new();
        events.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
    }
}

#[test]
fn a_port_in_use_is_an_error_with_a_remedy() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = explore(folder.path(), &["--no-open", "--port", &port])
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        message.contains(&format!("port {port} of 127.0.0.1 is in use")),
        "{message}"
    );
    assert!(message.contains("--port"), "{message}");
}

#[test]
fn other_mistakes_are_errors_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "not weights").unwrap();
    for (arguments, code, expected) in [
        (
            &["--network", "resnet"][..],
            1,
            "expected one of fashion-mnist-classic",
        ),
        (
            &["--weights", "missing.safetensors"],
            1,
            "there is no such file",
        ),
        (&["--weights", "notes.txt"], 1, "not a weights file"),
        (
            &["--host", "192.0.2.1"],
            1,
            "is not an address of this machine",
        ),
        (&["--port", "70000"], 2, "70000"),
    ] {
        let output = explore(folder.path(), arguments)
            .arg("--no-open")
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[cfg(unix)]
#[test]
fn the_browser_is_opened_with_the_users_network() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let weights = Server::start()
        .get("/api/networks/mnist-classic/weights")
        .body;
    fs::write(folder.path().join("My weights.safetensors"), weights).unwrap();
    // In place of the program that opens the user's browser.
    let opener = folder.path().join("xdg-open");
    fs::write(
        &opener,
        "#!/bin/sh\necho \"$1\" > opened.tmp && mv opened.tmp opened\n",
    )
    .unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();

    let opened = folder.path().join("opened");
    let mut command = explore(
        folder.path(),
        &[
            "--weights",
            "My weights.safetensors",
            "--network",
            "my-weights",
        ],
    );
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    command.env("PATH", path);
    let server = Server::spawn(folder, command);
    for _ in 0..500 {
        if opened.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let opened = fs::read_to_string(opened).unwrap();
    assert_eq!(opened.trim_end(), server.url("/#network=my-weights"));

    let networks = server.get("/api/networks").expect(200);
    let own = networks["networks"].as_array().unwrap().last().unwrap();
    assert_eq!(own["name"], "My weights.safetensors");
    assert_eq!(own["kind"], "file");
    assert_eq!(own["layers"][1]["kind"], "sigmoid");
}

#[test]
fn other_machines_are_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = explore(folder.path(), &["--no-open", "--host", "0.0.0.0"]);
    command.stderr(std::process::Stdio::piped());
    let mut server = Server::spawn(folder, command);
    server
        .get("/")
        .content_type
        .starts_with("text/html")
        .then_some(())
        .unwrap();
    let mut stderr = server.child.stderr.take().unwrap();
    server.child.kill().unwrap();
    let mut message = String::new();
    stderr.read_to_string(&mut message).unwrap();
    assert!(
        message.contains("warning: everyone who reaches 0.0.0.0"),
        "{message}"
    );
}
