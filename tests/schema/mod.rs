//! The JSON Schemas of what a run leaves behind, for tests that hold real runs to them.

use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;

/// A schema from `docs/schemas`.
pub struct Schema(Validator);

impl Schema {
    /// `timeline`, `ledger`, `log` or `report`.
    pub fn of(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schemas/{name}.schema.json"));
        let text = std::fs::read_to_string(&path).unwrap();
        Self(jsonschema::draft202012::new(&serde_json::from_str(&text).unwrap()).unwrap())
    }

    /// What is wrong with a value; nothing when it is valid.
    pub fn complaints(&self, value: &Value) -> Vec<String> {
        let errors = self.0.iter_errors(value);
        errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }

    /// Requires every line of a file to be valid, and gives how many there are.
    pub fn holds_lines(&self, path: &Path) -> usize {
        let text = std::fs::read_to_string(path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let complaints = self.complaints(&serde_json::from_str(line).unwrap());
            assert!(
                complaints.is_empty(),
                "{}:{}: {complaints:#?}\n{line}",
                path.display(),
                number + 1
            );
        }
        text.lines().count()
    }

    /// Requires a file to be one valid value.
    pub fn holds(&self, path: &Path) {
        let complaints = self.complaints(&serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
        assert!(complaints.is_empty(), "{}: {complaints:#?}", path.display());
    }
}

/// Requires a run's folder to be as the schemas say, and gives how many events it holds.
pub fn holds_run(folder: &Path) -> usize {
    let ledger = Schema::of("ledger");
    for entry in std::fs::read_dir(folder.join("ledgers")).unwrap() {
        assert!(ledger.holds_lines(&entry.unwrap().path()) > 0);
    }
    Schema::of("log").holds(&folder.join("log.json"));
    let verdicts = folder.join("verdicts.json");
    if verdicts.exists() {
        Schema::of("report").holds(&verdicts);
    }
    Schema::of("timeline").holds_lines(&folder.join("timeline.jsonl"))
}
