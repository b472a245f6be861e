//! Devices by name: which are compiled in, and how each is opened. Layers run on any burn device.

use std::fmt;
use std::str::FromStr;
#[cfg(feature = "wgpu")]
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
#[cfg(feature = "wgpu")]
use burn::tensor::{
    DeviceKind,
    wgpu::{WgpuBackend, WgpuInitError, WgpuOptions},
};
use thiserror::Error;

use crate::{InvalidRemoteAddress, RemoteAddress};

/// A device by name, such as the value of a `--device` option.
///
/// All variants exist in every build. [`available`](Self::available) lists those that are compiled in, each
/// through the Cargo feature of the same name.
///
/// ```
/// use lenet_core::DeviceChoice;
///
/// let choice: DeviceChoice = "flex".parse()?;
/// let selected = choice.select()?;
/// println!("training on {}", selected.description);
/// assert!("abacus".parse::<DeviceChoice>().is_err());
/// # Ok::<(), lenet_core::DeviceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, otherwise Flex.
    Auto,
    /// The CPU, through burn's pure-Rust Flex backend.
    Flex,
    /// A GPU through Vulkan, Metal or DirectX 12, including software drivers.
    Wgpu,
    /// A GPU through Vulkan.
    Vulkan,
    /// A GPU through Metal.
    Metal,
    /// An NVIDIA GPU through CUDA.
    Cuda,
    /// The CPU, through burn's NdArray backend, which burn has deprecated.
    NdArray,
    /// A device of another machine, served by `lenet serve-device` there. Both programs must be built with the same
    /// release of burn. The token that the server asks for is read from [`REMOTE_TOKEN`](crate::REMOTE_TOKEN).
    Remote(RemoteAddress),
}

/// A device ready for tensors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SelectedDevice {
    /// The device, without autodiff.
    pub device: Device,
    /// A description for people, such as `Flex (CPU)` or `NVIDIA H200 (wgpu)`.
    pub description: String,
    /// Whether it computes on CPU cores.
    pub is_cpu: bool,
}

/// Why a device is unavailable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has this name.
    #[error("unknown device '{found}': this build has {}", names(available))]
    Unknown {
        /// The unknown name.
        found: String,
        /// Devices compiled in.
        available: Vec<DeviceChoice>,
    },
    /// The device is not compiled in.
    #[error(
        "device '{requested}' is not compiled in: this build has {}; rebuild with `--features {}`",
        names(available),
        requested.name()
    )]
    NotCompiled {
        /// The requested device.
        requested: DeviceChoice,
        /// Devices compiled in.
        available: Vec<DeviceChoice>,
    },
    /// The machine has no such hardware or no driver for it.
    #[error("no {requested} device on this machine: {reason}; `flex` runs on every CPU")]
    NoAdapter {
        /// The requested device.
        requested: DeviceChoice,
        /// What the driver reports.
        reason: String,
    },
    /// The text behind `remote:` is not an address.
    #[error(transparent)]
    RemoteAddress(#[from] InvalidRemoteAddress),
    /// The device of another machine could not be opened.
    #[error("cannot open the remote device {address}: {reason}")]
    Remote {
        /// The device.
        address: RemoteAddress,
        /// What happened, and what to do about it.
        reason: String,
    },
}

fn names(choices: &[DeviceChoice]) -> String {
    let names: Vec<String> = choices.iter().map(ToString::to_string).collect();
    names.join(", ")
}

impl DeviceChoice {
    const ALL: [Self; 7] = [
        Self::Auto,
        Self::Flex,
        Self::Wgpu,
        Self::Vulkan,
        Self::Metal,
        Self::Cuda,
        Self::NdArray,
    ];

    /// The name, as parsed by `FromStr` and printed by `Display`; for a remote device they have its address as well,
    /// as in `remote:ID@ADDRESS:PORT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Flex => "flex",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
            Self::NdArray => "ndarray",
            Self::Remote(_) => "remote",
        }
    }

    /// The devices of this machine that are compiled into this build.
    pub fn available() -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|choice| choice.is_compiled())
            .collect()
    }

    /// The devices of this machine that are not compiled into this build. Each needs the Cargo feature of the same name.
    ///
    /// ```
    /// use lenet_core::DeviceChoice;
    ///
    /// for choice in DeviceChoice::unavailable() {
    ///     assert!(choice.select().is_err());
    ///     assert!(!DeviceChoice::available().contains(&choice));
    /// }
    /// ```
    pub fn unavailable() -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|choice| !choice.is_compiled())
            .collect()
    }

    fn is_compiled(self) -> bool {
        match self {
            Self::Auto => Self::ALL
                .into_iter()
                .any(|choice| choice != self && choice.is_compiled()),
            Self::Flex => cfg!(feature = "flex"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Remote(_) => cfg!(feature = "remote"),
        }
    }

    /// Opens the device.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] if it is not compiled in or the machine does not have it.
    pub fn select(self) -> Result<SelectedDevice, DeviceError> {
        match self {
            Self::Auto => select_auto(),
            #[cfg(feature = "flex")]
            Self::Flex => Ok(SelectedDevice {
                device: Device::flex(),
                description: "Flex (CPU)".to_owned(),
                is_cpu: true,
            }),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => select_wgpu(self, &DeviceKind::DefaultDevice, APIS),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => select_wgpu(self, &DeviceKind::DefaultDevice, &[WgpuBackend::Vulkan]),
            #[cfg(feature = "metal")]
            Self::Metal => select_wgpu(self, &DeviceKind::DefaultDevice, &[WgpuBackend::Metal]),
            #[cfg(feature = "cuda")]
            Self::Cuda => select_cuda(),
            #[cfg(feature = "ndarray")]
            #[expect(deprecated, reason = "kept while burn ships it")]
            Self::NdArray => Ok(SelectedDevice {
                device: Device::ndarray(),
                description: "NdArray (CPU)".to_owned(),
                is_cpu: true,
            }),
            #[cfg(feature = "remote")]
            Self::Remote(address) => match address.connect() {
                Ok(device) => Ok(SelectedDevice {
                    device,
                    description: format!("remote device {address}"),
                    is_cpu: false,
                }),
                Err(reason) => Err(DeviceError::Remote { address, reason }),
            },
            #[allow(
                unreachable_patterns,
                reason = "unreachable only with every backend compiled in"
            )]
            requested => Err(DeviceError::NotCompiled {
                requested,
                available: Self::available(),
            }),
        }
    }
}

