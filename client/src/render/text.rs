//! Numbers, times and colour as text.

use jiff::{Timestamp, tz::TimeZone};
use std::time::Duration;

/// How text is dressed.
#[derive(Debug, Clone)]
pub struct Style {
    pub colour: bool,
    /// Where the person is: times are shown in it.
    pub zone: TimeZone,
}

impl Style {
    /// Without colour, in UTC: for tests and pipes.
    pub fn plain() -> Self {
        Self { colour: false, zone: TimeZone::UTC }
    }

    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn red(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub fn yellow(&self, text: &str) -> String {
        self.paint("33", text)
    }

    pub fn green(&self, text: &str) -> String {
        self.paint("1;32", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// `2026-11-21 14:05`.
    pub fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

/// `12 B`, `3.4 kB`, `1.2 GB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    let (mut value, mut unit) = (count as f64, "B");
    for next in ["kB", "MB", "GB", "TB"] {
        // 999.95 would be shown as 1000.0.
        if value < 999.95 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    format!("{value:.1} {unit}")
}

/// `0.3 s`, `12.3 s`, `3 min 4 s`, `2 h 5 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64().min(59.9)),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Text of the server's without what could move the cursor or change the terminal. Tabs stay; of a line that was written
/// over with carriage returns the last version stays; colours go.
pub fn clean(text: &str) -> String {
    let last = text.trim_end_matches(['\r', '\n']).rsplit('\r').next().unwrap_or_default();
    let mut out = String::with_capacity(last.len());
    let mut chars = last.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' if chars.peek() == Some(&'[') => {
                // A control sequence ends with a byte from '@' to '~'.
                chars.next();
                chars.by_ref().find(|c| ('@'..='~').contains(c));
            }
            '\t' => out.push(c),
            c if c.is_control() || is_bidi(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Characters that reorder what stands beside them.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (count, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (999_960, "1.0 MB")]
        {
            assert_eq!(bytes(count), text);
        }
        for (ms, text) in [
            (0, "0.0 s"),
            (12_345, "12.3 s"),
            (59_999, "59.9 s"),
            (184_000, "3 min 4 s"),
            (7_500_000, "2 h 5 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn a_server_cannot_write_to_the_terminal() {
        assert_eq!(clean("\x1b[2J\x1b[31mred\x1b[0m\x07"), "red");
        assert_eq!(clean("10%\r50%\r100%\r\n"), "100%");
        assert_eq!(clean("a\tb\u{202e}c\x1b]0;title"), "a\tbc]0;title");
    }
}
