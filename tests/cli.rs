//! The command line as a user or a script meets it, without an engine: exit codes, messages, and what goes to stdout.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// How long a command may take that only looks at settings, or finds no engine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A user's working directory and home, both empty, on a machine without an engine.
struct Machine {
    folder: TempDir,
    variables: Vec<(&'static str, &'static str)>,
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        Self {
            folder,
            variables: Vec::new(),
        }
    }

    fn with_file(self, yaml: &str) -> Self {
        std::fs::write(self.folder.path().join("work/khd.yaml"), yaml).unwrap();
        self
    }

    fn with_variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn khd(&self, arguments: &str) -> Ended {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("khd"));
        let Output { status, stdout, stderr } = command
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path().join("work"))
            // Nothing of whoever runs the tests: neither their settings nor their engine.
            .env_clear()
            .env("HOME", self.folder.path().join("home"))
            .env("XDG_STATE_HOME", self.state())
            .env("DOCKER_HOST", "unix:///nonexistent.sock")
            .envs(self.variables.iter().copied())
            .timeout(PATIENCE)
            .output()
            .unwrap();
        Ended {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Runs a command that must succeed, and gives its stdout.
    fn result_of(&self, arguments: &str) -> String {
        let ended = self.khd(arguments);
        assert_eq!(ended.code, Some(0), "khd {arguments}: {}", ended.stderr);
        assert_eq!(ended.stderr, "", "khd {arguments}");
        ended.stdout
    }

    /// Runs a command that must be refused: nothing on stdout, no trace on disk, and a message with all of `said`.
    fn refuses(&self, code: i32, arguments: &str, said: &[&str]) {
        let ended = self.khd(arguments);
        assert_eq!(ended.code, Some(code), "khd {arguments}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "khd {arguments}: stdout is for results");
        for part in said {
            assert!(
                ended.stderr.contains(part),
                "khd {arguments}: `{part}` is missing in: {}",
                ended.stderr
            );
        }
        assert!(!ended.stderr.contains("panicked"), "khd {arguments}: {}", ended.stderr);
        assert!(!self.state().exists(), "khd {arguments}: it left something behind");
    }
}

/// The names in the list of commands that a `--help` shows, `help` itself left out.
fn commands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let rows = list.lines().take_while(|line| line.starts_with("  "));
    // A name has two columns of indentation; the rest of a long description has more.
    let rows = rows.filter(|line| !line.starts_with("   "));
    let names = rows.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn without_an_engine_every_command_on_a_lab_says_where_it_looked_and_what_to_do() {
    let machine = Machine::new();
    for command in [
        "up",
        "scale producer=2",
        "fail kafka2",
        "restore",
        "verify",
        "status",
        "ps",
        "logs",
        "down",
        "images",
    ] {
        let said = [
            "khd: cannot reach the Docker engine",
            "/nonexistent.sock does not exist",
            "is Docker running",
        ];
        machine.refuses(3, command, &said);
    }
}

#[test]
fn an_unknown_setting_in_the_file_is_named_with_the_nearest_right_one() {
    let machine = Machine::new().with_file("topics: {partitons: 3}\n");
    for command in ["up", "render", "config", "fail kafka2"] {
        machine.refuses(
            2,
            command,
            &[
                "khd.yaml",
                "no setting `topics.partitons`",
                "did you mean `partitions`?",
            ],
        );
    }
}

#[test]
fn an_unknown_variable_is_refused_so_that_a_misspelt_one_is_not_ignored() {
    let machine = Machine::new().with_variable("KHD_PROJEKT", "second");
    machine.refuses(2, "render", &["KHD_PROJEKT", "did you mean `project`?"]);
}

#[test]
fn an_unknown_key_of_a_flag_is_refused() {
    Machine::new().refuses(
        2,
        "render --set kafka.server=5",
        &["--set", "no setting `kafka.server`", "did you mean `servers`?"],
    );
}

#[test]
fn a_file_that_is_named_must_be_there() {
    Machine::new().refuses(2, "render --config mine.yaml", &["cannot read mine.yaml"]);
}

#[test]
fn replicas_that_brokers_cannot_hold_are_refused_before_an_engine_is_asked() {
    let machine = Machine::new();
    let key = "topics.replication-factor: 4 replicas need 4 brokers, and kafka.servers is 3 (1 to 3)";
    machine.refuses(2, "up --set topics.replication-factor=4", &[key]);
    let key = "topics.min-insync-replicas: 3 can never be reached with a replication factor of 2 (1 to 2)";
    machine.refuses(
        2,
        "up --set topics.replication-factor=2 --set topics.min-insync-replicas=3",
        &[key],
    );
}

#[test]
fn an_unknown_target_is_refused_with_those_there_are_even_without_an_engine() {
    let machine = Machine::new();
    let all = "targets: kafka1, kafka2, kafka3, zookeeper1, zookeeper2, zookeeper3";
    machine.refuses(2, "fail kafka9", &["there is no target `kafka9`", all]);
    machine.refuses(2, "restore kafka9", &["there is no target `kafka9`", all]);
    // The targets are those of the lab that is asked for.
    let five = "kafka4, kafka5, zookeeper1";
    machine.refuses(2, "fail kafka9 --set kafka.servers=5", &[five]);
    machine.refuses(
        3,
        "fail kafka5 --set kafka.servers=5",
        &["cannot reach the Docker engine"],
    );
}

#[test]
fn an_unknown_fault_is_refused_with_those_there_are() {
    Machine::new().refuses(
        2,
        "fail kafka2 --how unplug",
        &[
            "there is no fault `unplug`",
            "there are stop, kill, pause",
            "khd faults explains them",
        ],
    );
}

#[test]
fn an_option_that_a_fault_does_not_have_or_cannot_read_is_refused_before_an_engine_is_asked() {
    let machine = Machine::new();
    machine.refuses(
        2,
        "fail kafka2 --how kill --grace 5s",
        &["kill has no --grace", "kill has no options"],
    );
    machine.refuses(
        2,
        "fail kafka2 --how block --percent 20",
        &["block has no --percent", "block has --direction, --traffic"],
    );
    machine.refuses(
        2,
        "fail kafka2 --how rate --rate fast",
        &["rate cannot be done so", "`fast`"],
    );
    machine.refuses(2, "fail kafka2 --how config --setting retention", &["KEY=VALUE"]);
    machine.refuses(2, "fail kafka2 --how kill --for 1s", &["3s is the least"]);
    // With options that it has, all that lacks is the engine.
    for good in [
        "fail kafka2 --grace 5s",
        "fail kafka2 --how block --traffic brokers,2181 --direction in",
        "fail all-brokers --how config --topic test-1 --setting min.insync.replicas=3",
        "fail random:zookeeper --how pause --seed 7 --dry-run",
        "fail --partition kafka1,zookeeper1/kafka2,kafka3 --one-way",
    ] {
        machine.refuses(3, good, &["cannot reach the Docker engine"]);
    }
}

#[test]
fn whom_a_fault_shall_hit_is_said_once_and_by_names_or_roles_that_there_are() {
    let machine = Machine::new();
    machine.refuses(2, "fail", &["TARGET"]);
    machine.refuses(2, "fail kafka2 --partition kafka1/kafka2", &["cannot be used with"]);
    machine.refuses(2, "fail --partition kafka1", &["kafka1,zookeeper1/kafka2,kafka3"]);
    machine.refuses(
        2,
        "fail --partition kafka1,zookeper1/kafka2",
        &["there is no target `zookeper1`", "did you mean `zookeeper1`?"],
    );
    machine.refuses(2, "fail kafka2 --how partition", &["needs sets", "--partition"]);
    machine.refuses(2, "fail kafka2 --one-way", &["--partition"]);
    machine.refuses(2, "fail leader:test-1", &["leader:TOPIC/PARTITION"]);
    machine.refuses(2, "fail leader:test-9/0", &["no partition test-9/0", "test-1, test-2"]);
    machine.refuses(2, "fail random:disk", &["random takes one of"]);
    machine.refuses(2, "fail contoller", &["did you mean `controller`?"]);
}

#[test]
fn without_an_engine_every_fault_is_listed_with_its_options_and_none_is_in_place() {
    let machine = Machine::new();
    let ended = machine.khd("faults --json");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("cannot reach the Docker engine"),
        "{}",
        ended.stderr
    );
    let faults: Value = serde_json::from_str(&ended.stdout).unwrap();
    let names: Vec<&str> = faults
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["fault"].as_str().unwrap())
        .collect();
    let all = khd::faults::How::all();
    assert_eq!(names, all.iter().map(khd::faults::How::name).collect::<Vec<_>>());
    let table = machine.khd("faults").stdout;
    for fault in faults.as_array().unwrap() {
        assert_eq!(fault["here"], "unknown: no engine");
        assert!(table.contains(fault["meaning"].as_str().unwrap()), "{fault}");
        for option in fault["options"].as_array().unwrap() {
            let (flag, meaning) = (option["flag"].as_str().unwrap(), option["meaning"].as_str().unwrap());
            let row = table.lines().find(|row| row.contains(flag) && row.ends_with(meaning));
            assert!(row.is_some() && !meaning.is_empty(), "{option} in {table}");
        }
    }
    machine.refuses(2, "faults --set kafka.server=5", &["did you mean `servers`?"]);
    assert_eq!(machine.result_of("fail --list"), "no fault is in place\n");
    assert_eq!(machine.result_of("fail --list --json"), "[]\n");
}

