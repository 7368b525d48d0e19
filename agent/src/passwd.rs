//! The server's users, from `/etc/passwd` itself: a static program has no other way.

use std::path::{Path, PathBuf};

/// Where they are.
const PASSWD: &str = "/etc/passwd";

/// A user of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// Absolute, or empty where the line says nothing that is.
    pub home: PathBuf,
}

/// The user called `name`.
pub fn by_name(name: &str) -> Option<Entry> {
    users(Path::new(PASSWD)).into_iter().find(|user| user.name == name)
}

/// The first user with the number `uid`.
pub fn by_uid(uid: u32) -> Option<Entry> {
    users(Path::new(PASSWD)).into_iter().find(|user| user.uid == uid)
}

fn users(file: &Path) -> Vec<Entry> {
    let text = std::fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter_map(entry).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1).map(PathBuf::from).filter(|home| home.is_absolute()).unwrap_or_default();
    Some(Entry { name, uid, gid, home })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_and_what_is_none_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwd");
        std::fs::write(
            &file,
            "# a comment\nroot:x:0:0:root:/root:/bin/sh\n+::::::\n\nbob:x:-1:0::/:\nbroken:x:x:0::/x:\n\
             anna:x:1000:1001:Anna,,,:/home/anna:/bin/sh\nlost:x:7:7::.:\n",
        )
        .unwrap();
        let user =
            |name: &str, uid, gid, home: &str| Entry { name: name.into(), uid, gid, home: home.into() };
        assert_eq!(
            users(&file),
            [user("root", 0, 0, "/root"), user("anna", 1000, 1001, "/home/anna"), user("lost", 7, 7, "")]
        );
        assert_eq!(users(Path::new("/nowhere")), []);
    }
}
