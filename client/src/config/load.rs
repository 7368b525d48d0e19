//! Finding `wharf.toml` and reading it.

use super::{
    Config,
    check::{Checker, Source},
    error::{ConfigError, Place},
    keys, overlay,
    raw::Raw,
};
use std::path::{Path, PathBuf};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The name of the file.
pub const FILE_NAME: &str = "wharf.toml";
/// A configuration above this length is not one.
const FILE_BYTES: u64 = 1024 * 1024;

/// The `wharf.toml` in `folder` or the nearest folder above it.
///
/// # Errors
/// [`ConfigError::NotFound`] where there is none up to the root.
pub fn find(folder: &Path) -> Result<PathBuf, ConfigError> {
    let found = folder.ancestors().map(|above| above.join(FILE_NAME)).find(|path| path.is_file());
    found.ok_or_else(|| ConfigError::NotFound(folder.to_owned()))
}

/// Reads and checks the configuration that holds in `folder`, with `environment` laid over it.
///
/// # Errors
/// Whatever is wrong with it, by file and line.
pub fn load(folder: &Path, environment: Option<&str>) -> Result<Config, ConfigError> {
    load_with(folder, environment, Source::Project)
}

/// As [`load`], for shipping what another environment runs: which files that has is not to be seen in the project.
///
/// # Errors
/// As [`load`].
pub fn load_for_promotion(folder: &Path, environment: &str) -> Result<Config, ConfigError> {
    load_with(folder, Some(environment), Source::Elsewhere)
}

fn load_with(folder: &Path, environment: Option<&str>, source: Source) -> Result<Config, ConfigError> {
    let path = find(folder)?;
    let shown = shown(&path, folder);
    let text = read(&path).map_err(|source| ConfigError::Read { path: shown.clone(), source })?;
    let root = path.parent().unwrap_or(folder).to_owned();
    parse(&shown, &text, root, environment, source)
}

/// The path as the person would write it: relative where the file is in the folder itself.
fn shown(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

/// The text of a configuration.
///
/// # Errors
/// A file that cannot be read, or is too long to be one.
pub fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > FILE_BYTES {
        return Err(std::io::Error::other(format!("it is longer than {FILE_BYTES} bytes")));
    }
    std::fs::read_to_string(path)
}

pub(super) fn parse(
    file: &str,
    text: &str,
    root: PathBuf,
    environment: Option<&str>,
    source: Source,
) -> Result<Config, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: Place::of(file, text, error.span().unwrap_or(0..0)),
        message: error.message().to_owned(),
    })?;
    let (span, table) = (table.span(), table.into_inner());
    keys::check(file, text, &table)?;
    let known = overlay::names(&table);
    let merged = overlay::apply(table, environment).ok_or_else(|| ConfigError::UnknownEnvironment {
        place: Place { file: file.to_owned(), line: None },
        name: environment.unwrap_or_default().to_owned(),
        known: known.clone(),
    })?;
    let raw = decode(file, text, Spanned::new(span, merged))?;
    Checker { file, text, root, known, environment, source }.check(raw)
}

/// Checks a text as the `wharf.toml` of the project at `root`. One that leaves its server to be filled in passes.
///
/// # Errors
/// Whatever is wrong with it, by line.
pub fn check(text: &str, root: &Path) -> Result<Option<Config>, ConfigError> {
    match parse(FILE_NAME, text, root.to_owned(), None, Source::Project) {
        Ok(config) => Ok(Some(config)),
        Err(ConfigError::NoServer { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn decode(file: &str, text: &str, merged: Spanned<DeTable<'_>>) -> Result<Raw, ConfigError> {
    let lookup = merged.get_ref().clone();
    serde::Deserialize::deserialize(toml::de::Deserializer::from(merged)).map_err(|error: toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        let path = deepest(&lookup, "", &span);
        let message = match &path {
            Some(path) => format!("`{path}`: {}", in_words(error.message())),
            None => in_words(error.message()),
        };
        let example = missing_field(&error, path.as_deref()).or_else(|| keys::example(path.as_deref()?));
        ConfigError::Type { place: Place::of(file, text, span), message, example }
    })
}

/// Serde's words for types are Rust's.
fn in_words(message: &str) -> String {
    message
        .replace("a sequence", "a list in brackets")
        .replace("u32", "a whole number from 0 on")
        .replace("u16", "a whole number from 0 on")
}

/// The example of the key that serde says is missing in the table at `path`.
fn missing_field(error: &toml::de::Error, path: Option<&str>) -> Option<&'static str> {
    let field = error.message().strip_prefix("missing field `")?.split('`').next()?;
    keys::example(&keys::join(path.unwrap_or_default(), field))
}

/// The path of the innermost key whose value contains `span`.
fn deepest(table: &DeTable<'_>, section: &str, span: &std::ops::Range<usize>) -> Option<String> {
    let contains = |outer: std::ops::Range<usize>| outer.start <= span.start && span.end <= outer.end;
    for (key, value) in table {
        let path = keys::join(section, key.get_ref());
        let inner = match value.get_ref() {
            DeValue::Table(below) => deepest(below, &path, span),
            DeValue::Array(items) => {
                items.iter().find_map(|item| deepest(item.get_ref().as_table()?, &path, span))
            }
            _ => None,
        };
        let here = || match value.get_ref() {
            DeValue::Array(items) => contains(value.span()) || items.iter().any(|item| contains(item.span())),
            _ => contains(value.span()),
        };
        if inner.is_some() {
            return inner;
        }
        if here() {
            return Some(path);
        }
    }
    None
}
