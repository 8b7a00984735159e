//! The engine on a real Docker: a tiny project of its own goes through what khd does with a lab.
//!
//! Needs an engine that has `khd/debian:bookworm`, the base of khd's own images; without it these tests are skipped
//! unless `KHD_TEST_DOCKER=require` says that they must run.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect shall fail there and then"
)]

mod faults;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use indexmap::IndexMap;
use khd::compose::model::{
    Attachment, ComposeFile, Config, ConfigMount, Ipam, IpamPool, Mount, Network, Service, Volume,
};
use khd::engine::converge::{converge, down};
use khd::engine::docker::Docker;
use khd::engine::{Build, Container, Engine, LogLine, LogOptions, Project};
use tokio::sync::mpsc::unbounded_channel;

const IMAGE: &str = "khd/debian:bookworm";

/// A project on the engine that a test has to itself; each test takes a subnet of its own, so that all may run at once.
struct Lab {
    docker: Docker,
    file: ComposeFile,
}

impl Lab {
    /// The lab of a test, with nothing left of an earlier run; nothing where there is no engine for it.
    async fn new(test: &str, subnet: u16) -> Option<Self> {
        let required = std::env::var("KHD_TEST_DOCKER").is_ok_and(|value| value == "require");
        let docker = match Docker::connect().await {
            Ok(docker) if docker.image(IMAGE).await.unwrap().is_some() => docker,
            Ok(_) if required => panic!("the engine has no {IMAGE}"),
            Err(error) if required => panic!("{error:#}"),
            _ => {
                eprintln!("skipped: no engine that has {IMAGE}");
                return None;
            }
        };
        let file = file(&format!("khdtest-engine-{test}"), subnet);
        let lab = Self { docker, file };
        lab.down(false).await;
        Some(lab)
    }

    /// Converges, and says whether there was anything to do.
    async fn up(&self) -> bool {
        let image = self.docker.image(IMAGE).await.unwrap().unwrap();
        let ids = BTreeMap::from([(IMAGE.to_owned(), image.id)]);
        let plan = converge(&self.docker, &self.file, &ids, &unbounded_channel().0)
            .await
            .unwrap();
        !plan.is_empty()
    }

    async fn down(&self, keep_volumes: bool) -> usize {
        down(&self.docker, &self.file.name, keep_volumes, &unbounded_channel().0)
            .await
            .unwrap()
    }

    async fn project(&self) -> Project {
        self.docker.project(&self.file.name).await.unwrap()
    }

    async fn container(&self, service: &str, number: u32) -> Container {
        let project = self.project().await;
        let mut all = project.containers.into_iter();
        all.find(|c| c.service == service && c.number == number).unwrap()
    }

    /// Runs a shell script as the command of a service, and gives its output once it has ended.
    async fn output(&mut self, service: &str, script: &str) -> String {
        self.file.services[service].command = shell(script);
        self.up().await;
        let name = format!("{}-{service}-1", self.file.name);
        let options = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        let lines = self
            .docker
            .logs(&name, options)
            .map_ok(|line| line.text)
            .try_collect::<Vec<_>>();
        let lines = tokio::time::timeout(Duration::from_secs(30), lines).await;
        lines.expect("the script has not ended").unwrap().join("\n")
    }
}

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).into()
}

