//! What is wrong is pointed at, what is right becomes a plan.

use std::time::Duration;

use super::*;
use crate::drill::machine::Machine;

fn lab() -> Topology {
    Topology::of(&Settings::default())
}

fn problems(text: &str) -> String {
    Script::read("test.yaml", text, &Settings::default())
        .unwrap_err()
        .to_string()
}

fn steps(text: &str) -> Vec<String> {
    let text = format!("name: test\npurpose: a test\n{text}");
    let script = Script::read("test.yaml", &text, &Settings::default()).unwrap_or_else(|wrong| panic!("{wrong}"));
    let machine = Machine::new(&script.plan(&lab(), Limits::new(), 0, None));
    let tasks = machine.tasks();
    tasks[1..tasks.len() - 3].iter().map(|task| task.words()).collect()
}

#[test]
fn everything_that_is_wrong_is_pointed_at_at_once() {
    insta::assert_snapshot!(problems(
        "\
name: Test Drill
porpose: misspelt
tags: [smoke]
lab:
  producer: { ack: all, acks: 1 }
  kafka: { servers: many }
  project: other
steps:
  - fail: kafka9
    how: kill
  - fail: leader:test-9/0
  - fail: kafka2
    how: kil
  - fail: kafka2
    how: stop
    grace: soon
    grase: 5s
  - wait-until: setled
    within: 60s
  - wait-until: settled
  - wait-until: settled
    within: 60
    witin: 60s
  - wait: long
  - restore: nobody
  - scale: { consumer: 500, kafka: 3 }
  - wiat: 5s
  - wait: 5s
    note: two things
  - repeat: 0
    steps: []
  - just text
expect:
  lost-wrote: '= 0'
  gap: '<= 40'
skip:
  group-recoverd: because
"
    ));
}

#[test]
fn what_is_no_yaml_or_no_drill_says_where() {
    insta::assert_snapshot!(
        [
            "name: a\n  purpose: [\n",
            "",
            "- a\n- list\n",
            "name: a\nname: b\n",
            "a: 1\n---\nb: 2\n"
        ]
        .map(problems)
        .join("\n")
    );
}

#[test]
fn settings_that_cannot_work_together_are_refused_where_the_lab_is_described() {
    let text = "name: test\npurpose: a test\nlab:\n  producer: { acks: 1, idempotence: true }\nsteps: []\n";
    assert_eq!(
        problems(text).lines().next().unwrap(),
        "test.yaml:3:1: producer.idempotence: needs `producer.acks: all`, which is 1"
    );
}

#[test]
fn loops_are_unrolled_and_rows_stay_side_by_side() {
    let text = "\
steps:
  - repeat: 2
    steps:
      - fail: kafka1
        how: kill
        as: one
      - wait: 5s
      - restore: one
  - parallel:
      - - wait: 1s
        - note: first
      - - scale: { consumer: 2, producer: 3 }
  - restore: all
";
    insta::assert_snapshot!(steps(text).join("\n"));
}

#[test]
fn a_fault_that_is_used_twice_at_once_has_two_names() {
    let text = "steps:\n  - fail: kafka1\n  - fail: zookeeper1\n  - restore: stop-2\n  - restore: stop\n  - fail: kafka1\n  - restore: stop\n";
    assert_eq!(steps(text)[2..4], ["undo stop-2", "undo stop"]);
    let twice = "name: t\npurpose: a test\nsteps:\n  - { fail: kafka1, as: one }\n  - { fail: kafka2, as: one }\n";
    assert!(
        problems(twice).starts_with("test.yaml:5:25: `one` cannot be a label here"),
        "{}",
        problems(twice)
    );
}

#[test]
fn what_a_drill_expects_goes_over_the_labs_limits() {
    let text = "name: test\npurpose: a test\nlab: { consumer: { replicas: 2 } }\nsteps: []\nexpect: { gap: '<= 40s', lost-write: '> 0' }\n";
    let script = Script::read("test.yaml", text, &Settings::default()).unwrap();
    assert_eq!(script.settings(&Settings::default()).unwrap().consumer.replicas, 2);
    let limits = Limits::from([("gap".to_owned(), crate::timeline::limits::Bound::at_most(1.0))]);
    let plan = script.plan(&lab(), limits, 7, None);
    assert!(plan.limits["gap"].holds(40_000.0) && !plan.limits["lost-write"].holds(0.0));
    assert_eq!(plan.seed, 7);
}

