//! Where symbolic links lead, by their text alone.

use wharf_proto::RelPath;

/// Whether a link at `path` with `target` leads out of the project. Other links on the way are not followed.
pub(crate) fn leads_out(path: &RelPath, target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return true;
    }
    let mut depth = path.as_bytes().iter().filter(|b| **b == b'/').count();
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_by_their_text() {
        for (path, target, expected) in [
            ("a", "b", false),
            ("a", "../b", true),
            ("a/b", "../c", false),
            ("a/b", "../../c", true),
            ("a/b", "c/../../d", false),
            ("a/b", "c/../../../d", true),
            ("a/b", "./..//.", false),
            ("a", "/etc/passwd", true),
            ("a", "..b", false),
        ] {
            let path: RelPath = path.parse().unwrap();
            assert_eq!(leads_out(&path, target.as_bytes()), expected, "{path} -> {target}");
        }
    }
}
