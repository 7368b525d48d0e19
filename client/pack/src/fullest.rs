//! Where most of the files of a project that is too large lie.

use std::collections::BTreeMap;
use wharf_proto::RelPath;

/// The deepest folder that still holds at least half of `paths`, and how many it holds.
pub(crate) fn fullest_folder(paths: &[&RelPath]) -> (String, usize) {
    let mut fullest = (String::from("the project's root"), paths.len());
    let mut prefix: Vec<u8> = Vec::new();
    loop {
        let mut counts = BTreeMap::<&[u8], usize>::new();
        for path in paths {
            if let Some(rest) = path.as_bytes().strip_prefix(prefix.as_slice())
                && let Some(end) = rest.iter().position(|b| *b == b'/')
            {
                *counts.entry(rest.get(..end).unwrap_or_default()).or_default() += 1;
            }
        }
        let Some((name, count)) = counts.into_iter().max_by_key(|(_, count)| *count) else { return fullest };
        if count * 2 < paths.len() {
            return fullest;
        }
        prefix.extend_from_slice(name);
        fullest = (String::from_utf8_lossy(&prefix).into_owned(), count);
        prefix.push(b'/');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_folder_is_named() {
        let paths: Vec<RelPath> =
            ["a/1", "web/node_modules/x/1", "web/node_modules/y/1", "web/node_modules/z/1", "web/src/1"]
                .iter()
                .map(|p| p.parse().unwrap())
                .collect();
        assert_eq!(fullest_folder(&paths.iter().collect::<Vec<_>>()), ("web/node_modules".into(), 3));
        assert_eq!(fullest_folder(&paths[..1].iter().collect::<Vec<_>>()), ("a".into(), 1));
    }
}
