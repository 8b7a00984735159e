//! What has to be done so that the engine has what the Compose file says.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::model::ComposeFile;
use crate::engine::{Container, Project, labels};

/// What has to be done; empty when the project is what its file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Keys of networks that exist with another definition and have to be made anew.
    pub recreate_networks: Vec<String>,
    /// Keys of networks that are missing.
    pub create_networks: Vec<String>,
    /// Keys of volumes that are missing.
    pub create_volumes: Vec<String>,
    /// Containers that are too many, or whose service is not in the file.
    pub remove: Vec<Container>,
    /// Containers that are out of date: removed, and created anew under the same number.
    pub recreate: Vec<Container>,
    /// Containers that are missing.
    pub create: Vec<Replica>,
    /// Names of containers that are up to date and do not run.
    pub start: Vec<String>,
    /// Names of containers that are up to date and paused.
    pub unpause: Vec<String>,
}

/// A place for a container: its service and its number within it, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The service.
    pub service: String,
    /// The number.
    pub number: u32,
}

impl Plan {
    /// Whether nothing has to be done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The part of the plan that is about containers of some services, and leaves all else alone.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&str) -> bool, project: &Project) -> Self {
        let is_wanted = |name: &String| {
            let mut containers = project.containers.iter();
            containers.any(|c| c.name == *name && wanted(&c.service))
        };
        self.start.retain(is_wanted);
        self.unpause.retain(is_wanted);
        self.remove.retain(|container| wanted(&container.service));
        self.recreate.retain(|container| wanted(&container.service));
        self.create.retain(|replica| wanted(&replica.service));
        self
    }

    /// The plan without what starts with a profile only. What of that is out of date goes, since it may be attached to
    /// a network that has to be made anew, and comes back when its profile is started.
    #[must_use]
    pub fn without_profiles(self, file: &ComposeFile, project: &Project) -> Self {
        let profiled: BTreeSet<&str> = file.with_profile().collect();
        let late = self.recreate.iter().filter(|c| profiled.contains(c.service.as_str()));
        let late: Vec<Container> = late.cloned().collect();
        let mut plan = self.only(|service| !profiled.contains(service), project);
        plan.remove.extend(late);
        plan
    }
}

/// Compares what is with what the file says; `image_ids` holds the id of each image that the file names.
///
/// A container is out of date when its config hash or its image differs, when the network that it is attached to has
/// to be made anew, or when it was never started: khd may have died before its configs were in place.
/// Of several containers of a service those with the lowest numbers stay, and new ones get the lowest free numbers.
pub fn plan(file: &ComposeFile, project: &Project, image_ids: &BTreeMap<String, String>) -> Plan {
    let mut plan = Plan::default();
    for (key, network) in &file.networks {
        match project.networks.get(key) {
            None => plan.create_networks.push(key.clone()),
            Some(present) if present.config_hash != labels::network_hash(network) => {
                plan.recreate_networks.push(key.clone());
            }
            Some(_) => {}
        }
    }
    let missing = file.volumes.keys().filter(|key| !project.volumes.contains_key(*key));
    plan.create_volumes = missing.cloned().collect();

    let orphans = project
        .containers
        .iter()
        .filter(|container| !file.services.contains_key(&container.service));
    plan.remove = orphans.cloned().collect();
    for service in file.services.keys() {
        plan_service(&mut plan, file, service, project, image_ids);
    }
    plan
}

