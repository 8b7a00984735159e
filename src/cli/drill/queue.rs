//! In which order drills run, so that one lab serves as many as can be.

use crate::drill::script::{NEGATIVE, Script};
use crate::settings::Settings;

/// Drills that want the same lab.
#[derive(Debug)]
pub struct Group {
    /// The settings of that lab.
    pub settings: Settings,
    /// The drills, those that spoil the lab last.
    pub scripts: Vec<Script>,
}

/// Groups drills by the lab that they want; otherwise their order stays, but that those which spoil a lab come last in
/// their group.
pub fn grouped(scripts: Vec<(Script, Settings)>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (script, settings) in scripts {
        match groups.iter_mut().find(|group| group.settings == settings) {
            Some(group) => group.scripts.push(script),
            None => groups.push(Group {
                settings,
                scripts: vec![script],
            }),
        }
    }
    for group in &mut groups {
        group.scripts.sort_by_key(|script| script.is_tagged(NEGATIVE));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Acks;

    fn script(name: &str, tags: &str) -> Script {
        let text = format!("name: {name}\npurpose: a test\ntags: [{tags}]\nsteps: []\n");
        Script::read("test.yaml", &text, &Settings::default()).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    #[test]
    fn drills_for_one_lab_come_together_in_their_order_with_those_that_spoil_it_last() {
        let usual = Settings::default();
        let mut careless = Settings::default();
        careless.producer.acks = Acks::One;
        let scripts = [
            ("a", "", &usual),
            ("b", "negative", &careless),
            ("c", "negative", &usual),
            ("d", "", &careless),
            ("e", "", &usual),
        ];
        let scripts = scripts.map(|(name, tags, settings)| (script(name, tags), settings.clone()));
        let groups = grouped(scripts.to_vec());
        let names: Vec<Vec<&str>> = groups
            .iter()
            .map(|group| group.scripts.iter().map(|script| script.name.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["a", "e", "c"], vec!["d", "b"]]);
    }
}
