//! Flags that every command shares, as sources of settings.

use std::path::PathBuf;

use crate::settings::Flavor;
use crate::settings::load::{Loaded, Sources, load};
use crate::state::StateDir;

/// Which lab, and where its settings come from.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct Args {
    /// Settings file [default: khd.yaml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Name of the lab: its Compose project [default: khd]
    #[arg(short, long, global = true, value_name = "NAME")]
    project: Option<String>,
    /// Who keeps the metadata: zookeeper, kraft (brokers that are controllers too) or kraft-separate [default: zookeeper]
    #[arg(long, global = true, value_name = "FLAVOR", hide_possible_values = true)]
    flavor: Option<Flavor>,
    /// Added to every published port, for labs side by side
    #[arg(long, global = true, value_name = "N")]
    port_offset: Option<u16>,
    /// Subnet of the lab, for labs side by side [default: 172.25.0.0/24]
    #[arg(long, global = true, value_name = "CIDR")]
    subnet: Option<String>,
    /// Sets any setting by its key, such as kafka.servers=5 (see `khd config`)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    sets: Vec<(String, String)>,
    /// Folder for runs [default: khd/runs in the XDG state directory]
    #[arg(long, global = true, value_name = "DIR")]
    runs: Option<PathBuf>,
}

impl Args {
    /// Where khd keeps its state.
    pub fn state(&self) -> anyhow::Result<StateDir> {
        let runs = self
            .runs
            .clone()
            .or_else(|| std::env::var_os("KHD_RUNS").map(PathBuf::from));
        StateDir::locate(runs)
    }

    /// The settings that files, variables and flags ask for.
    pub fn wanted(&self) -> anyhow::Result<Loaded> {
        load(&self.sources())
    }

    /// The settings of the running lab, if khd brought one up; otherwise those that are asked for.
    pub fn of_lab(&self, state: &StateDir) -> anyhow::Result<Loaded> {
        let wanted = self.wanted()?;
        let mut sources = self.sources();
        sources.lab = state.lab(&wanted.settings.project).settings_file();
        if sources.lab.is_none() {
            Ok(wanted)
        } else {
            load(&sources)
        }
    }

    /// The settings of the lab that the flag or the variable names, whatever the settings file says.
    pub fn name_only(&self, state: &StateDir) -> anyhow::Result<Loaded> {
        let named = self.project.clone().or_else(|| std::env::var("KHD_PROJECT").ok());
        let flags = named.map(|name| ("--project".to_owned(), "project".to_owned(), name));
        // An empty file stands for the one that cannot be read.
        let file = Some(PathBuf::from("/dev/null"));
        let mut sources = Sources {
            file,
            flags: flags.into_iter().collect(),
            ..Sources::default()
        };
        // How the lab was brought up says whether its data is to be kept.
        sources.lab = state.lab(&load(&sources)?.settings.project).settings_file();
        load(&sources)
    }

    fn sources(&self) -> Sources {
        let mut flags = Vec::new();
        let mut flag = |name: &str, key: &str, value: Option<String>| {
            flags.extend(value.map(|value| (name.to_owned(), key.to_owned(), value)));
        };
        flag("--project", "project", self.project.clone());
        flag("--flavor", "flavor", self.flavor.map(|flavor| flavor.to_string()));
        flag("--port-offset", "ports.offset", self.port_offset.map(|n| n.to_string()));
        flag("--subnet", "network.subnet", self.subnet.clone());
        for (key, value) in &self.sets {
            flag("--set", key, Some(value.clone()));
        }
        // Variables that are not Unicode cannot be settings of khd.
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Sources {
            file: self
                .config
                .clone()
                .or_else(|| std::env::var_os("KHD_CONFIG").map(PathBuf::from)),
            variables: std::env::vars_os().filter_map(unicode).collect(),
            flags,
            lab: None,
        }
    }
}

/// `key=value`, for flags that set something by name.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".into()),
    }
}
