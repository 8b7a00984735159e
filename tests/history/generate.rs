//! Clean histories of a cluster that is played through: several producers and members, rebalances, sends of unknown
//! fate, holes in the offsets. And the ways to spoil one of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// A topic and a partition.
pub type Place = (String, i32);

/// A generator of numbers that a seed repeats.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.roll(list.len() as u64) as usize].clone()
    }
}

/// A partition's log and what is known of its readers.
#[derive(Default, Clone)]
pub struct Partition {
    /// The record at each offset; none is a hole.
    pub log: Vec<Option<String>>,
    /// Offset after the last one that the group committed.
    committed: i64,
    owner: Option<String>,
    position: i64,
    /// How often each offset was delivered.
    delivered: BTreeMap<i64, u64>,
}

/// A history in the making.
pub struct History {
    pub lines: Vec<Value>,
    pub partitions: BTreeMap<Place, Partition>,
    /// What the final read covers, where there is one.
    pub reads: BTreeMap<Place, (i64, i64)>,
    /// Offsets that were acknowledged.
    acknowledged: BTreeMap<Place, BTreeSet<i64>>,
    pub time: f64,
    values: u64,
    pub dice: Dice,
}

impl History {
    /// Plays so many steps.
    pub fn clean(seed: u64, steps: usize, final_reads: bool) -> Self {
        let mut dice = Dice::new(seed);
        let topics = 1 + dice.roll(2);
        let mut partitions = BTreeMap::new();
        for topic in 0..topics {
            for partition in 0..1 + dice.roll(3) as i32 {
                partitions.insert((format!("t{topic}"), partition), Partition::default());
            }
        }
        let mut history = Self {
            lines: Vec::new(),
            partitions,
            reads: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            time: 1.0,
            values: 0,
            dice,
        };
        for _ in 0..steps {
            match history.dice.roll(10) {
                0..=4 => history.send(),
                5..=7 => history.poll(),
                8 => history.rebalance(),
                _ => history.commit(),
            }
        }
        if final_reads {
            history.final_reads();
        }
        history
    }

    /// Passes some time, at times none.
    fn tick(&mut self) -> f64 {
        self.time += self.dice.roll(4) as f64 / 8.0;
        self.time
    }

    pub fn value(&mut self) -> String {
        self.values += 1;
        self.values.to_string()
    }

    fn place(&mut self) -> Place {
        let places: Vec<Place> = self.partitions.keys().cloned().collect();
        self.dice.pick(&places)
    }

    /// A send, that begins when the one before it of whichever producer had been appended.
    fn send(&mut self) {
        let (place, value) = (self.place(), self.value());
        let process = format!("p{}", self.dice.roll(3));
        let start = self.tick();
        let end = start + self.dice.roll(8) as f64 / 4.0;
        let result = match self.dice.roll(10) {
            0 => "fail",
            1 | 2 => "unknown",
            _ => "ok",
        };
        let written = result == "ok" || result == "unknown" && self.dice.percent(50);
        let mut line = json!({
            "op": "send", "process": process, "topic": place.0, "partition": place.1, "value": value, "result": result,
            "start": start, "end": end,
        });
        if written {
            let hole = self.dice.percent(10);
            let log = &mut self.partitions.get_mut(&place).unwrap().log;
            if hole {
                log.push(None);
            }
            log.push(Some(value));
            if result == "ok" {
                let offset = log.len() as i64 - 1;
                line["offset"] = json!(offset);
                self.acknowledged.entry(place).or_default().insert(offset);
            }
        }
        if result != "ok" && self.dice.percent(50) {
            line.as_object_mut().unwrap().remove("partition");
        }
        self.lines.push(line);
    }

    fn poll(&mut self) {
        let member = format!("c{}", self.dice.roll(3));
        let mut records = Vec::new();
        let most = 1 + self.dice.roll(5);
        for (place, partition) in &mut self.partitions {
            if partition.owner.as_ref() != Some(&member) {
                continue;
            }
            for _ in 0..most {
                while matches!(partition.log.get(partition.position as usize), Some(None)) {
                    partition.position += 1;
                }
                let Some(Some(value)) = partition.log.get(partition.position as usize) else {
                    break;
                };
                records.push(json!({
                    "topic": place.0, "partition": place.1, "offset": partition.position, "value": value,
                }));
                *partition.delivered.entry(partition.position).or_default() += 1;
                partition.position += 1;
            }
        }
        let (start, end) = (self.tick(), self.tick());
        self.lines
            .push(json!({"op": "poll", "process": member, "start": start, "end": end, "records": records}));
    }

