//! What kind of device one is, for those who have it already.

use burn::tensor::Device;

/// Whether this device computes in the current rayon pool and keeps tensors in this program's memory, as Flex
/// does. Such a device can be given a thread pool of its own.
///
/// ```
/// use burn::tensor::Device;
/// use lenet_core::uses_rayon_pool;
///
/// assert!(uses_rayon_pool(&Device::flex()));
/// ```
pub fn uses_rayon_pool(device: &Device) -> bool {
    device_kind(device) == "flex"
}

/// The kind of a device: `flex`, `ndarray`, `wgpu`, `cuda`, `metal`, `rocm`, `cpu` (CubeCL's CPU backend), `remote`, or
/// `other` for a backend without a feature in this crate.
///
/// Devices of the same kind produce the same results, or nearly so. Devices of different kinds round
/// differently.
///
/// ```
/// use burn::tensor::Device;
/// use lenet_core::device_kind;
///
/// assert_eq!(device_kind(&Device::flex()), "flex");
/// ```
pub fn device_kind(device: &Device) -> &'static str {
    match device.clone().without_autodiff().as_dispatch() {
        #[cfg(feature = "flex")]
        burn::backend::DispatchDevice::Flex(_) => "flex",
        #[cfg(feature = "ndarray")]
        burn::backend::DispatchDevice::NdArray(_) => "ndarray",
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        burn::backend::DispatchDevice::Cube(device) => cube_kind(device),
        #[cfg(feature = "remote")]
        burn::backend::DispatchDevice::Remote(_) => "remote",
        #[allow(
            unreachable_patterns,
            reason = "unreachable only if burn has no other backend"
        )]
        _ => "other",
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn cube_kind(device: &burn::backend::CubeDevice) -> &'static str {
    use burn::backend::CubeDevice;

    match device {
        CubeDevice::Cuda(_) => "cuda",
        CubeDevice::Hip(_) => "rocm",
        CubeDevice::Metal(_) => "metal",
        CubeDevice::Wgpu(_) => "wgpu",
        CubeDevice::Cpu(_) => "cpu",
        _ => "other",
    }
}
