//! The text of every error, as people read it: message, causes, hint.

use crate::PackError;
use crate::bump::{self, Bump, BumpError, Version, next, read_version};
use std::error::Error;
use std::io;
use std::path::PathBuf;
use wharf_proto::{Digest, RelPath, manifest::ManifestError};

fn text(error: &dyn Error, hint: &str) -> String {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        lines.push(format!("  because: {cause}"));
        source = cause.source();
    }
    lines.push(format!("  hint: {hint}"));
    lines.join("\n")
}

fn denied() -> io::Error {
    io::Error::from(io::ErrorKind::PermissionDenied)
}

#[test]
fn errors_of_packing() {
    let path = || "web/a.txt".parse::<RelPath>().unwrap();
    let file = || PathBuf::from("/p/web/.wharfignore");
    let glob_error = |glob: &str| globset::Glob::new(glob).unwrap_err();
    let rule_error = ignore::gitignore::GitignoreBuilder::new("").add_line(None, "[z-a]").unwrap_err();
    let errors = [
        PackError::Root { path: "/p".into(), source: denied() },
        PackError::Read { path: path(), source: denied() },
        PackError::Rules { path: file(), source: denied() },
        PackError::Rule { path: file(), line: 3, rule: "[z-a]".into(), source: rule_error },
        PackError::RulesTooLong { path: file(), size_bytes: 9_000_000 },
        PackError::Include { pattern: "a/[".into(), source: glob_error("a/[") },
        PackError::PathTooLong { path: "web/very/long".into(), length_bytes: 5000 },
        PackError::Name { folder: "web".into(), name: "a\u{fffd}b".into() },
        PackError::TooManyFiles { folder: "web/node_modules".into(), count: 499_000 },
        PackError::FileTooLong { path: path(), size_bytes: 1 << 40 },
        PackError::Gone { path: path() },
        PackError::Unstable { path: path(), tries: 4 },
        PackError::Changed { path: path() },
        PackError::UnknownChunk { digest: Digest::of(b"") },
        PackError::Manifest(ManifestError::Twice(path())),
        PackError::Git { source: io::Error::from(io::ErrorKind::TimedOut) },
        PackError::ZipName { path: path() },
        PackError::ZipLink { path: path() },
        PackError::Zip { source: zip::result::ZipError::Io(denied()) },
        PackError::PackTooLong { size_bytes: 30_000_000 },
    ];
    let texts: Vec<String> = errors.iter().map(|error| text(error, &error.hint())).collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn errors_of_bumping() {
    let path = || PathBuf::from("/p/mobile/app.json");
    let version = |text: &str| text.parse::<Version>().unwrap();
    let last = Version::new(1, 0, u32::MAX);
    let errors = [
        "1.0".parse::<Version>().unwrap_err(),
        "2.0.0-rc.1".parse::<Version>().unwrap_err(),
        "tiny".parse::<Bump>().unwrap_err(),
        next(last, Some(last), None, Bump::Patch).unwrap_err(),
        next(version("1.0.0"), None, Some(version("1.4.0")), Bump::Exact(version("1.3.0"))).unwrap_err(),
        read_version("{\"version\": \"1.0.0\"").unwrap_err(),
        read_version("[]").unwrap_err(),
        read_version("").unwrap_err(),
        read_version("{\"name\": \"a Heroku app\"}").unwrap_err(),
        read_version("{\"expo\": {}, \"version\": \"1.0.0\"}").unwrap_err(),
        read_version("{\"expo\": {}, \"expo\": {\"version\": \"1.0.0\"}}").unwrap_err(),
        read_version("{\"version\": \"1.0.0\", \"version\": \"1.0.1\"}").unwrap_err(),
        read_version("{\"expo\": {\"version\": 1.0}}").unwrap_err(),
        BumpError::Read { path: path(), source: denied() },
        BumpError::TooLong { path: path(), size_bytes: 9_000_000 },
        BumpError::NotUtf8 { path: path() },
        BumpError::File { path: path(), why: Box::new(BumpError::NoVersion) },
        BumpError::Changed { path: path() },
        BumpError::Write { path: path(), source: denied() },
    ];
    let texts: Vec<String> =
        errors.iter().map(|error: &bump::BumpError| text(error, &error.hint())).collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}
