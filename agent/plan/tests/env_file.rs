//! What we write into env files against Compose's own reading of them: ten thousand generated values go in, and must
//! come out of `docker compose config` as they were, by `env_file` and by interpolation.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene must fail")]

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use wharf_plan::env_file::EnvFile;

const VALUES: usize = 10_000;
/// Compose takes long over large files, more than in proportion.
const BATCH: usize = 1_000;

/// Values of every kind: passwords, URLs, JSON, keys of several lines, and heaps of what env files treat specially.
fn a_value() -> impl Strategy<Value = String> {
    let nasty = proptest::sample::select(vec![
        "'", "\"", "\\", "$", "$$", "${A}", "$A", "#", " #", " ", "  ", "\n", "\r", "\r\n", "\t", "=", ":",
        "`", "!", "\\n", "\\$", "\\'", "\\\"", "a", "Z", "0", "ä", "🦀", "%", "{", "}", "\u{a0}", "\u{85}",
        "\u{feff}", "export ",
    ]);
    prop_oneof![
        2 => proptest::collection::vec(nasty, 0..12).prop_map(|parts| parts.concat()),
        1 => "[ -~]{0,40}",
        1 => "[a-zA-Z0-9_-]{16,48}",
        1 => "\\PC{0,20}",
        1 => "postgres://[a-z]{1,8}:[!-~]{1,16}@db:5432/[a-z]{1,8}",
        1 => "-----BEGIN KEY-----\n[A-Za-z0-9+/=]{20,64}\n-----END KEY-----\n",
    ]
}

/// An env file as a person keeps it, into which the values are set: some in place of others, some as new ones.
fn written(values: &[String]) -> EnvFile {
    let mut file = EnvFile::parse("# kept by hand\nexport V0='old' # why\nV1: old\n\nOTHER=$V0\n").unwrap();
    for (number, value) in values.iter().enumerate() {
        file.set(&format!("V{number}"), value).unwrap();
    }
    file
}

/// The variables of the two services: one takes the env file, the other interpolates each.
fn read_by_compose(folder: &Path, file: &EnvFile, count: usize) -> [Value; 2] {
    fs::write(folder.join("env"), file.text()).unwrap();
    let interpolated: serde_json::Map<String, Value> =
        (0..count).map(|number| (format!("V{number}"), format!("${{V{number}}}").into())).collect();
    let model = serde_json::json!({ "name": "t", "services": {
        "file": { "image": "x", "env_file": ["env"] },
        "interpolated": { "image": "x", "environment": interpolated },
    }});
    fs::write(folder.join("compose.json"), model.to_string()).unwrap();
    let output = Command::new("docker")
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .args(["compose", "-f", "compose.json", "--env-file", "env", "config", "--format", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut model: Value = serde_json::from_slice(&output.stdout).unwrap();
    ["file", "interpolated"].map(|service| model["services"][service]["environment"].take())
}

#[test]
fn ten_thousand_values_are_read_as_they_were_meant() {
    let mut runner = TestRunner::deterministic();
    let values: Vec<String> =
        (0..VALUES).map(|_| a_value().new_tree(&mut runner).unwrap().current().replace('\0', "")).collect();
    let folder = tempfile::tempdir().unwrap();
    for batch in values.chunks(BATCH) {
        let file = written(batch);
        assert!(file.text().starts_with("# kept by hand\nexport V0="));
        for environment in read_by_compose(folder.path(), &file, batch.len()) {
            for (number, value) in batch.iter().enumerate() {
                // Compose doubles the dollars of what it prints, so that it could be read once more.
                let read = environment[format!("V{number}")].as_str().map(|text| text.replace("$$", "$"));
                assert_eq!(read.as_deref(), Some(value.as_str()), "{:?}", wharf_plan::env_file::quote(value));
            }
        }
    }
}
