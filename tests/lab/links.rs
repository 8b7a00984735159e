//! Cuts in the lab's network: before, during and after each, every link is as the model of links says, and no other.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::Arc;

use khd::compose::render::{NETHELPER_IMAGE, render};
use khd::engine::Engine;
use khd::engine::docker::Docker;
use khd::faults::journal::Journal;
use khd::faults::network::links::Links;
use khd::faults::{How, Injection, Means, Target};
use khd::settings::Settings;
use khd::timeline::view::View;
use khd::topology::Topology;
use serde_json::json;

use crate::support::Lab;

/// Which link is what: `open`, `timeout` or `refused`, by who tries and whom.
type Matrix = BTreeMap<(String, String), String>;

#[tokio::test(flavor = "multi_thread")]
async fn every_cut_cuts_just_the_links_that_its_model_says_and_leaves_nothing_behind() {
    let lab = Lab::new("khdtest-links", 14);
    lab.run(&["up"], 0);
    let stage = Stage::on(&lab).await;
    let rules = stage.rules();
    stage.is_whole();

    let sets = json!([
        ["kafka1", "zookeeper1", "producer-1"],
        ["kafka2", "kafka3", "zookeeper2", "zookeeper3"]
    ]);
    let split = stage.inject(1, json!({ "how": "partition", "sets": sets })).await;
    let How::Partition(partition) = &split.how else {
        unreachable!()
    };
    stage.is_cut(&partition.links(&split.targets));
    stage.heal(&split).await;

    let sets = json!([["kafka1"], ["kafka2", "zookeeper2"]]);
    let one_way = stage
        .inject(2, json!({ "how": "partition", "sets": sets, "one-way": true }))
        .await;
    let How::Partition(partition) = &one_way.how else {
        unreachable!()
    };
    stage.is_cut(&partition.links(&one_way.targets));
    // Connections fail whichever way is cut. Which one it is, the rules tell: the first set drops what it sends and no more,
    // the others what they receive from it; and the tries above made the first set answer into its own rule.
    let counted = |name: &str| stage.dropped(name, &one_way);
    let first = counted("kafka1");
    assert!(
        first.iter().any(|(way, packets)| way == "out" && *packets > 0),
        "{first:?}"
    );
    assert!(first.iter().all(|(way, _)| way == "out"), "{first:?}");
    for other in ["kafka2", "zookeeper2"] {
        let counted = counted(other);
        assert!(
            !counted.is_empty() && counted.iter().all(|(way, _)| way == "in"),
            "{other}: {counted:?}"
        );
    }
    stage.heal(&one_way).await;

    let block = stage
        .inject(
            3,
            json!({ "how": "block", "targets": ["kafka2"], "traffic": ["zookeeper"] }),
        )
        .await;
    let How::Block(blocked) = &block.how else {
        unreachable!()
    };
    stage.is_cut(&blocked.links(&block.targets, &stage.means.topology));
    stage.heal(&block).await;

    assert_eq!(stage.rules(), rules);
}

/// A lab, and what faults are injected with.
struct Stage<'a> {
    lab: &'a Lab,
    means: Means,
    journal: Journal,
    /// Those who try links.
    members: Vec<Target>,
    /// Where servers listen.
    servers: BTreeMap<String, SocketAddrV4>,
}

impl<'a> Stage<'a> {
    async fn on(lab: &'a Lab) -> Self {
        let settings = Settings {
            project: lab.project().into(),
            network: khd::settings::Network {
                subnet: lab.subnet().parse().unwrap(),
            },
            ..Settings::default()
        };
        let topology = Topology::of(&settings);
        let expected = topology.expectation(settings.session_timeout());
        let engine = Docker::connect().await.unwrap();
        let project = engine.project(lab.project()).await.unwrap();
        let all = project
            .containers
            .iter()
            .map(|container| Target::of(container, &expected));
        let brokers = topology.brokers.iter();
        let brokers = brokers.map(|b| (b.service.clone(), SocketAddrV4::new(b.address, b.internal_port)));
        let zookeepers = topology.zookeepers.iter();
        let zookeepers = zookeepers.map(|z| (z.service.clone(), SocketAddrV4::new(z.address, z.client_port)));
        let servers: BTreeMap<_, _> = brokers.chain(zookeepers).collect();
        let members: Vec<Target> = all
            .filter(|target| servers.contains_key(&target.name()) || target.name() == "producer-1")
            .collect();
        assert_eq!(members.len(), 7, "{members:?}");
        Self {
            lab,
            journal: Journal::at(lab.journal()),
            means: Means {
                engine: Arc::new(engine),
                file: render(&settings, &topology),
                topology,
                expected,
                nethelper: NETHELPER_IMAGE.into(),
            },
            members,
            servers,
        }
    }

