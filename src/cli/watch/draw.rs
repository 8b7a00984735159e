//! Draws a model into a given room: pure, and never more than fits.
//!
//! Where there is little room, panels shrink to what matters most, and the least wanted are left out.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Style, Stylize as _};
use ratatui::text::{Line, Span};

use crate::live::screen::{Broker, Model, OpenGaps};
use crate::live::steps::{State, Step};

/// From so many columns on, the steps stand beside the lab.
const WIDE: u16 = 100;
/// More steps than this are not shown at once: what has happened shall stay in sight above the view.
const MOST_STEPS: usize = 12;
/// With fewer columns, lines about brokers are shorter.
const NARROW: u16 = 52;
/// Columns between two columns of panels.
const GUTTER: u16 = 2;
/// One picture of the spinner for each tenth of a second.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// A part of the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Panel {
    Steps,
    Brokers,
    Keepers,
    Flow,
    Gaps,
}

/// Who gets its least lines first.
const WANTED: [Panel; 5] = [Panel::Steps, Panel::Gaps, Panel::Flow, Panel::Brokers, Panel::Keepers];
/// Who gets more of what is left then.
const GROWS: [Panel; 4] = [Panel::Brokers, Panel::Gaps, Panel::Flow, Panel::Steps];

/// How many of at most `most` lines the model takes.
pub fn height(model: &Model, width: u16, most: u16) -> u16 {
    let columns = columns(model, width, most);
    let tallest = columns.iter().map(|column| rows(column)).max().unwrap_or_default();
    (1 + tallest as u16).min(most)
}

/// Draws the model.
pub fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    buffer.set_line(area.x, area.y, &title(model, area.width), area.width);
    let columns = columns(model, area.width, area.height);
    let count = columns.len() as u16;
    let width = (area.width - GUTTER * (count - 1)) / count;
    for (x, column) in (area.x..).step_by((width + GUTTER).into()).zip(columns) {
        let lines = column.iter().flat_map(|(panel, rows)| panel.lines(model, *rows, width));
        for (y, line) in (area.y + 1..area.bottom()).zip(lines) {
            buffer.set_line(x, y, &line, width);
        }
    }
}

/// The panels beside each other, each with its lines.
fn columns(model: &Model, width: u16, height: u16) -> Vec<Vec<(Panel, usize)>> {
    let room = usize::from(height.saturating_sub(1));
    if width < WIDE {
        let all = [Panel::Steps, Panel::Brokers, Panel::Keepers, Panel::Flow, Panel::Gaps];
        return vec![allot(&all, model, room)];
    }
    vec![
        allot(&[Panel::Steps, Panel::Gaps], model, room),
        allot(&[Panel::Brokers, Panel::Keepers, Panel::Flow], model, room),
    ]
}

fn rows(column: &[(Panel, usize)]) -> usize {
    column.iter().map(|(_, rows)| rows).sum()
}

/// Shares room among panels: to each its least while there is room, then more to those that grow.
fn allot(panels: &[Panel], model: &Model, room: usize) -> Vec<(Panel, usize)> {
    let mut shares: Vec<(Panel, usize)> = panels.iter().map(|panel| (*panel, 0)).collect();
    let mut left = room;
    let wanted = WANTED.iter().map(|panel| (*panel, panel.least(model)));
    let grown = GROWS.iter().map(|panel| (*panel, panel.full(model)));
    for (panel, goal) in wanted.chain(grown) {
        if let Some((_, rows)) = shares.iter_mut().find(|(of, _)| *of == panel) {
            let more = goal.saturating_sub(*rows).min(left);
            *rows += more;
            left -= more;
        }
    }
    shares
}

impl Panel {
    fn least(self, model: &Model) -> usize {
        match self {
            Self::Steps => {
                let running = model.steps.iter().filter(|step| runs(step)).count();
                running.max(1).min(self.full(model))
            }
            Self::Keepers | Self::Brokers | Self::Flow | Self::Gaps => self.full(model).min(1),
        }
    }

