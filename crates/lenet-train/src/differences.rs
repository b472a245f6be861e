//! How a file's description of its run or sweep differs from the current one.

use serde_json::Value;

/// The differences between two JSON documents, one line each, with the path.
pub(crate) fn differences(found: &Value, expected: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", found, expected, &mut lines);
    lines
}

fn compare(path: &str, found: &Value, expected: &Value, lines: &mut Vec<String>) {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let dot = if path.is_empty() { "" } else { "." };
                compare(
                    &format!("{path}{dot}{key}"),
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                    lines,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{index}]"), a, b, lines);
            }
        }
        (Value::Array(a), Value::Array(b)) => lines.push(format!(
            "{path}: {} entries in the file, {} now",
            a.len(),
            b.len()
        )),
        _ if found == expected => {}
        _ => lines.push(format!("{path}: {found} in the file, {expected} now")),
    }
}
