//! The course of a drill: which steps follow which outcome. A pure function; nothing here waits or touches anything.
//!
//! ```text
//! healthy → the plan's steps → undo what is left → recover → audit → judge
//!    │            └→ on interruption or failure: undo what is left → end
//!    └→ untouched
//! ```
//! Once a fault may be in place, every way to the end leads through undoing it, unless the user asked to leave it.

use std::collections::{BTreeMap, BTreeSet};

use crate::drill::condition::Condition;
use crate::drill::plan::{Action, Plan, Step};
use crate::timeline::conditions::Lacking;

/// A step that is numbered, and can be run.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// The lab has to be healthy before anything is touched.
    Healthy,
    /// One of the plan's.
    Do(Action),
    /// Every fault that is still in place is undone.
    UndoAll,
    /// The lab has to become whole again.
    Recover,
    /// Ledgers and log are collected and compared.
    Audit,
}

impl Task {
    /// What sort of step it is, in one word: `healthy`, `fail`, `restore`, `until`, `wait`, `scale`, `migrate`, `note`, `undo`,
    /// `recover`, `audit`.
    pub fn sort(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Do(Action::Fail(_)) => "fail",
            Self::Do(Action::Restore(_)) => "restore",
            Self::Do(Action::Until { .. }) => "until",
            Self::Do(Action::Wait(_)) => "wait",
            Self::Do(Action::Scale { .. }) => "scale",
            Self::Do(Action::Migrate(_)) => "migrate",
            Self::Do(Action::Note(_)) => "note",
            Self::UndoAll => "undo",
            Self::Recover => "recover",
            Self::Audit => "audit",
        }
    }

    /// The condition that it waits for, where the plan has it wait for one.
    pub fn until(&self) -> Option<Condition> {
        match self {
            Self::Do(Action::Until { condition, .. }) => Some(*condition),
            _ => None,
        }
    }

    /// It in words.
    pub fn words(&self) -> String {
        match self {
            Self::Healthy => "check that the lab is healthy".into(),
            Self::Do(action) => action.to_string(),
            Self::UndoAll => "undo what is still in place".into(),
            Self::Recover => "wait until replicas are in sync and leaders are back".into(),
            Self::Audit => "compare what producers were told with what the log holds".into(),
        }
    }
}

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What it was for is done or true.
    Done,
    /// Its deadline passed; this was still lacking.
    Expired(Lacking),
    /// The engine or the evidence failed.
    Failed(String),
    /// A signal came.
    Interrupted,
}

/// What the machine wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Run the step of that number, beside those that run.
    Start(u32),
    /// Let the steps that run end as soon as they can.
    Hurry,
    /// The drill is over.
    End(Ending),
}

/// How a drill ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// There is evidence to judge.
    Judge,
    /// The lab was not healthy before anything began, and was left untouched.
    Untouched(Lacking),
    /// The evidence could not be collected.
    NoEvidence(String),
    /// A signal ended it; no fault is left in place, but for those that were held already and should be left.
    Interrupted,
    /// Something broke.
    Broken {
        /// What.
        error: String,
        /// Whether faults are still in place, journaled.
        fault_in_place: bool,
    },
}

/// A drill on its way.
#[derive(Debug, Clone)]
pub struct Machine {
    leave: bool,
    /// All steps by number: the plan's, and before and after them what every drill does.
    tasks: Vec<Task>,
    course: Sequence,
    phase: Phase,
    running: BTreeSet<u32>,
    /// Steps whose faults may be in place.
    in_place: BTreeSet<u32>,
    /// For each step that restores and runs, the faults that were in place when it began: one that is injected beside it
    /// is not its business.
    restoring: BTreeMap<u32, BTreeSet<u32>>,
    /// The steps are over before their end, and how the drill ends then; nothing where it is judged all the same.
    cut_short: Option<Option<Ending>>,
}

/// Where in its course a drill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Healthy,
    Steps,
    Undo,
    Recover,
    Audit,
    Ended,
}

/// Steps one after another, each of them one or several rows at once.
#[derive(Debug, Clone)]
struct Sequence {
    nodes: Vec<Node>,
    at: usize,
}

#[derive(Debug, Clone)]
enum Node {
    Task(u32),
    Parallel(Vec<Sequence>),
}

const HEALTHY: u32 = 0;

impl Machine {
    /// A drill about to begin.
    pub fn new(plan: &Plan) -> Self {
        let mut tasks = vec![Task::Healthy];
        let course = Sequence::of(&plan.steps, &mut tasks);
        tasks.extend([Task::UndoAll, Task::Recover, Task::Audit]);
        Self {
            leave: plan.leave,
            tasks,
            course,
            phase: Phase::Healthy,
            running: BTreeSet::new(),
            in_place: BTreeSet::new(),
            restoring: BTreeMap::new(),
            cut_short: None,
        }
    }

