//! What `--watch` shows: a status that is drawn over the one before it.

use super::{Style, status};
use jiff::Timestamp;
use std::time::Duration;
use wharf_proto::{release::AppStatus, terminal::TerminalSize};

/// A status with a heading that says when it was seen.
pub fn watched(apps: &[AppStatus], interval: Duration, at: Timestamp, style: &Style) -> String {
    let time = at.to_zoned(style.zone.clone()).strftime("%H:%M:%S").to_string();
    let heading = style.dim(&format!("{time}, every {} s; Ctrl-C ends", interval.as_secs()));
    let body = match apps {
        [] => "nothing was deployed there yet\n".to_owned(),
        apps => status(apps, style),
    };
    format!("{heading}\n\n{body}")
}

/// Draws `text` over the whole terminal: no more than fits, so that nothing scrolls, and without clearing it first, so that
/// nothing flickers.
pub fn screen(text: &str, size: Option<TerminalSize>) -> String {
    let (columns, rows) = size.map_or((80, 24), |size| (size.columns.max(1), size.rows.max(2)));
    // The last row is the cursor's.
    let room = usize::from(rows) - 1;
    let all: Vec<&str> = text.lines().collect();
    let mut lines: Vec<String> = all.iter().take(room).map(|line| cut(line, columns.into())).collect();
    if let (true, Some(last)) = (all.len() > room, lines.last_mut()) {
        *last = cut(&format!("… and {} lines more", all.len() - room + 1), columns.into());
    }
    let drawn: String = lines.iter().map(|line| format!("{line}\x1b[K\r\n")).collect();
    format!("\x1b[H{drawn}\x1b[J")
}

/// At most so many characters. Colours take no room, and end with the line.
fn cut(line: &str, columns: usize) -> String {
    let (mut out, mut width, mut in_sequence, mut coloured) = (String::new(), 0, false, false);
    for c in line.chars() {
        if in_sequence {
            in_sequence = !c.is_ascii_alphabetic();
        } else if c == '\x1b' {
            (in_sequence, coloured) = (true, true);
        } else if width == columns {
            break;
        } else {
            width += 1;
        }
        out.push(c);
    }
    if coloured { out + "\x1b[0m" } else { out }
}

/// Whether two looks at an app show the same. What goes up and down all the time, memory and disk, is no change; where it
/// gets short a warning says so.
pub fn alike(one: &AppStatus, other: &AppStatus) -> bool {
    let steady = |app: &AppStatus| {
        let mut app = app.clone();
        app.disk = None;
        app.containers.iter_mut().for_each(|container| container.memory_bytes = None);
        app
    };
    steady(one) == steady(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_drawn() {
        let size = |columns, rows| Some(TerminalSize { columns, rows });
        let text = "one\ntwo two\nthree\nfour\n";
        assert_eq!(
            screen(text, size(80, 24)),
            "\x1b[Hone\x1b[K\r\ntwo two\x1b[K\r\nthree\x1b[K\r\nfour\x1b[K\r\n\x1b[J"
        );
        assert_eq!(screen(text, size(5, 3)), "\x1b[Hone\x1b[K\r\n… and\x1b[K\r\n\x1b[J");
        assert_eq!(screen(text, size(0, 0)), "\x1b[H…\x1b[K\r\n\x1b[J");
        assert_eq!(cut("\x1b[1mbold\x1b[0m text", 6), "\x1b[1mbold\x1b[0m t\x1b[0m");
        assert_eq!(cut("\x1b[1mbold\x1b[0m", 2), "\x1b[1mbo\x1b[0m");
    }
}
