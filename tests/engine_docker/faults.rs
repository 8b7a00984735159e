//! What faults ask of an engine: to freeze, limit and cut off containers, and to work in their networks.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};

use khd::compose::model::Port;
use khd::compose::render::NETHELPER_IMAGE;
use khd::engine::{Helper, HelperOutput, NetworkAttachment, ResourceLimits};

use super::*;

/// How long the engine may take for what it does by itself.
const SOON: Duration = Duration::from_secs(30);
/// A server that greets everybody on port 8080.
const GREETER: &str = "exec perl -MIO::Socket::INET -e \
     '$s = IO::Socket::INET->new(Listen => 5, LocalPort => 8080); while ($c = $s->accept) { print $c \"hello\" }'";

/// What a program in a container prints, and whether it ended well.
fn exec(container: &str, script: &str) -> (bool, String) {
    let mut command = std::process::Command::new("docker");
    let ran = command.args(["exec", container, "sh", "-c", script]).output().unwrap();
    (ran.status.success(), String::from_utf8(ran.stdout).unwrap())
}

/// A helper of the lab, in the network of one of its containers.
fn helper(lab: &Lab, network_of: Option<&str>, args: &[&str]) -> Helper {
    Helper {
        project: lab.file.name.clone(),
        purpose: "test".into(),
        image: NETHELPER_IMAGE.into(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        network_of: network_of.map(str::to_owned),
        capabilities: network_of.map(|_| "NET_ADMIN".to_owned()).into_iter().collect(),
        volume: None,
    }
}

/// What a helper says; it has to be able to run.
async fn run(lab: &Lab, helper: &Helper) -> HelperOutput {
    lab.docker.run_helper(helper).await.unwrap().unwrap()
}

/// Whether the engine has khd's image for helpers, without which there is nothing to test.
async fn has_nethelper(lab: &Lab) -> bool {
    let has = lab.docker.image(NETHELPER_IMAGE).await.unwrap().is_some();
    let required = std::env::var("KHD_TEST_DOCKER").is_ok_and(|value| value == "require");
    assert!(has || !required, "the engine has no {NETHELPER_IMAGE}");
    if !has {
        eprintln!("skipped: the engine has no {NETHELPER_IMAGE}");
    }
    has
}

/// Waits until the server greets over its published port.
async fn greeting(address: SocketAddr) -> String {
    let greeted = tokio::task::spawn_blocking(move || {
        let deadline = std::time::Instant::now() + SOON;
        loop {
            let mut said = String::new();
            let read = TcpStream::connect_timeout(&address, SOON).and_then(|mut stream| {
                stream.set_read_timeout(Some(SOON))?;
                stream.read_to_string(&mut said)
            });
            if (read.is_ok() && !said.is_empty()) || std::time::Instant::now() > deadline {
                return said;
            }
        }
    });
    greeted.await.unwrap()
}

#[tokio::test]
async fn limits_that_the_kernel_holds_go_down_and_back_and_away() {
    let Some(lab) = Lab::new("limits", 176).await else {
        return;
    };
    lab.up().await;
    let server = lab.container("server", 1).await.name;
    let kernel = || {
        let first = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/memory/memory.limit_in_bytes";
        let second = "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max";
        let (read, limits) = exec(&server, &format!("{first} 2>/dev/null || {second}"));
        assert!(read, "the limits cannot be read");
        limits
    };
    let before = lab.docker.limits(&server).await.unwrap();
    let own = ResourceLimits {
        cpus: None,
        memory: Some(64 << 20),
    };
    assert_eq!(before, own);
    let untouched = kernel();

    let tight = ResourceLimits {
        cpus: Some(0.25),
        memory: Some(32 << 20),
    };
    lab.docker.limit(&server, &tight).await.unwrap();
    assert_eq!(lab.docker.limits(&server).await.unwrap(), tight);
    let limited = kernel();
    assert!(limited.contains("25000") && limited.contains("33554432"), "{limited}");

    lab.docker.limit(&server, &before).await.unwrap();
    assert_eq!(lab.docker.limits(&server).await.unwrap(), before);
    assert_eq!(kernel(), untouched);

    let none = ResourceLimits::default();
    lab.docker.limit(&server, &none).await.unwrap();
    assert_eq!(lab.docker.limits(&server).await.unwrap(), none);
    assert!(!kernel().contains("67108864"), "{}", kernel());
    lab.docker.limit(&server, &before).await.unwrap();
    assert_eq!(kernel(), untouched);
    lab.down(false).await;
}

#[tokio::test]
async fn a_container_that_was_cut_off_has_its_address_names_and_published_port_again() {
    let Some(mut lab) = Lab::new("cut", 192).await else {
        return;
    };
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    lab.file.services["server"].command = shell(GREETER);
    lab.file.services["server"].ports = vec![Port {
        target: 8080,
        published: free.port().to_string(),
        host_ip: free.ip().to_string(),
        protocol: "tcp".into(),
    }];
    lab.up().await;
    let (server, worker) = (lab.container("server", 1).await, lab.container("worker", 1).await);
    let network = format!("{}_net", lab.file.name);
    assert_eq!(greeting(free).await, "hello");

    let before = lab.docker.attachment(&server.name, &network).await.unwrap();
    let known = NetworkAttachment {
        address: server.address,
        aliases: vec!["server".into()],
    };
    assert_eq!(before, Some(known.clone()));
    lab.docker.disconnect(&server.name, &network).await.unwrap();
    let again = lab.docker.disconnect(&server.name, &network).await;
    again.expect("one that is not attached is fine");
    assert_eq!(lab.docker.attachment(&server.name, &network).await.unwrap(), None);
    assert!(!exec(&worker.name, "getent hosts server").0, "its name is gone");

    lab.docker.connect(&server.name, &network, &known).await.unwrap();
    let again = lab.docker.connect(&server.name, &network, &known).await;
    again.expect("one that is attached already is fine");
    assert_eq!(lab.docker.attachment(&server.name, &network).await.unwrap(), before);
    assert_eq!(lab.container("server", 1).await.address, server.address);
    let (found, line) = exec(&worker.name, "getent hosts server");
    assert!(
        found && line.starts_with(&server.address.unwrap().to_string()),
        "{line}"
    );
    assert_eq!(greeting(free).await, "hello");
    lab.down(false).await;
}

#[tokio::test]
async fn a_helper_changes_the_network_of_another_container_and_takes_everything_back() {
    let Some(mut lab) = Lab::new("helper", 208).await else {
        return;
    };
    if !has_nethelper(&lab).await {
        return;
    }
    lab.file.services["server"].command = shell(GREETER);
    lab.up().await;
    let (server, worker) = (lab.container("server", 1).await, lab.container("worker", 1).await);
    let link = format!("{}:8080", server.address.unwrap());
    let inside = |args: &[&str]| helper(&lab, Some(&server.name), args);
    let attempt = |patience_ms| helper(&lab, Some(&worker.name), &["try", patience_ms, &link]);
    // Its own start counts into it, so one that has to succeed gets more time than one that must not.
    let (opens, fails) = (attempt("5000"), attempt("500"));
    let show = inside(&["show"]);
    // It listens soon after it was started.
    while !run(&lab, &opens).await.stdout.contains(" open ") {}

    let rules = "*filter\n:KHD-t-IN - [0:0]\n-I INPUT -j KHD-t-IN\n-A KHD-t-IN -p tcp --dport 8080 -j DROP\nCOMMIT\n";
    let applied = run(&lab, &inside(&["apply", rules])).await;
    assert_eq!(applied.exit_code, 0, "{applied:?}");
    assert_eq!(run(&lab, &fails).await.stdout, format!("{link} timeout\n"));
    let shown = run(&lab, &show).await.stdout;
    assert!(shown.contains("-A KHD-t-IN -p tcp"), "{shown}");

    for _ in 0..2 {
        let removed = run(&lab, &inside(&["remove", "KHD-t"])).await;
        assert_eq!(removed, HelperOutput::default(), "nothing there is fine");
    }
    assert_eq!(run(&lab, &show).await, HelperOutput::default());
    assert!(run(&lab, &opens).await.stdout.starts_with(&format!("{link} open ")));

    let subnet = &lab.file.networks["net"].ipam.config[0].subnet;
    let shaped = run(&lab, &inside(&["shape", "1000", subnet, "172.29.1.209"])).await;
    assert_eq!(shaped.exit_code, 0, "{shaped:?}");
    assert!(run(&lab, &show).await.stdout.contains("qdisc htb 4b:"));
    for _ in 0..2 {
        let unshaped = run(&lab, &inside(&["unshape"])).await;
        assert_eq!(unshaped, HelperOutput::default(), "nothing there is fine");
    }
    assert_eq!(run(&lab, &show).await, HelperOutput::default());
    assert_eq!(lab.project().await.helpers, Vec::<String>::new());
    lab.down(false).await;
}

#[tokio::test]
async fn a_helper_is_removed_when_it_fails_cannot_start_or_nobody_waits_for_it() {
    let Some(lab) = Lab::new("removed", 224).await else {
        return;
    };
    if !has_nethelper(&lab).await {
        return;
    }
    lab.up().await;
    let (server, worker) = (lab.container("server", 1).await, lab.container("worker", 1).await);
    let wrong = run(&lab, &helper(&lab, Some(&worker.name), &["dance"])).await;
    assert_eq!((wrong.exit_code, wrong.stdout.as_str()), (2, ""));
    assert!(wrong.stderr.contains("no such command: dance"), "{wrong:?}");

    lab.docker.kill(&server.name).await.unwrap();
    let nobodys = helper(&lab, Some(&server.name), &["show"]);
    assert_eq!(lab.docker.run_helper(&nobodys).await.unwrap(), None);
    assert_eq!(lab.project().await.helpers, Vec::<String>::new());

    // The address of the server, which nobody has now: nothing answers until the time is over.
    let link = format!("{}:8080", server.address.unwrap());
    let slow = helper(&lab, Some(&worker.name), &["try", "2000", &link]);
    // Looked for until the helper itself ends, after 2 s.
    let seen = async {
        while lab.project().await.helpers.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        said = lab.docker.run_helper(&slow) => panic!("it ended before it was seen: {said:?}"),
        () = seen => {}
    }
    // Looked for until the time-out below.
    let gone = async {
        while !lab.project().await.helpers.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, gone)
        .await
        .expect("the helper is still there");
    lab.down(false).await;
}

#[tokio::test]
async fn a_disk_of_a_size_fills_up_and_its_data_outlives_a_kill_as_long_as_somebody_mounts_it() {
    let Some(mut lab) = Lab::new("disk", 240).await else {
        return;
    };
    if !has_nethelper(&lab).await {
        return;
    }
    let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=8m")];
    lab.file.volumes["data"].driver_opts = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    lab.file.services["worker"].volumes = lab.file.services["server"].volumes.clone();
    lab.up().await;
    let server = lab.container("server", 1).await.name;
    assert!(exec(&server, "echo one > /data/file").0);

    let on_disk = |command: &str| Helper {
        volume: Some(("data".into(), "/disk".into())),
        ..helper(&lab, None, &[command, "/disk"])
    };
    let filled = run(&lab, &on_disk("fill")).await;
    assert_eq!((filled.exit_code, filled.stdout.trim()), (0, "0"), "{filled:?}");
    assert!(!exec(&server, "echo two > /data/other").0, "there is no room left");
    for _ in 0..2 {
        assert_eq!(run(&lab, &on_disk("drain")).await, HelperOutput::default());
    }
    assert!(exec(&server, "echo two > /data/other").0);

    lab.docker.kill(&server).await.unwrap();
    lab.docker.start(&server).await.unwrap();
    let (_, kept) = exec(&server, "cat /data/file /data/other");
    assert_eq!(kept, "one\ntwo\n");
    lab.down(false).await;
}
