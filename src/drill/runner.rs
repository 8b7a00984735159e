//! Runs a drill: does what the machine says, phase by phase, and records it.

use tokio::time::Instant;

use crate::drill::audit;
use crate::drill::machine::{Ending, Machine, Next, Outcome, Phase};
use crate::drill::plan::Plan;
use crate::drill::stage::Stage;
use crate::drill::wait::until;
use crate::faults::target::{self, Target};
use crate::timeline::conditions;
use crate::timeline::event::Kind;
use crate::timeline::record::Timeline;

/// Runs a drill to its end. The observers must be running.
pub async fn run(stage: &Stage, plan: &Plan) -> Ending {
    let mut runner = Runner {
        stage,
        plan,
        target: None,
        effective: None,
    };
    let mut machine = Machine::new(plan.leave);
    loop {
        let phase = machine.phase();
        let outcome = phased(&stage.timeline, phase.name(), runner.phase(phase)).await;
        if let Next::End(ending) = machine.advance(outcome) {
            return ending;
        }
    }
}

/// Records the begin and the end of a phase around it.
pub async fn phased(timeline: &Timeline, phase: &str, work: impl Future<Output = Outcome>) -> Outcome {
    timeline.emit("khd", Kind::PhaseStarted { phase: phase.into() });
    let outcome = work.await;
    let lacking = match &outcome {
        Outcome::Done => Vec::new(),
        Outcome::Expired(lacking) => lacking.clone(),
        Outcome::Failed(error) => vec![error.clone()],
        Outcome::Interrupted => vec!["interrupted".into()],
    };
    let ok = outcome == Outcome::Done;
    timeline.emit(
        "khd",
        Kind::PhaseEnded {
            phase: phase.into(),
            ok,
            lacking,
        },
    );
    outcome
}

struct Runner<'a> {
    stage: &'a Stage,
    plan: &'a Plan,
    target: Option<Target>,
    effective: Option<Instant>,
}

impl Runner<'_> {
    async fn phase(&mut self, phase: Phase) -> Outcome {
        match phase {
            Phase::Healthy => self.healthy().await,
            Phase::Inject => settled(self.inject().await),
            Phase::Effect => self.effect().await,
            Phase::Settle => self.settle().await,
            Phase::Hold => self.hold().await,
            Phase::Restore => settled(self.restore().await),
            Phase::Recover => self.recover().await,
            Phase::Audit => audit::collect(self.stage).await,
        }
    }

    async fn wait(&self, phase: Phase, condition: impl Fn(&crate::timeline::view::View) -> Vec<String>) -> Outcome {
        let stage = self.stage;
        until(stage.timeline.view(), self.plan.within(phase), &stage.cancel, condition).await
    }

    async fn healthy(&mut self) -> Outcome {
        let stage = self.stage;
        let project = match stage.engine.project(&stage.project).await {
            Ok(project) => project,
            Err(error) => return Outcome::Failed(format!("{error:#}")),
        };
        match target::resolve(&project, &stage.expected, &self.plan.service) {
            Ok(target) => self.target = Some(target),
            Err(error) => return Outcome::Expired(vec![error.message]),
        }
        self.wait(Phase::Healthy, |view| {
            let mut lacking = conditions::healthy(view, &stage.expected, None);
            lacking.extend(conditions::leaders_balanced(view, &stage.expected));
            lacking
        })
        .await
    }

    fn target(&self) -> anyhow::Result<&Target> {
        self.target
            .as_ref()
            .ok_or_else(|| anyhow::anyhow!("no target was resolved"))
    }

    async fn inject(&mut self) -> anyhow::Result<()> {
        let (stage, fault) = (self.stage, self.plan.fault);
        let target = self.target()?.clone();
        stage.timeline.emit(
            "khd",
            Kind::FaultInjected {
                fault: fault.name().into(),
                target: target.service.clone(),
            },
        );
        stage
            .journal
            .inject(stage.engine.as_ref(), fault, &target, &stage.run.name())
            .await
    }

    async fn effect(&mut self) -> Outcome {
        let (stage, fault) = (self.stage, self.plan.fault);
        let Some(target) = self.target.clone() else {
            return Outcome::Failed("no target was resolved".into());
        };
        let outcome = self
            .wait(Phase::Effect, |view| fault.effect(view, &stage.expected, &target))
            .await;
        if outcome == Outcome::Done {
            self.effective = Some(Instant::now());
            let proof = fault.proof(&stage.timeline.view().borrow(), &target);
            stage.timeline.emit(
                "khd",
                Kind::FaultEffective {
                    fault: fault.name().into(),
                    target: target.service,
                    proof,
                },
            );
        }
        outcome
    }

    async fn settle(&self) -> Outcome {
        let (expected, target) = (&self.stage.expected, self.plan.service.as_str());
        self.wait(Phase::Settle, |view| conditions::healthy(view, expected, Some(target)))
            .await
    }

    /// The workload runs on while the fault is in place, for as long as the user asked, counted from its effect.
    async fn hold(&self) -> Outcome {
        let since = self.effective.unwrap_or_else(Instant::now);
        tokio::select! {
            () = tokio::time::sleep_until(since + self.plan.hold) => Outcome::Done,
            () = self.stage.cancel.cancelled() => Outcome::Interrupted,
        }
    }

    /// Not to be interrupted: this is what an interruption leads to.
    async fn restore(&self) -> anyhow::Result<()> {
        let (stage, fault) = (self.stage, self.plan.fault);
        // A killed broker is not started before ZooKeeper has forgotten it: until then the fault is in place.
        stage
            .journal
            .undo(stage.engine.as_ref(), Some(&self.plan.service))
            .await?;
        stage.timeline.emit(
            "khd",
            Kind::FaultUndone {
                fault: fault.name().into(),
                target: self.plan.service.clone(),
            },
        );
        Ok(())
    }

    async fn recover(&self) -> Outcome {
        let expected = &self.stage.expected;
        self.wait(Phase::Recover, |view| {
            let mut lacking = conditions::healthy(view, expected, None);
            if lacking.is_empty() {
                lacking = conditions::leaders_balanced(view, expected);
            }
            lacking
        })
        .await
    }
}

fn settled(result: anyhow::Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}