    /// All steps, by number.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Begins.
    pub fn begin(&mut self) -> Vec<Next> {
        self.start(vec![HEALTHY])
    }

    /// Takes the outcome of a step that was run, and says what comes next.
    pub fn advance(&mut self, step: u32, outcome: Outcome) -> Vec<Next> {
        self.running.remove(&step);
        match self.phase {
            Phase::Healthy => match outcome {
                Outcome::Done => {
                    self.phase = Phase::Steps;
                    let first = self.course.enter();
                    self.go_on(first)
                }
                Outcome::Expired(lacking) => self.end(Ending::Untouched(lacking)),
                outcome => self.end(ending(outcome, false)),
            },
            Phase::Steps => {
                let hurry = self.after_step(step, outcome);
                if self.cut_short.is_some() {
                    if self.running.is_empty() {
                        return self.undo();
                    }
                    return if hurry { vec![Next::Hurry] } else { Vec::new() };
                }
                let next = self.course.after(step);
                self.go_on(next)
            }
            Phase::Undo => match outcome {
                Outcome::Done | Outcome::Expired(_) => {
                    self.in_place.clear();
                    self.recover()
                }
                outcome => self.end(ending(outcome, true)),
            },
            Phase::Recover => match outcome {
                Outcome::Done | Outcome::Expired(_) => self.enter(Phase::Audit),
                outcome => self.end(ending(outcome, false)),
            },
            Phase::Audit => match outcome {
                Outcome::Done | Outcome::Expired(_) => self.end(Ending::Judge),
                Outcome::Failed(error) => self.end(Ending::NoEvidence(error)),
                Outcome::Interrupted => self.end(Ending::Interrupted),
            },
            Phase::Ended => Vec::new(),
        }
    }

    /// Keeps the books after one of the plan's steps; says whether the others have to hurry now.
    fn after_step(&mut self, step: u32, outcome: Outcome) -> bool {
        let task = &self.tasks[step as usize];
        let restored = self.restoring.remove(&step).unwrap_or_default();
        if matches!(outcome, Outcome::Done | Outcome::Expired(_)) {
            self.in_place.retain(|fault| !restored.contains(fault));
        }
        if let (Task::Do(Action::Fail(fail)), Outcome::Done) = (task, &outcome)
            && !fail.how.fault().stays()
        {
            self.in_place.remove(&step);
        }
        let cut = match (task, outcome) {
            (_, Outcome::Done) => return false,
            // A fault without effect is of no use to anybody: it is undone even where it should have been left. Nor is there a
            // way on from a phase that was not reached.
            (Task::Do(Action::Fail(_) | Action::Migrate(_)), Outcome::Expired(_)) => None,
            // Leaders that do not move are for the verdicts to judge, not a reason to look away.
            (_, Outcome::Expired(_)) => return false,
            (_, outcome) => Some(ending(outcome, false)),
        };
        if self.cut_short.is_some() {
            return false;
        }
        self.cut_short = Some(cut);
        true
    }

    /// Starts the next of the plan's steps; with none left, and none running, the plan is done.
    fn go_on(&mut self, steps: Vec<u32>) -> Vec<Next> {
        if steps.is_empty() && self.running.is_empty() {
            return if self.leave && !self.in_place.is_empty() {
                self.enter(Phase::Audit)
            } else {
                self.undo()
            };
        }
        self.start(steps)
    }

    fn undo(&mut self) -> Vec<Next> {
        if self.in_place.is_empty() {
            self.recover()
        } else {
            self.enter(Phase::Undo)
        }
    }

    fn recover(&mut self) -> Vec<Next> {
        match self.cut_short.take().flatten() {
            Some(ending) => self.end(ending),
            None => self.enter(Phase::Recover),
        }
    }

    fn enter(&mut self, phase: Phase) -> Vec<Next> {
        self.phase = phase;
        let last = self.tasks.len() as u32 - 1;
        let step = match phase {
            Phase::Undo => last - 2,
            Phase::Recover => last - 1,
            _ => last,
        };
        self.start(vec![step])
    }

    fn start(&mut self, steps: Vec<u32>) -> Vec<Next> {
        for step in &steps {
            match &self.tasks[*step as usize] {
                // One that does not stay is healed by the step that injects it, unless that is cut off.
                Task::Do(Action::Fail(_)) => {
                    self.in_place.insert(*step);
                }
                Task::Do(Action::Restore(label)) => {
                    let labelled = |fault: &&u32| match &self.tasks[**fault as usize] {
                        Task::Do(Action::Fail(fail)) => label.as_ref().is_none_or(|label| *label == fail.label),
                        _ => false,
                    };
                    let injected = self.in_place.difference(&self.running);
                    self.restoring
                        .insert(*step, injected.filter(labelled).copied().collect());
                }
                _ => {}
            }
            self.running.insert(*step);
        }
        steps.into_iter().map(Next::Start).collect()
    }