/// A server with a fixed address, a volume and a config, and workers with neither.
fn file(project: &str, subnet: u16) -> ComposeFile {
    let address = |host: u16| format!("172.29.{}.{}", 1 + (subnet + host) / 256, (subnet + host) % 256);
    let service = |address: Option<String>| Service {
        image: IMAGE.into(),
        command: shell("trap 'exit 0' TERM; sleep 600 & wait"),
        networks: [(
            "net".to_owned(),
            Attachment {
                ipv4_address: address,
                ..Attachment::default()
            },
        )]
        .into(),
        scale: 1,
        stop_grace_period: "5s".into(),
        mem_limit: "64m".into(),
        restart: "no".into(),
        cap_drop: vec!["ALL".into()],
        security_opt: vec!["no-new-privileges:true".into()],
        ..Service::default()
    };
    let server = Service {
        hostname: Some("server".into()),
        volumes: vec![Mount {
            r#type: "volume".into(),
            source: "data".into(),
            target: "/data".into(),
        }],
        configs: vec![ConfigMount {
            source: "config".into(),
            target: "/etc/lab/deep/config".into(),
        }],
        ..service(Some(address(2)))
    };
    let pool = IpamPool {
        subnet: format!("{}/28", address(0)),
        ip_range: format!("{}/29", address(8)),
        gateway: address(1),
    };
    ComposeFile {
        name: project.into(),
        services: [("server".to_owned(), server), ("worker".to_owned(), service(None))].into(),
        networks: [(
            "net".to_owned(),
            Network {
                driver: "bridge".into(),
                ipam: Ipam { config: vec![pool] },
            },
        )]
        .into(),
        volumes: [("data".to_owned(), Volume::default())].into(),
        configs: IndexMap::from([(
            "config".to_owned(),
            Config {
                content: "key=va$lue\n".into(),
            },
        )]),
    }
}

fn names(project: &Project) -> Vec<&str> {
    project
        .containers
        .iter()
        .map(|container| container.name.as_str())
        .collect()
}

#[tokio::test]
async fn a_second_convergence_has_nothing_to_do_and_down_leaves_nothing() {
    let Some(lab) = Lab::new("twice", 0).await else { return };
    assert!(lab.up().await);
    let project = lab.project().await;
    assert_eq!(
        names(&project),
        ["khdtest-engine-twice-server-1", "khdtest-engine-twice-worker-1"]
    );
    assert!(
        project.containers.iter().all(|container| container.state == "running"),
        "{project:?}"
    );
    assert_eq!(project.containers[0].address, Some("172.29.1.2".parse().unwrap()));
    assert!(!lab.up().await, "nothing changed");
    assert_eq!(lab.down(false).await, 2 + 1 + 1);
    assert_eq!(lab.project().await, Project::default());
    assert_eq!(lab.down(false).await, 0);
}

#[tokio::test]
async fn only_a_changed_service_is_recreated_and_its_volume_keeps_the_data() {
    let Some(mut lab) = Lab::new("change", 16).await else {
        return;
    };
    let said = lab.output("server", "echo one > /data/file; cat /data/file").await;
    assert_eq!(said, "one");
    let worker = lab.container("worker", 1).await;
    let said = lab.output("server", "cat /data/file").await;
    assert_eq!(said, "one", "the volume is the same");
    assert_eq!(
        lab.container("worker", 1).await.id,
        worker.id,
        "the worker was left alone"
    );
    lab.down(true).await;
    assert_eq!(lab.project().await.volumes.len(), 1);
    let said = lab.output("server", "cat /data/file").await;
    assert_eq!(said, "one", "a down that keeps data kept it");
    lab.down(false).await;
}

#[tokio::test]
async fn a_config_is_readable_by_a_user_who_is_not_root_and_its_content_is_literal() {
    let Some(mut lab) = Lab::new("config", 32).await else {
        return;
    };
    let script = "ls -ld /etc /etc/lab/deep | cut -d' ' -f1; exec setpriv --reuid 1000 cat /etc/lab/deep/config";
    // To become another user takes the capabilities that services do without.
    lab.file.services["server"].cap_drop.clear();
    let said = lab.output("server", script).await;
    assert_eq!(said, "drwxr-xr-x\ndrwxr-xr-x\nkey=va$lue");
    lab.down(false).await;
}

#[tokio::test]
async fn a_file_is_written_into_a_running_container_over_and_over_and_anyone_may_read_it() {
    let Some(mut lab) = Lab::new("write", 256).await else {
        return;
    };
    lab.file.services["server"].command =
        shell("until [ -f /run/last ]; do sleep 0.1; done; ls -l /run/told; cat /run/told");
    lab.up().await;
    // The script waits for its last file; the deadline is that of the test.
    let server = lab.container("server", 1).await.name;
    for content in ["first\n", "second\n"] {
        lab.docker
            .write_file(&server, "/run/told", content.as_bytes())
            .await
            .unwrap();
    }
    lab.docker.write_file(&server, "/run/last", b"").await.unwrap();
    let options = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let lines: Vec<LogLine> = lab.docker.logs(&server, options).try_collect().await.unwrap();
    assert!(lines[0].text.starts_with("-r--r--r--"), "{lines:?}");
    assert_eq!(lines[1].text, "second");
    let refused = lab
        .docker
        .write_file("khdtest-nobody-1", "/run/told", b"")
        .await
        .unwrap_err();
    assert!(format!("{refused:#}").contains("/run/told"), "{refused:#}");
    lab.down(false).await;
}

