//! Devices by name.

use burn::tensor::Device;
use lenet_core::{DeviceChoice, DeviceError, device_kind, uses_rayon_pool};

#[test]
fn every_name_parses_to_itself_or_to_an_error_with_the_alternatives() {
    for name in ["auto", "flex", "wgpu", "vulkan", "metal", "cuda", "ndarray"] {
        match name.parse::<DeviceChoice>() {
            Ok(choice) => assert_eq!(choice.name(), name),
            Err(error @ DeviceError::NotCompiled { .. }) => {
                assert!(
                    error.to_string().contains(&format!("--features {name}")),
                    "{error}"
                );
            }
            Err(other) => panic!("{other}"),
        }
    }
    let error = "tpu".parse::<DeviceChoice>().unwrap_err().to_string();
    assert!(
        error.starts_with("unknown device 'tpu': this build has auto, flex"),
        "{error}"
    );
}

#[test]
fn auto_always_finds_something() {
    let selected = DeviceChoice::Auto.select().unwrap();
    assert!(!selected.device.is_autodiff());
    assert!(!selected.description.is_empty());
}

/// With or without a GPU there is no panic, not even the second time.
#[test]
fn a_gpu_is_found_or_not_but_never_a_panic() {
    for _ in 0..2 {
        match DeviceChoice::Wgpu.select() {
            Ok(selected) => assert!(selected.description.contains("wgpu")),
            Err(error) => assert!(error.to_string().contains("flex"), "{error}"),
        }
    }
}

#[test]
fn each_device_has_a_kind() {
    assert_eq!(device_kind(&Device::flex()), "flex");
    assert_eq!(device_kind(&Device::flex().autodiff()), "flex");
    for choice in DeviceChoice::available() {
        if choice == DeviceChoice::Auto {
            continue;
        }
        if let Ok(selected) = choice.select() {
            let kind = device_kind(&selected.device);
            assert!(!kind.is_empty() && kind != "other", "{choice}: {kind}");
            assert_eq!(uses_rayon_pool(&selected.device), kind == "flex");
        }
    }
}
