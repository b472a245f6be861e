use sysinfo::{CpuRefreshKind, RefreshKind, System};

/// The machine in a few words: processor, cores, system.
pub(crate) fn description() -> String {
    let cpu = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(cpu);
    let brand = system.cpus().first().map_or("", |cpu| cpu.brand().trim());
    let brand = if brand.is_empty() {
        "unknown processor"
    } else {
        brand
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = System::long_os_version().unwrap_or_else(|| std::env::consts::OS.to_owned());
    format!("{brand}, {cores} cores, {system}")
}