    /// Gives a partition to another member, which begins where the group has committed.
    fn rebalance(&mut self) {
        let place = self.place();
        let at = self.tick();
        let to = format!("c{}", self.dice.roll(3));
        let partition = self.partitions.get_mut(&place).unwrap();
        let moved = json!([[place.0, place.1]]);
        if let Some(from) = partition.owner.replace(to.clone()) {
            self.lines
                .push(json!({"op": "revoke", "process": from, "at": at, "partitions": moved}));
        }
        partition.position = partition.committed;
        self.lines
            .push(json!({"op": "assign", "process": to, "at": at, "partitions": moved}));
    }

    /// Commits all that a member has been given, or a part of it.
    fn commit(&mut self) {
        let member = format!("c{}", self.dice.roll(3));
        let mut offsets = Vec::new();
        let back = self.dice.roll(3) as i64;
        for (place, partition) in &mut self.partitions {
            let last = partition.delivered.keys().next_back().copied();
            if partition.owner.as_ref() == Some(&member) && last.is_some() {
                partition.committed = (partition.position - back)
                    .max(partition.committed)
                    .min(partition.position);
                offsets.push(json!([place.0, place.1, partition.committed]));
            }
        }
        let at = self.tick();
        self.lines
            .push(json!({"op": "commit", "process": member, "at": at, "offsets": offsets}));
    }

    fn final_reads(&mut self) {
        for place in self.partitions.keys().cloned().collect::<Vec<_>>() {
            let end = self.partitions[&place].log.len() as i64;
            let from = if self.dice.percent(20) {
                end.min(self.dice.roll(3) as i64)
            } else {
                0
            };
            // Producers may have gone on after the cut.
            let to = if self.dice.percent(20) {
                end - self.dice.roll(3) as i64
            } else {
                end
            };
            let to = to.max(from);
            self.reads.insert(place, (from, to));
        }
    }

    /// The records of a final read.
    fn read(&self, place: &Place) -> Value {
        let (from, to) = self.reads[place];
        let log = &self.partitions[place].log;
        let records: Vec<Value> = (from..to)
            .filter_map(|offset| {
                let value = log.get(offset as usize)?.as_ref()?;
                Some(json!({"offset": offset, "value": value}))
            })
            .collect();
        json!({"op": "read", "topic": place.0, "partition": place.1, "from": from, "to": to, "records": records})
    }

