//! What a terminal shows in the end of all that was written to it: enough of one for prompts and progress bars.

/// The lines that are left on a terminal after `written`. Lines that scrolled off are kept; none are wrapped.
pub fn shown(written: &str) -> Vec<String> {
    let mut screen = Screen::default();
    let mut chars = written.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' if chars.peek() == Some(&'[') => {
                chars.next();
                let mut parameters = String::new();
                for c in chars.by_ref() {
                    if ('@'..='~').contains(&c) {
                        screen.control(c, &parameters);
                        break;
                    }
                    parameters.push(c);
                }
            }
            '\r' => screen.column = 0,
            '\n' => screen.row += 1,
            '\x08' => screen.column = screen.column.saturating_sub(1),
            c if c.is_control() => {}
            c => screen.put(c),
        }
    }
    let lines =
        screen.lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned());
    lines.collect()
}

#[derive(Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Screen {
    fn line(&mut self) -> &mut Vec<char> {
        while self.lines.len() <= self.row {
            self.lines.push(Vec::new());
        }
        &mut self.lines[self.row]
    }

    fn put(&mut self, c: char) {
        let column = self.column;
        let line = self.line();
        while line.len() <= column {
            line.push(' ');
        }
        line[column] = c;
        self.column += 1;
    }

    fn control(&mut self, what: char, parameters: &str) {
        let count = parameters.parse::<usize>().unwrap_or(1);
        match what {
            'A' => self.row = self.row.saturating_sub(count),
            'B' => self.row += count,
            'C' => self.column += count,
            'D' => self.column = self.column.saturating_sub(count),
            'G' => self.column = count.saturating_sub(1),
            // The whole line, or what is right of here.
            'K' => {
                let keep = if parameters == "2" || parameters == "1" { 0 } else { self.column };
                self.line().truncate(keep);
            }
            'J' => {
                let (keep, row) = (self.column, self.row);
                self.line().truncate(keep);
                self.lines.truncate(row + 1);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_over_is_gone() {
        assert_eq!(shown("one\r\ntwo\r\n"), ["one", "two"]);
        assert_eq!(shown("50 %\r\x1b[2K100 %\r\ndone"), ["100 %", "done"]);
        assert_eq!(shown("ask? \r\nbar\r\n\x1b[2A\x1b[Jask? yes\r\n"), ["ask? yes"]);
        assert_eq!(shown("a\x1b[?25l\x1b[31mb\x1b[0m"), ["ab"]);
    }
}
