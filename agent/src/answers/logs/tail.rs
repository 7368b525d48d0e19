//! The last lines of a log that has to be read from its beginning, since only some of its lines count.

use std::collections::VecDeque;

/// Keeps the last lines that it is given: so many, and no more bytes than it may take.
#[derive(Debug)]
pub(super) struct Tail {
    lines: VecDeque<String>,
    most_lines: usize,
    bytes: usize,
    most_bytes: usize,
}

impl Tail {
    pub fn new(most_lines: u32, most_bytes: usize) -> Self {
        let most_lines = usize::try_from(most_lines).unwrap_or(usize::MAX);
        Self { lines: VecDeque::new(), most_lines, bytes: 0, most_bytes }
    }

    pub fn push(&mut self, line: String) {
        self.bytes = self.bytes.saturating_add(line.len());
        self.lines.push_back(line);
        while self.lines.len() > self.most_lines || self.bytes > self.most_bytes {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.len());
        }
    }

    pub fn into_lines(self) -> VecDeque<String> {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_stay_within_both_bounds() {
        let kept = |most_lines, most_bytes| {
            let mut tail = Tail::new(most_lines, most_bytes);
            ["one", "two", "three", "four"].iter().for_each(|line| tail.push((*line).to_owned()));
            Vec::from(tail.into_lines())
        };
        assert_eq!(kept(2, 1_000), ["three", "four"]);
        assert_eq!(kept(9, 1_000), ["one", "two", "three", "four"]);
        assert_eq!(kept(9, 9), ["three", "four"]);
        assert_eq!(kept(9, 3), Vec::<String>::new());
        assert_eq!(kept(0, 1_000), Vec::<String>::new());
    }
}
