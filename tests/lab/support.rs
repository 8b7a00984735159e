//! A lab under test: khd as a command, with state, project, ports and subnet of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A lab under test. Whatever becomes of the test, dropping it removes the lab.
pub struct Lab {
    project: &'static str,
    slot: u8,
    state: tempfile::TempDir,
    pub docker_host: Option<String>,
}

impl Lab {
    /// A lab that is not there yet. Labs in different slots do not touch each other.
    pub fn new(project: &'static str, slot: u8) -> Self {
        let lab = Self {
            project,
            slot,
            state: tempfile::tempdir().unwrap(),
            docker_host: None,
        };
        // An earlier run of the tests may have been killed.
        lab.khd(&["down"]).output().unwrap();
        lab
    }

    pub fn project(&self) -> &str {
        self.project
    }

    /// The address of a broker's or a ZooKeeper server's port on the host.
    pub fn published(&self, demo_port: u16) -> String {
        format!("127.0.0.1:{}", demo_port + 10 * u16::from(self.slot))
    }

    pub fn subnet(&self) -> String {
        format!("172.28.{}.0/24", self.slot)
    }

    /// khd as a command on this lab.
    pub fn khd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("khd"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KHD_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.state.path())
            .env("XDG_STATE_HOME", self.state.path())
            .env("KHD_PROJECT", self.project)
            .env("KHD_PORTS__OFFSET", (10 * u16::from(self.slot)).to_string())
            .env("KHD_NETWORK__SUBNET", self.subnet())
            .stdin(Stdio::null());
        if let Some(host) = &self.docker_host {
            command.env("DOCKER_HOST", host);
        }
        command
    }

    /// Runs khd to its end, and demands an exit code.
    #[track_caller]
    pub fn run(&self, arguments: &[&str], code: i32) -> Ran {
        let output = self.khd(arguments).output().unwrap();
        Ran::of(arguments, output).exited(code)
    }

    /// Starts khd, to be signalled on its way.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.khd(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("    {line}");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stdout = child.stdout.take().unwrap();
        let printed = std::thread::spawn(move || {
            let mut printed = String::new();
            stdout.read_to_string(&mut printed).map(|_| printed)
        });
        Running {
            child,
            lines,
            said: Vec::new(),
            printed: Some(printed),
        }
    }

    /// Asks Docker's own client.
    pub fn docker(&self, arguments: &[&str]) -> String {
        run("docker", arguments)
    }

    /// The state of a service's first container, in Docker's words.
    pub fn state_of(&self, service: &str) -> String {
        let container = format!("{}-{service}-1", self.project);
        self.docker(&["inspect", "--format", "{{.State.Status}}", &container])
            .trim()
            .to_owned()
    }

    /// How many containers carry the project's label, helpers included.
    pub fn containers(&self) -> usize {
        let label = format!("label=com.docker.compose.project={}", self.project);
        self.docker(&["ps", "-aq", "--filter", &label]).lines().count()
    }

    /// Everything of the project that the engine still has.
    pub fn left(&self) -> Vec<String> {
        let label = format!("label=com.docker.compose.project={}", self.project);
        let mut left = Vec::new();
        for what in [
            ["ps", "-aq"].as_slice(),
            ["network", "ls", "-q"].as_slice(),
            ["volume", "ls", "-q"].as_slice(),
        ] {
            let arguments: Vec<&str> = what.iter().copied().chain(["--filter", &label]).collect();
            left.extend(self.docker(&arguments).lines().map(str::to_owned));
        }
        left
    }

    /// The journal of faults in place, as khd keeps it.
    pub fn journal(&self) -> PathBuf {
        self.state.path().join(format!("khd/labs/{}/faults.json", self.project))
    }

    pub fn folder(&self) -> &Path {
        self.state.path()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.docker_host = None;
        let down = self.khd(&["down"]).output();
        if !std::thread::panicking() {
            let down = Ran::of(&["down"], down.unwrap()).exited(0);
            assert_eq!(self.left(), [""; 0], "{}", down.stderr);
        }
    }
}

/// What a command came to.
pub struct Ran {
    pub arguments: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn of(arguments: &[&str], output: Output) -> Self {
        let ran = Self {
            arguments: arguments.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        eprintln!("$ khd {} → {:?}\n{}{}", ran.arguments, ran.code, ran.stderr, ran.stdout);
        ran
    }

    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "khd {}\n{}{}",
            self.arguments,
            self.stderr,
            self.stdout
        );
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text) || self.stdout.contains(text),
            "khd {} does not say `{text}`:\n{}{}",
            self.arguments,
            self.stderr,
            self.stdout
        );
        self
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// A khd on its way. Dropping it kills it.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    /// All of stdout, once it has ended.
    printed: Option<JoinHandle<std::io::Result<String>>>,
}

impl Running {
    /// Waits until khd says something on stderr.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !self.said.iter().any(|line| line.contains(text)) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(_) => panic!("khd did not say `{text}`, but:\n{}", self.said.join("\n")),
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits for the end, and demands an exit code; `None` for an end by a signal. Gives what it wrote to stderr and stdout.
    #[track_caller]
    pub fn ends(self, code: Option<i32>) -> String {
        let (status, said) = self.ends_somehow();
        assert_eq!(status.code(), code, "{said}");
        said
    }

    /// Waits for the end, whatever it is.
    #[track_caller]
    pub fn ends_somehow(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + Duration::from_secs(120);
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > deadline => panic!("khd does not end"),
                // There is no wait with a deadline in the standard library.
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        self.said.extend(self.lines.iter());
        // Verdicts are there, and a test that fails is told why.
        let printed = self.printed.take().unwrap().join().unwrap().unwrap();
        let said = format!("{}\n{printed}", self.said.join("\n"));
        (status, said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that has to succeed, and returns what it prints.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; scripts/setup.sh --dev installs it"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {stderr}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// The verdict of one check.
#[track_caller]
pub fn verdict<'a>(report: &'a Value, id: &str) -> &'a Value {
    let verdicts = report["verdicts"].as_array().unwrap();
    let verdict = verdicts.iter().find(|verdict| verdict["id"] == id);
    verdict.unwrap_or_else(|| panic!("no verdict {id} in {report:#}"))
}

/// The status of one verdict.
#[track_caller]
pub fn status(report: &Value, id: &str) -> String {
    verdict(report, id)["status"].as_str().unwrap().to_owned()
}

/// Asks again and again until there is an answer.
#[track_caller]
pub fn until<T>(what: &str, ask: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