#[tokio::test]
async fn scaling_adds_and_removes_the_highest_numbers() {
    let Some(mut lab) = Lab::new("scale", 48).await else {
        return;
    };
    lab.up().await;
    let first = lab.container("worker", 1).await;
    lab.file.services["worker"].scale = 3;
    assert!(lab.up().await);
    assert_eq!(names(&lab.project().await).len(), 4);
    lab.file.services["worker"].scale = 1;
    assert!(lab.up().await);
    assert_eq!(lab.container("worker", 1).await.id, first.id);
    assert_eq!(names(&lab.project().await).len(), 2);
    lab.down(false).await;
}

#[tokio::test]
async fn a_fixed_address_survives_a_stop_while_others_are_created() {
    let Some(mut lab) = Lab::new("address", 64).await else {
        return;
    };
    lab.up().await;
    let server = lab.container("server", 1).await;
    lab.docker.stop(&server.name, None).await.unwrap();
    lab.docker
        .stop(&server.name, None)
        .await
        .expect("one that is stopped already is fine");
    assert_eq!(lab.container("server", 1).await.state, "exited");
    lab.file.services["server"].scale = 1;
    lab.file.services["worker"].scale = 4;
    // Converging would start the server at once; a fault has to keep it stopped.
    for number in 2..=4 {
        lab.docker.create_container(&lab.file, "worker", number).await.unwrap();
        let worker = format!("{}-worker-{number}", lab.file.name);
        lab.docker.start(&worker).await.unwrap();
    }
    lab.docker.start(&server.name).await.unwrap();
    lab.docker
        .start(&server.name)
        .await
        .expect("one that runs already is fine");
    assert_eq!(lab.container("server", 1).await.address, server.address);
    lab.down(false).await;
}

#[tokio::test]
async fn a_half_made_lab_is_completed_and_a_half_made_lab_is_removed() {
    let Some(lab) = Lab::new("half", 80).await else { return };
    let project = &lab.file.name;
    lab.docker
        .create_network(project, "net", &lab.file.networks["net"])
        .await
        .unwrap();
    lab.docker
        .create_volume(project, "data", &Volume::default())
        .await
        .unwrap();
    lab.docker.create_container(&lab.file, "server", 1).await.unwrap();
    assert!(lab.up().await);
    assert!(
        lab.project()
            .await
            .containers
            .iter()
            .all(|container| container.state == "running")
    );
    lab.down(false).await;
    lab.docker
        .create_volume(project, "data", &Volume::default())
        .await
        .unwrap();
    lab.docker
        .create_network(project, "net", &lab.file.networks["net"])
        .await
        .unwrap();
    lab.docker.create_container(&lab.file, "worker", 2).await.unwrap();
    assert_eq!(lab.down(false).await, 3);
    assert_eq!(lab.project().await, Project::default());
}

