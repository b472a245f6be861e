//! Cutting a sweep into parts of about the same cost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Sweep, Trial};

/// One part of a sweep that several processes share, such as part 3 of 50.
///
/// All trials of the sweep, the most expensive first, are dealt to the parts in turn: each goes to the part that
/// costs least so far. The costs of two parts therefore differ by at most one trial, and a part has the same trials
/// whatever is on disk already.
///
/// ```
/// use lenet_train::sweep::Partition;
///
/// let part: Partition = "3/50".parse()?;
/// assert_eq!((part.index(), part.count()), (3, 50));
/// assert!("0/50".parse::<Partition>().is_err());
/// # Ok::<(), lenet_train::sweep::InvalidPartition>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Partition {
    index: usize,
    count: usize,
}

/// A larger number of parts is a typing error.
const MAX_PARTS: usize = 100_000;

/// Something that does not name a part of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "invalid part '{found}': expected I/N, such as 3/50, with I from 1 to N and N at most {MAX_PARTS}"
)]
pub struct InvalidPartition {
    /// What was found.
    pub found: String,
}

impl Partition {
    /// Part `index`, from 1, of `count`.
    ///
    /// # Errors
    ///
    /// [`InvalidPartition`] if `index` is 0 or above `count`, or `count` is above 100,000.
    pub fn new(index: usize, count: usize) -> Result<Self, InvalidPartition> {
        if (1..=count).contains(&index) && count <= MAX_PARTS {
            Ok(Self { index, count })
        } else {
            Err(InvalidPartition {
                found: format!("{index}/{count}"),
            })
        }
    }

    /// The number of the part, from 1.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of parts.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The trials of this part of a sweep on `images` training images, the most expensive first.
    pub fn trials<'a>(&self, sweep: &'a Sweep, images: usize) -> Vec<Trial<'a>> {
        let mut parts = cut(sweep, images, self.count);
        parts.swap_remove(self.index - 1)
    }

    /// The results file of this part: beside that of the whole sweep, `trials.jsonl`, such as
    /// `trials.3-of-50.jsonl`.
    pub fn file(&self, whole: impl AsRef<Path>) -> PathBuf {
        let whole = whole.as_ref();
        let mut name = OsString::from(whole.file_stem().unwrap_or_default());
        name.push(format!(".{}-of-{}", self.index, self.count));
        if let Some(extension) = whole.extension() {
            name.push(".");
            name.push(extension);
        }
        whole.with_file_name(name)
    }

    /// The part that a file belongs to, if it has the name of a part of the sweep whose file is `whole`.
    pub(super) fn of_file(file: &Path, whole: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        let rest = name.strip_prefix(whole.file_stem()?.to_str()?)?;
        let (index, rest) = rest.strip_prefix('.')?.split_once("-of-")?;
        let (count, _) = rest.split_once('.').unwrap_or((rest, ""));
        let part = Self::new(index.parse().ok()?, count.parse().ok()?).ok()?;
        // Excludes other spellings of the numbers, and other extensions.
        (part.file(whole).file_name()? == name).then_some(part)
    }
}

/// The trials of each of `count` parts, the most expensive first.
pub(super) fn cut(sweep: &Sweep, images: usize, count: usize) -> Vec<Vec<Trial<'_>>> {
    let mut parts = vec![Vec::new(); count];
    let mut cheapest: BinaryHeap<_> = (0..count).map(|part| Reverse((0, part))).collect();
    for trial in by_cost(sweep.trials(), images) {
        let Some(Reverse((cost, part))) = cheapest.pop() else {
            unreachable!("a sweep is cut into at least one part")
        };
        let Some(trials) = parts.get_mut(part) else {
            unreachable!("there are {count} parts, found number {part}")
        };
        trials.push(trial);
        cheapest.push(Reverse((
            u64::saturating_add(cost, trial.cost(images)),
            part,
        )));
    }
    parts
}

