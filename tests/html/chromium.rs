//! A real Chromium without a window, for one page at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What a browser is given.
#[derive(Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub dark: bool,
}

pub const LIGHT: Look = Look {
    width: 1280,
    dark: false,
};

/// A page on disk, and a browser's profile beside it.
pub struct Page {
    folder: TempDir,
}

impl Page {
    pub fn of(html: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("page.html"), html).unwrap();
        Self { folder }
    }

    /// The document after its scripts have run, as HTML.
    pub fn dom(&self, look: Look) -> String {
        self.open(look, &["--dump-dom".into()])
    }

    /// What comes out of the printer.
    pub fn printed(&self) -> Vec<u8> {
        let pdf = self.path("page.pdf");
        self.open(LIGHT, &[format!("--print-to-pdf={}", pdf.display())]);
        std::fs::read(pdf).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self, look: Look, what: &[String]) -> String {
        let (out, err) = (self.path("stdout"), self.path("stderr"));
        let mut browser = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .arg(format!("--user-data-dir={}", self.path("profile").display()))
            .arg(format!("--window-size={},900", look.width))
            .arg(format!(
                "--blink-settings=preferredColorScheme={}",
                i32::from(!look.dark)
            ))
            .args(what)
            .arg(format!("file://{}", self.path("page.html").display()))
            // Into files: helper processes of the browser may outlive it and hold on to a pipe.
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .expect("chromium is needed: scripts/setup.sh --dev installs it");
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = browser.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                browser.kill().unwrap();
                browser.wait().unwrap();
                panic!("chromium did not end within a minute: {}", text(&err));
            }
            std::thread::sleep(Duration::from_millis(20)); // between two looks
        };
        assert!(status.success(), "{status}: {}", text(&err));
        text(&out)
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}
