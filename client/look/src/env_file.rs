//! The env file: which one it is on the server, and which of its keys matter. Values are looked at only where Compose
//! needs them to choose something, and never those of secrets.

use crate::{
    compose::{Model, interpolate, path, path::Place},
    facts::Facts,
};
use std::collections::{BTreeMap, BTreeSet};

/// The env file that the server has to have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EnvFile {
    /// Below the app directory.
    pub path: String,
    /// The example that a person copies.
    pub example: Option<String>,
}

const EXAMPLES: [&str; 4] = [".example", ".sample", ".template", ".dist"];
/// Env files for something else than production.
const ELSEWHERE: [&str; 8] = ["dev", "development", "test", "testing", "local", "ci", "staging", "debug"];
/// What Compose or the shell sets itself.
const GIVEN: [&str; 6] = ["PWD", "HOME", "USER", "UID", "GID", "HOSTNAME"];

/// What is known of the variables before the files are read: of the env file that will be chosen.
pub fn values(facts: &Facts, folder: &str, production: bool) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    if let Some(chosen) = candidate(facts, folder, production) {
        for path in [chosen.example.as_ref(), Some(&chosen.path)].into_iter().flatten() {
            let text = facts.env_files.get(path).map_or("", String::as_str);
            values.extend(pairs(text).filter(|(name, value)| !is_secret(name) && !value.is_empty()));
        }
    }
    values
}

/// The env file for a project whose Compose files lie in `folder`.
pub fn choose(facts: &Facts, folder: &str, model: &Model, production: bool) -> Option<EnvFile> {
    let needed = variables(model);
    let named: BTreeSet<&str> =
        model.services.values().flat_map(|s| &s.env_files).filter_map(inside).collect();
    // One that the project ships is no secret, and nothing that the server has to have.
    let mut named: Vec<&str> = named.into_iter().filter(|path| !facts.has(path)).collect();
    let found = candidate(facts, folder, production);
    if needed.is_empty() {
        named.sort_by_key(|path| found.as_ref().is_none_or(|found| found.path != **path));
        let path = (*named.first()?).to_owned();
        let example = example_of(facts, &path);
        return Some(EnvFile { path, example });
    }
    found.or_else(|| {
        let must = !without_default(model).is_empty();
        let path = named.first().map_or_else(|| path::join(folder, ".env"), |path| (*path).to_owned());
        must.then_some(EnvFile { path, example: None })
    })
}

/// The secrets that a deploy should not go without.
pub fn required(facts: &Facts, model: &Model, env_file: Option<&EnvFile>) -> Vec<String> {
    let must: BTreeSet<&str> = model.uses.iter().filter(|u| u.must_be_set).map(|u| u.name.as_str()).collect();
    let bare = without_default(model);
    let mut required: BTreeSet<String> =
        bare.into_iter().filter(|name| is_secret(name) || must.contains(name.as_str())).collect();
    let read_whole = |file: &EnvFile| {
        model.services.values().flat_map(|s| &s.env_files).filter_map(inside).any(|path| path == file.path)
    };
    if let Some(file) = env_file.filter(|file| read_whole(file)) {
        let example = file.example.as_ref().and_then(|path| facts.env_files.get(path));
        let keys =
            example.map(|text| pairs(text).map(|(name, _)| name).collect::<Vec<_>>()).unwrap_or_default();
        required.extend(keys.into_iter().filter(|name| is_secret(name)));
    }
    required.into_iter().collect()
}

/// Passwords that stand in a URL, where `@ : / #` would end it early. `DB_PASSWORD` is under that rule anyway.
pub fn in_urls(facts: &Facts, model: &Model) -> Vec<String> {
    let mut found = BTreeSet::new();
    for line in model.files.iter().filter_map(|file| facts.text(file)).flat_map(str::lines) {
        let Some((_, rest)) = line.split_once("://") else { continue };
        let Some((user, _)) = rest.rsplit_once('@') else { continue };
        let Some(at) = user.find(":$").or_else(|| user.find(":${")) else { continue };
        let password = interpolate::uses(user.get(at + 1..).unwrap_or_default());
        found.extend(
            password.into_iter().map(|u| u.name).filter(|name| is_secret(name) && name != "DB_PASSWORD"),
        );
    }
    found.into_iter().collect()
}

