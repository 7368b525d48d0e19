//! Output in lines of bounded length.

use wharf_proto::limits::OUTPUT_LINE_BYTES;

/// Which of its two outputs a program wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamKind {
    Stdout,
    Stderr,
}

/// Said at the end of a line that was too long.
pub const CUT_MARK: &str = " … (line cut)";

/// Cuts bytes into lines. A line keeps at most [`OUTPUT_LINE_BYTES`]; of one that a program overwrote with carriage
/// returns (a progress bar), what was visible last.
#[derive(Debug, Default)]
pub struct LineSplitter {
    pending: Vec<u8>,
    cut: bool,
}

impl LineSplitter {
    /// Takes `bytes` and hands out every line that they complete.
    pub fn push(&mut self, bytes: &[u8], mut on_line: impl FnMut(String)) {
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            self.append(piece);
            if pieces.peek().is_some() {
                on_line(self.take());
            }
        }
    }

    /// What was written after the last line break, if anything.
    pub fn finish(&mut self) -> Option<String> {
        (!self.pending.is_empty()).then(|| self.take())
    }

    fn append(&mut self, piece: &[u8]) {
        // A carriage return that something follows begins the line anew, which also frees its room.
        let piece = match piece.iter().rposition(|byte| *byte == b'\r') {
            Some(at) if at + 1 < piece.len() => {
                self.pending.clear();
                self.cut = false;
                piece.get(at + 1..).unwrap_or_default()
            }
            _ => piece,
        };
        if self.pending.last() == Some(&b'\r') && !piece.is_empty() {
            self.pending.clear();
            self.cut = false;
        }
        let room = (OUTPUT_LINE_BYTES - CUT_MARK.len()).saturating_sub(self.pending.len());
        self.cut |= piece.len() > room;
        self.pending.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
    }

    fn take(&mut self) -> String {
        let bytes = std::mem::take(&mut self.pending);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
        let shown = match bytes.iter().rposition(|byte| *byte == b'\r') {
            Some(at) => bytes.get(at + 1..).unwrap_or_default(),
            None => bytes,
        };
        let mut line = String::from_utf8_lossy(shown).into_owned();
        if std::mem::take(&mut self.cut) {
            line.push_str(CUT_MARK);
        }
        line
    }
}

/// Text of foreign origin, cut to the length of a line.
pub(crate) fn bounded(text: String) -> String {
    if text.len() <= OUTPUT_LINE_BYTES {
        return text;
    }
    let end = text.floor_char_boundary(OUTPUT_LINE_BYTES - CUT_MARK.len());
    format!("{}{CUT_MARK}", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut splitter = LineSplitter::default();
        for piece in pieces {
            splitter.push(piece, |line| lines.push(line));
        }
        lines.extend(splitter.finish());
        lines
    }

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_arrive() {
        let text = b"one\ntwo\r\n\n10%\r50%\r100%\nlast";
        let expected = ["one", "two", "", "100%", "last"];
        assert_eq!(split(&[text]), expected);
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(split(&single), expected);
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let long = vec![b'x'; 3 * OUTPUT_LINE_BYTES];
        let lines = split(&[&long, &long, b"\nnext\n"]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), OUTPUT_LINE_BYTES);
        assert!(lines[0].ends_with(CUT_MARK));
        assert_eq!(lines[1], "next");
    }
}
