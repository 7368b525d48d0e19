//! Paths as Compose files write them, seen from the project's root.

/// Where a path that a Compose file names leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Below the project's root; empty for the root itself.
    Inside(String),
    /// Above the project's root.
    Outside,
    /// Absolute, or in somebody's home folder.
    Absolute(String),
}

/// Resolves `path` from the folder `from`.
pub fn resolve(from: &str, path: &str) -> Place {
    if path.starts_with('/')
        || path.starts_with('~')
        || path.get(1..3).is_some_and(|drive| drive == ":\\" || drive == ":/")
    {
        return Place::Absolute(path.to_owned());
    }
    let mut parts: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Place::Outside,
            ".." => {}
            _ => parts.push(part),
        }
    }
    Place::Inside(parts.join("/"))
}

/// The folder that holds a path.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The path's last part.
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Joins a folder and a path below it.
pub fn join(folder: &str, below: &str) -> String {
    match (folder.is_empty(), below.is_empty()) {
        (true, _) => below.to_owned(),
        (_, true) => folder.to_owned(),
        _ => format!("{folder}/{below}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_root() {
        for (from, path, expected) in [
            ("docker", "../backend", Place::Inside("backend".into())),
            ("", "./", Place::Inside(String::new())),
            ("a/b", ".", Place::Inside("a/b".into())),
            ("docker", "../../x", Place::Outside),
            ("docker", "/srv/x", Place::Absolute("/srv/x".into())),
            ("docker", "~/x", Place::Absolute("~/x".into())),
            ("", "C:/x", Place::Absolute("C:/x".into())),
        ] {
            assert_eq!(resolve(from, path), expected, "{from} {path}");
        }
    }
}
