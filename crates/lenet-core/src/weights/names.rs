use super::FoundTensor;

/// Keys under which a PyTorch checkpoint keeps the weights, beside the optimiser's state.
const CHECKPOINT_KEYS: [&str; 2] = ["state_dict.", "model_state_dict."];

/// Gives every tensor the name it has in the `state_dict` of a module that holds the notebook's
/// `nn.Sequential` as `net`; names that do not look like that stay as they are.
pub(super) fn to_sequential(tensors: &mut Vec<FoundTensor>) {
    let begins = |key: &&str| tensors.iter().any(|tensor| tensor.name.starts_with(*key));
    if let Some(key) = CHECKPOINT_KEYS.into_iter().find(begins) {
        tensors.retain_mut(|tensor| strip(&mut tensor.name, key));
    }
    while let Some(prefix) = common_prefix(tensors) {
        for tensor in tensors.iter_mut() {
            strip(&mut tensor.name, &prefix);
        }
    }
    for tensor in tensors.iter_mut() {
        if tensor.name.starts_with(|c: char| c.is_ascii_digit()) {
            tensor.name.insert_str(0, "net.");
        }
    }
}

fn strip(name: &mut String, prefix: &str) -> bool {
    match name.strip_prefix(prefix) {
        Some(rest) => {
            *name = rest.to_owned();
            true
        }
        None => false,
    }
}

/// The first component of all names, with its dot, if it is the same and no module's number.
fn common_prefix(tensors: &[FoundTensor]) -> Option<String> {
    let first = tensors.first()?.name.as_str();
    let (component, _) = first.split_once('.')?;
    let prefix = format!("{component}.");
    let is_number = component.bytes().all(|byte| byte.is_ascii_digit());
    let is_common = tensors.iter().all(|t| t.name.starts_with(&prefix));
    (!is_number && is_common).then_some(prefix)
}
