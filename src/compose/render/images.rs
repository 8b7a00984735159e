//! Which image each service runs.

use super::ui;
use crate::settings::{EachImage, ImageSet, Images, Settings};

/// Where images of Kafka by khd's own recipe are, one for each version.
const KAFKA_REPOSITORY: &str = "khd/kafka";
/// Image of brokers by khd's own recipe that can have ZooKeeper, or be KRaft's nodes.
pub const KAFKA_3_IMAGE: &str = "khd/kafka:3.9.2";
/// Image of KRaft's nodes by khd's own recipe.
pub const KAFKA_4_IMAGE: &str = "khd/kafka:4.4.0";
/// Image of the ZooKeeper servers, by khd's own recipe.
pub const ZOOKEEPER_IMAGE: &str = "khd/zookeeper:3.8.4";
/// khd's own image for helpers that work in the network of a container.
pub const NETHELPER_IMAGE: &str = "khd/nethelper:1";
/// Image of Prometheus, by khd's own recipe or pulled.
pub const PROMETHEUS_IMAGE: &str = "khd/prometheus:2";
/// Image of producers, consumers and the exporter: this khd.
pub const KHD_IMAGE: &str = concat!("khd/khd:", env!("CARGO_PKG_VERSION"));
/// The last of Confluent's images with ZooKeeper, which hold Kafka 3.9.
const CONFLUENT_7: &str = "7.9.2";

/// The image of each kind of service.
pub(super) struct References {
    pub(super) zookeeper: String,
    pub(super) kafka: String,
    pub(super) khd: String,
    pub(super) grafana: String,
    pub(super) manager: String,
    pub(super) kafka_exporter: String,
}

impl References {
    pub(super) fn of(settings: &Settings) -> Self {
        let or = |named: &Option<String>, default: &str| named.clone().unwrap_or_else(|| default.to_owned());
        let own = |each: &EachImage| Self {
            zookeeper: or(&each.zookeeper, ZOOKEEPER_IMAGE),
            kafka: or(&each.kafka, &kafka(settings.kafka_version())),
            khd: or(&each.khd, KHD_IMAGE),
            grafana: or(&each.grafana, ui::GRAFANA_IMAGE),
            manager: or(&each.manager, ui::manager_image(settings.monitoring.manager)),
            kafka_exporter: or(&each.kafka_exporter, ui::KAFKA_EXPORTER_IMAGE),
        };
        match &settings.images {
            Images::Set(ImageSet::Khd) => own(&EachImage::default()),
            Images::Set(ImageSet::Confluent) => own(&EachImage {
                zookeeper: Some(format!("confluentinc/cp-zookeeper:{CONFLUENT_7}")),
                kafka: Some(format!(
                    "confluentinc/cp-kafka:{}",
                    confluent_tag(settings.kafka_version())
                )),
                ..EachImage::default()
            }),
            Images::Each(each) => own(each),
        }
    }
}

/// The image of a version of Kafka by khd's own recipe.
fn kafka(version: &str) -> String {
    format!("{KAFKA_REPOSITORY}:{version}")
}

/// Whether an image is one of Kafka or ZooKeeper by khd's own recipes.
pub(super) fn is_own(image: &str) -> bool {
    let repository = image.rsplit_once(':').map_or(image, |(repository, _)| repository);
    repository == KAFKA_REPOSITORY || image == ZOOKEEPER_IMAGE
}

/// Confluent counts otherwise: 8.1 holds Kafka 4.1.
fn confluent_tag(kafka: &str) -> String {
    let minor = kafka.strip_prefix("4.").and_then(|rest| rest.split('.').next());
    minor.map_or_else(|| CONFLUENT_7.to_owned(), |minor| format!("8.{minor}.0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flavor, KAFKA_3, KAFKA_4};

    #[test]
    fn each_version_has_an_image_of_its_own() {
        assert_eq!([kafka(KAFKA_3), kafka(KAFKA_4)], [KAFKA_3_IMAGE, KAFKA_4_IMAGE]);
        assert!(is_own(KAFKA_4_IMAGE) && is_own(ZOOKEEPER_IMAGE));
        assert!(!is_own("apache/kafka:4.4.0") && !is_own("localhost:5000/kafka"));
    }

    #[test]
    fn confluents_images_hold_the_wanted_kafka() {
        let of = |flavor| {
            References::of(&Settings {
                images: Images::Set(ImageSet::Confluent),
                flavor,
                ..Settings::default()
            })
        };
        assert_eq!(of(Flavor::ZooKeeper).kafka, "confluentinc/cp-kafka:7.9.2");
        assert_eq!(of(Flavor::Kraft).kafka, "confluentinc/cp-kafka:8.4.0");
    }
}