    fn end(&mut self, ending: Ending) -> Vec<Next> {
        self.phase = Phase::Ended;
        vec![Next::End(ending)]
    }
}

impl Sequence {
    /// Numbers the plan's steps, depth first, and appends them to `tasks`.
    fn of(steps: &[Step], tasks: &mut Vec<Task>) -> Self {
        let node = |step: &Step| match step {
            Step::Do(action) => {
                tasks.push(Task::Do(action.clone()));
                Node::Task(tasks.len() as u32 - 1)
            }
            Step::Parallel(rows) => Node::Parallel(rows.iter().map(|row| Self::of(row, tasks)).collect()),
        };
        let nodes = steps.iter().map(node).collect();
        Self { nodes, at: 0 }
    }

    /// The steps to begin with, from the present node on; none when there is nothing (more) to do.
    fn enter(&mut self) -> Vec<u32> {
        while let Some(node) = self.nodes.get_mut(self.at) {
            let first = match node {
                Node::Task(step) => vec![*step],
                Node::Parallel(rows) => rows.iter_mut().flat_map(Self::enter).collect(),
            };
            if !first.is_empty() {
                return first;
            }
            self.at += 1;
        }
        Vec::new()
    }

    /// The steps that follow the one that ended.
    fn after(&mut self, ended: u32) -> Vec<u32> {
        match self.nodes.get_mut(self.at) {
            Some(Node::Task(step)) if *step == ended => {
                self.at += 1;
                self.enter()
            }
            Some(Node::Parallel(rows)) => {
                let next: Vec<u32> = rows.iter_mut().flat_map(|row| row.after(ended)).collect();
                if next.is_empty() && rows.iter().all(Self::is_over) {
                    self.at += 1;
                    return self.enter();
                }
                next
            }
            _ => Vec::new(),
        }
    }

    fn is_over(&self) -> bool {
        self.at >= self.nodes.len()
    }
}

