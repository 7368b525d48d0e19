//! The project's own checks: what a person runs before shipping.

use crate::{compose::path, facts::Facts};

/// A command that says whether the project is fit to ship.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    pub command: Vec<String>,
    /// Where it runs; empty for the root.
    pub folder: String,
    /// The file that speaks for it.
    pub because: String,
}

/// Folders deeper than this are libraries' own.
const DEEPEST: usize = 2;

/// The checks that a project's files speak for, nearest to the root first.
pub fn find(facts: &Facts) -> Vec<Check> {
    let mut found: Vec<Check> = facts
        .paths
        .iter()
        .filter(|path| path.matches('/').count() <= DEEPEST)
        .filter_map(|path| Some(check(path, command(facts, path)?)))
        .collect();
    // One of a kind in a folder, and none below a folder that has it: a workspace's members are tested with it.
    let all = found.clone();
    found.retain(|check| {
        let above = |other: &Check| {
            let within = other.folder.is_empty() || check.folder.starts_with(&format!("{}/", other.folder));
            other.command == check.command && other.folder != check.folder && within
        };
        !all.iter().any(above)
    });
    found.sort_by_key(|check| (check.folder.clone(), check.command.clone()));
    found.dedup_by_key(|check| (check.folder.clone(), check.command.clone()));
    found
}

fn check(path: &str, command: &[&str]) -> Check {
    Check {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        folder: path::folder(path).to_owned(),
        because: path.to_owned(),
    }
}

fn command(facts: &Facts, file: &str) -> Option<&'static [&'static str]> {
    let text = || facts.text(file).unwrap_or_default();
    let beside = |name: &str| facts.has(&path::join(path::folder(file), name));
    Some(match path::name(file) {
        "pytest.ini" | "conftest.py" if path::name(path::folder(file)) != "tests" => &["pytest"],
        "pyproject.toml" if text().contains("[tool.pytest") => &["pytest"],
        "manage.py" if !beside("pytest.ini") && has_tests(facts, path::folder(file)) => {
            &["python3", "manage.py", "test"]
        }
        "package.json" if has_script(text()) => match () {
            () if beside("pnpm-lock.yaml") => &["pnpm", "test"],
            () if beside("yarn.lock") => &["yarn", "test"],
            () if beside("bun.lock") || beside("bun.lockb") => &["bun", "run", "test"],
            () => &["npm", "test"],
        },
        "Cargo.toml" => &["cargo", "test"],
        "go.mod" => &["go", "test", "./..."],
        "phpunit.xml" | "phpunit.xml.dist" => &["vendor/bin/phpunit"],
        ".rspec" => &["bundle", "exec", "rspec"],
        _ => return None,
    })
}

fn has_tests(facts: &Facts, folder: &str) -> bool {
    facts.below(folder).any(|path| {
        let name = path::name(path);
        name == "tests.py" || (name.starts_with("test_") && name.ends_with(".py"))
    })
}

fn has_script(package: &str) -> bool {
    let json: Option<serde_json::Value> = serde_json::from_str(package).ok();
    let test = json.as_ref().and_then(|json| json.get("scripts")?.get("test")?.as_str());
    test.is_some_and(|test| !test.is_empty() && !test.contains("no test specified"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_speak_for_checks() {
        let mut facts = Facts::default();
        for (path, text) in [
            ("Cargo.toml", ""),
            ("crates/a/Cargo.toml", ""),
            ("web/package.json", r#"{"scripts":{"test":"vitest"}}"#),
            ("web/pnpm-lock.yaml", ""),
            ("old/package.json", r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#),
            ("backend/pyproject.toml", "[tool.pytest.ini_options]\n"),
            ("backend/tests/conftest.py", ""),
            ("django/manage.py", ""),
            ("django/shop/tests.py", ""),
        ] {
            facts.paths.insert(path.into());
            facts.texts.insert(path.into(), text.into());
        }
        let found: Vec<String> = find(&facts)
            .iter()
            .map(|check| format!("{}: {}", check.folder, check.command.join(" ")))
            .collect();
        assert_eq!(
            found,
            [": cargo test", "backend: pytest", "django: python3 manage.py test", "web: pnpm test"]
        );
    }
}
