//! Which Compose files production is made of.

use super::path;
use crate::{facts::Facts, yaml::Yaml};
use std::collections::BTreeSet;

/// What was chosen, and what else there was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// In the order of `-f`.
    pub files: Vec<String>,
    /// Why these, in a few words for a comment.
    pub why: String,
    /// Compose files that were not chosen and that none of the chosen ones uses.
    pub others: Vec<String>,
}

/// Folders deeper than this hold examples and libraries.
const DEEPEST: usize = 3;

/// Chooses: a file for production before all, with the base file that it lies over; else what `docker compose up` takes.
pub fn choose(facts: &Facts) -> Option<Choice> {
    let mut all: Vec<&str> =
        facts.paths.iter().map(String::as_str).filter(|path| is_compose_file(path)).collect();
    all.retain(|path| path.matches('/').count() <= DEEPEST);
    let first = *all.iter().min_by_key(|path| rank(path))?;
    let folder = path::folder(first);
    let beside = |stems: &[&str], endings: &[&str]| {
        stems
            .iter()
            .flat_map(|stem| endings.iter().map(move |ending| path::join(folder, &format!("{stem}{ending}"))))
            .find(|path| facts.has(path))
    };
    const STEMS: [&str; 2] = ["compose", "docker-compose"];
    let base = beside(&STEMS, &[".yaml", ".yml"]);
    let (files, why) = if role(first) == Role::Production {
        match base {
            Some(base) if !stands_alone(facts, first) => {
                (vec![base, first.to_owned()], "the base file, and production's over it")
            }
            _ => (vec![first.to_owned()], "production's"),
        }
    } else {
        let over = beside(&STEMS, &[".override.yaml", ".override.yml"]);
        match (base, over) {
            (Some(base), Some(over)) => (vec![base, over], "what `docker compose up` reads by itself"),
            (Some(base), None) => (vec![base], "what `docker compose up` reads by itself"),
            (None, _) => (vec![first.to_owned()], "the only one that looks like production's"),
        }
    };
    let used = used_by(facts, &files);
    let is_other = |path: &&&str| !files.iter().any(|file| file == **path) && !used.contains(**path);
    let others = all.iter().filter(is_other).map(|path| (*path).to_owned()).collect();
    Some(Choice { files, why: why.to_owned(), others })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Production,
    Base,
    Unknown,
    Override,
    /// For work, tests, or something else than the app.
    Other,
}

fn role(path: &str) -> Role {
    let name = path::name(path).to_ascii_lowercase();
    let words: Vec<&str> = name.split(['.', '-', '_']).collect();
    let has = |known: &[&str]| words.iter().any(|word| known.contains(word));
    if has(&["prod", "production", "live", "release"]) {
        Role::Production
    } else if has(&["override"]) {
        Role::Override
    } else if has(&[
        "dev",
        "development",
        "local",
        "test",
        "tests",
        "testing",
        "ci",
        "debug",
        "staging",
        "example",
        "sample",
    ]) {
        Role::Other
    } else if matches!(words.as_slice(), ["compose", _] | ["docker", "compose", _]) {
        Role::Base
    } else {
        Role::Unknown
    }
}

/// Nearer to the root is better; a folder for examples is last.
fn rank(path: &str) -> (bool, Role, usize, String) {
    let folder = path::folder(path);
    let aside = folder.split('/').any(|part| {
        matches!(
            part,
            "test"
                | "tests"
                | "example"
                | "examples"
                | "docs"
                | "vendor"
                | "dev"
                | ".github"
                | ".devcontainer"
        )
    });
    (aside, role(path), path.matches('/').count(), path.to_owned())
}

fn is_compose_file(path: &str) -> bool {
    let name = path::name(path).to_ascii_lowercase();
    let yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    yaml && (name.starts_with("docker-compose")
        || name.starts_with("compose")
        || name.ends_with("compose.yml")
        || name.ends_with("compose.yaml"))
}

/// Whether a file is a whole project, and not a layer over another one.
fn stands_alone(facts: &Facts, file: &str) -> bool {
    let Some(yaml) = facts.text(file).and_then(|text| Yaml::read(text).ok()) else { return true };
    let services = yaml.get("services").map(Yaml::pairs).unwrap_or_default();
    if yaml.get("include").is_some() {
        return true;
    }
    let defined = |service: &Yaml| {
        let build = service.get("build");
        let builds = build.is_some_and(|build| {
            build.text().is_some() || build.get("context").is_some() || build.get("dockerfile").is_some()
        });
        service.get("image").is_some() || builds || service.get("extends").is_some()
    };
    let known = |name: &str| services.iter().any(|(service, _)| service == name);
    let depends = |service: &Yaml| match service.get("depends_on") {
        Some(Yaml::Map(pairs)) => pairs.iter().all(|(name, _)| known(name)),
        Some(list) => list.texts().into_iter().all(known),
        None => true,
    };
    !services.is_empty() && services.iter().all(|(_, service)| defined(service) && depends(service))
}

/// The files that the chosen ones include or extend.
fn used_by(facts: &Facts, files: &[String]) -> BTreeSet<String> {
    super::load(facts, files, &|_| None).files
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "services: {web: {image: a}}\n";
    const LAYER: &str = "services: {web: {restart: always}}\n";

    fn chosen(files: &[(&str, &str)]) -> Option<Choice> {
        let mut facts = Facts::default();
        for (path, text) in files {
            facts.paths.insert((*path).to_owned());
            facts.texts.insert((*path).to_owned(), (*text).to_owned());
        }
        choose(&facts)
    }

    #[test]
    fn production_goes_first() {
        for (files, expected) in [
            (&[("docker-compose.yml", WHOLE)][..], &["docker-compose.yml"][..]),
            (
                &[("compose.yaml", WHOLE), ("compose.override.yaml", LAYER)],
                &["compose.yaml", "compose.override.yaml"],
            ),
            (
                &[("compose.yaml", WHOLE), ("compose.prod.yaml", LAYER)],
                &["compose.yaml", "compose.prod.yaml"],
            ),
            (&[("compose.yaml", WHOLE), ("compose.prod.yaml", WHOLE)], &["compose.prod.yaml"]),
            (
                &[("docker-compose.yml", WHOLE), ("docker/docker-compose.prod.yml", WHOLE)],
                &["docker/docker-compose.prod.yml"],
            ),
            (
                &[("docker-compose.dev.yml", WHOLE), ("deploy/docker-compose.yml", WHOLE)],
                &["deploy/docker-compose.yml"],
            ),
            (&[("tests/compose.prod.yml", WHOLE), ("compose.yml", WHOLE)], &["compose.yml"]),
            (&[("compose.dev.yml", WHOLE)], &["compose.dev.yml"]),
        ] {
            assert_eq!(chosen(files).unwrap().files, expected, "{files:?}");
        }
        assert_eq!(chosen(&[("values.yaml", WHOLE)]), None);
    }

    #[test]
    fn what_is_included_is_no_other() {
        let choice = chosen(&[
            ("compose.yaml", "include: [compose.db.yaml]\nservices: {web: {image: a}}\n"),
            ("compose.db.yaml", WHOLE),
            ("compose.dev.yaml", WHOLE),
        ]);
        assert_eq!(choice.unwrap().others, ["compose.dev.yaml"]);
    }
}
