//! Rows: what overlaps in time is drawn one below the other.

/// The first free row for each of these times from the one to the other, in the order in which they begin.
pub(super) fn rows(times: impl IntoIterator<Item = (u64, u64)>) -> Vec<usize> {
    let mut taken_until: Vec<u64> = Vec::new();
    let row = |(from, to): (u64, u64)| {
        let free = taken_until.iter().position(|until| *until <= from);
        let row = free.unwrap_or(taken_until.len());
        match taken_until.get_mut(row) {
            Some(until) => *until = to,
            None => taken_until.push(to),
        }
        row
    };
    times.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_has_rows_of_its_own_and_what_does_not_shares_one() {
        assert_eq!(rows([(0, 10), (10, 20), (20, 20), (20, 30)]), [0, 0, 0, 0]);
        assert_eq!(rows([(0, 10), (5, 20), (9, 12), (10, 15), (12, 30)]), [0, 1, 2, 0, 2]);
    }
}
