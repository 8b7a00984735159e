//! What recorded runs come to when the `khd` binary judges them again, on a machine without an engine or a cluster.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use khd::report::{Format, Judgement};
use khd::state::RunFolder;
use khd::verdicts::checks;
use khd::verdicts::evidence::Evidence;
use roxmltree::Document;
use serde_json::Value;
use tempfile::TempDir;

use crate::lab::{Lab, nowhere};
use crate::workload::{boasting, in_flight};
use crate::{HOLD, drill_beside_a_workload};

/// A machine with a home and a working directory of its own.
struct Machine {
    folder: TempDir,
    runs: PathBuf,
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Machine {
    /// Where the runs of a lab are.
    fn of(lab: &Lab) -> Self {
        Self::with(lab.stage.run.path().parent().unwrap())
    }

    fn with(runs: &Path) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            runs: runs.to_owned(),
        }
    }

    fn khd(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("khd"));
        let Output { status, stdout, stderr } = command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("KHD_RUNS", &self.runs)
            .env("DOCKER_HOST", "unix:///nonexistent.sock")
            .timeout(Duration::from_secs(30))
            .output()
            .unwrap();
        Ended {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Runs a command that must end so, and gives its stdout.
    fn result_of(&self, code: i32, arguments: &[&str]) -> String {
        let ended = self.khd(arguments);
        assert_eq!(ended.code, Some(code), "khd {arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// Runs a command that must be refused with all of `said`.
    fn refuses(&self, code: i32, arguments: &[&str], said: &[&str]) {
        let ended = self.khd(arguments);
        assert_eq!(ended.code, Some(code), "khd {arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "khd {arguments:?}");
        for part in said {
            assert!(ended.stderr.contains(part), "`{part}` is missing in: {}", ended.stderr);
        }
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap()
    }
}

/// Gives a run its verdicts, as the command that recorded it does at its end.
fn given(run: &RunFolder) -> String {
    let text = Judgement::load(run).unwrap().render(Format::Json, false).unwrap();
    run.write(run.verdicts(), text.as_bytes()).unwrap();
    text
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_judged_again_from_its_folder_or_its_bundle_alone_in_every_format() {
    let (lab, _) = drill_beside_a_workload(boasting).await;
    let (run, machine) = (&lab.stage.run, Machine::of(&lab));
    let verdicts = given(run);
    let json = || machine.result_of(1, &["report", "latest", "--json"]);
    assert_eq!(json(), verdicts);

    let listed: Value = serde_json::from_str(&machine.result_of(0, &["runs", "--json"])).unwrap();
    let row = &listed[0];
    assert_eq!((&row["run"], &row["verdict"]), (&run.name().into(), &"failed".into()));
    assert_eq!(
        (&row["drill"], &row["faults"][0]["fault"]),
        (&"stop-kafka2".into(), &"stop".into())
    );
    assert!(
        row["longest_gap_ms"].is_u64() && row["duration_ms"].as_u64().unwrap() > 1500,
        "{row}"
    );
    let table = machine.result_of(0, &["runs"]);
    assert!(table.contains("stop-kafka2") && table.contains("s ago"), "{table}");

    // What was said of it before is neither believed nor rewritten.
    run.write(run.verdicts(), b"{\"status\": \"passed\"}").unwrap();
    assert_eq!(json(), verdicts);
    assert_eq!(std::fs::read(run.verdicts()).unwrap(), b"{\"status\": \"passed\"}");

    let path = run.path().to_str().unwrap();
    for named in [&*run.name(), &run.name()[..12], path, &format!("{path}/")] {
        assert_eq!(
            machine.result_of(1, &["report", named, "--format", "json"]),
            verdicts,
            "{named}"
        );
    }

    let formats = ["table", "json", "junit", "md"];
    let all = formats.join(",");
    let written = machine.khd(&["report", "latest", "--report", &all, "--output", "new/reports"]);
    assert_eq!(written.code, Some(1));
    for (format, file) in formats
        .into_iter()
        .zip(["report.txt", "report.json", "report.xml", "report.md"])
    {
        let text = machine.result_of(1, &["report", "latest", "--format", format]);
        assert_eq!(text, machine.read(&format!("new/reports/{file}")));
        assert!(text.contains("lost-write") && text.ends_with('\n'), "{text}");
        assert!(
            written.stderr.contains(&format!("report: new/reports/{file}")),
            "{}",
            written.stderr
        );
    }
    let xml = machine.read("new/reports/report.xml");
    let document = Document::parse(&xml).unwrap();
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    let cases: Vec<&str> = cases.map(|case| case.attribute("name").unwrap()).collect();
    assert_eq!(
        cases,
        checks::ALL.into_iter().map(|check| check.id()).collect::<Vec<_>>()
    );
    let failures = document.descendants().filter(|node| node.has_tag_name("failure"));
    assert_eq!(failures.count(), 1);

    // Without a folder that was named, they go to the run's.
    machine.result_of(1, &["report", "latest", "--report", "junit"]);
    assert_eq!(std::fs::read_to_string(run.path().join("report.xml")).unwrap(), xml);

    let packed = machine.khd(&["report", "latest", "--json", "--bundle", "run.tar.zst"]);
    assert_eq!((packed.code, &packed.stdout), (Some(1), &verdicts));
    assert!(packed.stderr.contains("bundle: run.tar.zst ("), "{}", packed.stderr);
    let again = ["report", "latest", "--bundle", "run.tar.zst"];
    machine.refuses(2, &again, &["run.tar.zst is there already", "another name"]);

    // Side by side with what was packed of it, it is as good and as bad, in every figure.
    let both = machine.result_of(1, &["report", "latest", "run.tar.zst", "--json"]);
    let both: Value = serde_json::from_str(&both).unwrap();
    let (one, other) = (&both["runs"][0], &both["runs"][1]);
    assert_eq!((&one["run"], &one["status"]), (&run.name().into(), &"failed".into()));
    assert_eq!(
        (&one["measured"], &one["phases"]),
        (&other["measured"], &other["phases"])
    );
    let rows = one["phases"].as_array().unwrap();
    assert!(
        rows.len() > 1 && !one["measured"].as_array().unwrap().is_empty(),
        "{one}"
    );
    let table = machine.result_of(1, &["report", "latest", "run.tar.zst", "--format", "md"]);
    assert!(
        table.contains("| outcome | failed | failed |") && table.contains("longest unread"),
        "{table}"
    );

    let elsewhere = Machine::with(Path::new("/nonexistent"));
    let bundle = elsewhere.folder.path().join("sent.tar.zst");
    std::fs::copy(machine.folder.path().join("run.tar.zst"), bundle).unwrap();
    drop(lab);
    assert_eq!(elsewhere.result_of(1, &["report", "sent.tar.zst", "--json"]), verdicts);
    let nowhere = ["report", "sent.tar.zst", "--report", "json"];
    elsewhere.refuses(2, &nowhere, &["cannot stay beside it", "--output DIR"]);
    elsewhere.result_of(1, &["report", "sent.tar.zst", "--report", "json", "--output", "."]);
    assert_eq!(elsewhere.read("report.json"), verdicts);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_did_not_come_to_its_end_is_said_to_and_never_passes() {
    let mut lab = Lab::up(nowhere()).await;
    lab.put_ledger("producer-busy.jsonl", in_flight());
    lab.cancel_when("audit");
    lab.run(&lab.plan("stop", "kafka2", HOLD, false)).await;
    let machine = Machine::of(&lab);
    let row = |machine: &Machine| {
        let listed: Value = serde_json::from_str(&machine.result_of(0, &["runs", "--json"])).unwrap();
        listed[0].clone()
    };
    assert_eq!(
        (&row(&machine)["verdict"], &row(&machine)["why"]),
        (&"not-judged".into(), &"Interrupted".into())
    );
    let judged = machine.khd(&["report", "latest"]);
    assert_eq!(judged.code, Some(4), "{}", judged.stdout);
    assert!(
        judged.stderr.contains("it did not come to its end: Interrupted"),
        "{}",
        judged.stderr
    );

    let evidence = Evidence::load(&lab.stage.run).unwrap();
    let withheld = Judgement::withheld(lab.stage.run.name(), evidence, "interrupted");
    let json: Value = serde_json::from_str(&withheld.render(Format::Json, false).unwrap()).unwrap();
    assert_eq!(
        (&json["status"], &json["verdicts"]),
        (&"unknown".into(), &Value::Array(Vec::new()))
    );
    assert_eq!(
        (&json["sentence"], &json["faults"][0]["targets"][0]),
        (&"interrupted".into(), &"kafka2".into())
    );

    // Killed: the last line is missing.
    let timeline = lab.stage.run.timeline();
    let text = std::fs::read_to_string(&timeline).unwrap();
    std::fs::write(&timeline, &text[..text.len() - 10]).unwrap();
    assert_eq!(row(&machine)["verdict"], "unfinished");
    let judged = machine.khd(&["report", "latest"]);
    assert_eq!(judged.code, Some(4), "{}", judged.stdout);
    assert!(judged.stderr.contains("its end is not recorded"), "{}", judged.stderr);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_found_by_an_unmistakable_beginning_and_what_cannot_be_read_is_never_the_latest() {
    let mut lab = Lab::up(nowhere()).await;
    lab.cancel_when("healthy");
    lab.run(&lab.plan("stop", "kafka2", HOLD, false)).await;
    let (run, machine) = (&lab.stage.run, Machine::of(&lab));
    for twin in ["twin-1", "twin-2"] {
        copy(run.path(), &machine.runs.join(twin));
    }
    machine.refuses(2, &["report", "twin"], &["beginning of 2 runs", "twin-1", "twin-2"]);
    machine.refuses(2, &["report", "twin-3"], &["no run `twin-3`", "did you mean `twin-"]);
    machine.refuses(
        2,
        &["report", "something"],
        &["no run `something`", "the newest:", &run.name()],
    );
    machine.refuses(
        2,
        &["report", "./something"],
        &["neither a folder nor a file ./something"],
    );

    for name in ["twin-1", "twin-2"] {
        std::fs::write(machine.runs.join(name).join("timeline.jsonl"), "{}\n").unwrap();
    }
    std::fs::create_dir(machine.runs.join("zz")).unwrap();
    let table = machine.result_of(0, &["runs"]);
    assert!(
        table.contains("unreadable: its timeline does not begin with"),
        "{table}"
    );
    assert!(table.contains("not-a-run: it has no timeline"), "{table}");
    let latest = machine.khd(&["report", "latest"]);
    assert!(latest.stderr.starts_with(&run.name()), "{}", latest.stderr);
    let said = [
        "cannot judge twin-1",
        "timeline.jsonl",
        "does not begin with the start of a run",
    ];
    // It can be sent to somebody who may know why, all the same.
    machine.refuses(4, &["report", "twin-1", "--bundle", "twin.tar.zst"], &said);
    assert!(machine.folder.path().join("twin.tar.zst").is_file());
    machine.refuses(4, &["report", "zz"], &["cannot judge zz", "timeline.jsonl"]);
    std::fs::remove_dir_all(run.path()).unwrap();
    machine.refuses(2, &["report", "latest"], &["there is no run in", "khd fail"]);
}
