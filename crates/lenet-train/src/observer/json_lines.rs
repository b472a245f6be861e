//! Events as JSON, for other programs.

use std::io::{self, Write};

use crate::{Event, Observer};

/// Writes each event as a line of JSON, except single steps.
///
/// ```
/// use lenet_train::{Event, Observer, observer::JsonLines};
///
/// let mut lines = JsonLines::new(Vec::new());
/// lines.observe(&Event::Finished);
/// assert_eq!(lines.finish()?, b"{\"event\":\"finished\"}\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
    error: Option<io::Error>,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`, one complete line at a time.
    pub fn new(out: W) -> Self {
        Self { out, error: None }
    }

    /// Returns `out`.
    ///
    /// # Errors
    ///
    /// The first error that occurred while writing. Nothing was written after it.
    pub fn finish(self) -> io::Result<W> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.out),
        }
    }

    fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}

impl<W: Write + Send> Observer for JsonLines<W> {
    fn observe(&mut self, event: &Event<'_>) {
        let is_step = matches!(
            event,
            Event::Step { .. }
                | Event::Trial {
                    event: Event::Step { .. },
                    ..
                }
        );
        if self.error.is_none() && !is_step {
            self.error = self.write(event).err();
        }
    }
}
