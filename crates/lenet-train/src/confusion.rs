//! The confusion matrix and its table.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How often each class was predicted for each class; its [`Display`](fmt::Display) output is a table.
///
/// ```
/// use lenet_train::ConfusionMatrix;
///
/// let matrix = ConfusionMatrix::new(["cat", "dog"], &[0, 0, 1], &[0, 1, 1]);
/// assert_eq!(matrix.count(0, 1), 1);
/// assert_eq!(matrix.class_accuracy(), [Some(0.5), Some(1.0)]);
/// println!("{matrix}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    class_names: Vec<String>,
    /// One row per true class, one column per predicted class.
    counts: Vec<Vec<u64>>,
}

impl ConfusionMatrix {
    /// Counts pairs of true and predicted classes; pairs with an unknown class are ignored.
    pub fn new<S: Into<String>>(
        class_names: impl IntoIterator<Item = S>,
        labels: &[usize],
        predictions: &[usize],
    ) -> Self {
        let class_names: Vec<String> = class_names.into_iter().map(Into::into).collect();
        let mut counts = vec![vec![0; class_names.len()]; class_names.len()];
        for (&label, &prediction) in labels.iter().zip(predictions) {
            if let Some(count) = counts
                .get_mut(label)
                .and_then(|row| row.get_mut(prediction))
            {
                *count += 1;
            }
        }
        Self {
            class_names,
            counts,
        }
    }

    /// The names of the classes.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Images of class `label` for which class `prediction` was predicted; 0 for unknown classes.
    pub fn count(&self, label: usize, prediction: usize) -> u64 {
        self.counts
            .get(label)
            .and_then(|row| row.get(prediction))
            .copied()
            .unwrap_or(0)
    }

    /// Fraction of each class's images that was classified correctly, from 0 to 1; `None` for a class without
    /// images.
    pub fn class_accuracy(&self) -> Vec<Option<f64>> {
        let rows = self.counts.iter().enumerate();
        rows.map(|(class, row)| {
            let total: u64 = row.iter().sum();
            (total > 0).then(|| self.count(class, class) as f64 / total as f64)
        })
        .collect()
    }

    /// Fraction of all images that was classified correctly, from 0 to 1; 0 if there are none.
    pub fn accuracy(&self) -> f64 {
        let total: u64 = self.counts.iter().flatten().sum();
        let correct: u64 = (0..self.counts.len())
            .map(|class| self.count(class, class))
            .sum();
        correct as f64 / total.max(1) as f64
    }
}

impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.class_names.iter().map(|name| name.chars().count());
        let name = names.max().unwrap_or(0).max("true \\ predicted".len());
        write!(f, "{:name$}", "true \\ predicted")?;
        for class in &self.class_names {
            let short: String = class.chars().take(7).collect();
            write!(f, " {short:>7}")?;
        }
        writeln!(f, "  accuracy")?;
        for ((class, row), accuracy) in self
            .class_names
            .iter()
            .zip(&self.counts)
            .zip(self.class_accuracy())
        {
            write!(f, "{class:name$}")?;
            for count in row {
                write!(f, " {count:>7}")?;
            }
            match accuracy {
                Some(accuracy) => writeln!(f, "  {accuracy:.3}")?,
                None => writeln!(f, "  -")?,
            }
        }
        Ok(())
    }
}
