//! Plans carried out on the fake engine.

use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::engine::fake::FakeEngine;
use crate::engine::samples;

async fn bring_up(engine: &FakeEngine, file: &ComposeFile) -> anyhow::Result<Plan> {
    converge(engine, file, &BTreeMap::new(), &unbounded_channel().0).await
}

async fn take_down(engine: &FakeEngine, keep_volumes: bool) -> anyhow::Result<usize> {
    down(engine, "khd", keep_volumes, &unbounded_channel().0).await
}

fn position(calls: &[String], call: &str) -> usize {
    calls
        .iter()
        .position(|made| made == call)
        .unwrap_or_else(|| panic!("no {call} in {calls:?}"))
}

#[tokio::test]
async fn everything_is_created_before_anything_is_started_and_then_nothing_is_left_to_do() {
    let file = samples::lab();
    let engine = FakeEngine::with_images(&file);
    assert!(!bring_up(&engine, &file).await.unwrap().is_empty());
    let calls = engine.calls();
    assert_eq!(calls.len(), 2 + 3 + 3, "{calls:?}");
    assert!(position(&calls, "create_network khd_kafka-net") < position(&calls, "create_container khd-kafka1-1"));
    assert!(position(&calls, "create_container khd-producer-1") < position(&calls, "start khd-zookeeper1-1"));
    engine.clear_calls();
    assert!(bring_up(&engine, &file).await.unwrap().is_empty());
    assert!(engine.calls().is_empty());
}

#[tokio::test]
async fn a_changed_service_is_stopped_and_removed_before_it_is_created_again() {
    let mut file = samples::lab();
    let engine = FakeEngine::with_images(&file);
    bring_up(&engine, &file).await.unwrap();
    engine.clear_calls();
    engine.set_state("khd-kafka1-1", "paused");
    file.services["kafka1"].environment.insert("A".into(), "1".into());
    bring_up(&engine, &file).await.unwrap();
    let name = "khd-kafka1-1";
    let expected = ["unpause", "stop", "remove_container", "create_container", "start"];
    assert_eq!(engine.calls(), expected.map(|verb| format!("{verb} {name}")));
}

