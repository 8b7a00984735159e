//! How a judged run is reported: on stdout, and in files for others to read.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::report::{Format, Judgement};
use crate::state::publish;

/// How a judged run is reported.
#[derive(Debug, Clone, clap::Args)]
pub struct Reports {
    /// Format of the result on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Short for --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Also write a file in each of these formats, separated by commas
    #[arg(long, value_enum, value_name = "FORMAT", value_delimiter = ',')]
    report: Vec<Format>,
    /// Folder for these files, made if it is not there [default: the run's folder]
    #[arg(long, value_name = "DIR", requires = "report")]
    output: Option<PathBuf>,
}

impl Reports {
    /// Makes the folder for the files, so that a long run does not end with one that cannot be made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn prepare(&self) -> anyhow::Result<()> {
        match &self.output {
            Some(folder) => {
                std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
            }
            None => Ok(()),
        }
    }

    /// Whether files were asked for and not where to.
    pub fn needs_folder(&self) -> bool {
        !self.report.is_empty() && self.output.is_none()
    }

    /// Whether anything but a table for people was asked for.
    pub fn for_machines(&self) -> bool {
        self.format() != Format::Table || !self.report.is_empty()
    }

    /// Prints a judgement on stdout.
    ///
    /// # Errors
    /// When it cannot be rendered.
    pub fn show(&self, judgement: &Judgement) -> anyhow::Result<()> {
        let text = judgement.render(self.format(), std::io::stdout().is_terminal())?;
        // A reader that went away does not change the verdict.
        let _ = std::io::stdout().write_all(text.as_bytes());
        Ok(())
    }

    /// Prints a judgement on stdout unless it would be a table, for people who are told otherwise.
    ///
    /// # Errors
    /// When it cannot be rendered.
    pub fn show_to_machines(&self, judgement: &Judgement) -> anyhow::Result<()> {
        match self.format() {
            Format::Table => Ok(()),
            _ => self.show(judgement),
        }
    }

    /// Writes the files that were asked for, into the run's folder unless another one was named, and says where.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, judgement: &Judgement, run: &Path) -> anyhow::Result<()> {
        let folder = self.output.as_deref().unwrap_or(run);
        for format in &self.report {
            let path = folder.join(format.file_name());
            publish(&path, judgement.render(*format, false)?.as_bytes())?;
            tell!("report: {}", path.display());
        }
        Ok(())
    }

    /// Whether files were asked for.
    pub fn has_files(&self) -> bool {
        !self.report.is_empty()
    }

    /// The format of the result on stdout.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}
