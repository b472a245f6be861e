//! What one exercise found: results as they were measured, and the text around them. Nothing is formatted here.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use lenet_core::file::write_file;
use lenet_train::sweep::SweepResult;
use lenet_train::{EpochMetrics, Evaluation};
use serde::{Deserialize, Serialize};

use crate::output::Table;

const FILE: &str = "section.json";

/// A section of the report, stored as `section.json` in the output directory of its exercise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    /// Name of the exercise.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) question: String,
    /// Warnings that readers must not miss, such as synthetic images.
    pub(crate) warnings: Vec<String>,
    /// Names and values, such as the command and its duration.
    pub(crate) facts: Vec<(String, String)>,
    /// In reading order.
    pub(crate) blocks: Vec<Block>,
}

/// A part of a [`Section`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Block {
    Text(String),
    Heading(String),
    Table(Table),
    /// Text whose spaces and line breaks matter.
    Preformatted(String),
    /// A PNG or SVG file in the section's directory.
    Picture {
        file: String,
        caption: String,
    },
    /// A network on the test images.
    Evaluation(Evaluation),
    /// The epochs of a run.
    Epochs(Vec<EpochMetrics>),
    /// A comparison.
    Sweep(SweepResult),
}

impl Section {
    /// A section without content.
    pub(crate) fn new(name: &str, title: &str, question: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            question: question.to_owned(),
            warnings: Vec::new(),
            facts: Vec::new(),
            blocks: Vec::new(),
        }
    }

    pub(crate) fn add_warning(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    pub(crate) fn add_fact(&mut self, name: &str, value: impl Into<String>) {
        self.facts.push((name.to_owned(), value.into()));
    }

    /// The value of a fact.
    pub(crate) fn fact(&self, name: &str) -> Option<&str> {
        let mut facts = self.facts.iter();
        let (_, value) = facts.find(|(fact, _)| fact == name)?;
        Some(value)
    }

    /// Whether a directory holds a section.
    pub(crate) fn exists(folder: &Path) -> bool {
        folder.join(FILE).exists()
    }

    /// Writes the section atomically.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let json = serde_json::to_vec_pretty(self)?;
        write_file(&path, &json).with_context(|| format!("writing {}", path.display()))
    }

    /// Reads the section of a directory.
    pub(crate) fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let read = || -> Result<Self> { Ok(serde_json::from_slice(&fs::read(&path)?)?) };
        read().with_context(|| format!("reading {}", path.display()))
    }

    /// Removes the section of a directory, if there is one.
    pub(crate) fn remove(folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error)
                .with_context(|| format!("removing {}, of an earlier run", path.display())),
            _ => Ok(()),
        }
    }
}
