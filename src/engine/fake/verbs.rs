//! The engine's verbs, on what the fake keeps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::follow::Follower;
use super::namespace::Namespace;
use super::{FakeEngine, Held, due, owned};
use crate::compose::model::{ComposeFile, Network, Volume};
use crate::engine::{
    Build, Container, Ended, Engine, EngineInfo, Helper, HelperOutput, Image, LogLine, LogOptions, NetworkAttachment,
    Progress, Project, ProjectNetwork, PublishedPort, ResourceLimits, TakenSubnet, Usage, labels,
};

#[async_trait]
impl Engine for FakeEngine {
    async fn info(&self) -> anyhow::Result<EngineInfo> {
        let state = self.look("info")?;
        Ok(state.info.clone().unwrap_or_else(|| EngineInfo {
            version: "fake".into(),
            api_version: "1.41".into(),
            architecture: std::env::consts::ARCH.into(),
            memory: 64 << 30,
            free_disk: Some(64 << 30),
            available_memory: Some(64 << 30),
            local: false,
        }))
    }

    async fn project(&self, project: &str) -> anyhow::Result<Project> {
        let state = self.look(&format!("project {project}"))?;
        let containers = state.containers.values().filter(|held| held.project == project);
        let helpers = state.helpers.iter().filter(|(_, owner)| *owner == project);
        let networks = state.networks.values().filter(|network| network.project == project);
        let volumes = state.volumes.iter().filter(|(_, volume)| volume.project == project);
        Ok(Project {
            containers: containers.map(|held| held.container.clone()).collect(),
            helpers: helpers.map(|(name, _)| name.clone()).collect(),
            networks: networks
                .map(|network| (network.key.clone(), network.value.clone()))
                .collect(),
            volumes: volumes
                .map(|(name, volume)| (volume.key.clone(), name.clone()))
                .collect(),
        })
    }

    async fn subnets(&self) -> anyhow::Result<Vec<TakenSubnet>> {
        Ok(self.look("subnets")?.subnets.clone())
    }

    async fn published(&self) -> anyhow::Result<Vec<PublishedPort>> {
        Ok(self.look("published")?.published.clone())
    }

    async fn create_network(&self, project: &str, key: &str, network: &Network) -> anyhow::Result<()> {
        let name = labels::object_name(project, key);
        let mut state = self.change(&format!("create_network {name}"))?;
        if state.networks.contains_key(&name) {
            bail!("cannot create network {name}: it is there already");
        }
        let network = ProjectNetwork {
            name: name.clone(),
            config_hash: labels::network_hash(network),
        };
        state.networks.insert(name, owned(project, key, network));
        Ok(())
    }

    async fn remove_network(&self, name: &str) -> anyhow::Result<()> {
        let mut state = self.change(&format!("remove_network {name}"))?;
        let running = |held: &Held| held.container.state == "running" && held.networks.iter().any(|used| used == name);
        if state.containers.values().any(running) {
            bail!("cannot remove network {name}: it has active endpoints");
        }
        state.networks.remove(name);
        Ok(())
    }

    async fn create_volume(&self, project: &str, key: &str, _: &Volume) -> anyhow::Result<()> {
        let name = labels::object_name(project, key);
        let mut state = self.change(&format!("create_volume {name}"))?;
        state
            .volumes
            .entry(name)
            .or_insert_with(|| owned(project, key, BTreeMap::new()));
        Ok(())
    }

    async fn remove_volume(&self, name: &str) -> anyhow::Result<()> {
        let mut state = self.change(&format!("remove_volume {name}"))?;
        if state
            .containers
            .values()
            .any(|held| held.volumes.iter().any(|used| used == name))
        {
            bail!("cannot remove volume {name}: it is in use");
        }
        state.volumes.remove(name);
        Ok(())
    }

