//! Renders sections as one self-contained HTML page, which is readable on a phone and follows the reader's choice of a
//! light or dark theme.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lenet_train::sweep::SweepResult;
use lenet_train::{EpochMetrics, Evaluation};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Block, Section};
use crate::output::{Table, to_table};

const STYLE: &str = include_str!("report.css");

pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) warnings: Vec<String>,
    pub(crate) facts: Vec<(String, String)>,
    /// Each section with the directory of its figures.
    pub(crate) sections: Vec<(Section, PathBuf)>,
}

impl Page {
    /// Renders the page; it fails if a picture cannot be read.
    pub(crate) fn to_html(&self) -> Result<String> {
        let sections = self.sections.iter();
        let sections = sections.map(|(section, folder)| render(section, folder));
        let sections = sections.collect::<Result<Vec<_>>>()?;
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

fn render(section: &Section, folder: &Path) -> Result<Markup> {
    let blocks = section
        .blocks
        .iter()
        .map(|block| self::block(block, folder));
    let blocks = blocks.collect::<Result<Vec<_>>>()?;
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

fn block(block: &Block, folder: &Path) -> Result<Markup> {
    Ok(match block {
        Block::Text(text) => html! { p { (text) } },
        Block::Heading(text) => html! { h3 { (text) } },
        Block::Table(content) => table(content),
        Block::Preformatted(text) => preformatted(text),
        Block::Picture { file, caption } => {
            let source = inline(folder, file)?;
            html! {
                figure {
                    div.wide tabindex="0" { img src=(source) alt=(caption); }
                    figcaption { (caption) }
                }
            }
        }
        Block::Evaluation(result) => evaluation(result),
        Block::Epochs(epochs) => table(&epoch_table(epochs)),
        Block::Sweep(result) => sweep(result),
    })
}

fn evaluation(result: &Evaluation) -> Markup {
    html! {
        p {
            "Test accuracy " (format!("{:.4}", result.accuracy)) ", test loss "
            (format!("{:.4}", result.mean_loss)) ", on " (result.images) " images."
        }
        (preformatted(&result.confusion.to_string()))
    }
}

fn epoch_table(epochs: &[EpochMetrics]) -> Table {
    let mut table = Table::new(["epoch", "mean loss", "last batch", "seconds"]);
    for metrics in epochs {
        table.push_row([
            metrics.epoch.to_string(),
            format!("{:.4}", metrics.mean_loss),
            format!("{:.4}", metrics.last_batch_loss),
            format!("{:.2}", metrics.seconds),
        ]);
    }
    table
}

fn sweep(result: &SweepResult) -> Markup {
    html! {
        (table(&to_table(result)))
        @for note in result.notes() { p { (note) } }
    }
}

fn preformatted(text: &str) -> Markup {
    html! { div.wide tabindex="0" { pre { (text) } } }
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

/// A picture as a `data:` URL.
fn inline(folder: &Path, file: &str) -> Result<String> {
    let path = folder.join(file);
    // An untrusted section must not publish files from outside its directory.
    let is_plain = Path::new(file).file_name().is_some_and(|name| name == file);
    let media_type = match path.extension().and_then(|extension| extension.to_str()) {
        Some("png") if is_plain => "image/png",
        Some("svg") if is_plain => "image/svg+xml",
        _ => bail!(
            "{}: a picture of a section must be a .png or .svg file in the section's directory",
            path.display()
        ),
    };
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(format!(
        "data:{media_type};base64,{}",
        BASE64_STANDARD.encode(bytes)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(file: &str) -> Section {
        let mut section = Section::new("q3_mnist", "Digits <3", "How well?");
        section.add_fact("rate", "0.1 & falling");
        section.blocks.push(Block::Picture {
            file: file.to_owned(),
            caption: "A \"caption\"".to_owned(),
        });
        section
    }

    fn page(section: Section, folder: &Path) -> Result<String> {
        let page = Page {
            title: "Exercises".to_owned(),
            warnings: vec!["Quick".to_owned()],
            facts: Vec::new(),
            sections: vec![(section, folder.to_owned())],
        };
        page.to_html()
    }

    #[test]
    fn text_is_escaped_and_pictures_are_part_of_the_page() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("a.svg"), "<svg/>")?;
        let section = section("a.svg");
        section.save(folder.path())?;
        assert_eq!(Section::load(folder.path())?, section);
        let page = page(section, folder.path())?;
        for expected in [
            "Digits &lt;3",
            "0.1 &amp; falling",
            "data:image/svg+xml;base64,PHN2Zy8+",
            "Quick",
        ] {
            assert!(page.contains(expected), "'{expected}' is not in:\n{page}");
        }
        Ok(())
    }

    #[test]
    fn files_outside_of_the_directory_are_not_published() -> Result<()> {
        let folder = tempfile::tempdir()?;
        for file in ["../secret.png", "/etc/passwd", "notes.txt", "sub/a.png"] {
            let error = page(section(file), folder.path()).unwrap_err();
            assert!(
                error.to_string().contains("must be a .png or .svg file"),
                "{error:#}"
            );
        }
        assert!(page(section("missing.png"), folder.path()).is_err());
        Ok(())
    }
}