    /// As a file.
    pub fn text(&self) -> String {
        let reads = self.reads.keys().map(|place| self.read(place));
        let lines = self.lines.iter().cloned().chain(reads);
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// How many acknowledged messages lie beyond what was read, or polled where there is no final read.
    pub fn unseen(&self) -> usize {
        let beyond = |(place, offsets): (&Place, &BTreeSet<i64>)| {
            let end = match self.reads.get(place) {
                Some((_, to)) => *to,
                None => self.partitions[place]
                    .delivered
                    .keys()
                    .next_back()
                    .map_or(0, |last| last + 1),
            };
            offsets.iter().filter(|offset| **offset >= end).count()
        };
        self.acknowledged.iter().map(beyond).sum()
    }

    /// How many deliveries were of records that the group had been given before.
    pub fn redelivered(&self) -> u64 {
        let of = |partition: &Partition| partition.delivered.values().map(|times| times - 1).sum::<u64>();
        self.partitions.values().map(of).sum()
    }

    // ---- What can be planted. Each returns the number of anomalies, or nothing where this history has no place for it.

    /// Some place whose log was read to its end.
    fn whole(&mut self) -> Option<Place> {
        let whole: Vec<Place> = self
            .partitions
            .keys()
            .filter(|place| self.reads.contains_key(*place))
            .cloned()
            .collect();
        if whole.is_empty() {
            return None;
        }
        let place = self.dice.pick(&whole);
        let end = self.partitions[&place].log.len() as i64;
        self.reads.get_mut(&place)?.1 = end;
        Some(place)
    }

    fn append(&mut self, place: &Place, record: Option<String>) -> i64 {
        let log = &mut self.partitions.get_mut(place).unwrap().log;
        log.push(record);
        let end = log.len() as i64;
        if let Some(read) = self.reads.get_mut(place) {
            read.1 = end;
        }
        end - 1
    }

    /// A send after everything else.
    fn late_send(&mut self, process: &str, place: &Place, value: &str, result: &str, offset: Option<i64>) {
        self.time += 100.0;
        let mut line = json!({
            "op": "send", "process": process, "topic": place.0, "partition": place.1, "value": value, "result": result,
            "start": self.time, "end": self.time + 1.0,
        });
        if let Some(offset) = offset {
            line["offset"] = json!(offset);
        }
        self.time += 1.0;
        self.lines.push(line);
    }

    pub fn plant(&mut self, anomaly: &str) -> Option<usize> {
        match anomaly {
            "lost-write" => {
                let place = self.whole()?;
                let (from, to) = self.reads[&place];
                let read: Vec<i64> = self
                    .acknowledged
                    .get(&place)?
                    .range(from..to.max(from))
                    .copied()
                    .collect();
                if read.is_empty() {
                    return None;
                }
                let lost = self.dice.pick(&read);
                self.partitions.get_mut(&place)?.log[lost as usize] = None;
                Some(1)
            }
            "duplicate" => {
                let place = self.whole()?;
                let (from, to) = self.reads[&place];
                let log = &self.partitions[&place].log;
                let values: Vec<String> = log
                    .iter()
                    .take(to as usize)
                    .skip(from as usize)
                    .flatten()
                    .cloned()
                    .collect();
                if values.is_empty() {
                    return None;
                }
                let again = self.dice.pick(&values);
                self.append(&place, Some(again));
                Some(1)
            }
            "inconsistent-offset" => {
                // A poll that returned at one offset the value that is at another.
                let place = self.whole()?;
                let (from, to) = self.reads[&place];
                let log = self.partitions[&place].log.clone();
                let mut polled: Vec<(usize, usize)> = Vec::new();
                for (line, poll) in self.lines.iter().enumerate().filter(|(_, line)| line["op"] == "poll") {
                    for (index, record) in poll["records"].as_array()?.iter().enumerate() {
                        let here = record["topic"] == place.0 && record["partition"] == place.1;
                        if here && (from..to).contains(&record["offset"].as_i64()?) {
                            polled.push((line, index));
                        }
                    }
                }
                if polled.is_empty() {
                    return None;
                }
                let (line, index) = self.dice.pick(&polled);
                let offset = self.lines[line]["records"][index]["offset"].as_i64()?;
                let other = (from..to).find(|other| *other != offset && log[*other as usize].is_some())?;
                self.lines[line]["records"][index]["value"] = json!(log[other as usize]);
                Some(1)
            }
            "aborted-read" => {
                let place = self.whole()?;
                let value = self.value();
                self.late_send("p1", &place, &value, "fail", None);
                self.append(&place, Some(value));
                Some(1)
            }
            "phantom" => {
                let place = self.whole()?;
                let value = self.value();
                self.append(&place, Some(value));
                Some(1)
            }
            "reorder" => {
                let place = self.whole()?;
                let (first, second) = (self.value(), self.value());
                self.late_send("p1", &place, &first, "unknown", None);
                self.late_send("p1", &place, &second, "unknown", None);
                self.append(&place, Some(second));
                self.append(&place, Some(first));
                Some(1)
            }
            "offset-monotonicity" => {
                let place = self.whole()?;
                let (first, second) = (self.value(), self.value());
                // The second to be acknowledged gets the place before the first.
                let low = self.append(&place, Some(second.clone()));
                let high = self.append(&place, Some(first.clone()));
                self.late_send("q1", &place, &first, "ok", Some(high));
                self.late_send("q2", &place, &second, "ok", Some(low));
                Some(1)
            }
            "poll-skip" | "nonmonotonic-poll" => {
                // Of a poll with three records in a row of one partition, the middle one.
                let mut middles = Vec::new();
                for (line, poll) in self.lines.iter().enumerate().filter(|(_, line)| line["op"] == "poll") {
                    let records = poll["records"].as_array()?;
                    for (index, three) in records.windows(3).enumerate() {
                        let same = |one: &Value| (one["topic"].clone(), one["partition"].clone());
                        if same(&three[0]) == same(&three[1]) && same(&three[1]) == same(&three[2]) {
                            let place = (
                                three[1]["topic"].as_str()?.to_owned(),
                                three[1]["partition"].as_i64()? as i32,
                            );
                            let (from, to) = *self.reads.get(&place)?;
                            if (from..to).contains(&three[1]["offset"].as_i64()?) {
                                middles.push((line, index + 1));
                            }
                        }
                    }
                }
                if middles.is_empty() {
                    return None;
                }
                let (line, index) = self.dice.pick(&middles);
                let records = self.lines[line]["records"].as_array_mut()?;
                if anomaly == "poll-skip" {
                    records.remove(index);
                } else {
                    let again = records[index].clone();
                    records.insert(index, again);
                }
                Some(1)
            }
            "committed-past-processed" => {
                let place = self.whole()?;
                let value = self.value();
                let offset = self.append(&place, Some(value.clone()));
                self.late_send("p1", &place, &value, "ok", Some(offset));
                self.time += 1.0;
                self.lines.push(json!({
                    "op": "commit", "process": "c1", "at": self.time, "offsets": [[place.0, place.1, offset + 1]],
                }));
                Some(1)
            }
            "unseen" => {
                let place = self.whole()?;
                let value = self.value();
                let offset = self.reads[&place].1 + 5;
                self.late_send("p1", &place, &value, "ok", Some(offset));
                Some(1)
            }
            other => panic!("no such anomaly: {other}"),
        }
    }
}