/// Sorts trials by their cost, the most expensive first.
pub(super) fn by_cost(mut trials: Vec<Trial<'_>>, images: usize) -> Vec<Trial<'_>> {
    trials.sort_by_cached_key(|trial| Reverse(trial.cost(images)));
    trials
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Partition {
    type Err = InvalidPartition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPartition {
            found: text.to_owned(),
        };
        let (index, count) = text.split_once('/').ok_or_else(invalid)?;
        let number = |text: &str| text.parse().map_err(|_| invalid());
        Self::new(number(index)?, number(count)?).map_err(|_| invalid())
    }
}

impl From<Partition> for String {
    fn from(partition: Partition) -> Self {
        partition.to_string()
    }
}

impl TryFrom<String> for Partition {
    type Error = InvalidPartition;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use lenet_core::LeNetConfig;
    use proptest::prelude::*;

    use super::*;
    use crate::TrainingConfig;

    fn sweep(channels: &[usize], seeds: u64) -> Sweep {
        let mut sweep = Sweep::new("channels", "channels").with_seeds(0..seeds);
        for (number, &channels) in channels.iter().enumerate() {
            let network = LeNetConfig::modern(10).with_out_channels([channels, 16]);
            sweep.push_setting(
                format!("{number}: {channels}"),
                network,
                TrainingConfig::default(),
            );
        }
        sweep
    }

    proptest! {
        #[test]
        fn every_trial_is_in_one_part_and_costs_differ_by_one_trial_at_most(
            channels in prop::collection::vec(1usize..40, 1..8),
            seeds in 1u64..6,
            count in 1usize..12,
        ) {
            let sweep = sweep(&channels, seeds);
            let parts = cut(&sweep, 100, count);
            let key = |trial: &Trial<'_>| (trial.setting.label.clone(), trial.seed);
            let mut found: Vec<_> = parts.iter().flatten().map(key).collect();
            let mut expected: Vec<_> = sweep.trials().iter().map(key).collect();
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);

            let cost = |part: &Vec<Trial<'_>>| part.iter().map(|trial| trial.cost(100)).sum::<u64>();
            let costs: Vec<u64> = parts.iter().map(cost).collect();
            let dearest = sweep.trials().iter().map(|trial| trial.cost(100)).max();
            let difference = costs.iter().max().unwrap() - costs.iter().min().unwrap();
            prop_assert!(difference <= dearest.unwrap(), "{costs:?}");
            for (index, part) in parts.iter().enumerate() {
                let partition = Partition::new(index + 1, count).unwrap();
                prop_assert_eq!(&partition.trials(&sweep, 100), part);
            }
        }

        #[test]
        fn a_file_says_which_part_it_holds(count in 1usize..2_000, index in 1usize..2_000) {
            prop_assume!(index <= count);
            let part = Partition::new(index, count).unwrap();
            let whole = Path::new("out/channels-trials.jsonl");
            prop_assert_eq!(Partition::of_file(&part.file(whole), whole), Some(part));
            prop_assert_eq!(part.to_string().parse::<Partition>().unwrap(), part);
        }
    }

    #[test]
    fn other_files_are_not_parts() {
        let whole = Path::new("channels-trials.jsonl");
        for name in [
            "channels-trials.jsonl",
            "channels-trials.checkpoints",
            "channels-trials.0-of-3.jsonl",
            "channels-trials.4-of-3.jsonl",
            "channels-trials.03-of-50.jsonl",
            "channels-trials.3-of-50.jsonl~",
            "channels-trials.3-of-50.json",
            "kernels-trials.3-of-50.jsonl",
        ] {
            assert_eq!(Partition::of_file(Path::new(name), whole), None, "{name}");
        }
    }

    #[test]
    fn what_is_not_a_part_is_refused() {
        for text in [
            "1/100001", "", "3", "0/3", "4/3", "3/", "/3", "1/0", "-1/3", "a/b", "1/2/3",
        ] {
            let error = text.parse::<Partition>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }
}
