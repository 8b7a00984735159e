//! Every fault that khd knows, by name, with its options.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::faults::selector::Selector;
use crate::faults::{Fault, client, kafka, network, process};

/// Makes one enum of all faults; a fault's name is that of its variant in kebab-case.
macro_rules! faults {
    ($($variant:ident = $name:literal: $fault:ty,)*) => {
        /// What is done to the targets: a fault, by its name in `how`, with its options beside it.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "how")]
        pub enum How {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $variant($fault),
            )*
        }

        impl How {
            /// Every fault, with its options as they are when not given.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$variant(Default::default()),)*]
            }

            /// The fault's name, as in `khd fail --how NAME`.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// The fault itself.
            pub fn fault(&self) -> &dyn Fault {
                match self {
                    $(Self::$variant(fault) => fault,)*
                }
            }
        }
    };
}

faults! {
    Stop = "stop": process::stop::Stop,
    Kill = "kill": process::kill::Kill,
    Pause = "pause": process::pause::Pause,
    Restart = "restart": process::restart::Restart,
    Cpu = "cpu": process::limits::Cpu,
    Memory = "memory": process::limits::Memory,
    DiskFull = "disk-full": process::disk_full::DiskFull,
    Disconnect = "disconnect": network::disconnect::Disconnect,
    Partition = "partition": network::partition::Partition,
    Block = "block": network::block::Block,
    Loss = "loss": network::loss::Loss,
    Rate = "rate": network::rate::Rate,
    Delay = "delay": network::delay::Delay,
    MoveLeaders = "move-leaders": kafka::move_leaders::MoveLeaders,
    ElectPreferred = "elect-preferred": kafka::elect_preferred::ElectPreferred,
    Config = "config": kafka::config::Config,
    RemoveMember = "remove-member": kafka::remove_member::RemoveMember,
    Stall = "stall": client::stall::Stall,
    Add = "add": client::add::Add,
}

impl How {
    /// Whom it hits, where its options say so.
    pub fn implied_targets(&self) -> Option<Vec<Selector>> {
        self.fault().implied_targets()
    }

    /// Its options, by name, as they were given.
    pub fn options(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(mut options)) => {
                options.remove("how");
                options.retain(|_, value| !value.is_null());
                options
            }
            _ => serde_json::Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_says_what_it_does_and_is_read_by_its_name_alone() {
        for how in How::all() {
            assert!(!how.fault().meaning().is_empty(), "{}", how.name());
            let read: How = serde_json::from_value(serde_json::json!({ "how": how.name() })).unwrap();
            assert_eq!(read, how);
        }
    }

    #[test]
    fn an_option_that_a_fault_does_not_have_is_refused() {
        let error = serde_json::from_value::<How>(serde_json::json!({ "how": "kill", "grace": "5s" })).unwrap_err();
        assert!(error.to_string().contains("unknown field `grace`"), "{error}");
    }
}
