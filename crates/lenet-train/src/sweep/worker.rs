//! Where trials run.

use std::thread;

use burn::tensor::Device;
use lenet_core::device_kind;

/// A place to run one trial at a time: a device, and the threads it may use on a CPU.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Worker {
    /// The device that computes.
    pub device: Device,
    /// Threads for work on the host.
    pub threads: usize,
}

impl Worker {
    /// A worker on `device` with this many threads; 0 counts as 1.
    pub fn new(device: Device, threads: usize) -> Self {
        Self {
            device,
            threads: threads.max(1),
        }
    }

    /// The kind of its device, which each result records.
    pub(super) fn kind(&self) -> &'static str {
        device_kind(&self.device)
    }

    /// `jobs` workers on one device that share the cores of the machine.
    ///
    /// For networks as small as LeNet, one worker per core completes the most trials per hour, because no
    /// thread waits for another. More workers than cores only use more memory. On a GPU, the trials of several workers
    /// train side by side in the same launches, so it wants as many workers as there are trials, or as its memory allows.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use lenet_train::sweep::Worker;
    ///
    /// let workers = Worker::share_cores(&Device::flex(), 2);
    /// assert_eq!(workers.len(), 2);
    /// assert!(workers[0].threads >= 1);
    /// ```
    pub fn share_cores(device: &Device, jobs: usize) -> Vec<Self> {
        let jobs = jobs.max(1);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        // The first workers take the remainder.
        let threads = |job| cores / jobs + usize::from(job < cores % jobs);
        (0..jobs)
            .map(|job| Self::new(device.clone(), threads(job)))
            .collect()
    }
}
