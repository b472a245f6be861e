use super::FoundTensor;

/// Keys under which a PyTorch checkpoint keeps the weights, beside the optimiser's state.
const CHECKPOINT_KEYS: [&str; 2] = ["state_dict.", "model_state_dict."];

/// Most components of a prefix, as the two of `module.net.0.weight`.
const MAX_COMPONENTS: usize = 8;

/// Gives every tensor the name it has in the `state_dict` of a module that holds the notebook's
/// `nn.Sequential` as `net`; names that do not look like that stay as they are.
pub(super) fn to_sequential(tensors: &mut Vec<FoundTensor>) {
    let begins = |key: &&str| tensors.iter().any(|tensor| tensor.name.starts_with(*key));
    if let Some(key) = CHECKPOINT_KEYS.into_iter().find(begins) {
        tensors.retain(|tensor| tensor.name.starts_with(key));
        replace_prefix(tensors, key.len(), "");
    }
    let first = tensors.first().map_or("", |tensor| tensor.name.as_str());
    // What precedes the first number, dot included.
    let components = first.split('.').take(MAX_COMPONENTS + 1);
    let prefix = components.take_while(|component| !is_number(component));
    let len = prefix.map(|component| component.len() + 1).sum::<usize>();
    let prefix = first.get(..len).unwrap_or_default();
    let is_common = |tensor: &FoundTensor| {
        let rest = tensor.name.strip_prefix(prefix);
        rest.is_some_and(|rest| is_number(rest.split('.').next().unwrap_or_default()))
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
