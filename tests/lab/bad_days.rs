//! What goes wrong in the middle: interruptions, crashes, a lab that is not healthy. Whatever happens, no fault is left.

use rustix::process::Signal;

use crate::support::Lab;

#[test]
fn whatever_interrupts_a_drill_the_target_runs_again_or_is_named() {
    let lab = Lab::new("khdtest-bad", 2);
    lab.run(&["fail", "kafka2"], 3).says("there is no lab").says("khd up");
    lab.run(&["up"], 0);
    lab.run(&["fail", "kafka9"], 2).says("targets: kafka1, kafka2, kafka3");

    a_fault_left_in_place_is_known_until_it_is_restored(&lab);
    a_target_that_is_down_already_is_left_untouched(&lab);
    ctrl_c_in_each_phase_undoes_the_fault(&lab);
    a_khd_that_was_killed_is_followed_by_restore(&lab);
    a_khd_that_was_killed_is_followed_by_down(&lab);
}

fn a_fault_left_in_place_is_known_until_it_is_restored(lab: &Lab) {
    let left = lab
        .run(&["fail", "kafka2", "--leave", "--for", "5s", "--json"], 0)
        .json();
    assert_eq!(left["status"], "passed");
    assert_eq!(lab.state_of("kafka2"), "exited");
    lab.run(&["status"], 0)
        .says("stop of kafka2 since")
        .says("the lab is not healthy");
    lab.run(&["fail", "kafka3"], 3)
        .says("stop of kafka2 is still in place")
        .says("khd restore");
    lab.run(&["verify"], 1).says("isr-restored");
    lab.run(&["restore"], 0)
        .says("undid stop of kafka2")
        .says("the lab is whole");
    lab.run(&["restore"], 0).says("no fault was in place");
}

fn a_target_that_is_down_already_is_left_untouched(lab: &Lab) {
    lab.docker(&["stop", "khdtest-bad-kafka2-1"]);
    lab.run(&["fail", "kafka2"], 3)
        .says("the lab is not healthy, so it was left untouched");
    assert_eq!(lab.state_of("kafka2"), "exited");
    lab.run(&["restore", "kafka2"], 0).says("the lab is whole");
}

fn ctrl_c_in_each_phase_undoes_the_fault(lab: &Lab) {
    for words in [
        "check that the lab is healthy",
        "stop kafka2",
        "wait until settled",
        "let the workload run",
        "undo stop",
        "wait until replicas are in sync",
        "compare what producers were told",
    ] {
        let mut khd = lab.start(&["fail", "kafka2", "--for", "5s"]);
        khd.until(words);
        khd.signal(Signal::INT);
        let said = khd.ends(Some(130));
        assert!(said.contains("no fault is left in place"), "{words}: {said}");
        assert_eq!(lab.state_of("kafka2"), "running", "{words}");
        assert_eq!(lab.containers(), 10, "{words}: a helper is left");
        lab.run(&["restore"], 0).says("the lab is whole");
    }
}

fn a_khd_that_was_killed_is_followed_by_restore(lab: &Lab) {
    kill_khd_while_kafka2_is_down(lab);
    lab.run(&["restore"], 0)
        .says("undid stop of kafka2")
        .says("the lab is whole");
    lab.run(&["verify"], 0);
}

fn a_khd_that_was_killed_is_followed_by_down(lab: &Lab) {
    kill_khd_while_kafka2_is_down(lab);
    lab.run(&["down"], 0);
    assert_eq!(lab.left(), [""; 0]);
    assert!(!lab.journal().exists(), "a lab that is gone has no faults");
}

fn kill_khd_while_kafka2_is_down(lab: &Lab) {
    let mut khd = lab.start(&["fail", "kafka2", "--for", "60s"]);
    khd.until("let the workload run");
    khd.signal(Signal::KILL);
    khd.ends(None);
    assert_eq!(lab.state_of("kafka2"), "exited");
}