fn select_auto() -> Result<SelectedDevice, DeviceError> {
    #[cfg(feature = "cuda")]
    if let Ok(selected) = select_cuda() {
        return Ok(selected);
    }
    // Hardware only: the default device may be a software driver, which is slower than Flex.
    #[cfg(feature = "wgpu")]
    for kind in [
        DeviceKind::DiscreteGpu(0),
        DeviceKind::IntegratedGpu(0),
        DeviceKind::VirtualGpu(0),
    ] {
        if let Ok(selected) = select_wgpu(DeviceChoice::Wgpu, &kind, APIS) {
            return Ok(selected);
        }
    }
    if cfg!(feature = "flex") {
        return DeviceChoice::Flex.select();
    }
    DeviceChoice::NdArray.select()
}

/// The graphics APIs behind `wgpu`. OpenGL is not among them: its drivers bind a context to a thread, and opening
/// a second device panics inside wgpu.
#[cfg(feature = "wgpu")]
const APIS: &[WgpuBackend] = if cfg!(target_os = "windows") {
    &[WgpuBackend::Dx12, WgpuBackend::Vulkan]
} else if cfg!(target_vendor = "apple") {
    &[WgpuBackend::Metal]
} else {
    &[WgpuBackend::Vulkan]
};

/// Opens the first adapter of this kind, trying the APIs in turn.
#[cfg(feature = "wgpu")]
fn select_wgpu(
    requested: DeviceChoice,
    kind: &DeviceKind,
    apis: &[WgpuBackend],
) -> Result<SelectedDevice, DeviceError> {
    let mut reason = String::new();
    for &api in apis {
        match open_wgpu(kind, api) {
            Ok(device) => {
                let name = device.identity().map(|identity| identity.name);
                return Ok(SelectedDevice {
                    device,
                    description: format!("{} ({requested})", name.as_deref().unwrap_or("GPU")),
                    is_cpu: false,
                });
            }
            Err(error) => reason = error.to_string(),
        }
    }
    Err(DeviceError::NoAdapter { requested, reason })
}

/// Keeps every open adapter, since burn can open one only once in a process. The lock is held while opening,
/// since drivers crash when several threads open them at the same time.
#[cfg(feature = "wgpu")]
fn open_wgpu(kind: &DeviceKind, api: WgpuBackend) -> Result<Device, WgpuInitError> {
    static OPEN: Mutex<Vec<(DeviceKind, WgpuBackend, Device)>> = Mutex::new(Vec::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((.., device)) = open.iter().find(|(k, a, _)| k == kind && *a == api) {
        return Ok(device.clone());
    }
    let options = WgpuOptions::default()
        .device_kind(kind.clone())
        .graphics_api(api);
    let device = options.init()?;
    open.push((kind.clone(), api, device.clone()));
    Ok(device)
}

#[cfg(feature = "cuda")]
fn select_cuda() -> Result<SelectedDevice, DeviceError> {
    use burn::tensor::DeviceType;

    let device = Device::enumerate(DeviceType::Cuda).into_iter().next();
    let device = device.ok_or_else(|| DeviceError::NoAdapter {
        requested: DeviceChoice::Cuda,
        reason: "no NVIDIA driver or no device".to_owned(),
    })?;
    let name = device
        .identity()
        .map_or_else(|| "GPU".to_owned(), |identity| identity.name);
    Ok(SelectedDevice {
        device,
        description: format!("{name} (cuda)"),
        is_cpu: false,
    })
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(address) => write!(f, "remote:{address}"),
            _ => f.write_str(self.name()),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let choice = match name.strip_prefix("remote:") {
            Some(address) => Some(Self::Remote(address.parse()?)),
            None if name == "remote" => Some(Self::Remote("".parse()?)),
            None => Self::ALL.into_iter().find(|choice| choice.name() == name),
        };
        let choice = choice.ok_or_else(|| DeviceError::Unknown {
            found: name.to_owned(),
            available: Self::available(),
        })?;
        if !choice.is_compiled() {
            return Err(DeviceError::NotCompiled {
                requested: choice,
                available: Self::available(),
            });
        }
        Ok(choice)
    }
}