#[tokio::test]
async fn a_changed_subnet_makes_the_network_and_all_containers_anew() {
    let mut file = samples::lab();
    let engine = FakeEngine::with_images(&file);
    bring_up(&engine, &file).await.unwrap();
    file.networks["kafka-net"].ipam.config[0].subnet = "10.0.0.0/24".into();
    bring_up(&engine, &file).await.unwrap();
    assert!(bring_up(&engine, &file).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_failed_is_made_up_for_by_the_next_run() {
    let file = samples::lab();
    let engine = FakeEngine::with_images(&file);
    engine.fail("create_container khd-kafka1-1", "disk is full");
    let error = bring_up(&engine, &file).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot create_container khd-kafka1-1: disk is full");
    assert!(
        engine
            .project("khd")
            .await
            .unwrap()
            .containers
            .iter()
            .all(|c| c.state == "created")
    );
    bring_up(&engine, &file).await.unwrap();
    assert!(bring_up(&engine, &file).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_engine_that_dies_midway_is_an_expected_failure() {
    let file = samples::lab();
    let engine = FakeEngine::with_images(&file);
    engine.die();
    assert!(bring_up(&engine, &file).await.unwrap_err().is::<Expected>());
    engine.come_back();
    bring_up(&engine, &file).await.unwrap();
}

#[tokio::test]
async fn down_removes_everything_and_a_second_down_finds_nothing() {
    let file = samples::lab();
    let engine = FakeEngine::with_images(&file);
    bring_up(&engine, &file).await.unwrap();
    engine.add_helper("khd", "khd-tc");
    assert_eq!(take_down(&engine, false).await.unwrap(), 3 + 1 + 1 + 1);
    assert_eq!(take_down(&engine, false).await.unwrap(), 0);
    assert!(
        !engine.calls().iter().any(|call| call.starts_with("stop")),
        "data is thrown away: no grace"
    );
}

#[tokio::test]
async fn down_that_keeps_data_stops_clients_first_and_leaves_volumes() {
    let file = samples::lab();
    let engine = FakeEngine::with_images(&file);
    bring_up(&engine, &file).await.unwrap();
    engine.clear_calls();
    assert_eq!(take_down(&engine, true).await.unwrap(), 3 + 1);
    let calls = engine.calls();
    assert!(position(&calls, "stop khd-producer-1") < position(&calls, "stop khd-kafka1-1"));
    assert!(position(&calls, "stop khd-kafka1-1") < position(&calls, "stop khd-zookeeper1-1"));
    assert_eq!(engine.project("khd").await.unwrap().volumes.len(), 1);
}

#[tokio::test]
async fn down_goes_on_with_the_rest_when_one_removal_fails() {
    let file = samples::lab();
    let engine = FakeEngine::with_images(&file);
    bring_up(&engine, &file).await.unwrap();
    engine.fail("remove_container khd-zookeeper1-1", "device is busy");
    let error = take_down(&engine, false).await.unwrap_err();
    assert!(error.to_string().contains("device is busy"), "{error}");
    assert_eq!(engine.project("khd").await.unwrap().containers.len(), 1);
    assert_eq!(
        take_down(&engine, false).await.unwrap(),
        2,
        "the container and its network"
    );
}

/// The lab, and a page in a profile.
fn with_page() -> ComposeFile {
    let mut file = samples::lab();
    let mut page = file.services["producer"].clone();
    page.profiles = vec!["ui".into()];
    file.services.insert("grafana".into(), page);
    file
}

async fn start_page(engine: &FakeEngine, file: &ComposeFile) {
    start_service(engine, file, "grafana", &BTreeMap::new(), &unbounded_channel().0)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_in_a_profile_is_started_by_itself_and_then_left_alone() {
    let file = with_page();
    let engine = FakeEngine::with_images(&file);
    bring_up(&engine, &file).await.unwrap();
    assert!(!engine.calls().iter().any(|call| call.contains("grafana")));
    engine.clear_calls();
    start_page(&engine, &file).await;
    assert_eq!(
        engine.calls(),
        ["create_container khd-grafana-1", "start khd-grafana-1"]
    );
    engine.clear_calls();
    engine.set_state("khd-grafana-1", "exited");
    assert!(bring_up(&engine, &file).await.unwrap().is_empty());
    assert!(engine.calls().is_empty());
    start_page(&engine, &file).await;
    assert_eq!(engine.calls(), ["start khd-grafana-1"]);
}

#[tokio::test]
async fn what_is_in_a_profile_does_not_hold_on_to_a_network_that_is_made_anew() {
    let mut file = with_page();
    let engine = FakeEngine::with_images(&file);
    bring_up(&engine, &file).await.unwrap();
    start_page(&engine, &file).await;
    file.networks["kafka-net"].ipam.config[0].subnet = "10.0.0.0/24".into();
    engine.clear_calls();
    bring_up(&engine, &file).await.unwrap();
    let calls = engine.calls();
    assert!(position(&calls, "remove_container khd-grafana-1") < position(&calls, "remove_network khd_kafka-net"));
    assert!(!calls.iter().any(|call| call == "create_container khd-grafana-1"));
    start_page(&engine, &file).await;
}

#[tokio::test]
async fn what_left_the_file_goes_though_it_was_in_a_profile() {
    let mut file = with_page();
    let engine = FakeEngine::with_images(&file);
    bring_up(&engine, &file).await.unwrap();
    start_page(&engine, &file).await;
    file.services.shift_remove("grafana");
    engine.clear_calls();
    bring_up(&engine, &file).await.unwrap();
    assert!(engine.calls().contains(&"remove_container khd-grafana-1".to_owned()));
}
