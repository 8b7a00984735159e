//! Work on all processors.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How many threads may work at once.
pub fn count() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does a piece of work on each, on all processors, and gives what came of them in their order.
pub fn each<T: Send, U: Send>(all: Vec<T>, work: impl Fn(T) -> U + Sync) -> Vec<U> {
    let threads = count().min(all.len());
    let left = Mutex::new(all.into_iter().enumerate());
    let take = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let one_after_the_other = || {
        std::iter::from_fn(take)
            .map(|(at, one)| (at, work(one)))
            .collect::<Vec<_>>()
    };
    let mut done: Vec<(usize, U)> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one_after_the_other)).collect();
        let mut done = one_after_the_other();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_once_and_told_in_order() {
        for length in [0, 1, 7, 10_000] {
            let all: Vec<usize> = (0..length).collect();
            let done = each(all.clone(), |number| number * 2);
            assert_eq!(done, all.iter().map(|number| number * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "of the fifth")]
    fn a_panic_is_not_lost() {
        each((0..100).collect(), |number| assert_ne!(number, 5, "of the fifth"));
    }
}
