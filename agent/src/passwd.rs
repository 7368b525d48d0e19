//! Names of the server's users, from `/etc/passwd` itself: a static program has no other way.

use std::path::Path;

/// Where they are.
const PASSWD: &str = "/etc/passwd";

/// The number of the user called `name`.
pub fn uid_of(name: &str) -> Option<u32> {
    users(Path::new(PASSWD)).into_iter().find(|(user, _)| user == name).map(|(_, uid)| uid)
}

/// The name of the user with the number `uid`.
pub fn name_of(uid: u32) -> Option<String> {
    users(Path::new(PASSWD)).into_iter().find(|(_, number)| *number == uid).map(|(name, _)| name)
}

fn users(file: &Path) -> Vec<(String, u32)> {
    let text = std::fs::read(file).unwrap_or_default();
    let user = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some((name.to_owned(), fields.nth(1)?.parse().ok()?))
    };
    String::from_utf8_lossy(&text).lines().filter_map(user).collect()
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
            "root:x:0:0:root:/root:/bin/sh\n+::::::\n\nbob:x:-1:0::/:\nada:x:1000:1000::/home/ada:\n",
        )
        .unwrap();
        assert_eq!(users(&file), [("root".to_owned(), 0), ("ada".to_owned(), 1000)]);
        assert_eq!(users(Path::new("/nowhere")), []);
    }
}
