//! Files of lines, which khd's records are: read in order, and made sense of on all processors.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::sync::mpsc::sync_channel;
use std::thread;

use memchr::memchr;

use crate::processors;

/// How many bytes of lines are handed to a thread at once, and one line beyond that. So much, and what is made of it, is held
/// twice for each processor.
const BATCH: usize = 256 << 10;
/// How many bytes are read from a file at once.
const AT_ONCE: usize = 64 << 10;
/// Most lines are shorter than so many bytes.
const USUAL: usize = 16 << 10;
/// How many bytes may be with the threads before another batch is: where lines are long, fewer of them.
const UNDER_WAY: usize = 64 << 20;

/// Why lines could not be read on.
#[derive(Debug)]
pub enum Failure {
    /// The source failed where the line with this number, counted from 1, should have come.
    Io(usize, io::Error),
    /// The line with this number is longer than so many bytes.
    TooLong(usize, usize),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(number, error) => write!(f, "line {number} cannot be read: {error}"),
            Self::TooLong(number, longest) => write!(f, "line {number} is longer than {longest} bytes"),
        }
    }
}

impl std::error::Error for Failure {}

/// A file, read so much at once that few lines are in two pieces.
pub fn buffered(file: File) -> BufReader<File> {
    BufReader::with_capacity(AT_ONCE, file)
}

/// Reads lines of at most `longest` bytes, and gives each (its line feed included, where it has one) with its number from 1.
///
/// # Errors
/// The first that `take` returns, or why there are no more lines.
pub fn each<E: From<Failure>>(
    mut source: impl BufRead,
    longest: usize,
    mut take: impl FnMut(usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut line = Vec::new();
    for number in 1.. {
        // A line that is in the buffer as a whole, as nearly all are, is not copied.
        if let Ok(buffered) = source.fill_buf()
            && let Some(end) = memchr(b'\n', buffered)
            && end < longest
        {
            take(number, &buffered[..=end])?;
            source.consume(end + 1);
            continue;
        }
        line.clear();
        if append(&mut source, longest, number, &mut line)? > 0 {
            take(number, &line)?;
        }
        if !line.ends_with(b"\n") {
            // The end, even if somebody goes on writing.
            break;
        }
    }
    Ok(())
}

/// Appends the line with this number, and says how long it is.
fn append(source: &mut impl BufRead, longest: usize, number: usize, line: &mut Vec<u8>) -> Result<usize, Failure> {
    let read = source.take(longest as u64 + 1).read_until(b'\n', line);
    match read.map_err(|error| Failure::Io(number, error))? {
        length if length > longest => Err(Failure::TooLong(number, longest)),
        length => Ok(length),
    }
}

/// Reads lines of at most `longest` bytes, has `parse` make something of each (its line feed included, where it has one),
/// in any order and on all processors, and gives that to `take` in the order of the lines, with their numbers from 1.
///
/// # Errors
/// The first that `take` returns; or, after all lines before were taken, why there are no more.
pub fn read<T: Send, E: From<Failure>>(
    source: impl BufRead,
    longest: usize,
    parse: impl Fn(&[u8]) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let mut batches = Batches {
        source,
        longest,
        number: 1,
        ended: false,
        failure: None,
    };
    let mut number = 0;
    let mut take_all = |parsed: Vec<T>| {
        parsed.into_iter().try_for_each(|line| {
            number += 1;
            take(number, line)
        })
    };
    // Most files are no more than this, and not worth a thread.
    match batches.next() {
        Some(first) => take_all(first?.parsed(&parse))?,
        None => return Ok(()),
    }
    let Some(mut next) = batches.next() else {
        return Ok(());
    };
    let processors = processors::count();
    thread::scope(|scope| {
        let parse = &parse;
        let workers: Vec<_> = (0..processors)
            .map(|_| {
                let (give, given) = sync_channel::<Batch>(1);
                let (tell, told) = sync_channel(1);
                scope.spawn(move || {
                    for batch in given {
                        // Nobody listens any more after an error.
                        if tell.send(batch.parsed(parse)).is_err() {
                            break;
                        }
                    }
                });
                (give, told)
            })
            .collect();
        // They take turns, so that each gives in its turn what comes next. One that panicked gives no more; the scope
        // panics for it.
        let (mut given, mut taken) = (0, 0);
        let mut under_way = VecDeque::new();
        let mut turn = |taken: &mut usize| match workers[*taken % processors].1.recv() {
            Ok(parsed) => {
                *taken += 1;
                take_all(parsed)
            }
            Err(_) => Ok(()),
        };
        let ended = loop {
            match next {
                Ok(batch) => {
                    while under_way.len() == 2 * processors || under_way.iter().sum::<usize>() > UNDER_WAY {
                        turn(&mut taken)?;
                        under_way.pop_front();
                    }
                    under_way.push_back(batch.bytes.len());
                    if workers[given % processors].0.send(batch).is_err() {
                        break Ok(());
                    }
                    given += 1;
                }
                Err(failure) => break Err(failure),
            }
            match batches.next() {
                Some(following) => next = following,
                None => break Ok(()),
            }
        };
        while taken < given {
            let before = taken;
            turn(&mut taken)?;
            if taken == before {
                break;
            }
        }
        Ok(ended?)
    })
}

/// Whole lines, one after the other.
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    fn parsed<T>(&self, parse: impl Fn(&[u8]) -> T) -> Vec<T> {
        let mut start = 0;
        let lines = self.ends.iter().map(|end| {
            let line = &self.bytes[start..*end];
            start = *end;
            parse(line)
        });
        lines.collect()
    }
}