    fn full(self, model: &Model) -> usize {
        match self {
            Self::Steps => model.steps.len().min(MOST_STEPS),
            // One more for the partitions.
            Self::Brokers if model.brokers.is_empty() => 0,
            Self::Brokers => model.brokers.len() + 1,
            Self::Keepers => usize::from(!model.keepers.is_empty()),
            Self::Flow => usize::from(model.lag.is_some()) + usize::from(model.group.is_some()),
            Self::Gaps => model.gaps.len(),
        }
    }

    fn lines(self, model: &Model, rows: usize, width: u16) -> Vec<Line<'static>> {
        let mut lines = match self {
            Self::Steps => return steps(model, rows, width.into()),
            Self::Gaps => return gaps(&model.gaps, rows),
            Self::Brokers => brokers(model, width),
            Self::Keepers => vec![keepers(model)],
            Self::Flow => flow(model),
        };
        lines.truncate(rows);
        lines
    }
}

fn title(model: &Model, width: u16) -> Line<'static> {
    let begun = model.steps.iter().filter(|step| step.state != State::Planned).count();
    let mut spans = vec![
        "── ".dim(),
        clip(&model.title, (width / 2).into()).bold(),
        format!(" {}", time(model.now)).into(),
    ];
    if !model.steps.is_empty() {
        spans.push(format!(", step {begun} of {}", model.steps.len()).into());
    }
    let taken: usize = spans.iter().map(Span::width).sum();
    let rest = usize::from(width).saturating_sub(taken + 1);
    spans.push(format!(" {}", "─".repeat(rest)).dim());
    Line::from(spans)
}

/// So many of the steps: those that run, one before, and those that come next.
fn steps(model: &Model, rows: usize, width: usize) -> Vec<Line<'static>> {
    let all = &model.steps;
    let current = all
        .iter()
        .position(runs)
        .or_else(|| all.iter().position(|step| step.state == State::Planned))
        .unwrap_or(all.len());
    let before = usize::from(rows > 2);
    let first = current.saturating_sub(before).min(all.len().saturating_sub(rows));
    let shown = all.iter().skip(first).take(rows);
    shown.map(|step| line_of(step, model.now, width)).collect()
}

fn runs(step: &Step) -> bool {
    matches!(step.state, State::Running(_))
}

fn line_of(step: &Step, now: u64, width: usize) -> Line<'static> {
    let (mark, style, took) = match step.state {
        State::Planned => ("·".dim(), Style::new().dim(), None),
        State::Running(since) => {
            let picture = SPINNER[(now / 100) as usize % SPINNER.len()];
            (picture.cyan(), Style::new().bold(), Some(now.saturating_sub(since)))
        }
        State::Done(took) => ("✓".green(), Style::new(), Some(took)),
        State::Failed(took) => ("✗".red(), Style::new().red(), Some(took)),
    };
    let took = took.map(time).unwrap_or_default();
    let room = width.saturating_sub(2 + 10);
    let words = clip(&step.words, room);
    Line::from(vec![
        mark,
        Span::styled(format!(" {words:<room$}"), style),
        format!("{took:>10}").into(),
    ])
}

fn brokers(model: &Model, width: u16) -> Vec<Line<'static>> {
    let longest = model.brokers.iter().map(|broker| broker.name.len()).max();
    let longest = longest.unwrap_or_default();
    let mut lines = vec![partitions(model)];
    lines.extend(
        model
            .brokers
            .iter()
            .map(|broker| line_of_broker(broker, longest, width)),
    );
    lines
}

fn partitions(model: &Model) -> Line<'static> {
    let counted = model.partitions;
    let mut spans: Vec<Span<'static>> = vec![format!("{} partitions", counted.known).into()];
    for (count, words) in [
        (counted.leaderless, "without a leader"),
        (counted.under_replicated, "under-replicated"),
    ] {
        if count > 0 {
            spans.push(", ".into());
            spans.push(format!("{count} {words}").yellow());
        }
    }
    Line::from(spans)
}

