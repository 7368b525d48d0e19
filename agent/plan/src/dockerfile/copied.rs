//! What a Dockerfile takes out of its context.

use super::{lines::instructions, words::split};

/// The sources of every `COPY` and `ADD`, as they are written, without a `/` at either end; `.` is the whole context.
/// `None` where it cannot be told: a variable in one of them, or a text that is not understood.
pub fn copied(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for instruction in instructions(text).ok()? {
        let keyword = instruction.keyword.as_str();
        // What is mounted while a command runs can be copied by it.
        if keyword == "RUN" && instruction.rest.contains("--mount=type=bind") {
            return None;
        }
        if keyword != "COPY" && keyword != "ADD" {
            continue;
        }
        let words = split(&instruction.rest, instruction.escape)?;
        let (flags, words): (Vec<String>, Vec<String>) =
            words.into_iter().partition(|word| word.starts_with("--"));
        if flags.iter().any(|flag| flag.starts_with("--from=")) {
            continue;
        }
        let words = match instruction.rest.find('[').map(|at| instruction.rest.split_at(at)) {
            Some((flags, list)) if flags.split_whitespace().all(|word| word.starts_with("--")) => {
                serde_json::from_str::<Vec<String>>(list).ok()?
            }
            _ => words,
        };
        let (_, sources) = words.split_last()?;
        for source in sources {
            if source.contains(['$', '"', '\'', '\\']) || source.starts_with("..") {
                return None;
            }
            found.push(plain(source));
        }
    }
    Some(found)
}

fn plain(source: &str) -> String {
    let parts: Vec<&str> = source.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_copies() {
        for (text, expected) in [
            ("FROM a\nCOPY . .\n", Some(&["."][..])),
            (
                "FROM a\nCOPY ./app.py requirements.txt /app/\nADD data/ /app/data\n",
                Some(&["app.py", "requirements.txt", "data"]),
            ),
            ("FROM a\nCOPY --chown=1:1 [\"a b\", \"c\", \"/x/\"]\n", Some(&["a b", "c"])),
            ("FROM a AS b\nFROM c\nCOPY --from=b /dist /dist\n", Some(&[])),
            ("FROM a\nCOPY *.py \\\n  lib/*.py /app/\n", Some(&["*.py", "lib/*.py"])),
            ("FROM a\nCOPY ${DIR} /app\n", None),
            ("FROM a\nRUN --mount=type=bind,target=/src cp -r /src /app\n", None),
        ] {
            let expected = expected.map(|e| e.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>());
            assert_eq!(copied(text), expected, "{text}");
        }
    }
}