#[test]
fn what_cannot_be_scaled_is_refused_before_an_engine_is_asked() {
    let machine = Machine::new();
    for (argument, said) in [
        ("producer=-1", "producer=-1 is not possible (0 to 50)"),
        ("producer=99999", "producer=99999 is not possible (0 to 50)"),
        ("producer=many", "producer=many is not possible (0 to 50)"),
        ("producer", "SERVICE=N"),
        ("producr=2", "did you mean `producer`?"),
        ("kafka2=3", "`kafka2` is part of the topology and cannot be scaled"),
        (
            "zookeeper1=2",
            "`zookeeper1` is part of the topology and cannot be scaled",
        ),
    ] {
        machine.refuses(2, &format!("scale {argument}"), &[said]);
    }
    // A good one beside a bad one changes nothing either.
    machine.refuses(2, "scale producer=2 consumer=-1", &["consumer=-1 is not possible"]);
}

#[test]
fn copiers_are_scaled_by_what_the_running_lab_is_and_not_by_a_file_that_was_edited_since() {
    for (lab, file, code, said) in [
        (
            "consumer: {group: copy}",
            "{}",
            2,
            "consumer.group: `copy` is the copiers' own",
        ),
        (
            "topics: {names: [a, a-copy]}",
            "{}",
            2,
            "topics.names: `a-copy` is for the copiers to write",
        ),
        ("{}", "consumer: {group: copy}", 3, "/nonexistent.sock does not exist"),
    ] {
        let machine = Machine::new().with_file(file);
        let settings = machine.state().join("khd/labs/khd/settings.yaml");
        std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
        std::fs::write(settings, lab).unwrap();
        let ended = machine.khd("scale copier=1");
        assert_eq!(ended.code, Some(code), "{lab}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{lab}: {}", ended.stderr);
    }
}

