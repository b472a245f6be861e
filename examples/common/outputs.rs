use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lenet::data::ImageDataset;
use lenet::plot::LossCurve;
use lenet::train::observer::JsonLines;
use lenet::train::{Evaluation, TrainingRun};
use tempfile::NamedTempFile;

/// The folder a run writes to; each file appears there only when it is whole.
pub(crate) struct Outputs {
    folder: PathBuf,
}

impl Outputs {
    /// Makes the folder, so that an unwritable one is told before the training and not after.
    pub(crate) fn prepare(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .and_then(|()| tempfile::tempfile_in(folder))
            .with_context(|| format!("cannot write to the output folder {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// An observer that writes the metrics; they take their name in [`write`](Self::write).
    pub(crate) fn metrics(&self) -> Result<JsonLines<NamedTempFile>> {
        Ok(JsonLines::new(NamedTempFile::new_in(&self.folder)?))
    }

    pub(crate) fn write(
        &self,
        title: &str,
        run: &TrainingRun,
        result: &Evaluation,
        dataset: &ImageDataset,
        warning: Option<String>,
        metrics: JsonLines<NamedTempFile>,
    ) -> Result<()> {
        let mut curve = LossCurve::new(format!("{title} on {}", dataset.name()), &run.epochs)
            .with_test_accuracy(result.accuracy);
        if let Some(warning) = warning {
            curve = curve.with_warning(warning);
        }
        let path = |name: &str| self.folder.join(name);
        curve.save(path("loss.png"))?;
        curve.save(path("loss.svg"))?;
        metrics
            .finish()
            .context("writing the metrics")?
            .persist(path("metrics.jsonl"))?;
        run.lenet.save_safetensors(path("weights.safetensors"))?;

        println!("loss curve  {} and .svg", path("loss.png").display());
        println!("metrics     {}", path("metrics.jsonl").display());
        println!("weights     {}", path("weights.safetensors").display());
        Ok(())
    }
}