    async fn create_container(&self, file: &ComposeFile, service: &str, number: u32) -> anyhow::Result<()> {
        let name = labels::container_name(&file.name, service, number);
        let mut state = self.change(&format!("create_container {name}"))?;
        let definition = &file.services[service];
        let image = state.images.get(&definition.image).cloned();
        let image = image.with_context(|| format!("cannot create container {name}: no image {}", definition.image))?;
        if state.containers.contains_key(&name) {
            bail!("cannot create container {name}: the name is taken");
        }
        let full = |key: &String| labels::object_name(&file.name, key);
        let networks: Vec<String> = definition.networks.keys().map(full).collect();
        if let Some(missing) = networks.iter().find(|network| !state.networks.contains_key(*network)) {
            bail!("cannot create container {name}: no network {missing}");
        }
        state.made += 1;
        let address = definition
            .networks
            .values()
            .find_map(|attachment| attachment.ipv4_address.as_ref());
        let ports = definition.ports.iter();
        let ports = ports.map(|p| format!("{}:{}->{}/{}", p.host_ip, p.published, p.target, p.protocol));
        let held = Held {
            project: file.name.clone(),
            fixed_address: address.and_then(|address| address.parse().ok()),
            volumes: definition.volumes.iter().map(|mount| full(&mount.source)).collect(),
            logs: Vec::new(),
            cuts: 0,
            limits: ResourceLimits::default(),
            ended: None,
            namespace: Namespace::default(),
            container: Container {
                id: format!("{:064x}", state.made),
                name: name.clone(),
                service: service.into(),
                number,
                state: "created".into(),
                health: None,
                status: "fake created".into(),
                image: definition.image.clone(),
                image_id: image.id,
                config_hash: file.config_hash(service),
                depends_on: definition.depends_on.keys().cloned().collect(),
                ports: ports.collect(),
                address: None,
            },
            networks,
        };
        state.containers.insert(name, held);
        Ok(())
    }

    async fn start(&self, container: &str) -> anyhow::Result<()> {
        self.container("start", container, |held| {
            if held.container.state != "paused" {
                held.enter("running");
            }
        })
    }

    async fn stop(&self, container: &str, _: Option<Duration>) -> anyhow::Result<()> {
        self.container("stop", container, |held| held.end_by(15))
    }

    async fn signal(&self, container: &str, signal: &str) -> anyhow::Result<()> {
        self.container(&format!("signal {signal}"), container, |_| {})
    }

    async fn pause(&self, container: &str) -> anyhow::Result<()> {
        self.container("pause", container, |held| {
            if held.container.state == "running" {
                held.enter("paused");
            }
        })
    }

    async fn ended(&self, container: &str) -> anyhow::Result<Option<Ended>> {
        let state = self.look(&format!("ended {container}"))?;
        let held = state.containers.get(container);
        Ok(held.with_context(|| format!("no such container: {container}"))?.ended)
    }

    async fn limits(&self, container: &str) -> anyhow::Result<ResourceLimits> {
        let state = self.look(&format!("limits {container}"))?;
        let held = state.containers.get(container);
        Ok(held.with_context(|| format!("no such container: {container}"))?.limits)
    }

    async fn limit(&self, container: &str, limits: &ResourceLimits) -> anyhow::Result<()> {
        self.container("limit", container, |held| held.limits = *limits)
    }

    async fn attachment(&self, container: &str, network: &str) -> anyhow::Result<Option<NetworkAttachment>> {
        let state = self.look(&format!("attachment {container}"))?;
        let held = state.containers.get(container);
        let held = held.with_context(|| format!("no such container: {container}"))?;
        let attached = held.networks.iter().any(|name| name == network);
        Ok(attached.then(|| NetworkAttachment {
            address: held.fixed_address,
            aliases: vec![held.container.service.clone()],
        }))
    }

    async fn connect(&self, container: &str, network: &str, _: &NetworkAttachment) -> anyhow::Result<()> {
        self.container("connect", container, |held| {
            if !held.networks.iter().any(|name| name == network) {
                held.networks.push(network.into());
            }
        })
    }

    async fn disconnect(&self, container: &str, network: &str) -> anyhow::Result<()> {
        self.container("disconnect", container, |held| {
            held.networks.retain(|name| name != network)
        })
    }

    async fn run_helper(&self, helper: &Helper) -> anyhow::Result<Option<HelperOutput>> {
        let inside = helper.network_of.as_deref().unwrap_or("nothing");
        let words = format!("run_helper {} in {inside}", helper.args.join(" "));
        let mut state = self.change(&words)?;
        if let Some(said) = &state.helper_says {
            return Ok(said.clone());
        }
        let said = match &helper.network_of {
            None => Some(Namespace::default().run(&helper.args)),
            Some(name) => {
                let up = state.containers.get_mut(name).filter(|held| held.container.is_up());
                up.map(|held| held.namespace.run(&helper.args))
            }
        };
        due(&mut state.late_failures, &words)?;
        Ok(said)
    }

    async fn kill(&self, container: &str) -> anyhow::Result<()> {
        self.container("kill", container, |held| held.end_by(9))
    }

    async fn unpause(&self, container: &str) -> anyhow::Result<()> {
        self.container("unpause", container, |held| {
            if held.container.state == "paused" {
                held.enter("running");
            }
        })
    }

    async fn remove_container(&self, container: &str) -> anyhow::Result<()> {
        let mut state = self.change(&format!("remove_container {container}"))?;
        state.containers.remove(container);
        state.helpers.remove(container);
        Ok(())
    }

