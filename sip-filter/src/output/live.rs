//! The live table of `run`: one screenful, drawn over the one before.

use std::io::{self, Write};

use super::{
    Terminal,
    table::{self, Layout},
};
use crate::stats::{PACKETS, Snapshot, Status};

/// Cursor to the top left.
const HOME: &str = "\x1b[H";
const CLEAR_TO_LINE_END: &str = "\x1b[K";
const CLEAR_TO_SCREEN_END: &str = "\x1b[J";
/// Lines that are too long are cut, rather than wrapped, which would shift those below.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// How many lines the tools get at most, their header included.
const MAX_TOOL_LINES: usize = 8;

/// Moves what the terminal shows out of the way, so that the first table overwrites nothing.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn make_room(out: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
    write!(out, "{}", "\n".repeat(terminal.height))
}

/// Draws over whatever the terminal shows, and leaves the cursor below.
///
/// # Errors
///
/// When `out` cannot be written.
pub fn draw(
    out: &mut dyn Write,
    snapshot: &Snapshot,
    status: &Status,
    notices: &[String],
    terminal: Terminal,
) -> io::Result<()> {
    write!(out, "{NO_WRAP}{HOME}")?;
    for line in lines(snapshot, status, notices, terminal) {
        writeln!(out, "{line}{CLEAR_TO_LINE_END}")?;
    }
    write!(out, "{CLEAR_TO_SCREEN_END}{WRAP}")
}

/// At most one line less than the terminal has, so that the cursor finds room below.
fn lines(
    snapshot: &Snapshot,
    status: &Status,
    notices: &[String],
    terminal: Terminal,
) -> Vec<String> {
    let layout = Layout {
        terminal,
        now: snapshot.time,
        sorted_by: PACKETS,
    };
    let room = terminal.height.saturating_sub(1);
    let mut lines = vec![
        table::heading(snapshot),
        format!("{} · ports {}", status.policy, status.ports),
    ];
    lines.extend_from_slice(notices);
    lines.push(String::new());
    lines.extend(own_lines(&table::totals(&snapshot.totals, terminal)));
    if !snapshot.tools.is_empty() {
        // A header and an empty line stand around them; the rest is left for sources.
        let left = room.saturating_sub(lines.len() + 2);
        let tools = snapshot.tools.len().min(left / 2).min(MAX_TOOL_LINES - 1);
        lines.push(String::new());
        lines.extend(own_lines(&table::table(&snapshot.tools[..tools], layout)));
    }
    if !snapshot.sources.is_empty() {
        let left = room.saturating_sub(lines.len() + 2);
        let sources = snapshot.sources.len().min(left);
        lines.push(String::new());
        lines.extend(own_lines(&table::table(
            &snapshot.sources[..sources],
            layout,
        )));
    }
    lines.truncate(room);
    lines
}

fn own_lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{self, ListsInForce, WallTime};

    fn screen(width: usize, height: usize) -> Vec<String> {
        let snapshot = stats::tests::snapshot();
        let status = Status {
            instance: "default".to_owned(),
            interfaces: snapshot.interfaces.clone(),
            program_id: 37,
            attached_at: WallTime::from_ns(0),
            drop: vec!["scanners"],
            ports: "5060-5100,6060".to_owned(),
            sources: 65_536,
            policy: "dropping scanners".to_owned(),
            limits: Vec::new(),
            behaviours: Vec::new(),
            escalation: None,
            lists: ListsInForce {
                allowed: 0,
                blocked: 0,
                at_most: 131_072,
                action: "drop",
            },
        };
        let notices = ["eth0: attached in skb mode".to_owned()];
        let terminal = Terminal {
            width,
            height,
            colour: false,
        };
        lines(&snapshot, &status, &notices, terminal)
    }

    #[test]
    fn a_screen_has_room_for_everything() {
        let screen = screen(80, 24).join("\n");
        for shown in [
            "default on eth0 (native)",
            "dropping scanners",
            "5060-5100,6060",
            "attached in skb mode",
            "would drop",
            "sipvicious",
            "192.0.2.7",
            "203.0.113.9",
        ] {
            assert!(screen.contains(shown), "{shown} is missing:\n{screen}");
        }
    }

    #[test]
    fn a_screen_is_never_too_tall() {
        for height in 0..40 {
            let lines = screen(80, height).len();
            assert!(
                lines <= height.saturating_sub(1),
                "{lines} lines of {height}"
            );
        }
    }
}
