//! Merging the sources of settings: defaults, then the running lab's own or `khd.yaml` and `KHD_*`, then flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::error::Kind as FigmentKind;
use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use crate::error::{Expected, nearest};
use crate::settings::{Settings, check};

/// The file that is read when it is there and no other is named.
pub const FILE: &str = "khd.yaml";
const VARIABLE_PREFIX: &str = "KHD_";
/// Variables that steer khd itself and are no settings of the lab.
const NOT_SETTINGS: [&str; 3] = ["KHD_CONFIG", "KHD_RUNS", "KHD_LOG"];

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A file named by the user; `khd.yaml` in the working directory when missing.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub variables: Vec<(String, String)>,
    /// Flags: the flag as typed, the key it sets, and the value.
    pub flags: Vec<(String, String, String)>,
    /// The settings a running lab was brought up with: they stand in for file and variables, except for limits.
    pub lab: Option<PathBuf>,
}

/// Settings, and where each came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings, checked.
    pub settings: Settings,
    /// The source of each value, by dotted key: `default`, a file, a variable, or a flag.
    pub origins: BTreeMap<String, String>,
}

/// Merges the sources and checks the result.
///
/// # Errors
/// Usage errors that name the key, its source, what is allowed and the nearest right spelling.
pub fn load(sources: &Sources) -> anyhow::Result<Loaded> {
    let mut figment = Figment::from(Named("default", Serialized::defaults(Settings::default())));
    // A lab is judged by today's limits, but is what it was brought up as: all else comes from its own settings.
    let counts = |key: &str| sources.lab.is_none() || key == "limits";
    if let Some(file) = sources.file() {
        let mut file = YamlFile::read(&file)?;
        file.dict.retain(|key, _| counts(key));
        figment = figment.merge(file);
    }
    for (name, value) in &sources.variables {
        let Some(key) = name.strip_prefix(VARIABLE_PREFIX) else {
            continue;
        };
        if !NOT_SETTINGS.contains(&name.as_str()) && !name.starts_with("KHD_TEST_") {
            let path = key_of_variable(key);
            if counts(&path[0]) {
                figment = figment.merge(Override::new(name.clone(), path, value));
            }
        }
    }
    if let Some(lab) = &sources.lab {
        let mut saved = YamlFile::read(lab)?;
        saved.name = "the running lab".into();
        saved.dict.remove("limits");
        figment = figment.merge(saved);
    }
    for (flag, key, value) in &sources.flags {
        figment = figment.merge(Override::new(flag.clone(), key_path(key), value));
    }
    let settings: Settings = figment.extract().map_err(|error| explain(&error))?;
    check::check(&settings)?;
    Ok(Loaded {
        settings,
        origins: origins(&figment)?,
    })
}

/// Other settings put over those of a lab, and checked.
///
/// # Errors
/// Usage errors as those of [`load`].
pub fn over(base: &Settings, others: &serde_json::Value) -> Result<Settings, Expected> {
    let figment = Figment::from(Serialized::defaults(base)).merge(Named("lab", Serialized::defaults(others)));
    let settings: Settings = figment.extract().map_err(|error| explain(&error))?;
    check::check(&settings)?;
    Ok(settings)
}

impl Sources {
    fn file(&self) -> Option<PathBuf> {
        self.file
            .clone()
            .or_else(|| Some(PathBuf::from(FILE)).filter(|file| file.is_file()))
    }
}

/// `KAFKA__PROPERTIES__LOG_RETENTION_MS` → `kafka`, `properties`, `log.retention.ms`.
fn key_of_variable(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let mut path: Vec<String> = Vec::new();
    for segment in lower.split("__") {
        let below_properties = path.last().is_some_and(|parent| parent == "properties");
        path.push(segment.replace('_', if below_properties { "." } else { "-" }));
    }
    path
}

/// `kafka.properties.log.retention.ms` → `kafka`, `properties`, `log.retention.ms`.
fn key_path(key: &str) -> Vec<String> {
    match key.split_once(".properties.") {
        Some((above, name)) => {
            let above = above.split('.').map(str::to_owned);
            above.chain(["properties".to_owned(), name.to_owned()]).collect()
        }
        None => key.split('.').map(str::to_owned).collect(),
    }
}

