//! Patterns of a `.dockerignore`, compiled as moby compiles them.

use regex::Regex;
use wharf_proto::RelPath;

/// The patterns of one file.
#[derive(Debug, Clone)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    /// `!`: what matches is in again.
    exception: bool,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Regex(Regex),
}

/// A pattern that Docker refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} in .dockerignore is not a pattern that Docker can read")]
pub struct IgnoreError {
    pub pattern: String,
}

impl Ignore {
    /// Reads the text of a `.dockerignore`.
    ///
    /// # Errors
    /// A pattern that Docker refuses.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let patterns = text.lines().filter_map(Line::read).map(Line::compile).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether `path` (in the context) stays out of it.
    pub fn excludes(&self, path: &RelPath) -> bool {
        let path = String::from_utf8_lossy(path.as_bytes());
        let mut matched_above = vec![false; self.patterns.len()];
        let mut excluded = false;
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for part in ends.filter_map(|end| path.get(..end)) {
            excluded = self.excludes_below(part, &mut matched_above);
        }
        excluded
    }

    /// One step down the tree: a pattern that matched a folder matches what lies in it. Like moby, a pattern that could
    /// not change the verdict is not tried, and then not handed down either.
    fn excludes_below(&self, path: &str, matched_above: &mut [bool]) -> bool {
        let mut excluded = false;
        for (pattern, matched) in self.patterns.iter().zip(matched_above) {
            if !*matched && pattern.exception == excluded {
                *matched = pattern.matcher.matches(path);
            }
            if *matched {
                excluded = !pattern.exception;
            }
        }
        excluded
    }
}

/// A line that holds a pattern, cleaned.
struct Line {
    exception: bool,
    pattern: String,
    written: String,
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let written = line.trim();
        let (exception, pattern) = match written.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, written),
        };
        if written.is_empty() {
            return None;
        }
        let mut pattern = if pattern.is_empty() { String::new() } else { clean(pattern) };
        if pattern.len() > 1 && pattern.starts_with('/') {
            pattern.remove(0);
        }
        Some(Self { exception, pattern, written: written.to_owned() })
    }

    fn compile(self) -> Result<Pattern, IgnoreError> {
        let refused = || IgnoreError { pattern: self.written.chars().take(200).collect() };
        // A lone `!` is refused; so is what Go's `filepath.Match` cannot read.
        if self.pattern.is_empty() || !is_well_formed(&self.pattern) {
            return Err(refused());
        }
        let matcher = Matcher::compile(&self.pattern).map_err(|_| refused())?;
        Ok(Pattern { exception: self.exception, matcher })
    }
}

/// Go's `filepath.Clean` for a pattern.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

/// Whether Go's `filepath.Match` takes the pattern: classes closed and not empty, no lone backslash at the end.
fn is_well_formed(pattern: &str) -> bool {
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.next().is_none() => return false,
            '[' => {
                rest.next_if_eq(&'^');
                let mut ranges = 0;
                while ranges == 0 || rest.peek() != Some(&']') {
                    if !class_char(&mut rest) {
                        return false;
                    }
                    if rest.next_if_eq(&'-').is_some() && !class_char(&mut rest) {
                        return false;
                    }
                    ranges += 1;
                }
                rest.next();
            }
            _ => {}
        }
    }
    true
}

/// One end of a range in a class.
fn class_char(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    match rest.next() {
        None | Some('-' | ']') => false,
        Some('\\') => rest.next().is_some() && rest.peek().is_some(),
        Some(_) => rest.peek().is_some(),
    }
}

impl Matcher {
    /// moby's `Pattern.compile`, with `/` as the separator.
    fn compile(pattern: &str) -> Result<Self, regex::Error> {
        #[derive(PartialEq)]
        enum Kind {
            Exact,
            Prefix,
            Suffix,
            Regex,
        }
        let mut kind = Kind::Exact;
        let mut expression = String::from("^");
        let mut rest = pattern.chars().peekable();
        let mut first = true;
        while let Some(c) = rest.next() {
            match c {
                '*' if rest.next_if_eq(&'*').is_some() => {
                    rest.next_if_eq(&'/');
                    if rest.peek().is_some() {
                        expression.push_str("(.*/)?");
                        kind = Kind::Regex;
                    } else if kind == Kind::Exact {
                        kind = Kind::Prefix;
                    } else {
                        expression.push_str(".*");
                        kind = Kind::Regex;
                    }
                    if first {
                        kind = Kind::Suffix;
                    }
                }
                '*' => {
                    expression.push_str("[^/]*");
                    kind = Kind::Regex;
                }
                '?' => {
                    expression.push_str("[^/]");
                    kind = Kind::Regex;
                }
                '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => expression.extend(['\\', c]),
                '\\' => {
                    expression.push('\\');
                    expression.extend(rest.next());
                    kind = Kind::Regex;
                }
                '[' | ']' => {
                    expression.push(c);
                    kind = Kind::Regex;
                }
                c => expression.push(c),
            }
            first = false;
        }
        expression.push('$');
        Ok(match kind {
            Kind::Exact => Self::Exact(pattern.to_owned()),
            Kind::Prefix => Self::Prefix(pattern.trim_end_matches("**").to_owned()),
            Kind::Suffix => Self::Suffix(pattern.strip_prefix("**").unwrap_or(pattern).to_owned()),
            Kind::Regex => Self::Regex(Regex::new(&expression)?),
        })
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(pattern) => path == pattern,
            Self::Prefix(prefix) => path.starts_with(prefix),
            // `**/foo` matches `foo` too.
            Self::Suffix(suffix) => path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}
