//! One JSON object for scripts and CI.

use crate::report::Report;

/// Renders the report as one JSON object.
pub fn render(report: &Report) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::report;

    #[test]
    fn json_is_written_as_it_ever_was() {
        insta::assert_snapshot!(render(&report()).unwrap());
    }
}
