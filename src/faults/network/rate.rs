//! Rate: the target sends to the lab through a narrow pipe.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::helper;
use super::kernel::{Needs, kernel};
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, lacking, of_each};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Topology;

/// What of a queueing discipline `show` prints that tells khd's own from others.
pub(super) const MARK: &str = " 4b:";
/// How long traffic is measured.
const MEASURE: Duration = Duration::from_secs(2);
/// What may be sent at once when nothing was sent before, in bytes: the helper's burst, and a packet.
const BURST: f64 = 18_000.0;

/// What the target sends to others of the lab goes out at no more than a rate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// The rate, such as 512kbit or 1mbit in a second.
    #[schemars(with = "String")]
    pub rate: Bitrate,
}

/// Bits in a second, in thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bitrate(u32);

impl Default for Bitrate {
    fn default() -> Self {
        Self(1000)
    }
}

impl TryFrom<String> for Bitrate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let units = [("kbit", 1), ("mbit", 1000), ("gbit", 1_000_000)];
        let read = |(unit, factor): &(&str, u32)| {
            text.strip_suffix(unit)?
                .trim()
                .parse::<u32>()
                .ok()?
                .checked_mul(*factor)
        };
        let rate = units.iter().find_map(read).filter(|rate| *rate > 0);
        rate.map(Self)
            .ok_or_else(|| format!("`{text}` is no rate (write it like 512kbit, 1mbit or 1gbit)"))
    }
}

impl From<Bitrate> for String {
    fn from(rate: Bitrate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            kbit if kbit % 1000 == 0 => write!(f, "{}mbit", kbit / 1000),
            kbit => write!(f, "{kbit}kbit"),
        }
    }
}

impl Rate {
    /// How many bytes may be sent in that time.
    fn allows(&self, time: Duration) -> f64 {
        f64::from(self.rate.0) * 125.0 * time.as_secs_f64() + BURST
    }
}

/// What the narrow queue has counted.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    bytes: u64,
    /// Packets that had to wait.
    held_back: u64,
}

impl Sent {
    /// Reads what the helper prints: both numbers.
    fn read(said: &str) -> Option<Self> {
        let mut numbers = said.split_whitespace().map(str::parse);
        Some(Self {
            bytes: numbers.next()?.ok()?,
            held_back: numbers.next()?.ok()?,
        })
    }
}

#[async_trait]
impl Fault for Rate {
    fn field(&self) -> Field {
        Field::Network
    }

    fn meaning(&self) -> &'static str {
        "let it send to the others of the lab at no more than a rate"
    }

    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    async fn possible(&self, means: &Means) -> anyhow::Result<()> {
        Ok(kernel(means).await?.require(&[Needs::Htb, Needs::U32])?)
    }

    fn takes(&self, _: &Topology, targets: &[Target]) -> BTreeSet<String> {
        of_each("the queue", targets)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let Topology { subnet, gateway, .. } = &means.topology;
        let args = [
            "shape".to_owned(),
            self.rate.0.to_string(),
            subnet.to_string(),
            gateway.to_string(),
        ];
        helper::at_each(means, &injection.targets, |_| args.to_vec()).await?;
        Ok(())
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        helper::unshape(means, injection).await
    }

    /// Bytes that the narrow queue sends while they are counted twice, and that something had to wait in it: a rate above
    /// what is sent does no harm. The time between the counts is taken from the begin of the first to the end of the
    /// second, so that a slow helper does not make the rate look higher.
    async fn effect(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        let subnet = means.topology.subnet.to_string();
        let count = || helper::at_each(means, &injection.targets, |_| vec!["sent".into(), subnet.clone()]);
        let began = Instant::now();
        let before = count().await.map_err(lacking)?;
        // A rate is bytes over time, so time has to pass.
        tokio::time::sleep(MEASURE).await;
        let after = count().await.map_err(lacking)?;
        let time = began.elapsed();
        let (mut narrow, mut wide) = (Vec::new(), Lacking::new());
        for ((target, before), (_, after)) in before.iter().zip(&after) {
            let (name, read) = (target.name(), |said: &Option<String>| Sent::read(said.as_deref()?));
            match read(before).zip(read(after)) {
                None => wide.push(format!("{name} has no queue of that rate")),
                Some((before, after)) if after.bytes <= before.bytes => wide.push(format!("{name} has sent nothing yet")),
                Some((_, after)) if after.held_back == 0 => {
                    wide.push(format!("{name} sends less than {}: nothing had to wait", self.rate));
                }
                Some((before, after)) if (after.bytes - before.bytes) as f64 > self.allows(time) => {
                    wide.push(format!("{name} sent {} bytes in {time:.1?}", after.bytes - before.bytes));
                }
                Some((before, after)) => narrow.push(format!(
                    "{name} sent {} bytes to the lab in {time:.1?} through a queue of {}, in which {} packets had to wait",
                    after.bytes - before.bytes,
                    self.rate,
                    after.held_back
                )),
            }
        }
        if wide.is_empty() {
            Ok(narrow.join("; "))
        } else {
            Err(wide)
        }
    }

    async fn healed(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        helper::left(means, injection, MARK).await?;
        Ok("its queue is gone".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_tc_has_them_and_written_back() {
        for (text, kbit) in [("512kbit", 512), ("1mbit", 1000), ("2gbit", 2_000_000)] {
            let rate = Bitrate::try_from(text.to_owned()).unwrap();
            assert_eq!(rate, Bitrate(kbit));
            assert_eq!(Bitrate::try_from(rate.to_string()), Ok(rate));
        }
        for text in ["1", "fast", "0kbit", "-1mbit", "9999999gbit"] {
            assert!(Bitrate::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_the_queue_has_counted_is_read() {
        let sent = Sent {
            bytes: 17_952,
            held_back: 2,
        };
        assert_eq!(Sent::read("17952 2\n"), Some(sent));
        assert_eq!(Sent::read(""), None);
    }

    #[test]
    fn what_a_rate_allows_grows_with_time() {
        let rate = Rate::default();
        assert_eq!(rate.allows(Duration::from_secs(2)), 250_000.0 + BURST);
    }
}