#[test]
fn an_exporter_that_could_not_tell_its_servers_apart_is_refused() {
    let machine = Machine::new();
    for (arguments, said) in [
        (
            "--brokers kafka1:9092",
            "write it as ID@HOST:PORT, such as 1@kafka1:19092",
        ),
        (
            "--brokers 1@kafka1:9092 --zookeepers zookeeper1",
            "write it as HOST:PORT",
        ),
        ("--brokers 1@kafka1:9092,1@kafka2:9092", "two brokers have the id 1"),
        (
            "--brokers 1@kafka1:9092 --controllers 2@ct1:9093,2@ct2:9093",
            "two controllers have the id 2",
        ),
        ("--brokers 1@kafka1:9092 --listen 9308", "invalid socket address"),
        ("", "--brokers <LIST>"),
    ] {
        machine.refuses(2, &format!("exporter {arguments}"), &[said]);
    }
    for (setting, said) in [
        (
            "monitoring.interval=500ms",
            "monitoring.interval: 500ms is not possible (1s to 15s)",
        ),
        (
            "monitoring.interval=1m",
            "monitoring.interval: 1m is not possible (1s to 15s)",
        ),
        ("kafka.ports=[9090,2,3]", "9090 is used twice"),
    ] {
        machine.refuses(2, &format!("render --set {setting}"), &[said]);
    }
}

#[test]
fn an_idempotent_producer_needs_all_acknowledgements() {
    let machine = Machine::new();
    machine.refuses(
        2,
        "produce --brokers 127.0.0.1:1 --idempotence true --acks 1",
        &["--idempotence true needs --acks all"],
    );
    machine.refuses(
        2,
        "render --set producer.acks=1 --set producer.idempotence=true",
        &["producer.idempotence: needs `producer.acks: all`, which is 1"],
    );
}

