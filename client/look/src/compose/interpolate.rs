//! Variables in Compose files, as Compose reads them: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?why}`, `$$`.

/// One use of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub name: String,
    /// What stands for it where it is not set.
    pub default: Option<String>,
    /// `:?`: Compose fails where it is not set.
    pub must_be_set: bool,
}

/// Defaults inside defaults, at most.
const NESTED: usize = 8;

/// `text` with its variables replaced by what `value` knows, else by their defaults, else by nothing.
pub fn substitute(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    expand(text, value, &mut Vec::new(), NESTED)
}

/// The variables that `text` uses.
pub fn uses(text: &str) -> Vec<Use> {
    let mut found = Vec::new();
    expand(text, &|_| None, &mut found, NESTED);
    found
}

fn expand(text: &str, value: &dyn Fn(&str) -> Option<String>, found: &mut Vec<Use>, depth: usize) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(escaped) = after.strip_prefix('$') {
            out.push('$');
            rest = escaped;
            continue;
        }
        let (name, operator, word, after) = match after.strip_prefix('{').and_then(braced) {
            Some((inside, after)) => {
                let (name, tail) = inside.split_at(name_length(inside));
                let operator = tail.trim_start_matches(':').chars().next();
                let word = tail.trim_start_matches(':').get(1..).unwrap_or_default();
                (name, operator, word, after)
            }
            None => {
                let (name, after) = after.split_at(name_length(after));
                (name, None, "", after)
            }
        };
        rest = after;
        if name.is_empty() {
            out.push('$');
            continue;
        }
        let mut inner = |text: &str| match depth.checked_sub(1) {
            Some(depth) => expand(text, value, found, depth),
            None => String::new(),
        };
        let known = value(name).filter(|known| !known.is_empty());
        let default = matches!(operator, Some('-')).then(|| inner(word));
        let replacement = match operator {
            Some('+') => known.map(|_| inner(word)),
            _ => known.or_else(|| default.clone()),
        };
        found.push(Use { name: name.to_owned(), default, must_be_set: operator == Some('?') });
        out.push_str(&replacement.unwrap_or_default());
    }
    out.push_str(rest);
    out
}

/// What stands before the brace that closes, and after it.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut open = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

fn name_length(text: &str) -> usize {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if starts { length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_compose_reads_it() {
        let value = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("$A-${A}", "1-1"),
            ("${B:-x}${B-y}", "xy"),
            ("${EMPTY:-x}", "x"),
            ("${B:-${A}}:${B:-{}}", "1:{}"),
            ("$$A $${A}", "$A ${A}"),
            ("${A:+set}${B:+set}", "set"),
            ("${A:?no}${B:?no}", "1"),
            ("100% $ ${", "100% $ ${"),
            ("$1", "$1"),
        ] {
            assert_eq!(substitute(text, &value), expected, "{text}");
        }
    }

    #[test]
    fn uses_tell_what_must_be_set() {
        let found = uses("${A:?x} ${B:-c} $D");
        let of = |name: &str| found.iter().find(|u| u.name == name).unwrap().clone();
        assert!(of("A").must_be_set && of("A").default.is_none());
        assert_eq!(of("B").default.as_deref(), Some("c"));
        assert!(!of("D").must_be_set && of("D").default.is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[${}:?+a-zé -]{0,60}") {
            let _ = uses(&text);
        }
    }
}