#[tokio::test]
async fn killed_paused_and_stopped_containers_run_again_and_paused_ones_can_be_removed() {
    let Some(lab) = Lab::new("states", 96).await else {
        return;
    };
    lab.up().await;
    let server = lab.container("server", 1).await.name;
    let used = lab.docker.usage(&server).await.unwrap();
    assert!(used.cpu_ns > 0 && used.memory > 0, "{used:?}");
    assert_eq!(lab.docker.ended(&server).await.unwrap(), None, "it runs");
    lab.docker.kill(&server).await.unwrap();
    lab.docker
        .kill(&server)
        .await
        .expect("one that is stopped already is fine");
    let ended = lab.docker.ended(&server).await.unwrap().unwrap();
    assert_eq!((ended.exit_code, ended.out_of_memory), (137, false));
    let ago = ended.at.duration_until(jiff::Timestamp::now()).as_secs();
    assert!((-1..30).contains(&ago), "{ago} s ago");
    assert!(lab.up().await);
    assert_eq!(lab.container("server", 1).await.state, "running");
    let again = lab.docker.usage(&server).await.unwrap();
    assert!(
        again.cpu_ns > 0 && again.memory > 0,
        "its new process is found: {again:?}"
    );
    lab.docker
        .unpause(&server)
        .await
        .expect("one that is not paused is fine");
    lab.docker.pause(&server).await.unwrap();
    lab.docker
        .pause(&server)
        .await
        .expect("one that is paused already is fine");
    assert_eq!(lab.container("server", 1).await.state, "paused");
    assert!(lab.up().await);
    assert_eq!(lab.container("server", 1).await.state, "running");
    lab.docker.pause(&server).await.unwrap();
    assert_eq!(lab.down(true).await, 2 + 1, "stopped with grace although it was paused");
    lab.up().await;
    lab.docker.pause(&server).await.unwrap();
    assert_eq!(lab.down(false).await, 2 + 1 + 1);
    lab.docker
        .remove_container(&server)
        .await
        .expect("one that is gone already is fine");
}

/// Texts of the files of a project's volume `data`.
async fn copied(docker: &Docker, project: &str, image: &str) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let folder = tempfile::tempdir()?;
    let paths = docker.copy_volume(project, "data", image, folder.path()).await?;
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(folder.path().join(&path))?;
        Ok((path, text))
    };
    paths.into_iter().map(read).collect()
}

#[tokio::test]
async fn a_volume_is_read_whether_its_container_runs_has_ended_or_never_ran() {
    let Some(mut lab) = Lab::new("volume", 112).await else {
        return;
    };
    let project = lab.file.name.clone();
    let missing = copied(&lab.docker, &project, IMAGE).await.unwrap_err();
    assert!(missing.to_string().contains("no such volume"), "{missing}");
    assert_eq!(lab.project().await, Project::default(), "reading makes nothing");

    lab.docker
        .create_volume(&project, "data", &Volume::default())
        .await
        .unwrap();
    assert!(copied(&lab.docker, &project, IMAGE).await.unwrap().is_empty());
    let script = "mkdir -p /data/sub; echo one > /data/a; echo two > /data/sub/b; echo done";
    assert_eq!(lab.output("server", script).await, "done");
    let read = copied(&lab.docker, &project, IMAGE).await.unwrap();
    let text = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    assert_eq!(read, BTreeMap::from([text("a", "one\n"), text("sub/b", "two\n")]));

    lab.file.services["server"].command = shell("echo three > /data/a; echo ready; sleep 600");
    lab.up().await;
    let follow = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut lines = lab.docker.logs(&format!("{project}-server-1"), follow);
    let first = tokio::time::timeout(Duration::from_secs(30), lines.try_next())
        .await
        .unwrap();
    assert_eq!(first.unwrap().unwrap().text, "ready");
    let read = copied(&lab.docker, &project, IMAGE).await.unwrap();
    assert_eq!(read[Path::new("a")], "three\n");
    assert_eq!(lab.project().await.helpers, Vec::<String>::new(), "the helper is gone");
    lab.down(false).await;
}

/// A context whose Dockerfile builds on the base.
fn context(instructions: &str) -> bytes::Bytes {
    let dockerfile = format!("FROM {IMAGE}\n{instructions}\n");
    let mut header = tar::Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(Vec::new());
    archive
        .append_data(&mut header, "Dockerfile", dockerfile.as_bytes())
        .unwrap();
    archive.into_inner().unwrap().into()
}

