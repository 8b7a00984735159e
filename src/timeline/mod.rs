//! The append-only record of a run: every event, and the state of the lab that the events tell of.
//!
//! [`event`] is the vocabulary, [`record`] writes and reads `timeline.jsonl`, [`view`] folds events into what is known
//! of the lab, and [`conditions`] are the questions asked of that. Observers, faults and the runner only emit events; waits, checks and reports only read the fold, so
//! what was judged live can be judged again from the file.

pub mod conditions;
pub mod event;
pub mod limits;
pub mod record;
pub mod view;
