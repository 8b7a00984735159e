//! What is known, as families of metrics.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Cluster, Notice};

/// Everything that the exporter serves, made anew at each scrape.
#[derive(Debug)]
pub(super) struct Families {
    /// What was told.
    pub cluster: Arc<Mutex<Cluster>>,
    /// Where khd's notice lies.
    pub notice: Option<PathBuf>,
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet::default();
        sheet.cluster(&self.cluster.lock().unwrap_or_else(PoisonError::into_inner));
        // There is none before khd has done something; one that is just being replaced is there again next time.
        let notice = self.notice.as_ref().and_then(|path| std::fs::read(path).ok());
        if let Some(notice) = notice.and_then(|text| serde_json::from_slice(&text).ok()) {
            sheet.notice(&notice);
        }
        sheet.encode(&mut encoder)
    }
}

/// Labels of a sample, by name.
type Labels = Vec<(&'static str, String)>;

/// Samples by the names of their families.
#[derive(Debug, Default)]
struct Sheet(BTreeMap<&'static str, Family>);

/// A family of samples, all of them gauges.
#[derive(Debug)]
struct Family {
    help: &'static str,
    samples: Vec<(Labels, i64)>,
}

impl Sheet {
    fn add(&mut self, name: &'static str, help: &'static str, labels: Labels, value: impl TryInto<i64>) {
        let samples = Vec::new();
        let family = self.0.entry(name).or_insert(Family { help, samples });
        family.samples.push((labels, value.try_into().unwrap_or(i64::MAX)));
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (name, family) in &self.0 {
            let mut metric = encoder.encode_descriptor(name, family.help, None, MetricType::Gauge)?;
            for (labels, value) in &family.samples {
                ConstGauge::new(*value).encode(metric.encode_family(labels)?)?;
            }
        }
        Ok(())
    }

    fn cluster(&mut self, cluster: &Cluster) {
        let answering = cluster.brokers.values().filter(|told| told.answers);
        self.add("kafka_brokers", "Brokers that answer", Vec::new(), answering.count());
        for (id, told) in &cluster.brokers {
            let (server, answers) = (told.broker.server.clone(), told.answers);
            let help = "Whether the broker answers";
            self.add("khd_broker_answers", help, vec![("server", server)], answers);
            if answers {
                let labels = vec![("id", id.to_string()), ("address", told.broker.address.clone())];
                self.add("kafka_broker_info", "A broker that answers", labels, 1);
            }
        }
        for (server, mode) in &cluster.zookeepers {
            let labels = || vec![("server", server.clone())];
            let leads = mode.as_deref().is_some_and(|mode| mode != "follower");
            let help = "Whether the ZooKeeper server serves clients";
            self.add("khd_zookeeper_serving", help, labels(), mode.is_some());
            let help = "Whether the ZooKeeper server leads the ensemble";
            self.add("khd_zookeeper_leading", help, labels(), leads);
        }
        self.quorum(cluster);
        self.partitions(cluster);
        self.groups(cluster);
    }

    /// KRaft's metadata quorum; nothing of it where there are no controllers.
    fn quorum(&mut self, cluster: &Cluster) {
        if cluster.controllers.is_empty() {
            return;
        }
        let quorum = cluster.quorum();
        let leader = quorum.map_or(-1, |quorum| quorum.leader);
        let help = "Node id of the metadata quorum's leader, which is the controller; −1 for none";
        self.add("khd_quorum_leader", help, Vec::new(), leader);
        if let Some(epoch) = cluster.quorum_epoch {
            let help = "Epoch of the metadata quorum's last leader";
            self.add("khd_quorum_epoch", help, Vec::new(), epoch);
        }
        for (id, controller) in &cluster.controllers {
            let labels = || vec![("server", controller.server.clone())];
            let help = "Whether the controller answers";
            self.add("khd_controller_answers", help, labels(), controller.answers);
            let help = "Whether the controller leads the metadata quorum";
            self.add("khd_quorum_leading", help, labels(), *id == leader);
        }
        let Some(quorum) = quorum else { return };
        let nodes = [("voter", &quorum.voters), ("observer", &quorum.observers)];
        // The leader has all of its own log at every moment, so its time is the present one.
        let all = nodes.iter().flat_map(|(_, nodes)| nodes.iter());
        let now = all.map(|node| node.caught_up).max().unwrap_or_default();
        for (role, nodes) in nodes {
            for node in nodes {
                let broker = cluster.brokers.get(&node.id).map(|told| &told.broker.server);
                let controller = cluster.controllers.get(&node.id).map(|node| &node.server);
                let server = controller.or(broker).cloned().unwrap_or_else(|| node.id.to_string());
                let labels = vec![("server", server), ("role", role.to_owned())];
                let help = "Seconds since the node had all of the metadata log; a follower that is well is below 1";
                self.add("khd_quorum_lag_seconds", help, labels, (now - node.caught_up) / 1_000);
            }
        }
    }

    fn partitions(&mut self, cluster: &Cluster) {
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for ((topic, partition), fact) in cluster.partitions() {
            *counts.entry(topic).or_default() += 1;
            let labels = || vec![("topic", topic.to_owned()), ("partition", partition.to_string())];
            let (replicas, isr) = (fact.replicas.len(), fact.isr.len());
            for (name, help, value) in [
                (
                    "kafka_topic_partition_leader",
                    "Id of the leader; −1 for none",
                    i64::from(fact.leader),
                ),
                ("kafka_topic_partition_replicas", "Number of replicas", replicas as i64),
                (
                    "kafka_topic_partition_in_sync_replica",
                    "Number of replicas in sync",
                    isr as i64,
                ),
                (
                    "kafka_topic_partition_leader_is_preferred",
                    "Whether the leader is the first replica",
                    i64::from(fact.replicas.first() == Some(&fact.leader)),
                ),
                (
                    "kafka_topic_partition_under_replicated_partition",
                    "Whether fewer replicas are in sync than there are",
                    i64::from(isr < replicas),
                ),
            ] {
                self.add(name, help, labels(), value);
            }
            for id in &fact.replicas {
                let server = cluster.brokers.get(id);
                let server = server.map_or_else(|| id.to_string(), |told| told.broker.server.clone());
                let mut labels = labels();
                labels.push(("server", server));
                let help = "Whether that replica is in sync";
                self.add("khd_partition_in_sync", help, labels, fact.isr.contains(id));
            }
        }
        for (topic, count) in counts {
            let labels = vec![("topic", topic.to_owned())];
            self.add("kafka_topic_partitions", "Number of partitions", labels, count);
        }
        for ((topic, partition), offsets) in &cluster.offsets {
            let labels = || vec![("topic", topic.clone()), ("partition", partition.to_string())];
            let help = "Offset after the last message";
            self.add("kafka_topic_partition_current_offset", help, labels(), offsets.end);
            if let Some(begin) = offsets.begin {
                let help = "Offset of the first message";
                self.add("kafka_topic_partition_oldest_offset", help, labels(), begin);
            }
        }
    }

    fn groups(&mut self, cluster: &Cluster) {
        for (name, group) in cluster.all_groups() {
            let of_group = || vec![("consumergroup", name.to_owned())];
            let help = "Number of members";
            self.add("kafka_consumergroup_members", help, of_group(), group.members);
            let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
            for (place, committed) in &group.committed {
                let labels = || {
                    let of_partition = [("topic", place.0.clone()), ("partition", place.1.to_string())];
                    of_group().into_iter().chain(of_partition).collect::<Labels>()
                };
                let help = "Committed offset";
                self.add("kafka_consumergroup_current_offset", help, labels(), *committed);
                let sum = sums.entry(&place.0).or_default();
                sum.0 += committed;
                if let Some(offsets) = cluster.offsets.get(place) {
                    // The leader was asked before the coordinator.
                    let lag = offsets.end.saturating_sub(*committed).max(0);
                    let help = "Messages that are not committed yet";
                    self.add("kafka_consumergroup_lag", help, labels(), lag);
                    sum.1 += lag;
                }
            }
            for (topic, (committed, lag)) in sums {
                let labels = || {
                    let of_topic = [("topic", topic.to_owned())];
                    of_group().into_iter().chain(of_topic).collect::<Labels>()
                };
                let help = "Committed offsets of all partitions";
                self.add("kafka_consumergroup_current_offset_sum", help, labels(), committed);
                let help = "Messages of all partitions that are not committed yet";
                self.add("kafka_consumergroup_lag_sum", help, labels(), lag);
            }
        }
    }

    fn notice(&mut self, notice: &Notice) {
        for fault in &notice.faults {
            let labels = vec![("fault", fault.fault.clone()), ("target", fault.target.clone())];
            self.add("khd_fault_in_place", "A fault in place", labels, 1);
        }
        for step in &notice.steps {
            let labels = vec![
                ("run", notice.run.clone()),
                ("sort", step.sort.clone()),
                ("words", step.words.clone()),
            ];
            self.add("khd_step", "A step that goes on", labels, 1);
        }
        for verdict in &notice.verdicts {
            let labels = vec![
                ("run", notice.run.clone()),
                ("check", verdict.check.clone()),
                ("verdict", verdict.verdict.clone()),
            ];
            self.add("khd_verdict", "A verdict of the last run", labels, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::exporter::cluster::{Group, Offsets};
    use crate::exporter::{Broker, ZooKeeper, notice};
    use crate::kafka::wire::answers::{Metadata, PartitionMetadata, QuorumDescription, QuorumReplica, TopicMetadata};

    fn scraped(families: Families) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(families));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    fn lab() -> Cluster {
        let brokers: Vec<Broker> = (1..=2)
            .map(|id| format!("{id}@kafka{id}:9092").parse().unwrap())
            .collect();
        let zookeepers: Vec<ZooKeeper> = (1..=2).map(|n| format!("zookeeper{n}:2181").parse().unwrap()).collect();
        let mut cluster = Cluster::new(&brokers, &zookeepers, &[]);
        cluster.zookeepers.insert("zookeeper2".into(), Some("leader".into()));
        let partition = |partition, leader, isr: &[i32]| PartitionMetadata {
            partition,
            leader,
            leader_epoch: 0,
            replicas: vec![1, 2],
            isr: isr.to_vec(),
        };
        let metadata = Metadata {
            controller: 1,
            brokers: [1, 2].into(),
            topics: vec![TopicMetadata {
                name: "t".into(),
                partitions: vec![partition(0, 1, &[1, 2]), partition(1, -1, &[2])],
            }],
        };
        cluster.answers(1, metadata);
        let place = |partition| ("t".to_owned(), partition);
        let offsets = |begin, end| Offsets { epoch: 0, begin, end };
        cluster.offsets([(place(0), offsets(Some(3), 100)), (place(1), offsets(None, 50))].into());
        let group = Group {
            members: 2,
            committed: vec![(place(0), 90), (place(1), 51)],
        };
        cluster.groups(1, [("test".to_owned(), group)].into());
        cluster
    }

    #[test]
    fn what_is_known_is_told_under_the_names_that_dashboards_use() {
        let families = Families {
            cluster: Arc::new(Mutex::new(lab())),
            notice: None,
        };
        insta::assert_snapshot!(scraped(families));
    }

    #[test]
    fn the_metadata_quorum_is_told_by_its_leader_and_none_leads_where_nobody_says_so() {
        let node = |text: &str| text.parse::<Broker>().unwrap();
        let controllers = ["3001@controller1:9093", "3002@controller2:9093"].map(node);
        let mut cluster = Cluster::new(&[node("1@kafka1:9092")], &[], &controllers);
        let replica = |id, caught_up| QuorumReplica { id, caught_up };
        let quorum = QuorumDescription {
            leader: 3002,
            epoch: 7,
            voters: vec![replica(3001, 95_900), replica(3002, 100_000)],
            observers: vec![replica(1, 99_600)],
        };
        cluster.controller(3002, Some(Some(quorum)));
        let cluster = Arc::new(Mutex::new(cluster));
        let told = || {
            let cluster = cluster.clone();
            scraped(Families { cluster, notice: None })
        };
        let lines = told();
        for line in [
            "khd_quorum_leader 3002",
            "khd_quorum_epoch 7",
            r#"khd_controller_answers{server="controller1"} 0"#,
            r#"khd_quorum_leading{server="controller2"} 1"#,
            r#"khd_quorum_lag_seconds{server="controller1",role="voter"} 4"#,
            r#"khd_quorum_lag_seconds{server="kafka1",role="observer"} 0"#,
        ] {
            assert!(lines.contains(line), "{line}\n{lines}");
        }
        cluster.lock().unwrap().controller(3002, Some(None));
        let lines = told();
        assert!(lines.contains("khd_quorum_leader -1"), "{lines}");
        assert!(lines.contains("khd_quorum_epoch 7") && !lines.contains("khd_quorum_lag_seconds"));
    }

    #[test]
    fn what_khd_does_is_told_as_it_was_last_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notice.json");
        let families = || Families {
            cluster: Arc::default(),
            notice: Some(path.clone()),
        };
        assert!(!scraped(families()).contains("khd_fault_in_place"));
        let notice = Notice {
            faults: vec![notice::Fault {
                fault: "kill".into(),
                target: "kafka2".into(),
            }],
            run: "run".into(),
            steps: vec![notice::Step {
                sort: "wait".into(),
                words: "wait 10s".into(),
            }],
            verdicts: vec![notice::Verdict {
                check: "gap".into(),
                verdict: "passed".into(),
            }],
        };
        std::fs::write(&path, serde_json::to_vec(&notice).unwrap()).unwrap();
        let told = scraped(families());
        for line in [
            r#"khd_fault_in_place{fault="kill",target="kafka2"} 1"#,
            r#"khd_step{run="run",sort="wait",words="wait 10s"} 1"#,
            r#"khd_verdict{run="run",check="gap",verdict="passed"} 1"#,
        ] {
            assert!(told.contains(line), "{told}");
        }
        std::fs::write(&path, "{").unwrap();
        assert!(!scraped(families()).contains("khd_step"));
    }
}
