//! What a `wharf.toml` that is there already lacks.

use super::{Answers, parts};
use crate::Findings;
use toml_edit::{DocumentMut, Item, TableLike};

/// One thing that could be added.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Addition {
    /// What it is, in a few words.
    pub what: String,
    /// The TOML.
    pub text: String,
    /// The table whose key it is; empty where it is a table of its own.
    #[serde(skip)]
    into: &'static str,
}

/// Everything that could be added.
pub type Additions = Vec<Addition>;

/// What a file says already of what is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub app: Option<String>,
    /// Compose files.
    pub files: Vec<String>,
}

/// The app's name and the Compose files, as far as the file has them.
///
/// # Errors
/// A text that is not TOML.
pub fn said(existing: &str) -> Result<Said, toml_edit::TomlError> {
    let document: DocumentMut = existing.parse()?;
    let files = document.get("compose").and_then(|compose| compose.get("files")).and_then(Item::as_array);
    let plain = |path: &str| path.strip_prefix("./").unwrap_or(path).to_owned();
    Ok(Said {
        app: document.get("app").and_then(Item::as_str).map(str::to_owned),
        files: files.into_iter().flatten().filter_map(|file| file.as_str()).map(plain).collect(),
    })
}

/// What was found and the file does not have.
///
/// # Errors
/// A text that is not TOML.
pub fn missing(
    existing: &str,
    findings: &Findings,
    answers: &Answers,
) -> Result<Additions, toml_edit::TomlError> {
    let document: DocumentMut = existing.parse()?;
    let mut found = Vec::new();
    let mut table = |what: String, text: String| found.push(Addition { what, text, into: "" });
    if answers.server.is_some() && !has_server(&document) {
        table("the server".into(), parts::server(findings, answers));
    }
    if document.get("compose").is_none() {
        table("[compose]".into(), parts::compose(findings));
    }
    for front_end in
        findings.front_ends.iter().filter(|f| f.built && !lists(&document, "bump", "file", &f.file))
    {
        table(format!("[[bump]] for {}", front_end.file), parts::front_end(front_end));
    }
    for database in &findings.databases {
        let Some(section) = database.section() else { continue };
        if !lists(&document, section, "service", &database.service) {
            table(format!("[[{section}]] for {}", database.service), parts::database(database));
        }
    }
    if document.get("health").is_none() {
        for health in findings.health.iter().filter(|health| health.certain) {
            table(format!("[[health]] for {}", health.service), parts::health(health));
        }
    }
    if document.get("secrets").is_none() && !(findings.required.is_empty() && findings.plain.is_empty()) {
        table("[secrets]".into(), parts::secrets(findings));
    }
    let compose = document.get("compose").and_then(Item::as_table_like);
    let lacks = |key: &str| compose.is_some_and(|compose| !compose.contains_key(key));
    if findings.env_file.is_some() && lacks("env_file") {
        found.push(Addition {
            what: "compose.env_file".into(),
            text: parts::env_file(findings),
            into: "compose",
        });
    }
    if !findings.profiles.is_empty() && lacks("profiles") {
        found.push(Addition {
            what: "compose.profiles".into(),
            text: parts::profiles(findings),
            into: "compose",
        });
    }
    Ok(found)
}

/// The file with `additions` in it.
///
/// # Errors
/// A text that is not TOML.
pub fn add(existing: &str, additions: &Additions) -> Result<String, toml_edit::TomlError> {
    let mut document: DocumentMut = existing.parse()?;
    for addition in additions.iter().filter(|addition| !addition.into.is_empty()) {
        let keys: DocumentMut = addition.text.parse()?;
        if let Some(table) = document.get_mut(addition.into).and_then(Item::as_table_like_mut) {
            for (key, value) in keys.iter() {
                table.insert(key, value.clone());
            }
        }
    }
    let mut text = document.to_string();
    for addition in additions.iter().filter(|addition| addition.into.is_empty()) {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&addition.text);
    }
    Ok(text)
}

/// A server for all, or one of an environment's own.
fn has_server(document: &DocumentMut) -> bool {
    let environments = document.get("env").and_then(Item::as_table_like);
    let in_environment = |environments: &dyn TableLike| {
        environments
            .iter()
            .any(|(_, item)| item.as_table_like().is_some_and(|table| table.contains_key("server")))
    };
    document.get("server").is_some() || environments.is_some_and(in_environment)
}

/// Whether an array of tables has one whose `key` is `value`.
fn lists(document: &DocumentMut, name: &str, key: &str, value: &str) -> bool {
    let is = |table: &dyn TableLike| table.get(key).and_then(Item::as_str) == Some(value);
    match document.get(name) {
        Some(Item::ArrayOfTables(tables)) => tables.iter().any(|table| is(table)),
        Some(item) => item.as_array().is_some_and(|array| {
            array.iter().filter_map(|value| value.as_inline_table()).any(|table| is(table))
        }),
        None => false,
    }
}
