//! What the kernel under the engine can do to a network.

use super::helper;
use crate::error::Expected;
use crate::faults::Means;

/// What the kernel can do, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Dropping packets.
    pub iptables: Result<(), String>,
    /// Dropping a part of the packets.
    pub statistic: Result<(), String>,
    /// Narrowing what is sent.
    pub htb: Result<(), String>,
    /// Telling the lab's traffic from other.
    pub u32: Result<(), String>,
    /// Delaying packets.
    pub netem: Result<(), String>,
}

impl Kernel {
    /// Reads what the helper prints: `iptables yes`, or `netem no REASON`.
    fn read(text: &str) -> Self {
        let of = |what: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(' '));
            match line {
                Some("yes") => Ok(()),
                Some(said) => Err(said.trim_start_matches("no").trim().to_owned()),
                None => Err("the helper does not say".to_owned()),
            }
        };
        Self {
            iptables: of("iptables"),
            statistic: of("statistic"),
            htb: of("htb"),
            u32: of("u32"),
            netem: of("netem"),
        }
    }

    /// Refuses when something is lacking that a fault needs.
    ///
    /// # Errors
    /// An environment error that says what, and why.
    pub(super) fn require(&self, needs: &[Needs]) -> Result<(), Expected> {
        for need in needs {
            let (has, words) = match need {
                Needs::Iptables => (&self.iptables, "drop packets (iptables)"),
                Needs::Statistic => (&self.statistic, "drop a part of the packets (iptables' statistic)"),
                Needs::Htb => (&self.htb, "narrow what is sent (htb)"),
                Needs::U32 => (&self.u32, "tell the lab's traffic from other (u32)"),
                Needs::Netem => (&self.netem, "delay packets (netem)"),
            };
            if let Err(reason) = has {
                let message = format!("the kernel under the engine cannot {words}: {reason}");
                return Err(Expected::environment(message).hint("nothing was touched; use an engine whose kernel can"));
            }
        }
        Ok(())
    }
}

/// What a fault needs of the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Needs {
    Iptables,
    Statistic,
    Htb,
    U32,
    Netem,
}

/// Asks the kernel under the engine what it can do, in a namespace that is gone afterwards.
///
/// # Errors
/// Those of the engine.
pub async fn kernel(means: &Means) -> anyhow::Result<Kernel> {
    let said = helper::run(means, None, &["capabilities"]).await?;
    Ok(Kernel::read(&said.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_helper_says_is_read_and_what_lacks_is_told_with_its_reason() {
        let kernel =
            Kernel::read("iptables yes\nstatistic yes\nhtb yes\nnetem no Error: Specified qdisc kind is unknown.\n");
        kernel
            .require(&[Needs::Iptables, Needs::Statistic, Needs::Htb])
            .unwrap();
        let error = kernel.require(&[Needs::Htb, Needs::Netem]).unwrap_err();
        assert_eq!(
            error.message,
            "the kernel under the engine cannot delay packets (netem): Error: Specified qdisc kind is unknown."
        );
        assert_eq!(error.exit, crate::error::Exit::Environment);
        assert_eq!(kernel.u32, Err("the helper does not say".into()));
    }
}