/// Whether a name says that its value is nobody's business.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "API_KEY", "PRIVATE", "CREDENTIAL", "DSN"]
        .iter()
        .any(|part| name.contains(part))
        || name.ends_with("_KEY")
        || name.ends_with("_PASS")
}

fn variables(model: &Model) -> BTreeSet<&str> {
    model.uses.iter().map(|u| u.name.as_str()).filter(|name| !is_given(name)).collect()
}

fn without_default(model: &Model) -> BTreeSet<String> {
    model.without_default().into_iter().filter(|name| !is_given(name)).collect()
}

fn is_given(name: &str) -> bool {
    GIVEN.contains(&name) || name.starts_with("COMPOSE_")
}

fn inside(place: &Place) -> Option<&str> {
    if let Place::Inside(path) = place { Some(path) } else { None }
}

/// The best of the env files and examples that lie here.
fn candidate(facts: &Facts, folder: &str, production: bool) -> Option<EnvFile> {
    let real = |path: &str| {
        let ending = EXAMPLES.iter().find_map(|ending| path.strip_suffix(ending));
        ending.unwrap_or(path).to_owned()
    };
    let paths: BTreeSet<String> = facts.env_files.keys().map(|path| real(path)).collect();
    let rank = |path: &String| {
        let words: Vec<&str> = path::name(path).split(['.', '-', '_']).collect();
        let prod = words.iter().any(|word| matches!(*word, "prod" | "production"));
        let beside = path::folder(path) == folder;
        let root = path::folder(path).is_empty();
        let elsewhere = words.iter().any(|word| ELSEWHERE.contains(word));
        let fits = beside || root;
        (elsewhere || !fits, production && !prod, !beside, prod && !production, path.clone())
    };
    let path = paths.into_iter().filter(|path| !rank(path).0).min_by_key(rank)?;
    let example = example_of(facts, &path);
    Some(EnvFile { path, example })
}

fn example_of(facts: &Facts, path: &str) -> Option<String> {
    let beside = EXAMPLES.iter().map(|ending| format!("{path}{ending}")).find(|example| facts.has(example));
    let general = || {
        EXAMPLES.iter().map(|e| path::join(path::folder(path), &format!(".env{e}"))).find(|e| facts.has(e))
    };
    beside.or_else(general)
}

/// Names and values, as far as choosing needs them.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.lines().filter_map(|line| {
        let line = line.trim().strip_prefix("export ").unwrap_or(line.trim());
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let value = value.split(" #").next().unwrap_or_default().trim();
        Some((name.trim().to_owned(), value.trim_matches(['"', '\'']).to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(files: &[&str], folder: &str, production: bool) -> Option<(String, Option<String>)> {
        let mut facts = Facts::default();
        for path in files {
            facts.env_files.insert((*path).to_owned(), String::new());
            if EXAMPLES.iter().any(|e| path.ends_with(e)) {
                facts.paths.insert((*path).to_owned());
            }
        }
        candidate(&facts, folder, production).map(|file| (file.path, file.example))
    }

    #[test]
    fn the_env_file_of_production() {
        let some = |path: &str, example: &str| {
            Some((path.to_owned(), (!example.is_empty()).then(|| example.to_owned())))
        };
        for (files, folder, production, expected) in [
            (&[".env.prod.example"][..], "docker", true, some(".env.prod", ".env.prod.example")),
            (&[".env", ".env.example", ".env.test"], "", false, some(".env", ".env.example")),
            (&[".env", ".env.production"], "", true, some(".env.production", "")),
            (&[".env.production", ".env.example"], "", true, some(".env.production", ".env.example")),
            (&["docker/.env.example", ".env"], "docker", false, some("docker/.env", "docker/.env.example")),
            (&["web/.env"], "", false, None),
            (&[".env.local", ".env.development"], "", false, None),
        ] {
            assert_eq!(chosen(files, folder, production), expected, "{files:?}");
        }
    }

    #[test]
    fn names_of_secrets() {
        for (name, expected) in [
            ("DB_PASSWORD", true),
            ("SECRET_KEY", true),
            ("STRIPE_API_KEY", true),
            ("KEYBOARD", false),
            ("DB_USER", false),
        ] {
            assert_eq!(is_secret(name), expected, "{name}");
        }
    }
}
