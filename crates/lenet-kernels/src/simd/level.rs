//! The SIMD levels that a machine has, selected at run time, and the choice of tiles that follows from them.

use std::fmt;

#[cfg(not(target_arch = "x86_64"))]
use pulp::Arch;
#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Simd, WithSimd};

/// A SIMD level: an instruction set that the kernels are compiled for.
///
/// ```
/// use lenet_kernels::SimdLevel;
///
/// for level in SimdLevel::all() {
///     println!("{level}");
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SimdLevel(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    #[cfg(not(target_arch = "x86_64"))]
    Best(Arch),
    Scalar,
    #[cfg(target_arch = "x86_64")]
    V3(V3),
    #[cfg(target_arch = "x86_64")]
    V4(V4),
}

impl SimdLevel {
    /// The fastest level of this machine.
    pub fn best() -> Self {
        #[cfg(not(target_arch = "x86_64"))]
        return Self(Kind::Best(Arch::new()));
        // Not `Arch`: its dispatch would compile every kernel once more without vectors.
        #[cfg(target_arch = "x86_64")]
        V4::try_new()
            .map(Kind::V4)
            .or_else(|| V3::try_new().map(Kind::V3))
            .map_or(Self(Kind::Scalar), Self)
    }

    /// All levels of this machine, slowest first.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self(Kind::Scalar)];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(V3::try_new().map(|v3| Self(Kind::V3(v3))));
            all.extend(V4::try_new().map(|v4| Self(Kind::V4(v4))));
        }
        #[cfg(not(target_arch = "x86_64"))]
        all.push(Self::best());
        all
    }

    pub(crate) fn vectors(self) -> Vectors {
        self.run(Measure)
    }

    #[inline]
    pub(crate) fn run<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self.0 {
            #[cfg(not(target_arch = "x86_64"))]
            Kind::Best(arch) => arch.dispatch(op),
            Kind::Scalar => op.with_simd(pulp::Scalar),
            #[cfg(target_arch = "x86_64")]
            Kind::V3(v3) => pulp::Simd::vectorize(v3, op),
            #[cfg(target_arch = "x86_64")]
            Kind::V4(v4) => pulp::Simd::vectorize(v4, op),
        }
    }
}

/// The vector registers of a SIMD level.
#[derive(Clone, Copy)]
pub(crate) struct Vectors {
    /// Floats in a vector.
    pub(crate) lanes: usize,
    /// Number of vector registers.
    pub(crate) registers: usize,
}

/// Whether there are enough registers for large tiles, known at compile time.
pub(crate) const fn has_many_registers<S: Simd>() -> bool {
    S::REGISTER_COUNT >= 32
}

/// Calls a method that takes the shape of a tile as two constants. It is compiled for the shapes listed as
/// `many` if the level has many registers, for those listed as `few` if not, and for no others.
macro_rules! for_tile {
    ($call:tt, $shape:expr, many: $many:tt, few: $few:tt) => {
        if const { $crate::simd::has_many_registers::<S>() } {
            for_tile!($call, $shape, $many)
        } else {
            for_tile!($call, $shape, $few)
        }
    };
    (($self:ident.$method:ident $arguments:tt), $shape:expr, [$(($a:literal $b:literal))*]) => {
        match $shape {
            $(($a, $b) => $self.$method::<S, $a, $b> $arguments,)*
            shape => unreachable!("no tile has the shape {shape:?}"),
        }
    };
}
pub(crate) use for_tile;

struct Measure;

impl WithSimd for Measure {
    type Output = Vectors;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Vectors {
        Vectors {
            lanes: S::F32_LANES,
            registers: S::REGISTER_COUNT,
        }
    }
}

impl fmt::Display for SimdLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            #[cfg(not(target_arch = "x86_64"))]
            Kind::Best(_) => "best",
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::V3(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::V4(_) => "AVX-512",
        })
    }
}
