//! Front ends whose version must rise when they change, by their `app.json`.

use crate::{
    compose::{Model, path},
    facts::Facts,
};

/// An `app.json` with a version.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FrontEnd {
    pub file: String,
    pub version: String,
    /// Globs of what it is made of.
    pub when_changed: Vec<String>,
    /// Whether a service builds it. Else it is published some other way, and a deploy does not concern it.
    pub built: bool,
}

/// What a front end in the project's root is made of, where it exists.
const ROOT_FOLDERS: [&str; 9] =
    ["app", "src", "components", "screens", "assets", "public", "hooks", "constants", "navigation"];
const ROOT_FILES: [&str; 6] =
    ["App.js", "App.tsx", "index.js", "index.ts", "package.json", "babel.config.js"];

/// Every `app.json` whose version Wharf can read.
pub fn find(facts: &Facts, model: &Model, profiles: &[String]) -> Vec<FrontEnd> {
    let contexts: Vec<&str> = model.running(profiles).filter_map(|(_, service)| service.context()).collect();
    let read = |file: &String| {
        let located = wharf_pack::bump::read_version(facts.text(file)?).ok()?;
        let built =
            contexts.iter().any(|folder| folder.is_empty() || file.starts_with(&format!("{folder}/")));
        let (version, when_changed) = (located.version.to_string(), governed(facts, path::folder(file)));
        Some(FrontEnd { file: file.clone(), version, when_changed, built })
    };
    facts.paths.iter().filter(|file| path::name(file) == "app.json").filter_map(read).collect()
}

fn governed(facts: &Facts, folder: &str) -> Vec<String> {
    if !folder.is_empty() {
        return vec![format!("{folder}/**")];
    }
    let folders = ROOT_FOLDERS.iter().filter(|name| facts.has_below(name)).map(|name| format!("{name}/**"));
    let files = ROOT_FILES.iter().filter(|name| facts.has(name)).map(|name| (*name).to_owned());
    std::iter::once("app.json".to_owned()).chain(folders).chain(files).collect()
}
