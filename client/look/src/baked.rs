//! Variables that a front end's build bakes into its bundle: after a change of one, the image must be built anew.

use crate::{
    compose::{Model, Service, path},
    facts::Facts,
};
use std::collections::BTreeSet;

/// A variable that is baked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Baked {
    pub service: String,
    pub variable: String,
    /// Whether the build gets a value from the Compose files or the Dockerfile.
    pub given: bool,
}

const PREFIXES: [&str; 7] =
    ["EXPO_PUBLIC_", "VITE_", "NEXT_PUBLIC_", "REACT_APP_", "NUXT_PUBLIC_", "GATSBY_", "VUE_APP_"];
/// What a Dockerfile that builds a front end says.
const BUILDERS: [&str; 8] = ["npm", "yarn", "pnpm", "bun ", "vite", "next", "expo", "node"];
const SOURCES: [&str; 8] = [".js", ".jsx", ".ts", ".tsx", ".mjs", ".vue", ".svelte", ".html"];

/// What each service that is built bakes.
pub fn find(facts: &Facts, model: &Model, profiles: &[String]) -> Vec<Baked> {
    let mut found = BTreeSet::new();
    for (name, service) in model.running(profiles) {
        let Some(dockerfile) = service.dockerfile().and_then(|file| facts.text(&file)) else { continue };
        let given = given(facts, service, dockerfile);
        let read = if BUILDERS.iter().any(|word| dockerfile.contains(word)) {
            read(facts, service)
        } else {
            BTreeSet::new()
        };
        for variable in given.union(&read).filter(|variable| is_baked(variable)) {
            let is_given = given.contains(variable);
            found.insert(Baked { service: name.to_owned(), variable: variable.clone(), given: is_given });
        }
    }
    found.into_iter().collect()
}

fn is_baked(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix) && name.len() > prefix.len())
}

/// What the build gets: its arguments, what the Dockerfile sets, and an env file that is shipped.
fn given(facts: &Facts, service: &Service, dockerfile: &str) -> BTreeSet<String> {
    let arguments = service.build.iter().flat_map(|build| build.args.keys().cloned());
    let set = dockerfile.lines().filter_map(|line| {
        let (instruction, rest) = line.trim().split_once(char::is_whitespace)?;
        let rest = rest.trim_start();
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        // An ARG without a default is a place for a value, and no value.
        let valued = rest.get(name.len()..).is_some_and(|after| after.starts_with(['=', ' ']));
        let counts = instruction.eq_ignore_ascii_case("ENV") || instruction.eq_ignore_ascii_case("ARG");
        let itself = rest.get(name.len()..).is_some_and(|after| {
            after.trim_start_matches(['=', ' ', '"']).trim_start_matches(['$', '{']).starts_with(&name)
        });
        (counts && valued && !itself).then_some(name)
    });
    let shipped = service.context().into_iter().flat_map(|folder| {
        let files = [".env.production", ".env"].map(|name| path::join(folder, name));
        files
            .into_iter()
            .filter(|file| facts.has(file))
            .filter_map(|file| facts.text(&file))
            .flat_map(str::lines)
    });
    let shipped = shipped.filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim().to_owned());
    arguments.chain(set).chain(shipped).collect()
}

/// What the sources in the context read.
fn read(facts: &Facts, service: &Service) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Some(folder) = service.context() else { return found };
    let sources = facts.below(folder).filter(|path| SOURCES.iter().any(|ending| path.ends_with(ending)));
    for text in sources.filter_map(|path| facts.text(path)) {
        for before in ["process.env.", "import.meta.env."] {
            for rest in text.split(before).skip(1) {
                found.insert(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
            }
        }
    }
    found
}