fn plan_service(
    plan: &mut Plan,
    file: &ComposeFile,
    service: &str,
    project: &Project,
    image_ids: &BTreeMap<String, String>,
) {
    let definition = &file.services[service];
    let wanted = usize::from(definition.scale);
    let mut present: Vec<&Container> = project.containers.iter().filter(|c| c.service == service).collect();
    present.sort_by_key(|container| container.number);
    let surplus = present.split_off(wanted.min(present.len()));
    plan.remove.extend(surplus.into_iter().cloned());

    let taken: BTreeSet<u32> = present.iter().map(|container| container.number).collect();
    let free = (1..).filter(|number| !taken.contains(number));
    plan.create
        .extend(free.take(wanted - present.len()).map(|number| Replica {
            service: service.to_owned(),
            number,
        }));

    let new_network = definition
        .networks
        .keys()
        .any(|key| plan.create_networks.contains(key) || plan.recreate_networks.contains(key));
    let hash = file.config_hash(service);
    let image_id = image_ids.get(&definition.image);
    for container in present {
        let other_image = image_id.is_some_and(|id| *id != container.image_id);
        if new_network || other_image || container.config_hash != hash {
            plan.recreate.push(container.clone());
            continue;
        }
        match container.state.as_str() {
            "running" | "restarting" => {}
            "paused" => plan.unpause.push(container.name.clone()),
            "exited" => plan.start.push(container.name.clone()),
            // created, removing, dead
            _ => plan.recreate.push(container.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ProjectNetwork;
    use crate::engine::samples;

    fn container(file: &ComposeFile, service: &str, number: u32) -> Container {
        Container {
            id: format!("{service}{number}"),
            name: labels::container_name(&file.name, service, number),
            service: service.into(),
            number,
            state: "running".into(),
            health: None,
            status: "Up".into(),
            image: String::new(),
            image_id: "id".into(),
            config_hash: file
                .services
                .get(service)
                .map_or_else(String::new, |_| file.config_hash(service)),
            depends_on: Vec::new(),
            ports: Vec::new(),
            address: None,
        }
    }

    /// The lab as it is when all was done.
    fn complete(file: &ComposeFile) -> Project {
        let containers = file.services.iter().flat_map(|(service, definition)| {
            let numbers = 1..=u32::from(definition.scale);
            numbers
                .map(|number| container(file, service, number))
                .collect::<Vec<_>>()
        });
        let networks = file.networks.iter().map(|(key, network)| {
            let network = ProjectNetwork {
                name: labels::object_name(&file.name, key),
                config_hash: labels::network_hash(network),
            };
            (key.clone(), network)
        });
        let volumes = file
            .volumes
            .keys()
            .map(|key| (key.clone(), labels::object_name(&file.name, key)));
        Project {
            containers: containers.collect(),
            helpers: Vec::new(),
            networks: networks.collect(),
            volumes: volumes.collect(),
        }
    }

    fn ids(file: &ComposeFile) -> BTreeMap<String, String> {
        file.services
            .values()
            .map(|service| (service.image.clone(), "id".into()))
            .collect()
    }

    fn names(containers: &[Container]) -> Vec<&str> {
        containers.iter().map(|container| container.name.as_str()).collect()
    }

    fn numbers(replicas: &[Replica]) -> Vec<(&str, u32)> {
        replicas
            .iter()
            .map(|replica| (replica.service.as_str(), replica.number))
            .collect()
    }

    #[test]
    fn a_first_plan_creates_everything_and_a_second_nothing() {
        let file = samples::lab();
        let first = plan(&file, &Project::default(), &ids(&file));
        assert_eq!(first.create_networks, ["kafka-net"]);
        assert_eq!(first.create_volumes, ["kafka1-data"]);
        assert_eq!(
            numbers(&first.create),
            [("zookeeper1", 1), ("kafka1", 1), ("producer", 1)]
        );
        assert!(plan(&file, &complete(&file), &ids(&file)).is_empty());
    }

    #[test]
    fn only_what_changed_is_recreated() {
        let mut file = samples::lab();
        let project = complete(&file);
        file.services["kafka1"].environment.insert("A".into(), "1".into());
        let plan = plan(&file, &project, &ids(&file));
        assert_eq!(names(&plan.recreate), ["khd-kafka1-1"]);
        assert_eq!(
            plan,
            Plan {
                recreate: plan.recreate.clone(),
                ..Plan::default()
            }
        );
    }

    #[test]
    fn a_new_image_under_the_same_name_recreates_its_containers() {
        let file = samples::lab();
        let mut ids = ids(&file);
        ids.insert("khd/zookeeper:3.8.4".into(), "newer".into());
        let plan = plan(&file, &complete(&file), &ids);
        assert_eq!(names(&plan.recreate), ["khd-zookeeper1-1"]);
    }

    #[test]
    fn stopped_ones_are_started_paused_ones_go_on_and_half_made_ones_are_made_anew() {
        let file = samples::lab();
        let mut project = complete(&file);
        for (container, state) in project.containers.iter_mut().zip(["exited", "paused", "created"]) {
            container.state = state.into();
        }
        let plan = plan(&file, &project, &ids(&file));
        assert_eq!(plan.start, ["khd-zookeeper1-1"]);
        assert_eq!(plan.unpause, ["khd-kafka1-1"]);
        assert_eq!(names(&plan.recreate), ["khd-producer-1"]);
    }

    #[test]
    fn scaling_fills_the_lowest_free_numbers_and_removes_the_highest() {
        let mut file = samples::lab();
        file.services["producer"].scale = 3;
        let mut project = complete(&file);
        file.services["producer"].scale = 1;
        assert_eq!(
            names(&plan(&file, &project, &ids(&file)).remove),
            ["khd-producer-2", "khd-producer-3"]
        );
        project
            .containers
            .retain(|container| container.name != "khd-producer-1");
        file.services["producer"].scale = 4;
        let up = plan(&file, &project, &ids(&file));
        assert_eq!(numbers(&up.create), [("producer", 1), ("producer", 4)]);
        file.services["producer"].scale = 2;
        assert!(
            plan(&file, &project, &ids(&file)).is_empty(),
            "numbers need not be dense"
        );
        file.services["producer"].scale = 0;
        assert_eq!(plan(&file, &project, &ids(&file)).remove.len(), 2);
    }

    #[test]
    fn a_service_that_left_the_file_is_removed() {
        let mut file = samples::lab();
        let project = complete(&file);
        file.services.shift_remove("producer");
        assert_eq!(names(&plan(&file, &project, &ids(&file)).remove), ["khd-producer-1"]);
    }

    #[test]
    fn a_changed_or_missing_network_takes_all_its_containers_with_it() {
        let file = samples::lab();
        let mut project = complete(&file);
        project.networks.get_mut("kafka-net").unwrap().config_hash = "old".into();
        let changed = plan(&file, &project, &ids(&file));
        assert_eq!(changed.recreate_networks, ["kafka-net"]);
        assert_eq!(changed.recreate.len(), 3);
        project.networks.clear();
        let missing = plan(&file, &project, &ids(&file));
        assert_eq!(missing.create_networks, ["kafka-net"]);
        assert_eq!(missing.recreate.len(), 3);
    }
}