/// A provider under a name of its own, for `khd config`.
struct Named<P>(&'static str, P);

impl<P: Provider> Provider for Named<P> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        self.1.data()
    }
}

struct YamlFile {
    name: String,
    path: PathBuf,
    dict: Dict,
}

impl YamlFile {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Expected::usage(format!("cannot read {name}: {error}"))
                .hint("`khd config` shows every setting and its default")
        })?;
        // An empty file, or one with nothing but comments, is no settings at all.
        let dict: Option<Dict> =
            serde_yaml::from_str(&text).map_err(|error| Expected::usage(format!("{name} is not readable: {error}")))?;
        Ok(Self {
            name,
            path: path.to_owned(),
            dict: dict.unwrap_or_default(),
        })
    }
}

impl Provider for YamlFile {
    fn metadata(&self) -> Metadata {
        Metadata::from(self.name.clone(), Source::File(self.path.clone()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// One value from a variable or a flag.
struct Override {
    name: String,
    path: Vec<String>,
    value: Value,
}

impl Override {
    fn new(name: String, path: Vec<String>, text: &str) -> Self {
        // Read as YAML, so that numbers, lists and words mean the same as in the file.
        let value = serde_yaml::from_str(text).unwrap_or_else(|_| Value::from(text));
        Self { name, path, value }
    }
}

impl Provider for Override {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = self.path.iter().rev().fold(self.value.clone(), |inner, segment| {
            Value::from(Dict::from([(segment.clone(), inner)]))
        });
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

fn explain(error: &figment::Error) -> Expected {
    let source = error
        .metadata
        .as_ref()
        .map_or_else(|| "the settings".to_owned(), |m| m.name.to_string());
    let path = error.path.join(".");
    match &error.kind {
        FigmentKind::UnknownField(key, allowed) => {
            let whole = if path.is_empty() || path == *key {
                key.clone()
            } else {
                qualified(&path, key)
            };
            let message = format!("{source}: there is no setting `{whole}`");
            let all = format!("allowed here: {}", allowed.join(", "));
            Expected::usage(message).hint(match nearest(key, allowed.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? ({all})"),
                None => all,
            })
        }
        kind => Expected::usage(format!("{source}: `{path}`: {kind}"))
            .hint("`khd config` shows every setting, its value and where it came from"),
    }
}

/// figment names the table in which a key is unknown with or without the key itself.
fn qualified(path: &str, key: &str) -> String {
    if path.ends_with(&format!(".{key}")) {
        path.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn origins(figment: &Figment) -> anyhow::Result<BTreeMap<String, String>> {
    let mut origins = BTreeMap::new();
    for dict in figment.data()?.into_values() {
        for (key, value) in dict {
            leaves(key, &value, figment, &mut origins);
        }
    }
    Ok(origins)
}

fn leaves(key: String, value: &Value, figment: &Figment, origins: &mut BTreeMap<String, String>) {
    match value {
        Value::Dict(_, dict) if !dict.is_empty() => {
            for (name, inner) in dict {
                leaves(format!("{key}.{name}"), inner, figment, origins);
            }
        }
        _ => {
            let source = figment.get_metadata(value.tag()).map(|m| m.name.to_string());
            origins.insert(key, source.unwrap_or_else(|| "default".into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Acks, Flavor, ImageSet, Images};

    fn sources(yaml: &str) -> (tempfile::TempDir, Sources) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("khd.yaml");
        std::fs::write(&file, yaml).unwrap();
        let sources = Sources {
            file: Some(file),
            ..Sources::default()
        };
        (folder, sources)
    }

    fn error(yaml: &str) -> Expected {
        let (_folder, sources) = sources(yaml);
        load(&sources).unwrap_err().downcast().unwrap()
    }

    #[test]
    fn a_flag_wins_over_a_variable_over_the_file_over_the_default_and_each_is_named() {
        let (_folder, mut sources) = sources("project: file\nports: {offset: 1}\nkafka: {servers: 4}\n");
        sources.variables = vec![
            ("KHD_PORTS__OFFSET".into(), "2".into()),
            ("KHD_LOG".into(), "debug".into()),
        ];
        sources.flags = vec![("--project".into(), "project".into(), "flag".into())];
        let loaded = load(&sources).unwrap();
        assert_eq!(loaded.settings.project, "flag");
        assert_eq!(loaded.settings.ports.offset, 2);
        assert_eq!(loaded.settings.kafka.servers, 4);
        assert_eq!(loaded.origins["project"], "--project");
        assert_eq!(loaded.origins["ports.offset"], "KHD_PORTS__OFFSET");
        assert!(loaded.origins["kafka.servers"].ends_with("khd.yaml"));
        assert_eq!(loaded.origins["zookeeper.servers"], "default");
    }

    #[test]
    fn properties_go_by_their_own_names_in_file_variable_and_flag() {
        let (_folder, mut sources) = sources("kafka: {properties: {log.retention.ms: 1000}}\nproducer: {acks: 1}\n");
        sources.variables = vec![("KHD_KAFKA__PROPERTIES__NUM_IO_THREADS".into(), "2".into())];
        sources.flags = vec![(
            "--set".into(),
            "kafka.properties.log.segment.bytes".into(),
            "1048576".into(),
        )];
        let settings = load(&sources).unwrap().settings;
        let properties: Vec<_> = settings
            .kafka
            .properties
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(
            properties,
            ["log.retention.ms=1000", "log.segment.bytes=1048576", "num.io.threads=2"]
        );
        assert_eq!(settings.producer.acks, Acks::One);
        assert!(!settings.idempotence());
    }

    #[test]
    fn a_running_lab_is_what_it_was_brought_up_as_but_is_judged_by_todays_limits() {
        let (folder, mut sources) = sources("kafka: {servers: 5}\nlimits: {gap: 3s}\n");
        let lab = folder.path().join("lab.yaml");
        std::fs::write(&lab, "kafka: {servers: 4}\nlimits: {gap: 9s}\n").unwrap();
        sources.lab = Some(lab);
        let settings = load(&sources).unwrap().settings;
        assert_eq!(settings.kafka.servers, 4);
        assert_eq!(settings.limits.gap, Some(std::time::Duration::from_secs(3)));
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_right_one() {
        let error = error("topics: {partitons: 3}\n");
        assert!(
            error.message.contains("no setting `topics.partitons`"),
            "{}",
            error.message
        );
        assert!(error.hint.unwrap().contains("did you mean `partitions`"));
    }

    #[test]
    fn an_unknown_variable_is_named() {
        let sources = Sources {
            variables: vec![("KHD_PROJEKT".into(), "x".into())],
            ..Sources::default()
        };
        let error: Expected = load(&sources).unwrap_err().downcast().unwrap();
        assert!(error.message.contains("KHD_PROJEKT"), "{}", error.message);
        assert!(error.hint.unwrap().contains("did you mean `project`"));
    }

    #[test]
    fn a_value_of_the_wrong_type_names_the_key() {
        let error = error("kafka: {servers: many}\n");
        assert!(error.message.contains("kafka.servers"), "{}", error.message);
    }

    #[test]
    fn images_are_one_word_or_one_by_one() {
        let (_folder, one_word) = sources("images: confluent\n");
        assert_eq!(
            load(&one_word).unwrap().settings.images,
            Images::Set(ImageSet::Confluent)
        );
        let (_folder, each) = sources("images: {kafka: mine/kafka:1}\n");
        assert!(
            matches!(load(&each).unwrap().settings.images, Images::Each(e) if e.kafka.as_deref() == Some("mine/kafka:1"))
        );
        assert!(
            error("images: {kafak: x}\n")
                .hint
                .unwrap()
                .contains("did you mean `kafka`")
        );
    }

    #[test]
    fn flavors_have_the_same_words_in_files_flags_and_messages() {
        for flavor in [Flavor::ZooKeeper, Flavor::Kraft, Flavor::KraftSeparate] {
            let (_folder, sources) = sources(&format!("flavor: {flavor}\n"));
            assert_eq!(load(&sources).unwrap().settings.flavor, flavor);
            assert_eq!(
                <Flavor as clap::ValueEnum>::from_str(&flavor.to_string(), false),
                Ok(flavor)
            );
        }
    }

    #[test]
    fn defaults_alone_are_good_and_an_empty_file_changes_nothing() {
        let (_folder, sources) = sources("# nothing\n");
        assert_eq!(load(&sources).unwrap().settings, Settings::default());
    }
}