#[test]
fn an_unknown_command_is_wrong_usage_and_none_at_all_shows_the_help() {
    let machine = Machine::new();
    machine.refuses(2, "fial kafka2", &["fial", "fail"]);
    machine.refuses(2, "", &["Usage: khd", "Examples:"]);
}

#[test]
fn every_help_holds_an_example() {
    let machine = Machine::new();
    let help = machine.result_of("--help");
    assert!(help.contains("Examples:\n  khd "), "{help}");
    let found = commands(&help);
    for known in ["up", "fail", "completions"] {
        assert!(found.iter().any(|name| name == known), "{found:?}");
    }
    let mut left = found;
    while let Some(command) = left.pop() {
        let help = machine.result_of(&format!("{command} --help"));
        let (_, example) = help
            .split_once("Examples:\n")
            .or_else(|| help.split_once("Example:\n"))
            .unwrap_or_else(|| panic!("no example in `khd {command} --help`: {help}"));
        assert!(
            example.starts_with(&format!("  khd {command}")),
            "`khd {command} --help` has an example of something else: {example}"
        );
        left.extend(commands(&help).iter().map(|name| format!("{command} {name}")));
    }
}

#[test]
fn where_nothing_was_recorded_the_list_of_runs_is_empty_and_says_how_to_record_one() {
    let machine = Machine::new();
    let ended = machine.khd("runs");
    assert_eq!((ended.code, &*ended.stdout), (Some(0), ""));
    assert!(
        ended.stderr.contains("no run was recorded") && ended.stderr.contains("khd fail"),
        "{}",
        ended.stderr
    );
    assert_eq!(machine.result_of("runs --json"), "[]\n");
    machine.refuses(2, "report latest", &["there is no run in", "khd fail"]);
    machine.refuses(2, "report 2026", &["there is no run `2026`, and none at all"]);
    machine.refuses(2, "report", &["RUN"]);
}

#[test]
fn every_check_is_listed_with_its_meaning_and_the_source_of_its_definition() {
    let machine = Machine::new();
    let checks: Value = serde_json::from_str(&machine.result_of("checks --json")).unwrap();
    let ids: Vec<&str> = checks
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        khd::verdicts::checks::ALL
            .into_iter()
            .map(|check| check.id())
            .collect::<Vec<_>>()
    );
    let text = machine.result_of("checks");
    for check in checks.as_array().unwrap() {
        for field in ["id", "meaning", "source"] {
            let told = check[field].as_str().unwrap();
            assert!(!told.is_empty() && text.contains(told), "{check}");
        }
    }
}

#[test]
fn a_format_that_is_not_there_or_has_no_use_is_refused() {
    let machine = Machine::new();
    for command in ["fail kafka2", "verify", "report latest"] {
        machine.refuses(2, &format!("{command} --report pdf"), &["pdf", "junit", "markdown"]);
        machine.refuses(2, &format!("{command} --output reports"), &["--report"]);
        machine.refuses(2, &format!("{command} --json --format junit"), &["cannot be used with"]);
    }
    // A list is no judged run.
    machine.refuses(2, "runs --format junit", &["junit", "table, json"]);
}

fn rendered(arguments: &str) -> Value {
    serde_yaml::from_str(&Machine::new().result_of(&format!("render {arguments}"))).unwrap()
}

fn published(file: &Value, service: &str) -> Vec<String> {
    let ports = file["services"][service]["ports"].as_array().unwrap();
    let port = |port: &Value| {
        let (ip, published) = (&port["host_ip"], &port["published"]);
        format!("{}:{}", ip.as_str().unwrap(), published.as_str().unwrap())
    };
    ports.iter().map(port).collect()
}

#[test]
fn render_prints_a_compose_file_with_every_service_of_the_lab() {
    let file = rendered("");
    assert_eq!(file["name"], "khd");
    let services: Vec<&String> = file["services"].as_object().unwrap().keys().collect();
    let mut expected: Vec<String> = (1..=3)
        .flat_map(|n| [format!("kafka{n}"), format!("zookeeper{n}")])
        .collect();
    expected.extend(
        [
            "producer",
            "consumer",
            "copier",
            "exporter",
            "prometheus",
            "grafana",
            "kafka-ui",
        ]
        .map(str::to_owned),
    );
    expected.sort();
    let mut sorted: Vec<String> = services.into_iter().cloned().collect();
    sorted.sort();
    assert_eq!(sorted, expected);
    let more = rendered("--set kafka.servers=5 --set zookeeper.servers=1");
    assert_eq!(more["services"].as_object().unwrap().len(), 13);
    assert!(more["services"]["kafka5"].is_object() && more["services"]["zookeeper2"].is_null());
}

