//! Pieces of Markdown. What a server or a person wrote is shown as it is, and never read as Markdown of our own.

use crate::render::clean;

/// A table; empty where there are no rows.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(heading.iter().map(|cell| (*cell).to_owned()).collect());
    out += &line(vec!["---".to_owned(); heading.len()]);
    for row in rows {
        out += &line(row.iter().map(|cell| text(cell)).collect());
    }
    out
}

/// Facts, one a line, with their names.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let line = |(name, fact): &(&str, String)| format!("- **{name}**: {}\n", text(fact));
    facts.iter().filter(|(_, fact)| !fact.is_empty()).map(line).collect()
}

pub(super) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    items.into_iter().map(|item| format!("- {}\n", text(item))).collect()
}

/// Lines as they are, in a fence that none of them can end.
pub(super) fn block(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| clean(line) + "\n").collect();
    let longest = lines.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{lines}{fence}\n")
}

pub(super) fn or_none(section: String) -> String {
    if section.is_empty() { "None.\n".to_owned() } else { section }
}

/// One line of text, in which nothing is Markdown or HTML.
pub(super) fn text(text: &str) -> String {
    let lines: Vec<String> = text.trim().lines().map(clean).collect();
    let mut out = String::new();
    for c in lines.join(" ").chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' => out.extend(['\\', c]),
            '<' => out += "&lt;",
            '&' => out += "&amp;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        assert_eq!(text("a|b <script> *x*\n\x1b[31mred"), "a\\|b &lt;script> \\*x\\* red");
        assert_eq!(block("one\n```\ntwo"), "````text\none\n```\ntwo\n````\n");
        assert_eq!(block("one"), "```text\none\n```\n");
        assert_eq!(table(&["A"], &[]), "");
        assert_eq!(
            table(&["A", "B"], &[vec!["1".into(), "2|3".into()]]),
            "| A | B |\n| --- | --- |\n| 1 | 2\\|3 |\n"
        );
    }
}
