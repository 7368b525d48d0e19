//! What goes before a context: `DOCKER_HOST` and `DOCKER_CONTEXT`, now or at the next login.

use super::files;
use std::path::Path;

const VARIABLES: [&str; 2] = ["DOCKER_HOST", "DOCKER_CONTEXT"];
const AT_LOGIN: [&str; 6] =
    [".profile", ".bash_profile", ".bashrc", ".zshrc", ".zshenv", ".config/fish/config.fish"];

/// Where one of them is set, as far as that can be seen, in sentences.
pub fn find(home: &Path) -> Vec<String> {
    let now = VARIABLES.iter().filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let mut found: Vec<String> =
        now.map(|name| format!("{name} is set here and goes before it: unset {name}")).collect();
    let own = AT_LOGIN.iter().map(|name| home.join(name));
    for path in own.chain(["/etc/environment".into()]) {
        // One that cannot be read is not ours to complain of.
        let Ok(Some(text)) = files::read(&path) else { continue };
        if let Some(name) = text.lines().find_map(named_in) {
            found.push(format!("{} names {name}, which goes before it: take that line out", path.display()));
        }
    }
    found
}

fn named_in(line: &str) -> Option<&'static str> {
    if line.trim_start().starts_with('#') {
        return None;
    }
    VARIABLES.into_iter().find(|name| line.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_at_login_is_seen() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".profile"), "# DOCKER_HOST=x\nexport PATH\n").unwrap();
        std::fs::write(home.path().join(".bashrc"), "export DOCKER_HOST=unix:///x\n").unwrap();
        let found = find(home.path());
        let of_home: Vec<_> = found.iter().filter(|said| said.contains(".bashrc")).collect();
        assert!(of_home.len() == 1 && !found.iter().any(|said| said.contains(".profile")), "{found:?}");
    }
}
