use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lenet_train::Table;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::{Deserialize, Serialize};

use crate::{PlotError, canvas};

/// What one exercise found, as a section of a [`Report`]; stored as `section.json` beside its
/// pictures.
///
/// ```
/// use lenet_plot::{Block, Section};
///
/// let section = Section::new("q3_mnist", "Exercise 3: MNIST")
///     .with_question("How well does it do on the digits?")
///     .with_fact("learning rate", "0.1")
///     .with_block(Block::Text("Better than on garments.".to_owned()));
/// let folder = tempfile::tempdir()?;
/// section.save(folder.path())?;
/// assert_eq!(Section::load(folder.path())?, section);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Section {
    /// Name of the exercise's program.
    pub name: String,
    /// Title of the section.
    pub title: String,
    /// What the exercise asks.
    pub question: String,
    /// What nobody may overlook, as that the images are drawings.
    pub warnings: Vec<String>,
    /// Circumstances, as the command and its duration: name and value.
    pub facts: Vec<(String, String)>,
    /// What was found, in reading order.
    pub blocks: Vec<Block>,
}

/// A part of a [`Section`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A heading within the section.
    Heading(String),
    /// A table.
    Table(Table),
    /// Text whose spaces and line ends matter.
    Preformatted(String),
    /// A picture in the section's folder.
    Picture {
        /// Name of the PNG or SVG file.
        file: String,
        /// What it shows, in words.
        caption: String,
    },
}

const FILE: &str = "section.json";

impl Section {
    /// A section without content.
    pub fn new(name: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            question: String::new(),
            warnings: Vec::new(),
            facts: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// Sets what the exercise asks.
    #[must_use]
    pub fn with_question(mut self, question: impl Into<String>) -> Self {
        self.question = question.into();
        self
    }

    /// Adds what nobody may overlook.
    #[must_use]
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// Adds a circumstance.
    #[must_use]
    pub fn with_fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Adds a part.
    #[must_use]
    pub fn with_block(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    /// The value of a circumstance.
    pub fn fact(&self, name: &str) -> Option<&str> {
        let mut facts = self.facts.iter();
        let (_, value) = facts.find(|(fact, _)| fact == name)?;
        Some(value)
    }

    /// Writes `section.json` into the folder; an older one is replaced only by a whole one.
    ///
    /// # Errors
    ///
    /// [`PlotError::Io`] if it cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), PlotError> {
        let path = folder.as_ref().join(FILE);
        let json = serde_json::to_vec_pretty(self).map_err(|error| PlotError::Io {
            path: path.clone(),
            source: error.into(),
        })?;
        canvas::write(&json, &path)
    }

    /// Reads `section.json` of a folder.
    ///
    /// # Errors
    ///
    /// [`PlotError::Io`] if there is none, or it is not one.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, PlotError> {
        let path = folder.as_ref().join(FILE);
        let read =
            || -> std::io::Result<Self> { Ok(serde_json::from_slice(&std::fs::read(&path)?)?) };
        read().map_err(|source| PlotError::Io {
            path: path.clone(),
            source,
        })
    }
}

/// Sections as one HTML page that needs no other file: pictures are part of it. It is legible on a
/// phone, and follows the reader's choice of light or dark.
///
/// ```
/// use lenet_plot::{Report, Section};
///
/// let folder = tempfile::tempdir()?;
/// let page = Report::new("The exercises")
///     .with_fact("machine", "2 cores")
///     .with_section(Section::new("lenet", "Classic LeNet"), folder.path())
///     .to_html()?;
/// assert!(page.contains("Classic LeNet"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    facts: Vec<(String, String)>,
    warnings: Vec<String>,
    /// Each with the folder of its pictures.
    sections: Vec<(Section, PathBuf)>,
}

impl Report {
    /// A page without sections.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            facts: Vec::new(),
            warnings: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// Adds a circumstance of the whole.
    #[must_use]
    pub fn with_fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Adds what nobody may overlook.
    #[must_use]
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// Adds a section whose pictures lie in `folder`.
    #[must_use]
    pub fn with_section(mut self, section: Section, folder: impl Into<PathBuf>) -> Self {
        self.sections.push((section, folder.into()));
        self
    }

    /// Writes the page; an older one is replaced only by a whole one.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if a picture cannot be read, or the page cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PlotError> {
        canvas::write(self.to_html()?.as_bytes(), path.as_ref())
    }

    /// The page.
    ///
    /// # Errors
    ///
    /// [`PlotError`] if a picture cannot be read, or its name leads out of its folder.
    pub fn to_html(&self) -> Result<String, PlotError> {
        let sections = self
            .sections
            .iter()
            .map(|(section, folder)| render(section, folder))
            .collect::<Result<Vec<_>, _>>()?;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        h1 { (self.title) }
                        (warnings(&self.warnings))
                        (facts(&self.facts))
                        nav {
                            ol {
                                @for (section, _) in &self.sections {
                                    li { a href={ "#" (section.name) } { (section.title) } }
                                }
                            }
                        }
                    }
                    main { @for section in sections { (section) } }
                }
            }
        };
        Ok(page.into_string())
    }
}

fn render(section: &Section, folder: &Path) -> Result<Markup, PlotError> {
    let blocks = section
        .blocks
        .iter()
        .map(|block| {
            Ok(match block {
                Block::Text(text) => html! { p { (text) } },
                Block::Heading(text) => html! { h3 { (text) } },
                Block::Table(content) => table(content),
                Block::Preformatted(text) => html! { div.wide tabindex="0" { pre { (text) } } },
                Block::Picture { file, caption } => {
                    let source = inline(folder, file)?;
                    html! {
                        figure {
                            div.wide tabindex="0" { img src=(source) alt=(caption); }
                            figcaption { (caption) }
                        }
                    }
                }
            })
        })
        .collect::<Result<Vec<_>, PlotError>>()?;
    Ok(html! {
        section id=(section.name) {
            h2 { (section.title) }
            @if !section.question.is_empty() { p.question { (section.question) } }
            (warnings(&section.warnings))
            @for block in blocks { (block) }
            (facts(&section.facts))
        }
    })
}

fn warnings(lines: &[String]) -> Markup {
    html! { @for line in lines { p.warning { (line) } } }
}

fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl {
                @for (name, value) in facts {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}

fn table(table: &Table) -> Markup {
    let class = |column| table.is_numeric(column).then_some("number");
    html! {
        div.wide tabindex="0" {
            table {
                thead {
                    tr {
                        @for (column, name) in table.head().iter().enumerate() {
                            th scope="col" class=[class(column)] { (name) }
                        }
                    }
                }
                tbody {
                    @for row in table.rows() {
                        tr {
                            @for (column, cell) in row.iter().enumerate() {
                                td class=[class(column)] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The picture as a `data:` address.
fn inline(folder: &Path, file: &str) -> Result<String, PlotError> {
    let path = folder.join(file);
    // Only a plain name: a section from elsewhere must not publish other files.
    let plain = Path::new(file).file_name().is_some_and(|name| name == file);
    let kind = match Path::new(file).extension().and_then(|e| e.to_str()) {
        Some("png") if plain => "image/png",
        Some("svg") if plain => "image/svg+xml",
        _ => return Err(PlotError::Format { path }),
    };
    let bytes = std::fs::read(&path).map_err(|source| PlotError::Io { path, source })?;
    Ok(format!(
        "data:{kind};base64,{}",
        BASE64_STANDARD.encode(bytes)
    ))
}

const STYLE: &str = include_str!("report.css");