    fn logs(&self, container: &str, options: LogOptions) -> BoxStream<'static, anyhow::Result<LogLine>> {
        let lines = self.look(&format!("logs {container}")).and_then(|state| {
            let held = state.containers.get(container);
            let held = held.with_context(|| format!("cannot read the output of {container}: no such container"))?;
            let since = |line: &&LogLine| line.at.is_none_or(|at| options.since.is_none_or(|since| at >= since));
            let lines: Vec<LogLine> = held.logs.iter().filter(since).cloned().collect();
            let tail = options.tail.map_or(lines.len(), |tail| tail as usize);
            let follower = options
                .follow
                .then(|| Follower::new(self.state.clone(), container, held));
            Ok((lines[lines.len().saturating_sub(tail)..].to_vec(), follower))
        });
        match lines {
            Ok((lines, follower)) => {
                let later = stream::iter(follower).flat_map(Follower::lines);
                stream::iter(lines.into_iter().map(Ok)).chain(later).boxed()
            }
            Err(error) => stream::once(std::future::ready(Err(error))).boxed(),
        }
    }

    async fn usage(&self, container: &str) -> anyhow::Result<Usage> {
        let state = self.look(&format!("usage {container}"))?;
        let held = state.containers.get(container);
        held.with_context(|| format!("cannot tell what {container} uses: no such container"))?;
        Ok(Usage {
            at: jiff::Timestamp::now(),
            cpu_ns: 1_000_000_000,
            memory: 64 << 20,
            received: 1 << 20,
            sent: 1 << 20,
            read: 0,
            written: 1 << 20,
        })
    }

    async fn write_file(&self, container: &str, path: &str, content: &[u8]) -> anyhow::Result<()> {
        let mut state = self.change(&format!("write_file {container}:{path}"))?;
        let held = state.containers.get(container);
        held.with_context(|| format!("cannot copy {path} into container {container}: no such container"))?;
        state.written.push((format!("{container}:{path}"), content.to_vec()));
        Ok(())
    }

    async fn copy_volume(&self, project: &str, key: &str, image: &str, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let name = labels::object_name(project, key);
        let state = self.look(&format!("copy_volume {name}"))?;
        let known = |id: &Image| id.id == image;
        if !state.images.contains_key(image) && !state.images.values().any(known) {
            bail!("cannot read volume {name}: no image {image}");
        }
        let volume = state.volumes.get(&name);
        let files = &volume
            .with_context(|| format!("cannot read volume {name}: there is no such volume"))?
            .value;
        for (path, content) in files {
            std::fs::write(folder.join(path), content)?;
        }
        Ok(files.keys().cloned().collect())
    }

    async fn image(&self, reference: &str) -> anyhow::Result<Option<Image>> {
        let state = self.look(&format!("image {reference}"))?;
        let by_id = || state.images.values().find(|image| image.id == reference);
        Ok(state.images.get(reference).or_else(by_id).cloned())
    }

    async fn pull(&self, reference: &str, _progress: &Progress) -> anyhow::Result<()> {
        let mut state = self.change(&format!("pull {reference}"))?;
        if !state.pullable.contains(reference) {
            bail!("cannot pull image {reference}: no registry is reached");
        }
        state.add_image(reference, BTreeMap::new());
        Ok(())
    }

    async fn build(&self, build: Build, _progress: &Progress) -> anyhow::Result<()> {
        let mut state = self.change(&format!("build {}", build.reference))?;
        state.add_image(&build.reference, build.labels);
        Ok(())
    }

    async fn import(&self, reference: &str, _root_file_system: &Path) -> anyhow::Result<()> {
        let mut state = self.change(&format!("import {reference}"))?;
        state.add_image(reference, BTreeMap::new());
        Ok(())
    }

    async fn tag(&self, image: &str, reference: &str) -> anyhow::Result<()> {
        let mut state = self.change(&format!("tag {image} {reference}"))?;
        let tagged = state.images.get(image).cloned();
        let tagged = tagged.with_context(|| format!("cannot tag image {image}: it is not there"))?;
        state.images.insert(reference.into(), tagged);
        Ok(())
    }

    async fn remove_image(&self, image: &str) -> anyhow::Result<bool> {
        let mut state = self.change(&format!("remove_image {image}"))?;
        if state.containers.values().any(|held| held.container.image_id == image) {
            return Ok(false);
        }
        let before = state.images.len();
        state
            .images
            .retain(|reference, held| reference != image && held.id != image);
        Ok(state.images.len() < before)
    }
}
