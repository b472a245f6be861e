//! What a network does in one step, as kernels read it.

/// One step of one network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Position of its first image in the order of the epoch.
    pub start: usize,
    /// Number of its images: those of a batch, or fewer in the last step of an epoch.
    pub images: usize,
    /// Learning rate of SGD.
    pub learning_rate: f32,
    /// Momentum of SGD, from 0 (none) to below 1.
    pub momentum: f32,
    /// Weight decay of SGD: an L2 penalty added to the gradient.
    pub weight_decay: f32,
    /// The largest L2 norm of each parameter's gradient; `None` does not clip.
    pub gradient_clipping: Option<f32>,
}

/// Values of a step in a buffer.
pub(crate) const CONTROLS: usize = 7;
pub(crate) const START: usize = 0;
pub(crate) const IMAGES: usize = 1;
pub(crate) const RATE: usize = 2;
pub(crate) const MOMENTUM: usize = 3;
pub(crate) const WEIGHT_DECAY: usize = 4;
pub(crate) const CLIPPING: usize = 5;
pub(crate) const LOSS: usize = 6;

impl Step {
    /// The values, floats as their bits. The loss will be written at `loss`.
    pub(crate) fn controls(&self, loss: usize) -> [u32; CONTROLS] {
        let mut values = [0; CONTROLS];
        values[START] = self.start as u32;
        values[IMAGES] = self.images as u32;
        values[RATE] = self.learning_rate.to_bits();
        values[MOMENTUM] = self.momentum.to_bits();
        values[WEIGHT_DECAY] = self.weight_decay.to_bits();
        values[CLIPPING] = self.gradient_clipping.unwrap_or(f32::MAX).to_bits();
        values[LOSS] = loss as u32;
        values
    }
}
