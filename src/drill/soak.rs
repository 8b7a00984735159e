//! A long mix of faults that is drawn by lot, the same for the same seed.

use std::time::Duration;

use chacha20::ChaCha8Rng;
use rand::{Rng as _, SeedableRng as _};

use crate::drill::condition::Condition;
use crate::drill::plan::{Action, Fail, Step};
use crate::topology::Topology;

/// What a soak draws from.
#[derive(Debug, Clone, PartialEq)]
pub struct Soak {
    /// How long it takes, about: a lab that is slow to recover takes longer.
    pub length: Duration,
    /// Faults, each with its weight.
    pub faults: Vec<(u32, Fail)>,
}

impl Soak {
    /// Without faults whose targets the lab does not have, since its metadata is kept by others. Where none would be left,
    /// all are: the drill cannot be run then, which is for who runs it to say.
    pub fn of(&self, topology: &Topology) -> Self {
        let there = |(_, fail): &&(u32, Fail)| fail.targets.iter().all(|target| target.there(topology).is_ok());
        let faults: Vec<(u32, Fail)> = self.faults.iter().filter(there).cloned().collect();
        Self {
            length: self.length,
            faults: if faults.is_empty() { self.faults.clone() } else { faults },
        }
    }
}

/// The shortest and the longest time that a fault is held, in seconds.
const HOLD: (u32, u32) = (10, 30);
/// What injecting, undoing and recovering are taken to last.
const AROUND: Duration = Duration::from_secs(15);
/// How long the lab may take to be whole again before the next fault.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);
/// One of so many rounds is calm.
const ROUNDS: u32 = 4;

/// Draws the steps: rounds of a fault that is held, undone, and recovered from, never two at once; one round of four,
/// at any place among them, is calm for as long.
pub fn schedule(soak: &Soak, seed: u64, length: Duration) -> Vec<Step> {
    let mut lots = Lots(ChaCha8Rng::seed_from_u64(seed));
    let mut steps = Vec::new();
    let mut planned = Duration::ZERO;
    let mut calm = 0;
    for round in 0.. {
        if round % ROUNDS == 0 {
            calm = round + lots.below(ROUNDS);
        }
        let hold = Duration::from_secs(u64::from(HOLD.0 + lots.below(HOLD.1 - HOLD.0 + 1)));
        planned += hold + AROUND;
        // At least one round, however short it shall be.
        if planned > length && !steps.is_empty() {
            break;
        }
        if round == calm {
            steps.push(Action::Wait(hold + AROUND));
            continue;
        }
        let Some(mut fail) = lots.weighted(&soak.faults).cloned() else {
            break;
        };
        let stays = fail.how.fault().stays();
        fail.label = format!("{}-{}", fail.how.name(), round + 1);
        let label = fail.label.clone();
        steps.push(Action::Fail(fail));
        steps.push(Action::Wait(hold));
        if stays {
            steps.push(Action::Restore(Some(label)));
        }
        steps.push(Action::Until {
            condition: Condition::Whole,
            within: WHOLE_WITHIN,
        });
    }
    steps.into_iter().map(Step::Do).collect()
}

/// Lots from a stream of numbers that the generator's definition fixes. What `rand` makes of such a stream may change with
/// its version, and a seed that is written down has to mean the same then.
struct Lots(ChaCha8Rng);

impl Lots {
    /// A number below a small bound.
    fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    fn weighted<'a, T>(&mut self, of: &'a [(u32, T)]) -> Option<&'a T> {
        let mut lot = self.below(of.iter().map(|(weight, _)| weight).sum());
        of.iter()
            .find(|(weight, _)| match lot.checked_sub(*weight) {
                Some(rest) => {
                    lot = rest;
                    false
                }
                None => true,
            })
            .map(|(_, what)| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::How;
    use crate::faults::selector::{Pool, Selector};
    use crate::settings::{Flavor, Settings};

    fn soak() -> Soak {
        let fail = |name: &str| Fail {
            label: name.into(),
            targets: vec![Selector::Random(Pool::Broker)],
            how: How::all().into_iter().find(|how| how.name() == name).unwrap(),
        };
        Soak {
            length: Duration::from_secs(600),
            faults: vec![(3, fail("stop")), (1, fail("kill"))],
        }
    }

    fn words(seed: u64, seconds: u64) -> Vec<String> {
        let steps = schedule(&soak(), seed, Duration::from_secs(seconds));
        let word = |step: &Step| match step {
            Step::Do(action) => action.to_string(),
            Step::Parallel(_) => panic!("never two faults at once"),
        };
        steps.iter().map(word).collect()
    }

    #[test]
    fn a_seed_means_the_same_schedule_for_ever() {
        insta::assert_snapshot!(words(7, 180).join("\n"));
        assert_eq!(words(7, 600), words(7, 600));
        assert_ne!(words(7, 600), words(8, 600));
    }

    #[test]
    fn only_servers_that_the_lab_has_are_drawn() {
        let lab = |flavor| {
            Topology::of(&Settings {
                flavor,
                ..Settings::default()
            })
        };
        let mut mixed = soak();
        mixed.faults[0].1.targets = vec![Selector::Random(Pool::ZooKeeper)];
        mixed.faults[1].1.targets = vec![Selector::Random(Pool::Controller)];
        assert_eq!(mixed.of(&lab(Flavor::ZooKeeper)).faults, mixed.faults[..1]);
        assert_eq!(mixed.of(&lab(Flavor::Kraft)).faults, mixed.faults[1..]);
        mixed.faults.pop();
        assert_eq!(mixed.of(&lab(Flavor::KraftSeparate)), mixed);
    }

    #[test]
    fn a_longer_soak_begins_like_a_shorter_one() {
        let (short, long) = (words(3, 300), words(3, 3000));
        assert_eq!(short[..], long[..short.len()]);
    }

    #[test]
    fn about_a_quarter_of_the_time_is_calm_and_weights_count() {
        let steps = schedule(&soak(), 1, Duration::from_secs(100_000));
        let (mut held, mut calm, mut stops, mut kills) = (Duration::ZERO, Duration::ZERO, 0, 0);
        let mut in_place = 0;
        for step in &steps {
            match step {
                Step::Do(Action::Fail(fail)) => {
                    in_place += 1;
                    assert_eq!(in_place, 1, "never two at once");
                    if fail.how.name() == "stop" {
                        stops += 1
                    } else {
                        kills += 1
                    }
                }
                Step::Do(Action::Restore(_)) => in_place -= 1,
                Step::Do(Action::Wait(time)) if in_place == 0 => calm += *time,
                Step::Do(Action::Wait(time)) => held += *time + AROUND,
                _ => {}
            }
        }
        assert_eq!(in_place, 0, "healed at the end");
        let share = calm.as_secs_f64() / (calm + held).as_secs_f64();
        assert!((0.23..0.27).contains(&share), "{share}");
        let ratio = f64::from(stops) / f64::from(kills);
        assert!((2.7..3.3).contains(&ratio), "{ratio}");
    }
}
