//! Words of a Dockerfile's line, and variables in them.

use std::collections::BTreeMap;

/// Cuts at white space outside of quotes, keeping quotes and escapes for [`expand`]. `None`: a quote is not closed.
pub(super) fn split(text: &str, escape: char) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            (c, _) if c == escape && quote != Some('\'') => {
                word.push(c);
                word.extend(rest.next());
            }
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c @ ('"' | '\''), None) => {
                quote = Some(c);
                word.push(c);
            }
            (c, open) => {
                if open == Some(c) {
                    quote = None;
                }
                word.push(c);
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    quote.is_none().then_some(words)
}

/// The word with its variables put in and its quotes gone. `None` where it cannot be told: a variable that is not set
/// (the builder may set some of its own, such as `TARGETARCH`), or an operator that this build does not know.
pub(super) fn expand(word: &str, variables: &BTreeMap<String, String>, escape: char) -> Option<String> {
    let chars: Vec<char> = word.chars().collect();
    let mut at = 0;
    let mut out = String::new();
    let mut quote = None;
    while let Some(&c) = chars.get(at) {
        at += 1;
        match c {
            c if c == escape && quote != Some('\'') => {
                out.extend(chars.get(at));
                at += 1;
            }
            '"' | '\'' if quote.is_none() => quote = Some(c),
            c if quote == Some(c) => quote = None,
            '$' if quote != Some('\'') => out.push_str(&variable(&chars, &mut at, variables, escape)?),
            c => out.push(c),
        }
    }
    Some(out)
}

/// What stands after a `$`.
fn variable(
    chars: &[char],
    at: &mut usize,
    variables: &BTreeMap<String, String>,
    escape: char,
) -> Option<String> {
    if chars.get(*at) != Some(&'{') {
        let name = take_name(chars, at);
        return if name.is_empty() { None } else { variables.get(&name).cloned() };
    }
    *at += 1;
    let name = take_name(chars, at);
    let body = take_to_brace(chars, at)?;
    let value = variables.get(&name);
    let filled = value.filter(|v| !v.is_empty());
    if body.is_empty() {
        return value.cloned();
    }
    // An unknown variable takes its default only where the builder cannot know it better.
    if value.is_none() && is_builders(&name) {
        return None;
    }
    let expanded = |word: &str| expand(word, variables, escape);
    if let Some(default) = body.strip_prefix(":-") {
        filled.cloned().map_or_else(|| expanded(default), Some)
    } else if let Some(default) = body.strip_prefix('-') {
        value.cloned().map_or_else(|| expanded(default), Some)
    } else if let Some(other) = body.strip_prefix(":+") {
        if filled.is_some() { expanded(other) } else { Some(String::new()) }
    } else if let Some(other) = body.strip_prefix('+') {
        if value.is_some() { expanded(other) } else { Some(String::new()) }
    } else if body.starts_with(":?") {
        filled.cloned()
    } else if body.starts_with('?') {
        value.cloned()
    } else {
        None
    }
}

fn take_name(chars: &[char], at: &mut usize) -> String {
    let mut name = String::new();
    while let Some(c) = chars.get(*at).filter(|c| c.is_ascii_alphanumeric() || **c == '_') {
        name.push(*c);
        *at += 1;
    }
    name
}

/// The text up to the brace that closes, which is passed.
fn take_to_brace(chars: &[char], at: &mut usize) -> Option<String> {
    let mut depth = 0;
    let mut body = String::new();
    loop {
        let c = *chars.get(*at)?;
        *at += 1;
        match c {
            '}' if depth == 0 => return Some(body),
            '}' => depth -= 1,
            '{' => depth += 1,
            _ => {}
        }
        body.push(c);
    }
}

/// Variables that the builder sets by itself.
fn is_builders(name: &str) -> bool {
    ["TARGET", "BUILD"].iter().any(|side| {
        name.strip_prefix(side).is_some_and(|rest| {
            matches!(rest, "PLATFORM" | "OS" | "OSVERSION" | "ARCH" | "VARIANT" | "STAGE")
        })
    })
}
