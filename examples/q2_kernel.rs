//! Exercise 2: the size of the convolution kernels, every convolution padded by 2.
//!
//! It is declared in `crates/lenet-cli/src/exercises/q2_kernel.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lenet_cli::exercises::Q2_KERNEL.main()
}
