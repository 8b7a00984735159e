//! Runs a drill: does what the machine says, step by step, and records it.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::drill::audit;
use crate::drill::machine::{Ending, Machine, Next, Outcome, Task};
use crate::drill::migration::migrate;
use crate::drill::plan::{Action, Fail, Plan};
use crate::drill::stage::Stage;
use crate::drill::undo::undo;
use crate::drill::wait::{proven, until};
use crate::engine::converge;
use crate::faults::selector::{self, Selector};
use crate::faults::{Injection, Target};
use crate::timeline::conditions;
use crate::timeline::event::Kind;
use crate::timeline::record::Timeline;
use crate::timeline::view::View;

/// A healthy lab is seen to be so at once; the rest is for a rebalance that is just under way.
const HEALTHY_WITHIN: Duration = Duration::from_secs(20);
/// How long the lab may take to be whole again after everything was undone.
const RECOVERED_WITHIN: Duration = Duration::from_secs(120);
/// How long it may take until somebody has the role that a fault shall hit: who had it may be known until a session ends.
const ROLE_WITHIN: Duration = Duration::from_secs(30);
/// How often undoing is tried at the end of a drill: nothing may stay behind.
const TRIES: u32 = 3;
/// Time between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs a drill to its end. The observers must be running.
pub async fn run(stage: &Stage, plan: &Plan) -> Ending {
    let mut machine = Machine::new(plan);
    let tasks = machine.tasks().to_vec();
    stage.timeline.emit(
        "khd",
        Kind::StepsPlanned {
            drill: plan.drill.clone(),
            seed: plan.seed,
            steps: tasks.iter().map(Task::words).collect(),
        },
    );
    let runner = Runner {
        stage,
        plan,
        tasks: &tasks,
        hurry: stage.cancel.child_token(),
    };
    let mut running = FuturesUnordered::new();
    let mut queue = machine.begin();
    loop {
        for next in queue {
            match next {
                Next::Start(step) => running.push(runner.step(step)),
                Next::Hurry => runner.hurry.cancel(),
                Next::End(ending) => return ending,
            }
        }
        let Some((step, outcome)) = running.next().await else {
            let error = "the drill stands still, which is a defect of khd".to_owned();
            let fault_in_place = stage.journal.entries().is_ok_and(|entries| !entries.is_empty());
            return Ending::Broken { error, fault_in_place };
        };
        queue = machine.advance(step, outcome);
    }
}

/// Records the begin and the end of a step around it.
pub async fn recorded(timeline: &Timeline, step: u32, task: &Task, work: impl Future<Output = Outcome>) -> Outcome {
    let started = Kind::StepStarted {
        step,
        sort: task.sort().to_owned(),
        words: task.words(),
        until: task.until().map(|condition| condition.to_string()),
    };
    timeline.emit("khd", started);
    let outcome = work.await;
    let lacking = match &outcome {
        Outcome::Done => Vec::new(),
        Outcome::Expired(lacking) => lacking.clone(),
        Outcome::Failed(error) => vec![error.clone()],
        Outcome::Interrupted => vec!["interrupted".into()],
    };
    let ok = outcome == Outcome::Done;
    timeline.emit("khd", Kind::StepEnded { step, ok, lacking });
    outcome
}

struct Runner<'a> {
    stage: &'a Stage,
    plan: &'a Plan,
    tasks: &'a [Task],
    /// Cancelled when the steps that run shall end as soon as they can.
    hurry: CancellationToken,
}

