//! Waiting for a condition of the lab, with a deadline, and able to say what is still lacking.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::drill::machine::Outcome;
use crate::faults::Proof;
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;

/// How long a condition must hold on end before it counts: what flaps has not settled.
const STEADY: Duration = Duration::from_millis(500);

/// Waits until a condition has held for half a second.
///
/// Returns [`Outcome::Expired`] with what was last lacking when `within` passes first, and
/// [`Outcome::Interrupted`] when `cancel` does.
pub async fn until(
    view: watch::Receiver<View>,
    within: Duration,
    cancel: &CancellationToken,
    condition: impl Fn(&View) -> Lacking,
) -> Outcome {
    held(view, within, cancel, STEADY, condition).await
}

/// Waits until a condition holds for the first time, of those that cannot flap; otherwise as [`until`].
pub async fn once(
    view: watch::Receiver<View>,
    within: Duration,
    cancel: &CancellationToken,
    condition: impl Fn(&View) -> Lacking,
) -> Outcome {
    held(view, within, cancel, Duration::ZERO, condition).await
}

async fn held(
    mut view: watch::Receiver<View>,
    within: Duration,
    cancel: &CancellationToken,
    steady: Duration,
    condition: impl Fn(&View) -> Lacking,
) -> Outcome {
    let deadline = Instant::now() + within;
    let mut holds_since: Option<Instant> = None;
    loop {
        let lacking = condition(&view.borrow_and_update());
        let now = Instant::now();
        let wake = if lacking.is_empty() {
            let since = *holds_since.get_or_insert(now);
            if now >= since + steady {
                return Outcome::Done;
            }
            since + steady
        } else {
            holds_since = None;
            if now >= deadline {
                return Outcome::Expired(lacking);
            }
            deadline
        };
        tokio::select! {
            changed = view.changed() => if changed.is_err() {
                return Outcome::Failed("the observers are gone".into());
            },
            () = tokio::time::sleep_until(wake) => {}
            () = cancel.cancelled() => return Outcome::Interrupted,
        }
    }
}

/// Time between two looks for a proof.
const LOOK: Duration = Duration::from_millis(200);

/// Looks again and again until something is proven, and returns the proof.
///
/// # Errors
/// [`Outcome::Expired`] with what was last lacking when `within` passes first, and [`Outcome::Interrupted`] when `cancel`
/// does.
pub async fn proven(
    view: watch::Receiver<View>,
    within: Duration,
    cancel: &CancellationToken,
    look: impl AsyncFn(View) -> Proof,
) -> Result<String, Outcome> {
    let deadline = Instant::now() + within;
    loop {
        let now = view.borrow().clone();
        let lacking = tokio::select! {
            proof = look(now) => match proof {
                Ok(proof) => return Ok(proof),
                Err(lacking) => lacking,
            },
            () = cancel.cancelled() => return Err(Outcome::Interrupted),
        };
        if Instant::now() >= deadline {
            return Err(Outcome::Expired(lacking));
        }
        // Until the next look; the deadline above bounds them all.
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = cancel.cancelled() => return Err(Outcome::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::event::Kind;
    use crate::timeline::record::Timeline;

    fn controller_elected(view: &View) -> Lacking {
        if view.controller.is_some() {
            Vec::new()
        } else {
            vec!["no controller".into()]
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_expires_says_what_was_lacking() {
        let timeline = Timeline::unrecorded();
        let cancel = CancellationToken::new();
        let outcome = until(timeline.view(), Duration::from_secs(5), &cancel, controller_elected).await;
        assert_eq!(outcome, Outcome::Expired(vec!["no controller".into()]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_condition_has_to_hold_for_a_while() {
        let timeline = Timeline::unrecorded();
        let cancel = CancellationToken::new();
        timeline.emit(
            "zookeeper1",
            Kind::ControllerElected {
                controller: 1,
                epoch: 1,
            },
        );
        let begun = Instant::now();
        let outcome = until(timeline.view(), Duration::from_secs(5), &cancel, controller_elected).await;
        assert_eq!(outcome, Outcome::Done);
        assert!(begun.elapsed() >= STEADY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_ends_a_wait() {
        let timeline = Timeline::unrecorded();
        let cancel = CancellationToken::new();
        cancel.cancel();
        let outcome = until(timeline.view(), Duration::from_secs(5), &cancel, controller_elected).await;
        assert_eq!(outcome, Outcome::Interrupted);
    }
}