    /// Injects a fault on its `targets`, or on those that its options name, and demands that it proves itself.
    async fn inject(&self, id: u32, mut how: serde_json::Value) -> Injection {
        let named = how.as_object_mut().unwrap().remove("targets");
        let how: How = serde_json::from_value(how).unwrap();
        let names: Vec<String> = match named {
            Some(names) => serde_json::from_value(names).unwrap(),
            None => how.implied_targets().unwrap().iter().map(ToString::to_string).collect(),
        };
        let named = |target: &&Target| names.contains(&target.name());
        let targets: Vec<Target> = self.members.iter().filter(named).cloned().collect();
        assert_eq!(targets.len(), names.len());
        how.fault().check(&self.means.topology, &targets).unwrap();
        let injection = self
            .journal
            .inject(&self.means, id, &how, targets, "links", |_| {})
            .await
            .unwrap();
        let proof = how
            .fault()
            .effect(&self.means, &injection, &View::default())
            .await
            .unwrap();
        eprintln!("{}: {proof}", injection.words());
        injection
    }

    async fn heal(&self, injection: &Injection) {
        let undone = self.journal.undo(&self.means, |_| true, |_| {}).await.unwrap();
        assert_eq!(undone.len(), 1);
        let fault = injection.how.fault();
        let proof = fault.healed(&self.means, injection, &View::default()).await.unwrap();
        eprintln!("{} healed: {proof}", injection.words());
        self.is_whole();
        for member in &self.members {
            assert_eq!(self.nethelper(member, &["show"]), "", "{}", member.name());
        }
    }

    #[track_caller]
    fn is_whole(&self) {
        assert_eq!(self.matrix(), self.expected(&Links::default()));
    }

    #[track_caller]
    fn is_cut(&self, links: &Links) {
        assert!(links.iter().next().is_some());
        assert_eq!(self.matrix(), self.expected(links));
    }

    fn expected(&self, links: &Links) -> Matrix {
        let tries = self
            .members
            .iter()
            .flat_map(|from| self.servers.keys().map(move |to| (from.name(), to.clone())));
        tries
            .map(|(from, to)| {
                let answer = if links.connects(&from, &to) { "open" } else { "timeout" };
                ((from, to), answer.to_owned())
            })
            .collect()
    }

    /// Tries a connection from everybody to every server.
    fn matrix(&self) -> Matrix {
        let addresses: Vec<String> = self.servers.values().map(ToString::to_string).collect();
        let args: Vec<&str> = ["try", "2000"]
            .into_iter()
            .chain(addresses.iter().map(String::as_str))
            .collect();
        let said: Vec<(String, String)> = std::thread::scope(|scope| {
            let tries: Vec<_> = self
                .members
                .iter()
                .map(|member| (member, scope.spawn(|| self.nethelper(member, &args))))
                .collect();
            let joined = tries
                .into_iter()
                .map(|(member, tried)| (member.name(), tried.join().unwrap()));
            joined.collect()
        });
        let mut matrix = Matrix::new();
        for (from, said) in said {
            for (to, address) in &self.servers {
                let address = address.to_string();
                let mut lines = said.lines().map(|line| line.split(' ').collect::<Vec<_>>());
                let words = lines.find(|words| words[0] == address).unwrap();
                matrix.insert((from.clone(), to.clone()), words[1].to_owned());
            }
        }
        matrix
    }

    /// What the rules of a fault have dropped: direction and packets, a line for each rule.
    fn dropped(&self, name: &str, injection: &Injection) -> Vec<(String, u64)> {
        let member = self.members.iter().find(|member| member.name() == name).unwrap();
        let counters = self.nethelper(member, &["counters", &format!("KHD-{}", injection.id)]);
        let lines = counters.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        lines
            .filter(|words| words[3] == "DROP")
            .map(|words| (words[0].to_owned(), words[1].parse().unwrap()))
            .collect()
    }

    /// All rules in everybody's namespace, whoever made them.
    fn rules(&self) -> BTreeMap<String, String> {
        let rules = |member| self.inside(member, &["--entrypoint", "iptables"], &["-S"]);
        self.members
            .iter()
            .map(|member| (member.name(), rules(member)))
            .collect()
    }

    fn nethelper(&self, member: &Target, args: &[&str]) -> String {
        self.inside(member, &[], args)
    }

    fn inside(&self, member: &Target, options: &[&str], args: &[&str]) -> String {
        let network = format!("container:{}", member.container);
        let run = [
            "run",
            "--rm",
            "--network",
            &network,
            "--cap-drop",
            "ALL",
            "--cap-add",
            "NET_ADMIN",
        ];
        let all: Vec<&str> = run
            .iter()
            .chain(options)
            .chain(&[NETHELPER_IMAGE])
            .chain(args)
            .copied()
            .collect();
        self.lab.docker(&all)
    }
}