impl Runner<'_> {
    async fn step(&self, step: u32) -> (u32, Outcome) {
        let task = &self.tasks[step as usize];
        (
            step,
            recorded(&self.stage.timeline, step, task, self.task(step, task)).await,
        )
    }

    async fn task(&self, step: u32, task: &Task) -> Outcome {
        let stage = self.stage;
        match task {
            Task::Healthy => {
                // An engine that is gone is told as such, not as a lab that is not healthy.
                if let Err(error) = stage.engine().project(&stage.project).await {
                    return failed(error);
                }
                self.wait(HEALTHY_WITHIN, &stage.cancel, |view| {
                    conditions::whole(view, &stage.expected)
                })
                .await
            }
            Task::Do(action) => self.action(step, action).await,
            Task::UndoAll => self.undo_all().await,
            Task::Recover => {
                self.wait(RECOVERED_WITHIN, &stage.cancel, |view| {
                    conditions::whole(view, &stage.expected)
                })
                .await
            }
            Task::Audit => audit::collect(stage).await,
        }
    }

    async fn action(&self, step: u32, action: &Action) -> Outcome {
        let stage = self.stage;
        match action {
            Action::Fail(fail) => self.fail(step, fail).await.unwrap_or_else(failed),
            Action::Restore(label) => self.restore(label.as_deref()).await.unwrap_or_else(failed),
            Action::Until { condition, within } => {
                self.wait(*within, &self.hurry, |view| condition.lacking(view, &stage.expected))
                    .await
            }
            // The step is a pause: the drill's author asked for it.
            Action::Wait(time) => tokio::select! {
                () = tokio::time::sleep(*time) => Outcome::Done,
                () = self.hurry.cancelled() => Outcome::Interrupted,
            },
            Action::Scale { service, replicas } => self.scale(service, *replicas).await.unwrap_or_else(failed),
            Action::Migrate(phase) => migrate(stage, *phase, &self.hurry).await.unwrap_or_else(failed),
            Action::Note(text) => {
                stage.timeline.emit("khd", Kind::Note { text: text.clone() });
                Outcome::Done
            }
        }
    }

    async fn wait(
        &self,
        within: Duration,
        cancel: &CancellationToken,
        condition: impl Fn(&View) -> Vec<String>,
    ) -> Outcome {
        until(self.stage.timeline.view(), within, cancel, condition).await
    }

    /// Injects a fault and proves it; one that does not stay is healed at once.
    async fn fail(&self, step: u32, fail: &Fail) -> anyhow::Result<Outcome> {
        let (stage, fault) = (self.stage, fail.how.fault());
        let Some(targets) = self.resolved(step, fail).await? else {
            return Ok(Outcome::Interrupted);
        };
        fault.check(&stage.means.topology, &targets)?;
        let (means, run) = (&stage.means, stage.run.name());
        let begins = |injection: &Injection| {
            let asked = fail.targets.iter().filter(|target| target.is_role());
            let asked = asked.map(ToString::to_string).collect();
            stage.timeline.emit("khd", injection.injected(&means.topology, asked));
        };
        let injection = stage
            .journal
            .inject(means, step, &fail.how, targets, &run, begins)
            .await?;
        let view = stage.timeline.view();
        let look = async |view: View| fault.effect(means, &injection, &view).await;
        let proof = match proven(view, fault.effect_within(), &self.hurry, look).await {
            Ok(proof) => proof,
            Err(outcome) => return Ok(outcome),
        };
        stage.timeline.emit("khd", Kind::FaultEffective { id: step, proof });
        if fault.stays() {
            return Ok(Outcome::Done);
        }
        self.undo(|injection| injection.id == step).await
    }

    /// Whom a fault shall hit, as soon as somebody has the role; nothing when a signal comes first.
    async fn resolved(&self, step: u32, fail: &Fail) -> anyhow::Result<Option<Vec<Target>>> {
        let stage = self.stage;
        let deadline = Instant::now() + ROLE_WITHIN;
        // Each step draws a lot of its own, whatever runs beside it.
        let seed = self.plan.seed.wrapping_add(u64::from(step));
        loop {
            let project = stage.engine().project(&stage.project).await?;
            let view = stage.timeline.view().borrow().clone();
            match selector::resolve(&fail.targets, &project, &stage.expected, &view, seed) {
                Ok(targets) => return Ok(Some(fail.how.fault().aim(targets, &stage.means.topology, &project))),
                // Who is missing by name will not turn up; a role finds its holder.
                Err(error) if !fail.targets.iter().any(Selector::is_role) || Instant::now() >= deadline => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
            // Until the next look; the deadline above bounds them all.
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
                () = self.hurry.cancelled() => return Ok(None),
            }
        }
    }

    async fn restore(&self, label: Option<&str>) -> anyhow::Result<Outcome> {
        let labelled = |injection: &Injection| match self.tasks.get(injection.id as usize) {
            Some(Task::Do(Action::Fail(fail))) => label.is_none_or(|label| label == fail.label),
            _ => false,
        };
        self.undo(labelled).await
    }

    /// Undoes faults of this run, and waits until what they had broken works again. Undoing is not to be interrupted: it is
    /// what an interruption leads to.
    async fn undo(&self, which: impl Fn(&Injection) -> bool) -> anyhow::Result<Outcome> {
        let stage = self.stage;
        let run = stage.run.name();
        let of_this_run = |injection: &Injection| injection.run == run && which(injection);
        let begins = |injection: &Injection| stage.timeline.emit("khd", Kind::FaultUndone { id: injection.id });
        let (view, never) = (stage.timeline.view(), CancellationToken::new());
        let undone = undo(&stage.journal, &stage.means, view, &never, of_this_run, begins).await?;
        let mut worst = Outcome::Done;
        for injection in undone {
            let fault = injection.how.fault();
            let look = async |view: View| fault.healed(&stage.means, &injection, &view).await;
            match proven(stage.timeline.view(), fault.healed_within(), &stage.cancel, look).await {
                Ok(proof) => {
                    let id = injection.id;
                    stage.timeline.emit("khd", Kind::FaultHealed { id, proof });
                }
                Err(outcome) => worst = outcome,
            }
        }
        Ok(worst)
    }

    async fn undo_all(&self) -> Outcome {
        let mut tries = 1;
        loop {
            match self.undo(|_| true).await {
                // Whether it has healed or not, nothing is in place any more.
                Ok(Outcome::Interrupted) => return Outcome::Done,
                Ok(outcome) => return outcome,
                Err(error) if tries == TRIES => return failed(error),
                Err(_) => {
                    tries += 1;
                    // For an engine that is just coming back; there are only so many tries.
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn scale(&self, service: &str, replicas: u16) -> anyhow::Result<Outcome> {
        let stage = self.stage;
        stage.journal.require_not_added(service)?;
        let scaled = Kind::Scaled {
            service: service.to_owned(),
            replicas,
        };
        stage.timeline.emit("khd", scaled);
        // What the engine does is told by the observer of containers.
        let (progress, _) = mpsc::unbounded_channel();
        converge::scale(stage.engine(), &stage.means.file, service, replicas, &progress).await?;
        Ok(Outcome::Done)
    }
}

fn failed(error: anyhow::Error) -> Outcome {
    Outcome::Failed(format!("{error:#}"))
}
