//! Paths as Compose writes them, made those of the app directory.

use serde_json::Value;
use wharf_proto::RelPath;

/// Undoes `config`'s doubling of `$` and maps every path below `stage_root` to `app_root`, in all texts.
pub(super) fn normalise(value: &mut Value, stage_root: &str, app_root: &str) {
    match value {
        Value::String(text) => {
            if text.contains("$$") {
                *text = text.replace("$$", "$");
            }
            if stage_root != app_root && text.contains(stage_root) {
                *text = map_roots(text, stage_root, app_root);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| normalise(item, stage_root, app_root)),
        Value::Object(fields) => fields.values_mut().for_each(|v| normalise(v, stage_root, app_root)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Replaces `from` wherever it ends with its last path part: `/stage` in `/stage/a` and in `x=/stage`, not in `/staged`.
fn map_roots(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, found) = rest.split_at(at);
        let after = &found[from.len()..];
        let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'));
        out.push_str(before);
        out.push_str(if goes_on { from } else { to });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// An absolute path without empty, `.` and `..` parts and without a `/` at its end, as Docker and Compose clean theirs.
/// What is not absolute stays as it is.
pub(crate) fn clean(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Where `path` lies below `root`: `None` outside, `Some(None)` for the root itself.
pub(crate) fn below(path: &str, root: &str) -> Option<Option<RelPath>> {
    let path = clean(path);
    if path == root {
        return Some(None);
    }
    let rest = path.strip_prefix(root)?;
    let rest = if root == "/" { rest } else { rest.strip_prefix('/')? };
    RelPath::new(rest.as_bytes()).ok().map(Some)
}

/// Whether `path` is `folder` or lies below it; both clean.
pub(crate) fn is_within(path: &str, folder: &str) -> bool {
    folder == "/" || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_mapped_by_whole_parts() {
        for (text, expected) in [
            ("/s/t", "/app"),
            ("/s/t/a", "/app/a"),
            ("/s/target", "/s/target"),
            ("/s/t-1/a", "/s/t-1/a"),
            ("A=/s/t/x:/s/t", "A=/app/x:/app"),
            ("none", "none"),
        ] {
            assert_eq!(map_roots(text, "/s/t", "/app"), expected, "{text}");
        }
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, expected) in
            [("/", "/"), ("/a/", "/a"), ("/a//b/./c/..", "/a/b"), ("/../x", "/x"), ("rel/", "rel/")]
        {
            assert_eq!(clean(path), expected);
        }
        assert_eq!(below("/app", "/app"), Some(None));
        assert_eq!(below("/app/a/b", "/app"), Some(Some("a/b".parse().unwrap())));
        assert_eq!(below("/application", "/app"), None);
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", "/"));
        assert!(!is_within("/ab", "/a"));
    }
}
