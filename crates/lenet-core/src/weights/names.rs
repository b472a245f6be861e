//! From the names in a file to those of the notebook's `nn.Sequential`.

use super::FoundTensor;

/// Keys of the weights in a PyTorch checkpoint, which also holds the optimiser's state.
const CHECKPOINT_KEYS: [&str; 2] = ["state_dict.", "model_state_dict."];

/// Longest prefix in components; that of `module.net.0.weight` has two.
const MAX_COMPONENTS: usize = 8;

/// Renames every tensor as in the `state_dict` of a module with the notebook's `nn.Sequential` in its field
/// `net`. Names without a module number stay as they are.
pub(super) fn to_sequential(tensors: &mut Vec<FoundTensor>) {
    let begins = |key: &&str| tensors.iter().any(|tensor| tensor.name.starts_with(*key));
    if let Some(key) = CHECKPOINT_KEYS.into_iter().find(begins) {
        tensors.retain(|tensor| tensor.name.starts_with(key));
        replace_prefix(tensors, key.len(), "");
    }
    let first = tensors.first().map_or("", |tensor| tensor.name.as_str());
    // Everything before the first number, including the dot.
    let components = first.split('.').take(MAX_COMPONENTS + 1);
    let prefix = components.take_while(|component| !is_number(component));
    let len = prefix.map(|component| component.len() + 1).sum::<usize>();
    let Some(prefix) = first.get(..len) else {
        return; // The first name has no number.
    };
    let is_common = |tensor: &FoundTensor| {
        let rest = tensor.name.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.split('.').next().is_some_and(is_number))
    };
    if tensors.iter().all(is_common) {
        replace_prefix(tensors, len, "net.");
    }
}

fn is_number(component: &str) -> bool {
    !component.is_empty() && component.bytes().all(|byte| byte.is_ascii_digit())
}

fn replace_prefix(tensors: &mut [FoundTensor], len: usize, with: &str) {
    for tensor in tensors {
        tensor.name.replace_range(..len, with);
    }
}