#[test]
fn a_second_lab_moves_what_two_labs_would_fight_over() {
    let (first, second) = (
        rendered(""),
        rendered("--project second --port-offset 100 --subnet 172.26.0.0/24"),
    );
    assert_eq!(second["name"], "second");
    assert_eq!(published(&first, "kafka2"), ["127.0.0.1:29092"]);
    assert_eq!(published(&second, "kafka2"), ["127.0.0.1:29192"]);
    assert_eq!(published(&second, "zookeeper1"), ["127.0.0.1:12281"]);
    let advertised = &second["services"]["kafka2"]["environment"]["KAFKA_ADVERTISED_LISTENERS"];
    assert_eq!(*advertised, "INTERNAL://kafka2:29092,HOST://127.0.0.1:29192");
    let text = second.to_string();
    assert!(!text.contains("172.25."), "an address of the first lab: {text}");
    assert!(text.contains("172.26.0.0/24") && text.contains("172.26.0.22"), "{text}");
    // No port, address, or name of an object is in both.
    let services = first["services"].as_object().unwrap().keys();
    for service in services.filter(|service| first["services"][*service]["ports"].is_array()) {
        let mine = published(&second, service);
        assert!(
            published(&first, service).iter().all(|port| !mine.contains(port)),
            "{service}: {mine:?}"
        );
    }
}

#[test]
fn config_tells_the_origin_of_every_setting_so_that_a_surprise_can_be_traced() {
    let machine = Machine::new()
        .with_file("kafka: {servers: 5, heap: 300m}\nproject: file\n")
        .with_variable("KHD_KAFKA__HEAP", "400m")
        .with_variable("KHD_PROJECT", "variable");
    let text = machine.result_of("config --project flag --set producer.size=10");
    let row = |key: &str| {
        let row = text.lines().find(|line| line.split_whitespace().next() == Some(key));
        row.unwrap_or_else(|| panic!("no {key} in {text}"))
            .split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(row("kafka.servers"), "5 # khd.yaml");
    assert_eq!(row("kafka.heap"), "400m # KHD_KAFKA__HEAP");
    assert_eq!(row("project"), "flag # --project");
    assert_eq!(row("producer.size"), "10 # --set");
    assert_eq!(row("zookeeper.servers"), "3 # default");
    let json: Value =
        serde_json::from_str(&machine.result_of("config --json --project flag --set producer.size=10")).unwrap();
    assert_eq!(json["kafka.heap"]["value"], "400m");
    assert_eq!(json["kafka.heap"]["from"], "KHD_KAFKA__HEAP");
    assert_eq!(json.as_object().unwrap().len(), text.lines().count());
}

#[test]
fn variables_that_steer_khd_itself_are_no_settings() {
    let machine = Machine::new()
        .with_variable("KHD_LOG", "debug")
        .with_variable("KHD_RUNS", "runs");
    machine.result_of("render");
}

#[test]
fn a_file_chosen_by_variable_is_read_instead_of_the_usual_one() {
    let machine = Machine::new()
        .with_file("project: usual\n")
        .with_variable("KHD_CONFIG", "chosen.yaml");
    std::fs::write(machine.folder.path().join("work/chosen.yaml"), "project: chosen\n").unwrap();
    assert!(machine.result_of("render").starts_with("name: chosen\n"));
}

#[test]
fn completions_know_every_command() {
    let machine = Machine::new();
    let help = machine.result_of("--help");
    for shell in ["bash", "zsh", "fish"] {
        let script = machine.result_of(&format!("completions {shell}"));
        for command in commands(&help) {
            assert!(script.contains(&command), "{shell}: no {command}");
        }
    }
    machine.refuses(2, "completions tcsh", &["tcsh", "bash"]);
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(
        Machine::new().result_of("--version"),
        format!("khd {}\n", env!("CARGO_PKG_VERSION"))
    );
}