struct Batches<R> {
    source: R,
    longest: usize,
    number: usize,
    ended: bool,
    // It is told after the lines that came before it.
    failure: Option<Failure>,
}

impl<R: BufRead> Iterator for Batches<R> {
    type Item = Result<Batch, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        while !self.ended && self.failure.is_none() && bytes.len() < BATCH {
            match append(&mut self.source, self.longest, self.number, &mut bytes) {
                Ok(0) => self.ended = true,
                Ok(_) => {
                    // Grown step by step, a batch would be copied as often as it is read; but a small file takes little memory.
                    if ends.is_empty() && self.number > 1 {
                        bytes.reserve(BATCH + USUAL);
                    }
                    ends.push(bytes.len());
                    self.number += 1;
                    // Even if somebody goes on writing.
                    self.ended = !bytes.ends_with(b"\n");
                }
                Err(failure) => self.failure = Some(failure),
            }
        }
        if ends.is_empty() {
            return self.failure.take().map(Err);
        }
        Some(Ok(Batch { bytes, ends }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn all(source: impl BufRead, longest: usize) -> (Vec<(usize, String)>, Option<String>) {
        let mut taken = Vec::new();
        let parse = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
        let read = read(source, longest, parse, |number, line| {
            taken.push((number, line));
            Ok::<(), Failure>(())
        });
        (taken, read.err().map(|failure| failure.to_string()))
    }

    fn lines(count: usize) -> String {
        (1..=count).map(|number| format!("{number}\n")).collect()
    }

    proptest! {
        #[test]
        fn lines_of_any_length_come_in_their_order(lengths in proptest::collection::vec(0..200_000usize, 0..20), whole: bool) {
            let mut text: String = lengths.iter().map(|length| "x".repeat(*length) + "\n").collect();
            if !whole {
                text.push('y');
            }
            let expected: Vec<_> = (1..).zip(text.split_inclusive('\n').map(str::to_owned)).collect();
            prop_assert_eq!(all(text.as_bytes(), 200_001), (expected, None));
        }
    }

    #[test]
    fn more_than_all_threads_hold_at_once_comes_in_order() {
        let text = lines(2_000_000);
        let (taken, failure) = all(text.as_bytes(), 100);
        assert_eq!((taken.len(), failure), (2_000_000, None));
        assert!(taken.iter().all(|(number, line)| line.trim() == number.to_string()));
    }

    #[test]
    fn what_comes_before_a_failure_is_taken_first() {
        for count in [0, 3, 200_000] {
            let long = lines(count) + &"x".repeat(50) + "\n1\n";
            let (taken, failure) = all(long.as_bytes(), 50);
            let told = format!("line {} is longer than 50 bytes", count + 1);
            assert_eq!((taken.len(), failure), (count, Some(told)));

            struct Broken;
            impl io::Read for Broken {
                fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                    Err(io::Error::other("the disk is gone"))
                }
            }
            let broken = BufReader::new(io::Read::chain(Cursor::new(lines(count)), Broken));
            let (taken, failure) = all(broken, 50);
            let told = format!("line {} cannot be read: the disk is gone", count + 1);
            assert_eq!((taken.len(), failure), (count, Some(told)));
        }
    }

    #[test]
    fn it_ends_when_a_line_is_refused() {
        let text = lines(1_000_000);
        let mut last = 0;
        let read = read(
            text.as_bytes(),
            100,
            |_: &[u8]| (),
            |number, ()| {
                last = number;
                if number == 300_000 {
                    Err(Failure::TooLong(7, 7))
                } else {
                    Ok(())
                }
            },
        );
        assert!(matches!(read, Err(Failure::TooLong(7, 7))));
        assert_eq!(last, 300_000);
    }
}
