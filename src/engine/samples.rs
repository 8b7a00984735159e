//! A small Compose file for unit tests.

use crate::compose::model::{
    Attachment, ComposeFile, Config, ConfigMount, Dependency, Healthcheck, Ipam, IpamPool, Mount, Network, Port,
    Service, Volume,
};

/// A ZooKeeper server, a broker with a volume and a config, and a producer.
pub(super) fn lab() -> ComposeFile {
    let attached = |address: Option<&str>| {
        let attachment = Attachment {
            ipv4_address: address.map(str::to_owned),
            ..Attachment::default()
        };
        [("kafka-net".to_owned(), attachment)].into()
    };
    let service = |image: &str, address: Option<&str>| Service {
        image: image.into(),
        networks: attached(address),
        scale: 1,
        stop_grace_period: "30s".into(),
        mem_limit: "1g".into(),
        restart: "no".into(),
        cap_drop: vec!["ALL".into()],
        security_opt: vec!["no-new-privileges:true".into()],
        ..Service::default()
    };
    let needs = |service: &str| {
        let started = Dependency {
            condition: "service_started".into(),
        };
        [(service.to_owned(), started)].into()
    };
    let kafka = Service {
        ports: vec![Port {
            target: 9092,
            published: "19092".into(),
            host_ip: "127.0.0.1".into(),
            protocol: "tcp".into(),
        }],
        volumes: vec![Mount {
            r#type: "volume".into(),
            source: "kafka1-data".into(),
            target: "/var/lib/kafka/data".into(),
        }],
        configs: vec![ConfigMount {
            source: "extra".into(),
            target: "/etc/lab/extra.properties".into(),
        }],
        healthcheck: Some(Healthcheck {
            test: vec!["CMD".into(), "true".into()],
            interval: "2s".into(),
            timeout: "1s".into(),
            retries: 3,
            start_period: "10s".into(),
        }),
        depends_on: needs("zookeeper1"),
        ..service("khd/kafka:3.9.2", Some("172.25.0.21"))
    };
    let producer = Service {
        depends_on: needs("kafka1"),
        ..service("example/producer:1", None)
    };
    ComposeFile {
        name: "khd".into(),
        services: [
            (
                "zookeeper1".to_owned(),
                service("khd/zookeeper:3.8.4", Some("172.25.0.10")),
            ),
            ("kafka1".to_owned(), kafka),
            ("producer".to_owned(), producer),
        ]
        .into(),
        networks: [(
            "kafka-net".to_owned(),
            Network {
                driver: "bridge".into(),
                ipam: Ipam {
                    config: vec![IpamPool {
                        subnet: "172.25.0.0/24".into(),
                        ip_range: "172.25.0.128/25".into(),
                        gateway: "172.25.0.1".into(),
                    }],
                },
            },
        )]
        .into(),
        volumes: [("kafka1-data".to_owned(), Volume::default())].into(),
        configs: [(
            "extra".to_owned(),
            Config {
                content: "a=1\n".into(),
            },
        )]
        .into(),
    }
}
