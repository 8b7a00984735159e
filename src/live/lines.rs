//! Events in words, one line each.

use crate::timeline::event::{Event, Kind};

/// A line with the seconds since the start before it.
pub fn timed(elapsed_ms: u64, text: &str) -> String {
    format!("{:>7.1} s  {text}", elapsed_ms as f64 / 1000.0)
}

/// One event in words, with the seconds since the start; nothing for what is told elsewhere or too small.
pub fn line(event: &Event) -> Option<String> {
    words(event).map(|text| timed(event.elapsed_ms, &text))
}

/// One event in words; nothing for what is told elsewhere or too small. What is no step is indented.
pub fn words(event: &Event) -> Option<String> {
    let text = match &event.kind {
        Kind::StepStarted { words, .. } => words.clone(),
        Kind::StepEnded { ok: false, lacking, .. } => format!("  did not come true: {}", lacking.join("; ")),
        Kind::FaultInjected {
            fault, targets, asked, ..
        } if !asked.is_empty() => {
            format!("  {fault} {} ({})", targets.join(", "), asked.join(", "))
        }
        Kind::FaultEffective { proof, .. } | Kind::FaultHealed { proof, .. } => format!("  {proof}"),
        Kind::BrokerAnswers => format!("  {} answers", event.source),
        Kind::BrokerSilent { .. } => format!("  {} is silent", event.source),
        Kind::ControllerElected { controller, epoch } if *controller >= 0 => {
            // KRaft's controllers need not be brokers.
            let what = if event.source == "quorum" { "node" } else { "broker" };
            format!("  controller is {what} {controller}, epoch {epoch}")
        }
        // A cooperative rebalance often gives or takes nothing.
        Kind::PartitionsAssigned { partitions, .. } if !partitions.is_empty() => {
            format!("  {} is given {} partitions", event.source, partitions.len())
        }
        Kind::PartitionsRevoked { partitions, lost, .. } if !partitions.is_empty() => {
            let how = if *lost { "loses" } else { "gives up" };
            format!("  {} {how} {} partitions", event.source, partitions.len())
        }
        Kind::Warning { message } => format!("  warning: {message}"),
        _ => return None,
    };
    Some(text)
}
