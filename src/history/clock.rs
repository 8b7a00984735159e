//! One order of all events of a history, in which ties keep the file's order.

use crate::history::operations::Operations;

/// One order of all events: their places in it stand for their times.
pub(super) struct Clock {
    /// Begin and end of each send.
    pub(super) sends: Vec<(i64, i64)>,
    /// Events of members, in order: the place, and which it is.
    pub(super) members: Vec<(i64, usize)>,
}

impl Clock {
    pub(super) fn of(operations: &Operations) -> Self {
        #[derive(Clone, Copy)]
        enum Of {
            Begin(usize),
            End(usize),
            Member(usize),
        }
        let begins = operations
            .sends
            .iter()
            .enumerate()
            .map(|(index, send)| (send.start, send.line, Of::Begin(index)));
        let ends = operations
            .sends
            .iter()
            .enumerate()
            .map(|(index, send)| (send.end, send.line, Of::End(index)));
        let members = operations
            .events
            .iter()
            .enumerate()
            .map(|(index, (at, line, _))| (*at, *line, Of::Member(index)));
        // A send that takes no time begins before it ends: the sort is stable.
        let mut all: Vec<(f64, usize, Of)> = begins.chain(ends).chain(members).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut clock = Self {
            sends: vec![(0, 0); operations.sends.len()],
            members: Vec::with_capacity(operations.events.len()),
        };
        for (place, (_, _, of)) in all.into_iter().enumerate() {
            let place = place as i64;
            match of {
                Of::Begin(index) => clock.sends[index].0 = place,
                Of::End(index) => clock.sends[index].1 = place,
                Of::Member(index) => clock.members.push((place, index)),
            }
        }
        clock
    }
}
