//! Images obtained on the fake engine.

use std::collections::BTreeMap;

use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::compose::render::{KAFKA_3_IMAGE, ZOOKEEPER_IMAGE};
use crate::engine::fake::FakeEngine;
use crate::engine::{Engine as _, labels, samples};
use crate::error::Expected;

async fn get(engine: &FakeEngine, references: &[&str]) -> anyhow::Result<BTreeMap<String, String>> {
    let references = references.iter().map(|reference| (*reference).to_owned());
    obtain(engine, references, &unbounded_channel().0).await
}

#[tokio::test]
async fn an_image_that_is_there_is_left_alone() {
    let engine = FakeEngine::new();
    let id = engine.add_image("example/producer:1", BTreeMap::new());
    let ids = get(&engine, &["example/producer:1"]).await.unwrap();
    assert_eq!(ids["example/producer:1"], id);
    assert!(engine.calls().is_empty());
}

#[tokio::test]
async fn own_images_are_built_after_what_they_start_from_and_never_pulled() {
    let engine = FakeEngine::new();
    engine.allow_pull("debian:bookworm-slim");
    get(&engine, &[ZOOKEEPER_IMAGE]).await.unwrap();
    let expected = [
        "pull debian:bookworm-slim".to_owned(),
        format!("tag debian:bookworm-slim {BASE_IMAGE}"),
        format!("build {KAFKA_3_IMAGE}"),
        format!("build {ZOOKEEPER_IMAGE}"),
    ];
    assert_eq!(engine.calls(), expected);
    engine.clear_calls();
    get(&engine, &[KAFKA_3_IMAGE, ZOOKEEPER_IMAGE]).await.unwrap();
    assert!(engine.calls().is_empty(), "both are up to date");
}

#[tokio::test]
async fn an_image_of_another_recipe_is_built_again_and_the_old_one_goes() {
    let engine = FakeEngine::new();
    engine.add_image(BASE_IMAGE, BTreeMap::new());
    let old = engine.add_image(KAFKA_3_IMAGE, [(labels::RECIPE.to_owned(), "old".to_owned())].into());
    let ids = get(&engine, &[KAFKA_3_IMAGE]).await.unwrap();
    assert_ne!(ids[KAFKA_3_IMAGE], old);
    assert_eq!(
        engine.calls(),
        [format!("build {KAFKA_3_IMAGE}"), format!("remove_image {old}")]
    );
}

#[tokio::test]
async fn what_cannot_be_pulled_is_named_with_the_way_that_needs_no_registry() {
    let engine = FakeEngine::new();
    let error = get(&engine, &["confluentinc/cp-kafka:7.9.2"]).await.unwrap_err();
    let expected = error.downcast_ref::<Expected>().unwrap();
    assert!(
        expected.message.contains("confluentinc/cp-kafka:7.9.2"),
        "{}",
        expected.message
    );
    assert!(expected.hint.as_ref().unwrap().contains("images: khd"));
}

#[tokio::test]
async fn an_own_image_without_a_recipe_is_not_sought_in_a_registry() {
    let engine = FakeEngine::new();
    let error = get(&engine, &["khd/kafka:0.0.1"]).await.unwrap_err();
    assert!(error.to_string().contains("no recipe"), "{error}");
    assert!(engine.calls().is_empty());
}

#[tokio::test]
async fn the_list_shows_origin_and_presence_and_what_images_start_from() {
    let engine = FakeEngine::new();
    engine.add_image(BASE_IMAGE, BTreeMap::new());
    engine.add_image(KAFKA_3_IMAGE, BTreeMap::new());
    let rows = list(&engine, &samples::lab()).await.unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.reference.as_str(), row.origin, row.presence))
        .collect();
    assert_eq!(
        shown,
        [
            (ZOOKEEPER_IMAGE, Origin::Recipe, Presence::Missing),
            (KAFKA_3_IMAGE, Origin::Recipe, Presence::Outdated),
            ("example/producer:1", Origin::Pull, Presence::Missing),
            (NETHELPER_IMAGE, Origin::Recipe, Presence::Missing),
            (BASE_IMAGE, Origin::Recipe, Presence::Present),
        ]
    );
    assert_eq!(rows[1].services, ["kafka1"]);
    assert!(engine.image(BASE_IMAGE).await.unwrap().is_some());
}
