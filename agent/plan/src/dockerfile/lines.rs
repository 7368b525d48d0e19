//! A Dockerfile's instructions: lines put together, comments and heredocs left out.

/// One instruction.
pub(super) struct Instruction {
    /// Where it begins, from 1.
    pub line: usize,
    /// In capitals.
    pub keyword: String,
    pub rest: String,
    /// The character that escapes.
    pub escape: char,
}

/// # Errors
/// The line of an instruction whose heredoc does not end: what follows it cannot be told.
pub(super) fn instructions(text: &str) -> Result<Vec<Instruction>, usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape_directive(text);
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        if is_comment_or_empty(first) {
            continue;
        }
        let mut whole = String::new();
        let mut next = Some(first);
        while let Some(part) = next {
            match part.trim_end().strip_suffix(escape) {
                Some(part) => {
                    whole.push_str(part);
                    next = lines.by_ref().map(|(_, l)| l).find(|l| !is_comment_or_empty(l));
                }
                None => {
                    whole.push_str(part);
                    next = None;
                }
            }
        }
        let (keyword, rest) = whole.trim().split_once(char::is_whitespace).unwrap_or((whole.trim(), ""));
        for end in heredocs(keyword, rest, escape) {
            lines.by_ref().find(|(_, line)| end.ends_at(line)).ok_or(index + 1)?;
        }
        found.push(Instruction {
            line: index + 1,
            keyword: keyword.to_ascii_uppercase(),
            rest: rest.trim().into(),
            escape,
        });
    }
    Ok(found)
}

fn is_comment_or_empty(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// `# escape=` counts among the directives at the very top only.
fn escape_directive(text: &str) -> char {
    for line in text.lines() {
        let Some((name, value)) = line.trim().strip_prefix('#').and_then(|l| l.split_once('=')) else {
            break;
        };
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            break;
        }
        if name.eq_ignore_ascii_case("escape") {
            return if value.trim() == "`" { '`' } else { '\\' };
        }
    }
    '\\'
}

/// A heredoc's last line.
struct HeredocEnd {
    word: String,
    /// `<<-`: tabs before it do not count.
    tabs: bool,
}

impl HeredocEnd {
    fn ends_at(&self, line: &str) -> bool {
        let line = if self.tabs { line.trim_start_matches('\t') } else { line };
        line == self.word
    }
}

/// The heredocs that an instruction opens: words like `<<EOF`, `<<-"EOF"`, `3<<EOF`.
fn heredocs(keyword: &str, rest: &str, escape: char) -> Vec<HeredocEnd> {
    let inner = match keyword.to_ascii_uppercase().as_str() {
        "RUN" | "COPY" | "ADD" => rest,
        "ONBUILD" => rest.split_once(char::is_whitespace).map_or("", |(_, rest)| rest),
        _ => return Vec::new(),
    };
    match super::words::split(inner, escape) {
        Some(words) => words.iter().filter_map(|word| heredoc(word)).collect(),
        None => inner.split_whitespace().filter_map(heredoc).collect(),
    }
}

fn heredoc(word: &str) -> Option<HeredocEnd> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    if rest.starts_with('<') {
        return None;
    }
    let quoted = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let end: String = match quoted {
        Some(quote) => rest.chars().skip(1).take_while(|c| *c != quote).collect(),
        // A shell's word ends at what a shell ends words at: `<<EOF>file`, `<<EOF;`.
        None => rest.chars().take_while(|c| !matches!(c, '>' | '<' | '|' | ';' | '&' | '(' | ')')).collect(),
    };
    (!end.is_empty()).then_some(HeredocEnd { word: end, tabs })
}
