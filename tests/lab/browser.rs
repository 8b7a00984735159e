//! A real Chromium without a window, driven by its WebDriver.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::until;

/// How large a window is, in pixels, and whether it is dark.
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

/// The driver and its browser, as a process group. Dropping it ends them.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
    }
}

/// A browser with one page. Dropping it ends it.
pub struct Browser {
    runtime: Runtime,
    client: Client,
    _driver: Driver,
    /// The browser's own, and gone after it.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a page.
    #[track_caller]
    pub fn open(url: &str, look: &Look) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver is needed: scripts/setup.sh --dev installs it");
        let driver = Driver(driver);
        let profile = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let capabilities = capabilities(look, &profile);
        let client = until("chromedriver answers", || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            runtime
                .block_on(builder.connect(&format!("http://127.0.0.1:{port}")))
                .ok()
        });
        runtime.block_on(client.goto(url)).unwrap();
        Self {
            runtime,
            client,
            _driver: driver,
            _profile: profile,
        }
    }

    /// What an expression comes to on the page.
    #[track_caller]
    pub fn ask(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        self.runtime.block_on(self.client.execute(&script, Vec::new())).unwrap()
    }

    /// Waits until an expression comes to true.
    #[track_caller]
    pub fn wait_for(&self, what: &str, expression: &str) {
        until(what, || (self.ask(expression) == true).then_some(()));
    }

    /// Saves a picture after a while, where pictures are wanted (`scripts/pictures.sh`).
    pub fn picture(&self, name: &str, after: Duration) {
        if let Some(folder) = std::env::var_os("KHD_PICTURES") {
            std::thread::sleep(after);
            let png = self.runtime.block_on(self.client.screenshot()).unwrap();
            std::fs::write(PathBuf::from(folder).join(name), png).unwrap();
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // In order, so that the browser cleans up after itself.
        let client = self.client.clone();
        let _ = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(10), client.close()).await });
    }
}

/// It asks nothing of the network but the page.
fn capabilities(look: &Look, profile: &tempfile::TempDir) -> serde_json::Map<String, Value> {
    let scheme = i32::from(!look.dark);
    let arguments = [
        "--headless".to_owned(),
        "--no-sandbox".into(),
        "--disable-gpu".into(),
        "--no-first-run".into(),
        "--disable-background-networking".into(),
        "--disable-component-update".into(),
        "--disable-sync".into(),
        "--hide-scrollbars".into(),
        format!("--blink-settings=preferredColorScheme={scheme}"),
        format!("--window-size={},{}", look.width, look.height),
        format!("--user-data-dir={}", profile.path().display()),
    ];
    // Chromium makes no window as narrow as a phone's, but pretends to.
    let device =
        json!({"deviceMetrics": {"width": look.width, "height": look.height, "pixelRatio": 1.0, "touch": false}});
    let options = json!({"args": arguments, "mobileEmulation": device});
    serde_json::Map::from_iter([("goog:chromeOptions".to_owned(), options)])
}
