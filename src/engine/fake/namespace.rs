//! The network namespace of a container, as far as the helper of network faults changes it.

use std::collections::BTreeSet;

use crate::engine::HelperOutput;

/// What a helper has put into the network namespace of a container.
#[derive(Debug, Clone, Default)]
pub(super) struct Namespace {
    put: BTreeSet<String>,
}

impl Namespace {
    /// Does what the helper's script would do, and prints what it would print.
    pub(super) fn run(&mut self, args: &[String]) -> HelperOutput {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut stdout = String::new();
        match words[..] {
            ["apply", payload] => {
                let chains = payload
                    .lines()
                    .filter_map(|line| line.strip_prefix(':')?.split(' ').next());
                self.put.extend(chains.map(str::to_owned));
            }
            ["remove", chain] => self
                .put
                .retain(|put| *put != format!("{chain}-IN") && *put != format!("{chain}-OUT")),
            ["shape" | "delay", ..] => {
                self.put.insert("qdisc".into());
            }
            ["unshape"] => {
                self.put.remove("qdisc");
            }
            ["capabilities"] => {
                for what in ["iptables", "statistic", "htb", "u32", "netem"] {
                    stdout += &format!("{what} yes\n");
                }
            }
            ["show"] => stdout = self.put.iter().map(|put| format!("{put}\n")).collect(),
            ["try", _, ref links @ ..] => {
                // Which rules there are is not looked at: one that has any is cut off.
                let cut = self.put.iter().any(|put| put != "qdisc");
                let told = if cut { "timeout" } else { "open 1" };
                stdout = links.iter().map(|link| format!("{link} {told}\n")).collect();
            }
            _ => {}
        }
        HelperOutput {
            stdout,
            ..HelperOutput::default()
        }
    }

    pub(super) fn put(&self) -> BTreeSet<String> {
        self.put.clone()
    }
}