fn line_of_broker(broker: &Broker, longest: usize, width: u16) -> Line<'static> {
    let state = match (&broker.fault, broker.answers) {
        (Some(fault), _) => clip(fault, 10).red(),
        (None, true) => "answers".green(),
        (None, false) => "silent".red(),
    };
    let pad = " ".repeat(11usize.saturating_sub(state.width()));
    let name = format!("{:<longest$} ", broker.name);
    let in_sync = format!("{}/{}", broker.in_sync, broker.replicas);
    let in_sync = if broker.in_sync < broker.replicas {
        in_sync.yellow()
    } else {
        in_sync.into()
    };
    if width < NARROW {
        let role = if broker.controller { "*" } else { " " };
        let leads = format!("leads {:<3} ISR ", broker.leads);
        return Line::from(vec![name.into(), role.bold(), state, pad.into(), leads.into(), in_sync]);
    }
    let role = if broker.controller { "controller" } else { "" };
    let leads = format!(" leads {:<4} in ISR ", broker.leads);
    Line::from(vec![
        name.into(),
        state,
        pad.into(),
        format!("{role:<10}").bold(),
        leads.into(),
        in_sync,
    ])
}

fn keepers(model: &Model) -> Line<'static> {
    let mut spans = Vec::new();
    for (name, mode) in &model.keepers {
        if !spans.is_empty() {
            spans.push("  ".into());
        }
        spans.push(format!("{name} ").into());
        spans.push(match mode {
            Some(mode) if mode == "leader" => mode.clone().bold(),
            Some(mode) => mode.clone().into(),
            None => "silent".red(),
        });
    }
    Line::from(spans)
}

fn flow(model: &Model) -> Vec<Line<'static>> {
    let sums = model.lag.map(|lag| match model.rates {
        Some(rates) => format!(
            "written {:.0}/s  committed {:.0}/s  lag {lag}",
            rates.written, rates.committed
        ),
        None => format!("lag {lag}"),
    });
    sums.into_iter().chain(model.group.clone()).map(Line::from).collect()
}

/// So many of the gaps; the last line tells of those that do not fit.
fn gaps(all: &[OpenGaps], rows: usize) -> Vec<Line<'static>> {
    let shown = if all.len() > rows { rows.saturating_sub(1) } else { rows };
    let mut lines: Vec<Line<'static>> = all
        .iter()
        .take(shown)
        .map(|gaps| Line::from(gaps.words().yellow()))
        .collect();
    if lines.len() < rows.min(all.len()) {
        let clients = all.len() - shown;
        lines.push(Line::from(format!("gaps of {clients} clients").yellow()));
    }
    lines
}

fn time(millis: u64) -> String {
    format!("{:.1} s", millis as f64 / 1_000.0)
}

/// A text of at most so many characters.
fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…").chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::live::screen::testing::model;
    use crate::timeline::event::Success;

    fn drawn(model: &Model, width: u16, most: u16) -> String {
        let height = height(model, width, most);
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| draw(model, frame.area(), frame.buffer_mut()))
            .unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_drill_is_drawn_as_large_as_the_room_allows() {
        for (width, most) in [(40, 8), (80, 24), (200, 60)] {
            insta::assert_snapshot!(format!("{width}x{most}"), drawn(&model(), width, most));
        }
    }

    #[test]
    fn where_there_is_one_line_for_steps_it_is_the_one_that_runs() {
        let text = drawn(&model(), 60, 2);
        assert!(text.contains("keep it so for 20 s"), "{text}");
        assert!(text.contains("2.0 s"), "{text}");
    }

    #[test]
    fn gaps_that_do_not_fit_are_counted() {
        let open = |client: &str| OpenGaps {
            client: client.into(),
            of: Success::Delivery,
            partitions: 1,
            first: "test-1-0".into(),
            longest_ms: 1_000,
        };
        let texts: Vec<String> = gaps(&["a", "b", "c"].map(open), 2)
            .iter()
            .map(Line::to_string)
            .collect();
        assert_eq!(
            texts,
            ["a: nothing delivered on test-1-0 for 1.0 s", "gaps of 2 clients"]
        );
    }

    proptest! {
        #[test]
        fn any_room_is_kept_to(width in 1u16..300, most in 1u16..80, steps in 0usize..7, gaps in 0usize..3) {
            let mut model = model();
            model.steps.truncate(steps);
            model.gaps.truncate(gaps);
            let height = height(&model, width, most);
            prop_assert!((1..=most).contains(&height));
            let area = Rect::new(0, 0, width, height);
            draw(&model, area, &mut Buffer::empty(area));
        }
    }
}
