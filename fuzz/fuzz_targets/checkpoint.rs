//! Any bytes as a checkpoint of the run that their metadata names.

#![no_main]

use libfuzzer_sys::fuzz_target;
use safetensors::SafeTensors;
use serde_json::Value;

/// The run that the bytes name.
fn run(bytes: &[u8]) -> Option<Value> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    let text = metadata.metadata().as_ref()?.get("lenet_checkpoint")?.clone();
    let metadata: Value = serde_json::from_str(&text).ok()?;
    metadata.get("run").cloned()
}

fuzz_target!(|bytes: &[u8]| {
    let run = run(bytes).unwrap_or(Value::Null);
    let _ = lenet_train::fuzzing::is_checkpoint(bytes, &run);
});