#[tokio::test]
async fn an_image_is_built_with_its_label_and_a_build_that_fails_shows_its_last_lines() {
    let Some(lab) = Lab::new("build", 128).await else {
        return;
    };
    let build = |instructions: &str| Build {
        reference: "khdtest/engine-build:1".into(),
        context: context(instructions),
        args: [("WORD".to_owned(), "something".to_owned())].into(),
        labels: [("dev.khd.recipe".to_owned(), "digest".to_owned())].into(),
    };
    let (progress, mut steps) = unbounded_channel();
    lab.docker
        .build(build("ARG WORD\nRUN echo hears $WORD"), &progress)
        .await
        .unwrap();
    drop(progress);
    let mut heard = false;
    while let Some(step) = steps.recv().await {
        heard |= step.action == "hears something";
    }
    assert!(heard, "lines of the build are told");
    let image = lab.docker.image("khdtest/engine-build:1").await.unwrap().unwrap();
    assert_eq!(image.labels["dev.khd.recipe"], "digest");

    let failing = lab
        .docker
        .build(build("RUN echo before the end && exit 7"), &unbounded_channel().0)
        .await;
    let error = failing.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot build image khdtest/engine-build:1: "),
        "{error}"
    );
    assert!(error.contains("  before the end"), "{error}");

    lab.docker
        .tag("khdtest/engine-build:1", "khdtest/engine-build:2")
        .await
        .unwrap();
    assert!(lab.docker.remove_image("khdtest/engine-build:1").await.unwrap());
    assert!(lab.docker.remove_image("khdtest/engine-build:2").await.unwrap());
    assert!(
        !lab.docker.remove_image("khdtest/engine-build:2").await.unwrap(),
        "gone already"
    );
    assert_eq!(lab.docker.image("khdtest/engine-build:2").await.unwrap(), None);
}

#[tokio::test]
async fn a_root_file_system_is_imported_as_an_image_and_its_volume_can_be_read_through_it() {
    let Some(mut lab) = Lab::new("import", 144).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.tar");
    let mut archive = tar::Builder::new(std::fs::File::create(&path).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    archive.append_data(&mut header, "file", &b"1\n"[..]).unwrap();
    archive.into_inner().unwrap();
    lab.docker.import("khdtest/engine-import:1", &path).await.unwrap();

    // An image without a shell, a command or even a folder, as khd's own is.
    assert_eq!(lab.output("server", "echo one > /data/a; echo done").await, "done");
    let read = copied(&lab.docker, &lab.file.name, "khdtest/engine-import:1")
        .await
        .unwrap();
    assert_eq!(read[Path::new("a")], "one\n");
    lab.down(false).await;
    assert!(lab.docker.remove_image("khdtest/engine-import:1").await.unwrap());
}

#[tokio::test]
async fn a_network_that_a_foreign_container_holds_is_kept_and_the_container_named() {
    let Some(lab) = Lab::new("held", 160).await else { return };
    lab.up().await;
    let network = format!("{}_net", lab.file.name);
    let docker = |arguments: &[&str]| {
        let done = std::process::Command::new("docker").args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let foreigner = ["--name", "khdtest-engine-foreigner", "--network", &network];
    docker(&[&["run", "--rm", "--detach"], &foreigner[..], &[IMAGE, "sleep", "60"]].concat());
    let refused = down(&lab.docker, &lab.file.name, false, &unbounded_channel().0).await;
    docker(&["rm", "--force", foreigner[1]]);
    assert_eq!(
        refused.unwrap_err().to_string(),
        format!(
            "cannot remove network {network}: {} is still attached to it",
            foreigner[1]
        )
    );
    assert_eq!(lab.down(false).await, 1);
}

#[tokio::test]
async fn what_cannot_be_done_names_operation_and_object() {
    let Some(lab) = Lab::new("errors", 160).await else {
        return;
    };
    let error = lab.docker.start("khdtest-engine-nobody").await.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot start container khdtest-engine-nobody: "),
        "{error}"
    );
    lab.docker.remove_container("khdtest-engine-nobody").await.unwrap();
    lab.docker.remove_network("khdtest-engine-nobody").await.unwrap();
    lab.docker.remove_volume("khdtest-engine-nobody").await.unwrap();
    let mut file = lab.file.clone();
    file.services["server"].image = "khdtest/nowhere:1".into();
    let error = lab.docker.create_container(&file, "server", 1).await.unwrap_err();
    assert!(
        error.to_string().contains("image khdtest/nowhere:1 is not there"),
        "{error}"
    );
    let error = lab
        .docker
        .pull("khdtest/nowhere:1", &unbounded_channel().0)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot pull image khdtest/nowhere:1: "), "{error}");
}
