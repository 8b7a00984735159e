//! What is wrong around khd: ports and subnets taken, an engine that goes away, an `up` that is interrupted.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Lab, until};

/// One server of each kind: what is tested here does not need more, and comes up sooner.
const SMALL: [&str; 5] = ["up", "--set", "kafka.servers=1", "--set", "zookeeper.servers=1"];

#[test]
fn a_port_that_is_taken_is_named_before_anything_is_created() {
    let lab = Lab::new("khdtest-port", 3);
    let taken = TcpListener::bind(lab.published(29092)).unwrap();
    lab.run(&["up"], 3)
        .says(&taken.local_addr().unwrap().port().to_string())
        .says("kafka2");
    assert_eq!(lab.left(), [""; 0]);
}

#[test]
fn a_subnet_that_is_taken_is_named_with_its_network_before_anything_is_created() {
    let lab = Lab::new("khdtest-subnet", 4);
    lab.docker(&["network", "create", "--subnet", &lab.subnet(), "khdtest-other"]);
    let refused = lab.khd(&["up"]).output().unwrap();
    lab.docker(&["network", "rm", "khdtest-other"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("khdtest-other") && said.contains("--subnet"), "{said}");
    assert_eq!(lab.left(), [""; 0]);
}

#[test]
fn an_interrupted_up_takes_away_what_it_began() {
    let lab = Lab::new("khdtest-ctrlc", 5);
    let mut khd = lab.start(&SMALL);
    khd.until("started");
    khd.signal(Signal::INT);
    khd.ends(Some(130));
    assert_eq!(lab.left(), [""; 0]);
}

#[test]
fn two_labs_run_side_by_side_and_one_goes_without_the_other() {
    let (first, second) = (Lab::new("khdtest-one", 6), Lab::new("khdtest-two", 7));
    first
        .run(&SMALL, 0)
        .says("khdtest-one is ready: 1 ZooKeeper servers, 1 brokers");
    second.run(&SMALL, 0).says("khdtest-two is ready");
    first.run(&["down"], 0);
    second.run(&["verify"], 0);
}

#[test]
fn an_engine_that_dies_during_up_and_during_fail_is_named_and_nothing_is_forgotten() {
    let mut lab = Lab::new("khdtest-engine-dies", 8);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    lab.docker_host = Some(format!("unix://{}", socket.display()));

    let engine = Engine::serve(&socket);
    let mut khd = lab.start(&["up"]);
    khd.until("created");
    engine.die();
    khd.ends(Some(3));
    // The real one still makes what it was asked for, and does not know that nobody waits for it.
    until("nothing comes any more", || {
        let before = lab.left();
        // Nothing tells that no more comes, but that for a while nothing has.
        std::thread::sleep(Duration::from_secs(1));
        (lab.left() == before).then_some(())
    });

    let engine = Engine::serve(&socket);
    lab.run(&["up"], 0);
    let mut khd = lab.start(&["fail", "kafka2", "--for", "3s"]);
    khd.until("let the workload run");
    engine.die();
    let said = khd.ends(Some(3));
    assert!(
        said.contains("stop kafka2 could not be undone and is still in place"),
        "{said}"
    );
    assert!(said.contains("khd restore"), "{said}");

    let _engine = Engine::serve(&socket);
    lab.run(&["restore"], 0)
        .says("undid stop of kafka2")
        .says("the lab is whole");
}

/// The real engine behind a socket of the test's own, so that it can die without taking anything else along.
struct Engine {
    /// None once it is dead.
    connections: Arc<Mutex<Option<Vec<UnixStream>>>>,
    socket: std::path::PathBuf,
}

impl Engine {
    fn serve(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let engine = Self {
            connections: Arc::new(Mutex::new(Some(Vec::new()))),
            socket: socket.to_owned(),
        };
        let connections = engine.connections.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Held until both ends are in it: no connection outlives the engine.
                let mut connections = connections.lock().unwrap();
                let Some(connections) = connections.as_mut() else {
                    return;
                };
                let engine = UnixStream::connect("/var/run/docker.sock").unwrap();
                let both = [client.try_clone().unwrap(), engine.try_clone().unwrap()];
                connections.extend(both);
                forward(client.try_clone().unwrap(), engine.try_clone().unwrap());
                forward(engine, client);
            }
        });
        engine
    }

    fn die(&self) {
        std::fs::remove_file(&self.socket).unwrap();
        for connection in self.connections.lock().unwrap().take().into_iter().flatten() {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn forward(mut from: UnixStream, mut to: UnixStream) {
    std::thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
