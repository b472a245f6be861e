//! Describes the machine, for reports and model cards.

use sysinfo::{CpuRefreshKind, RefreshKind, System};

/// Processor, number of cores and operating system.
pub(crate) fn description() -> String {
    let cpu = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(cpu);
    let brand = match system.cpus().first().map(|cpu| cpu.brand().trim()) {
        Some(brand) if !brand.is_empty() => brand,
        _ => "unknown processor",
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = System::long_os_version().unwrap_or_else(|| std::env::consts::OS.to_owned());
    format!("{brand}, {cores} cores, {system}")
}