fn ending(outcome: Outcome, fault_in_place: bool) -> Ending {
    let error = match outcome {
        Outcome::Interrupted if !fault_in_place => return Ending::Interrupted,
        Outcome::Interrupted => "interrupted".into(),
        Outcome::Failed(error) => error,
        Outcome::Expired(lacking) => lacking.join("; "),
        Outcome::Done => "done".into(),
    };
    Ending::Broken { error, fault_in_place }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::drill::plan::Fail;
    use crate::faults::How;
    use crate::timeline::limits::Limits;

    fn fail(label: &str) -> Step {
        Step::Do(Action::Fail(Fail {
            label: label.into(),
            targets: vec!["kafka2".parse().unwrap()],
            how: How::all().remove(0),
        }))
    }

    fn plan(steps: Vec<Step>, leave: bool) -> Plan {
        Plan {
            drill: "drill".into(),
            steps,
            leave,
            seed: 1,
            limits: Limits::new(),
            skip: BTreeMap::new(),
        }
    }

    fn one(leave: bool) -> Plan {
        let Step::Do(Action::Fail(fail)) = fail("it") else {
            unreachable!()
        };
        Plan::of_one(fail, Duration::from_secs(1), leave, Limits::new(), 1)
    }

    /// Runs a machine against outcomes, always ending the oldest step first, and returns the sorts of the steps that were
    /// begun and how it ended.
    fn run(plan: &Plan, mut outcome: impl FnMut(&Task) -> Outcome) -> (Vec<&'static str>, Ending) {
        let mut machine = Machine::new(plan);
        let (mut begun, mut running) = (Vec::new(), std::collections::VecDeque::new());
        let mut queue = machine.begin();
        loop {
            for next in queue {
                match next {
                    Next::Start(step) => {
                        begun.push(machine.tasks()[step as usize].sort());
                        running.push_back(step);
                    }
                    Next::Hurry => {}
                    Next::End(ending) => {
                        assert!(running.is_empty(), "steps run on: {begun:?}");
                        return (begun, ending);
                    }
                }
            }
            assert!(begun.len() < 200, "a drill that does not end: {begun:?}");
            let step = running.pop_front().expect("a drill that stands still");
            let came = outcome(&machine.tasks()[step as usize]);
            queue = machine.advance(step, came);
        }
    }

    #[test]
    fn a_drill_without_trouble_runs_every_step_and_is_judged() {
        let (begun, ending) = run(&one(false), |_| Outcome::Done);
        assert_eq!(
            begun,
            ["healthy", "fail", "wait", "until", "restore", "recover", "audit"]
        );
        assert_eq!(ending, Ending::Judge);
        let (begun, ending) = run(&one(true), |_| Outcome::Done);
        assert_eq!(begun, ["healthy", "fail", "until", "wait", "audit"]);
        assert_eq!(ending, Ending::Judge);
    }

    #[test]
    fn an_unhealthy_lab_is_left_untouched() {
        let (begun, ending) = run(&one(false), |_| Outcome::Expired(vec!["kafka3 does not answer".into()]));
        assert_eq!(begun, ["healthy"]);
        assert_eq!(ending, Ending::Untouched(vec!["kafka3 does not answer".into()]));
    }

    #[test]
    fn a_fault_without_effect_is_undone_and_judged_all_the_same() {
        let (begun, ending) = run(&one(true), |task| match task.sort() {
            "fail" => Outcome::Expired(vec!["kafka2 still answers".into()]),
            _ => Outcome::Done,
        });
        assert_eq!(begun, ["healthy", "fail", "undo", "recover", "audit"]);
        assert_eq!(ending, Ending::Judge);
    }

    #[test]
    fn what_could_not_be_undone_is_tried_again_and_then_said_to_be_in_place() {
        let (begun, ending) = run(&one(false), |task| match task.sort() {
            "restore" | "undo" => Outcome::Failed("the engine is gone".into()),
            _ => Outcome::Done,
        });
        assert_eq!(begun, ["healthy", "fail", "wait", "until", "restore", "undo"]);
        assert_eq!(
            ending,
            Ending::Broken {
                error: "the engine is gone".into(),
                fault_in_place: true
            }
        );
    }

    #[test]
    fn rows_in_parallel_are_all_done_before_the_next_step() {
        let wait = || Step::Do(Action::Wait(Duration::ZERO));
        let rows = vec![vec![fail("a"), wait()], vec![], vec![fail("b")]];
        let (begun, ending) = run(&plan(vec![Step::Parallel(rows), wait()], false), |_| Outcome::Done);
        assert_eq!(
            begun,
            ["healthy", "fail", "fail", "wait", "wait", "undo", "recover", "audit"]
        );
        assert_eq!(ending, Ending::Judge);
    }

    #[test]
    fn a_step_that_fails_lets_those_beside_it_hurry_and_starts_no_others() {
        let mut machine = Machine::new(&plan(
            vec![Step::Parallel(vec![vec![fail("a")], vec![fail("b")]])],
            false,
        ));
        machine.begin();
        assert_eq!(machine.advance(0, Outcome::Done), [Next::Start(1), Next::Start(2)]);
        assert_eq!(machine.advance(1, Outcome::Failed("no".into())), [Next::Hurry]);
        assert_eq!(machine.advance(2, Outcome::Interrupted), [Next::Start(3)]);
        assert_eq!(machine.tasks()[3], Task::UndoAll);
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            6 => Just(Outcome::Done),
            1 => Just(Outcome::Expired(vec!["something".into()])),
            1 => Just(Outcome::Failed("trouble".into())),
            1 => Just(Outcome::Interrupted),
        ]
    }

    fn any_steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            prop::sample::select(vec!["a", "b", "c"]).prop_map(fail),
            prop::sample::select(vec!["a", "b", "c"])
                .prop_map(|label| Step::Do(Action::Restore(Some(label.to_owned())))),
            Just(Step::Do(Action::Restore(None))),
            Just(Step::Do(Action::Wait(Duration::ZERO))),
        ];
        let step = step.prop_recursive(2, 12, 3, |step| {
            let rows = prop::collection::vec(prop::collection::vec(step, 0..3), 0..3);
            rows.prop_map(Step::Parallel)
        });
        prop::collection::vec(step, 0..6)
    }

    proptest! {
        #[test]
        fn whatever_happens_every_fault_is_undone_left_on_purpose_or_named(
            leave: bool,
            steps in any_steps(),
            outcomes in prop::collection::vec(any_outcome(), 200),
        ) {
            let mut outcomes = outcomes.into_iter();
            let mut in_place: BTreeSet<String> = BTreeSet::new();
            let (begun, ending) = run(&plan(steps, leave), |task| {
                let outcome = outcomes.next().unwrap();
                let through = matches!(outcome, Outcome::Done | Outcome::Expired(_));
                match task {
                    // Whatever becomes of an injection, the fault may be in place.
                    Task::Do(Action::Fail(fail)) => {
                        in_place.insert(fail.label.clone());
                    }
                    Task::Do(Action::Restore(Some(label))) if through => {
                        in_place.remove(label);
                    }
                    Task::Do(Action::Restore(None)) | Task::UndoAll if through => in_place.clear(),
                    _ => {}
                }
                outcome
            });
            let named = matches!(ending, Ending::Broken { fault_in_place: true, .. });
            let left = leave && begun.contains(&"audit");
            prop_assert!(in_place.is_empty() || named || left, "{begun:?} {ending:?} {in_place:?}");
        }
    }
}
