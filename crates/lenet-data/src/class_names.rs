//! Names for the classes of a network whose data set may be unknown.

use thiserror::Error;

use crate::KnownDataset;

/// Names for the classes of a network with so many of them: those of the data set that it was trained on, or `class 0`
/// and so on if that is unknown.
///
/// ```
/// use lenet_data::{KnownDataset, class_names};
///
/// assert_eq!(class_names(Some(KnownDataset::FashionMnist), 10)?[4], "coat");
/// assert_eq!(class_names(None, 2)?, ["class 0", "class 1"]);
/// assert_eq!(
///     class_names(Some(KnownDataset::Mnist), 7).unwrap_err().to_string(),
///     "the network has 7 classes, but mnist has 10: name the data set that it was trained on, or none"
/// );
/// # Ok::<(), lenet_data::ClassCountError>(())
/// ```
///
/// # Errors
///
/// [`ClassCountError`] if the data set has another number of classes.
pub fn class_names(
    dataset: Option<KnownDataset>,
    classes: usize,
) -> Result<Vec<String>, ClassCountError> {
    let Some(dataset) = dataset else {
        return Ok((0..classes).map(|class| format!("class {class}")).collect());
    };
    let names = dataset.class_names();
    if names.len() != classes {
        return Err(ClassCountError {
            dataset,
            expected: names.len(),
            found: classes,
        });
    }
    Ok(names.map(str::to_owned).to_vec())
}

/// A network has another number of classes than the data set that names them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the network has {found} classes, but {dataset} has {expected}: name the data set that it was trained on, or none"
)]
#[non_exhaustive]
pub struct ClassCountError {
    /// The data set.
    pub dataset: KnownDataset,
    /// Classes of the data set.
    pub expected: usize,
    /// Classes of the network.
    pub found: usize,
}
