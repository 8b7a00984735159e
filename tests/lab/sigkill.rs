//! khd is killed at any moment of a drill, and can clean nothing up itself. What comes next leaves nothing of the fault.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chacha20::ChaCha8Rng;
use khd::compose::render::NETHELPER_IMAGE;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;

use crate::support::{Lab, Ran};

/// How often khd is killed.
const KILLS: usize = 22;
/// The longest that a drill goes on before khd is killed: it is undoing its fault by then, or is past it.
const LONGEST: Duration = Duration::from_secs(12);
/// Variable that names the seed of an earlier run, to repeat its moments.
const SEED: &str = "KHDTEST_SEED";
const SERVERS: [&str; 6] = ["kafka1", "kafka2", "kafka3", "zookeeper1", "zookeeper2", "zookeeper3"];

/// Drills of processes, of the network and of clients, and whom each hits. A kill makes its undoing wait for the ZooKeeper session, so
/// there are fewer of it.
const DRILLS: [(&str, &[&str]); 11] = [
    ("kafka2 --how kill", &["kafka2"]),
    ("kafka1 --how stop", &["kafka1"]),
    ("zookeeper2 --how stop", &["zookeeper2"]),
    ("kafka3 --how pause", &["kafka3"]),
    ("kafka2 --how cpu --cpus 0.2", &["kafka2"]),
    ("kafka1 --how block --traffic brokers", &["kafka1"]),
    ("kafka3 --how block --traffic zookeeper --direction in", &["kafka3"]),
    (
        "--partition kafka1,zookeeper1/kafka2,kafka3,zookeeper2,zookeeper3",
        &SERVERS,
    ),
    ("kafka2 kafka3 --how loss --percent 30", &["kafka2", "kafka3"]),
    ("kafka1 --how rate --rate 64kbit", &["kafka1"]),
    ("consumer producer --how add", &[]),
];

#[test]
fn a_khd_that_is_killed_at_any_moment_leaves_nothing_that_restore_does_not_undo() {
    let lab = Lab::new("khdtest-sigkill", 12);
    // A broker that was killed is started again when its session has ended: the sooner, the shorter is this test.
    lab.run(
        &["up", "--set", "kafka.properties.zookeeper.session.timeout.ms=6000"],
        0,
    );
    let untouched = containers(&lab);

    let seed = std::env::var(SEED).map_or_else(|_| clock(), |seed| seed.parse().unwrap());
    eprintln!("{SEED}={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for kill in 0..KILLS {
        let (drill, hit) = DRILLS[kill % DRILLS.len()];
        let moment = random.random_range(Duration::ZERO..LONGEST);
        let what = format!("{SEED}={seed}, kill {kill} of `{drill}` after {moment:?}");
        eprintln!("{what}");
        killed(&lab, drill, moment);
        lab.run(&["restore"], 0).says("the lab is whole");

        assert_eq!(rules(&lab, hit), [""; 0], "{what}: rules are left");
        assert_eq!(containers(&lab), untouched, "{what}: a container is not as it was");
        assert_eq!(lab.containers(), 10, "{what}: a helper is left");
        assert_eq!(in_place(&lab).stdout.trim(), "[]", "{what}: the journal is not empty");
    }

    assert_eq!(rules(&lab, &SERVERS), [""; 0], "{SEED}={seed}");
    lab.run(&["verify"], 0);
    lab.run(&["down"], 0);
    assert_eq!(lab.left(), [""; 0], "{SEED}={seed}");
}

fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// Begins a drill and kills khd when that time has passed, if it has not ended by then.
fn killed(lab: &Lab, drill: &str, moment: Duration) {
    let arguments: Vec<&str> = drill.split(' ').collect();
    let khd = lab.start(&[&["fail"][..], &arguments, &["--for", "3s"]].concat());
    // The moment is what this is about: nothing tells it but the clock.
    std::thread::sleep(moment);
    khd.signal(Signal::KILL);
    // One that was not healthy in time, or ended before, was not killed in the middle.
    khd.ends_somehow();
}

/// What of khd's rules and queueing disciplines is in the network namespaces of servers, as the helper shows it.
fn rules(lab: &Lab, servers: &[&str]) -> Vec<String> {
    let show = |server: &&str| {
        let network = format!("container:{}-{server}-1", lab.project());
        let helper = [
            "run",
            "--rm",
            "--network",
            &network,
            "--cap-add",
            "NET_ADMIN",
            NETHELPER_IMAGE,
            "show",
        ];
        let shown = lab.docker(&helper);
        let lines = shown.lines().map(|line| format!("{server}: {line}"));
        lines.collect::<Vec<_>>()
    };
    servers.iter().flat_map(show).collect()
}

/// Every server with its state, its limits and its address, as the engine tells them.
fn containers(lab: &Lab) -> Vec<String> {
    let told = "{{.Name}} {{.State.Status}} cpus={{.HostConfig.NanoCpus}}/{{.HostConfig.CpuQuota}} \
                memory={{.HostConfig.Memory}}/{{.HostConfig.MemorySwap}} \
                {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let name = |server: &&str| format!("{}-{server}-1", lab.project());
    let names: Vec<String> = SERVERS.iter().map(name).collect();
    let mut arguments = vec!["inspect", "--format", told];
    arguments.extend(names.iter().map(String::as_str));
    // A quota of none is 0 where there never was one, and -1 after one was taken back.
    let same = |line: &str| line.replace("cpus=0/-1 ", "cpus=0/0 ");
    lab.docker(&arguments).lines().map(same).collect()
}

fn in_place(lab: &Lab) -> Ran {
    lab.run(&["fail", "--list", "--json"], 0)
}
