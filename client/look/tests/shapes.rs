//! Projects in the shapes that people have, and the `wharf.toml` that is written for each.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

use std::path::Path;
use wharf_look::{Facts, Rule, config, look};

fn answers() -> config::Answers {
    config::Answers { server: Some("deploy@home.example:2222".into()), ..Default::default() }
}

fn facts(files: &[(&str, &str)]) -> Facts {
    let folder = tempfile::Builder::new().prefix("shop-").tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Facts { folder: "Shop App".into(), ..Facts::gather(folder.path()).unwrap() }
}

fn example() -> Facts {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/projects/fitnessapp");
    Facts::gather(&root).unwrap()
}

#[test]
fn the_example() {
    let findings = look(&example()).unwrap();
    insta::assert_snapshot!(config::write(&findings, &answers()));
    assert_eq!(findings.warnings, []);
}

#[test]
fn without_a_server_the_place_is_left_to_fill_in() {
    let findings = look(&example()).unwrap();
    let text = config::write(&findings, &config::Answers::default());
    assert!(text.contains("# [server]\n# host = \"deploy@home.example:2222\""), "{text}");
}

#[test]
fn split_files_profiles_and_baked_variables() {
    let facts = facts(&[
        (
            "compose.yaml",
            "include: [infra/compose.yaml]\nservices:\n  web:\n    extends: {file: common.yaml, service: base}\n    build:\n      context: web\n      args: {VITE_API_URL: \"${VITE_API_URL:-/api}\"}\n    ports: [\"8080:3000\"]\n  mail: {image: axllent/mailpit, profiles: [tools]}\n  worker: {image: busybox:1, profiles: [production]}\n",
        ),
        (
            "compose.prod.yaml",
            "services:\n  web:\n    restart: always\n    environment: {DATABASE_URL: \"mysql://app:${MYSQL_PASSWORD}@db/app\"}\n",
        ),
        ("compose.dev.yaml", "services: {web: {image: x}}\n"),
        (
            "infra/compose.yaml",
            "services:\n  db: {image: mariadb:11, volumes: [\"data:/var/lib/mysql\"]}\n  cache: {image: redis}\nvolumes: {data: }\n",
        ),
        (
            "common.yaml",
            "services:\n  base:\n    healthcheck: {test: \"wget -qO- http://localhost:3000/up\"}\n",
        ),
        ("web/Dockerfile", "FROM node:22 AS build\nARG VITE_API_URL\nRUN npm run build\nFROM build\n"),
        ("web/package.json", "{\"scripts\":{\"test\":\"vitest\"}}"),
        ("web/src/main.ts", "fetch(import.meta.env.VITE_API_URL); log(import.meta.env.VITE_MODE_NAME)\n"),
        (".env.production.example", "MYSQL_PASSWORD=\n"),
        (".gitignore", ".env*\n!.env*.example\n"),
    ]);
    let findings = look(&facts).unwrap();
    insta::assert_snapshot!(config::write(&findings, &answers()));
    let warnings: Vec<String> = findings.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"));
}

#[test]
fn a_mongodb_gets_its_commands_to_be_proven_first() {
    let facts = facts(&[(
        "compose.yml",
        "services:\n  docs: {image: \"mongo:7\", volumes: [\"docs:/data/db\"]}\nvolumes: {docs: }\n",
    )]);
    let findings = look(&facts).unwrap();
    let text = config::write(&findings, &answers());
    insta::assert_snapshot!(text);
    assert_eq!(config::missing(&text, &findings, &answers()).unwrap(), []);
}

#[test]
fn what_is_wrong_is_told_and_no_value_of_a_secret_with_it() {
    let facts = facts(&[
        (
            "docker-compose.yml",
            "services:\n  db:\n    image: postgres\n    environment: {POSTGRES_PASSWORD: \"${DB_PASSWORD}\"}\n  web:\n    build: .\n    volumes: [\"/home/me/data:/data\", \"/var/run/docker.sock:/s\"]\n    env_file: .env\ninclude: [gone.yml]\n",
        ),
        ("Dockerfile", "FROM node AS a\nFROM a\n"),
        (".env", "DB_PASSWORD=planted-value\nAPI_TOKEN=planted-value\n"),
        ("server.pem", "x"),
    ]);
    let findings = look(&facts).unwrap();
    let warnings: Vec<String> = findings.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"));
    let rules: Vec<Rule> = findings.warnings.iter().map(|warning| warning.rule).collect();
    assert!(rules.contains(&Rule::DatabaseWithoutVolume));
    let everything =
        format!("{}{}", serde_json::to_string(&findings).unwrap(), config::write(&findings, &answers()));
    assert!(!everything.contains("planted-value"));
}

#[test]
fn a_written_file_has_everything_already() {
    let findings = look(&example()).unwrap();
    let text = config::write(&findings, &answers());
    assert_eq!(config::missing(&text, &findings, &answers()).unwrap(), []);
}

#[test]
fn nothing_that_a_person_wrote_changes() {
    let findings = look(&example()).unwrap();
    let mine = "# mine\napp   = \"fit\" # odd\n\n[compose]\n  files = [ \"docker/docker-compose.prod.yml\" ]   # here\n\n[[health]]\nurl=\"http://127.0.0.1:1/\"";
    let additions = config::missing(mine, &findings, &answers()).unwrap();
    let what: Vec<&str> = additions.iter().map(|addition| addition.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "the server",
            "[[bump]] for mobile/app.json",
            "[[postgres]] for db",
            "[secrets]",
            "compose.env_file"
        ]
    );
    let added = config::add(mine, &additions).unwrap();
    for line in mine.lines() {
        assert!(added.lines().any(|other| other == line), "{line}\n{added}");
    }
    assert_eq!(config::missing(&added, &findings, &answers()).unwrap(), []);
    let without: Vec<&str> = added.lines().filter(|line| mine.lines().any(|other| other == *line)).collect();
    let before: Vec<&str> = mine.lines().collect();
    assert!(without.starts_with(&before[..2]), "{added}");
}
