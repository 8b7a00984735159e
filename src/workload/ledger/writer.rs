//! Appending to a ledger.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::workload::ledger::Line;
use crate::workload::message::now_ms;

/// A ledger that is being written, or none when the process keeps none.
#[derive(Debug)]
pub struct Writer {
    file: Option<File>,
}

impl Writer {
    /// Creates `<folder>/<name>.jsonl` with its first line; without a folder, nothing is kept.
    ///
    /// # Errors
    /// When the file cannot be created or written, or is there already.
    pub fn create(folder: Option<&Path>, name: &str, header: &Line) -> anyhow::Result<Self> {
        let Some(folder) = folder else {
            return Ok(Self { file: None });
        };
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
        let path = folder.join(format!("{name}.jsonl"));
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("cannot create the ledger {}", path.display()))?;
        let writer = Self { file: Some(file) };
        writer.append(header)?;
        Ok(writer)
    }

    /// Appends a line, in one write.
    ///
    /// # Errors
    /// When it cannot be written, such as on a full disk.
    pub fn append(&self, line: &Line) -> anyhow::Result<()> {
        let Some(mut file) = self.file.as_ref() else {
            return Ok(());
        };
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        file.write_all(&bytes).context("cannot write the ledger")
    }

    /// Appends a line whose loss makes the ledger poorer but not wrong; a failure is logged.
    pub fn append_or_log(&self, line: &Line) {
        if let Err(error) = self.append(line) {
            tracing::error!("{error:#}");
        }
    }

    /// Notes that the client took a new producer epoch, which it had not when last seen at `since`.
    pub fn epoch(&self, since: i64) {
        self.append_or_log(&Line::Epoch { at: now_ms(), since });
    }

    /// Appends a note.
    pub fn note(&self, message: impl Into<String>) {
        self.append_or_log(&Line::Note {
            at: now_ms(),
            message: message.into(),
        });
    }
}
