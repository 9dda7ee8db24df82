//! `status` for people: a line for each thing, with its name before it.

use std::io::{self, Write};

use crate::{
    number::thousands,
    stats::{Attachment, Condition, Events, Other, Rate, Status},
};

/// What is attached, and what is in force there.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn lines(
    out: &mut dyn Write,
    status: &Status,
    condition: &Condition,
    others: &[String],
) -> io::Result<()> {
    let mut lines = vec![("instance", status.instance.clone())];
    for attachment in &condition.attachments {
        lines.push(("interface", attached(attachment)));
        for other in &attachment.others {
            let Other {
                hook,
                program_id,
                name,
            } = other;
            lines.push(("beside", format!("{hook} program {program_id} '{name}'")));
        }
    }
    if condition.attachments.is_empty() {
        lines.push(("interface", "none: nothing is filtered".to_owned()));
    }
    lines.push(("policy", status.policy.clone()));
    lines.push(("ports", status.ports.clone()));
    for limit in &status.limits {
        lines.push(("limit", limit.in_words()));
    }
    for action in ["drop", "count"] {
        let behaviours = status.behaviours.iter();
        let names: Vec<_> = behaviours
            .filter(|behaviour| behaviour.action == action)
            .map(|behaviour| behaviour.behaviour)
            .collect();
        if !names.is_empty() {
            lines.push(("behaviours", format!("{} ({action})", names.join(", "))));
        }
    }
    if let Some(escalation) = &status.escalation {
        lines.push(("escalation", escalation.in_words()));
    }
    let lists = &status.lists;
    if lists.allowed + lists.blocked > 0 {
        lines.push((
            "lists",
            format!(
                "{} allowed, {} blocked ({}); room for {} addresses and as many prefixes",
                thousands(lists.allowed),
                thousands(lists.blocked),
                lists.action,
                thousands(lists.at_most.into())
            ),
        ));
    }
    lines.push((
        "sources",
        format!("at most {}", thousands(status.sources.into())),
    ));
    lines.push(("program", status.program_id.to_string()));
    lines.push(("attached", status.attached_at.to_string()));
    lines.extend(in_use(condition));
    if !others.is_empty() {
        lines.push(("others", others.join(", ")));
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in lines {
        writeln!(out, "{name:width$}  {value}")?;
    }
    Ok(())
}

/// Where a link leads: `eth0 (index 2, native, program 1755) since 2026-11-23T14:36:02.751Z`.
fn attached(attachment: &Attachment) -> String {
    let Attachment {
        name,
        ifindex,
        attached,
        program_id,
        mode,
        since,
        others: _,
    } = attachment;
    let name = name.as_deref().unwrap_or("unknown here");
    let since = since.map_or(String::new(), |since| format!(" since {since}"));
    match attached {
        Some(true) => format!("{name} (index {ifindex}, {mode}, program {program_id}){since}"),
        Some(false) => format!("{name} (index {ifindex}): NOT attached, nothing is filtered there"),
        None => format!(
            "{name} (index {ifindex}, program {program_id}){since}; in another network namespace"
        ),
    }
}

/// What the program and its maps take.
fn in_use(condition: &Condition) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(program) = &condition.program {
        if let Some(loaded_at) = program.loaded_at {
            lines.push(("loaded", loaded_at.to_string()));
        }
        let run_time = match program.mean_run_ns {
            Some(mean) => format!("{mean:.0} ns on average, of {}", thousands(program.runs)),
            None if program.measured => "no packet yet".to_owned(),
            None => "not measured; sysctl kernel.bpf_stats_enabled=1 has it measured".to_owned(),
        };
        lines.push(("run time", run_time));
    }
    if let Some(Rate { packets, dropped }) = condition.rate {
        let [packets, dropped] = [packets, dropped].map(|rate| thousands(rate as u64));
        let rate = format!("{packets} packets a second, {dropped} of them dropped");
        lines.push(("rate", rate));
    }
    let Events {
        reported,
        suppressed,
        lost,
    } = condition.events;
    let is_whole = lost == 0;
    let [reported, suppressed, lost] = [reported, suppressed, lost].map(thousands);
    lines.push((
        "events",
        format!("{reported} reported, {suppressed} suppressed, {lost} without room"),
    ));
    if !is_whole {
        for line in [
            "there was no room, since no `run` has read those before them in time;",
            "`sip-filter events` knows the last one of each source all the same",
        ] {
            lines.push(("", line.to_owned()));
        }
    }
    for fill in &condition.maps {
        if let Some(entries) = fill.entries {
            let [entries, at_most] = [entries, fill.at_most.into()].map(thousands);
            let map = fill.map.to_lowercase();
            let kilobytes = thousands(fill.bytes.div_ceil(1000));
            lines.push((
                "map",
                format!("{map}: {entries} of {at_most}, {kilobytes} kB"),
            ));
        }
    }
    let bytes: u64 = condition.maps.iter().map(|fill| fill.bytes).sum();
    lines.push((
        "memory",
        format!("{} kB in all maps", thousands(bytes.div_ceil(1000))),
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_nobody_has_read_are_explained() {
        let said = |lost| {
            let condition = Condition {
                attachments: Vec::new(),
                maps: Vec::new(),
                program: None,
                events: Events {
                    reported: 1_024,
                    suppressed: 2,
                    lost,
                },
                rate: None,
            };
            let lines = in_use(&condition).into_iter();
            lines.map(|(_, text)| text).collect::<Vec<_>>().join("\n")
        };
        assert!(!said(0).contains("no `run`"), "{}", said(0));
        let explained = said(7);
        assert!(
            explained.contains("7 without room\nthere was no room, since no `run`"),
            "{explained}"
        );
        assert!(
            explained.contains("knows the last one of each source"),
            "{explained}"
        );
    }
}