#[test]
fn every_drill_that_comes_with_khd_is_well_and_called_like_its_file() {
    let schema = serde_json::to_value(schema::schema()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let mut wrong = Vec::new();
    for (name, text) in shipped::all() {
        let head = "# yaml-language-server: $schema=../docs/schemas/drill.schema.json\n";
        assert!(text.starts_with(head), "{name} has no line for editors");
        match Script::read(&format!("drills/{name}.yaml"), text, &Settings::default()) {
            Ok(script) => assert_eq!(script.name, name),
            Err(problems) => wrong.push(problems.to_string()),
        }
        let value: Value = serde_yaml::from_str(text).unwrap();
        let complaints = schema.iter_errors(&value);
        wrong.extend(complaints.map(|complaint| format!("{name}: {}: {complaint}", complaint.instance_path())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(shipped::all().len() >= 25);
}

#[test]
fn what_the_reader_refuses_the_schema_refuses_too() {
    let schema = serde_json::to_value(schema::schema()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let drill = |steps: &str| format!("name: test\npurpose: a test\nsteps: [{steps}]\n");
    let agree = |text: &str, valid: bool| {
        let value: Value = serde_yaml::from_str(text).unwrap();
        assert_eq!(schema.is_valid(&value), valid, "schema: {text}");
        assert_eq!(
            Script::read("t", text, &Settings::default()).is_ok(),
            valid,
            "reader: {text}"
        );
    };
    for step in [
        "{fail: kafka1}",
        "{fail: [kafka1, controller], how: kill, as: both}",
        "{fail: kafka1, how: stop, grace: 5s}",
        "{wait-until: settled, within: 5s}",
        "{wait: 5s}",
        "{restore: all}",
        "{scale: {consumer: 3}}",
        "{note: text}",
        "{repeat: 2, steps: [{wait: 5s}]}",
        "{parallel: [[{wait: 5s}], []]}",
    ] {
        agree(&drill(step), true);
    }
    for step in [
        "{fail: kafka1, how: explode}",
        "{fail: kafka1, how: kill, grace: 5s}",
        "{wait-until: setled, within: 5s}",
        "{wait-until: settled}",
        "{wait: 5s, within: 5s}",
        "{scale: {kafka: 3}}",
        "{repeat: 0, steps: []}",
        "{wiat: 5s}",
    ] {
        agree(&drill(step), false);
    }
    agree("name: t\npurpose: p\nsteps: []\nexpect: {lost-write: '> 0'}\n", true);
    agree("name: t\npurpose: p\nsteps: []\nexpect: {lost-wrote: '> 0'}\n", false);
    agree("name: t\npurpose: p\nsteps: []\nskip: {lost-wrote: why}\n", false);
    agree(
        "name: t\npurpose: p\nsteps: []\nflavors: [kraft, kraft-separate]\n",
        true,
    );
    agree("name: t\npurpose: p\nsteps: []\nflavors: [raft]\n", false);
    agree("name: t\nsteps: []\n", false);
}

#[test]
fn a_drill_of_some_flavors_says_why_others_do_without_it() {
    let script = |flavors: &str| {
        let text = format!("name: t\npurpose: a test\n{flavors}steps: []\n");
        Script::read("t.yaml", &text, &Settings::default()).unwrap_or_else(|wrong| panic!("{wrong}"))
    };
    let of_kraft = script("flavors: [kraft, kraft-separate]\n");
    assert_eq!(of_kraft.unsuited(Flavor::KraftSeparate), None);
    assert_eq!(
        of_kraft.unsuited(Flavor::ZooKeeper).unwrap(),
        "it is made for flavor kraft or kraft-separate, and this lab is zookeeper"
    );
    assert_eq!(script("").unsuited(Flavor::ZooKeeper), None);
}

#[test]
fn a_soak_takes_as_long_as_it_is_told() {
    let text = "name: s\npurpose: a test\nsoak: {for: 10m, faults: [{weight: 1, fail: random, how: kill}]}\n";
    let script = Script::read("s.yaml", text, &Settings::default()).unwrap_or_else(|wrong| panic!("{wrong}"));
    let count = |length| script.plan(&lab(), Limits::new(), 7, length).steps.len();
    assert!(count(None) > 3 * count(Some(Duration::from_secs(120))));
}

#[test]
fn a_fault_hits_whom_it_is_told_to_or_whom_its_options_name_and_never_nobody() {
    assert_eq!(
        steps("steps:\n  - fail:\n    how: partition\n    sets: [[kafka1], [kafka2]]\n    one-way: true\n"),
        [r#"partition kafka1 kafka2 one-way=true sets=[["kafka1"],["kafka2"]]"#]
    );
    let wrong = |steps: &str| problems(&format!("name: test\npurpose: a test\nsteps:\n{steps}"));
    for (steps, said) in [
        (
            "  - fail: []\n    how: stop\n",
            "4:11: stop has to be told whom it hits",
        ),
        (
            "  - fail: kafka1\n    how: partition\n    sets: [[kafka1], [kafka2]]\n",
            "4:11: partition hits whom its options name",
        ),
        (
            "  - fail:\n    how: partition\n    sets: [[kafka1], [kafka9]]\n",
            "kafka9",
        ),
        ("  - fail: controller\n    how: stall\n", "4:5: kafka1 is no consumer"),
        ("  - fail: kafka1\n    how: loss\n    percent: 500\n", "4:5: "),
    ] {
        let wrong = wrong(steps);
        assert!(wrong.contains(said), "{wrong}");
    }
}

#[test]
fn a_migration_that_leads_nowhere_or_is_not_alone_is_pointed_at() {
    insta::assert_snapshot!(problems(
        "\
name: test
purpose: a test
steps:
  - fail: kafka1
    how: block
    traffic: [brokers]
    as: cut
  - migrate: controllers
  - restore: cut
  - migrate: finalized
  - migrate: zookeper
  - parallel:
      - [migrate: hybrid]
  - fail:
    how: partition
    sets: [[kafka1], [kafka2, kafka3]]
"
    ));
}
