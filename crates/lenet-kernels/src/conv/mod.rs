//! The convolution block: convolution (stride 1), bias, activation and 2×2 pooling (stride 2) in one pass.
//!
//! ```text
//!           plan.rs      what a layer's shape decides, computed once: ConvPlan
//!          /       \
//! forward.rs       backward/           one pass over a batch, in groups of samples; three of them, by what
//!     |             |    \             has a gradient: every value before the pooling, or each window's argmax
//!     |             |     \
//!  layout.rs -------+     patches/     gradients by patches of the input
//!   /      \
//! windows/  channels/                  what lies side by side in a vector: windows or output channels
//! ```
//!
//! Below them are `geometry.rs` (sizes), `pooling.rs` and `epilogue.rs` (what happens to a window while its
//! values are in registers). Terms used throughout:
//!
//! - A *window* is a 2×2 pooling window, a *place* one of its four values, 0 to 3 in reading order.
//! - A *tap* is one of the `kernel_size²` weights that connect an input channel to an output channel.
//! - A *block* is a number of output channels, or vectors of them, whose sums fit the registers together.
//! - A *tile* is what one run of the innermost loop computes, with all its sums in registers.
//!
//! The hot functions are generic over pulp's `Simd` and marked `#[inline(always)]`, because only code inlined
//! into pulp's entry point is compiled for the instruction set. The compiler may choose not to inline closures and
//! iterator adaptors, which then cost up to half the speed; inner loops are plain loops over slices.

#![expect(
    clippy::indexing_slicing,
    reason = "lengths are checked at the entrance and follow from the plan, so an index out of bounds is a bug \
              that must panic"
)]

mod backward;
mod channels;
mod epilogue;
mod forward;
mod geometry;
mod layout;
mod patches;
mod plan;
mod pooling;
mod windows;

pub use backward::ConvBackward;
pub(crate) use backward::{BackwardGroup, BackwardScratch};
pub(crate) use forward::{ForwardGroup, ForwardScratch};
pub(crate) use layout::Packed;
pub(crate) use plan::GROUP;
pub use plan::{ConvPlan, Saved};
pub use pooling::Pooling;
