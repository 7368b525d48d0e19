//! Every key of `wharf.toml`, with an example of each, and the search for unknown ones.

use super::error::{ConfigError, Place, UnknownKey};
use toml::de::{DeTable, DeValue};

/// The keys by their path; an array of tables has the path of one table.
const KEYS: &[(&str, &str)] = &[
    ("app", "app = \"myapp\""),
    ("keep_releases", "keep_releases = 5"),
    ("server", "[server]"),
    ("server.host", "host = \"deploy@home.example\""),
    ("server.path", "path = \"/home/deploy/myapp\""),
    ("server.identity", "identity = \"~/.ssh/id_ed25519\""),
    ("compose", "[compose]"),
    ("compose.files", "files = [\"docker-compose.yml\"]"),
    ("compose.env_file", "env_file = \".env.prod\""),
    ("compose.profiles", "profiles = [\"web\"]"),
    ("compose.project", "project = \"myapp\""),
    ("pack", "[pack]"),
    ("pack.include", "include = [\"config/public.env\"]"),
    ("bump", "[[bump]]"),
    ("bump.file", "file = \"mobile/app.json\""),
    ("bump.when_changed", "when_changed = [\"mobile/**\"]"),
    ("postgres", "[[postgres]]"),
    ("postgres.service", "service = \"db\""),
    ("postgres.user", "user = \"postgres\""),
    ("postgres.database", "database = \"myapp\""),
    ("postgres.databases", "databases = [\"myapp\", \"analytics\"]"),
    ("postgres.url_env", "url_env = \"DATABASE_URL\""),
    ("postgres.image", "image = \"postgres:17\""),
    ("postgres.network", "network = \"other_default\""),
    ("postgres.check_sql", "check_sql = \"SELECT count(*) > 0 FROM users\""),
    ("mysql", "[[mysql]]"),
    ("mysql.service", "service = \"db\""),
    ("mysql.user", "user = \"root\""),
    ("mysql.database", "database = \"myapp\""),
    ("mysql.databases", "databases = [\"myapp\", \"analytics\"]"),
    ("redis", "[[redis]]"),
    ("redis.service", "service = \"cache\""),
    ("dump", "[[dump]]"),
    ("dump.service", "service = \"docs\""),
    ("dump.name", "name = \"people\""),
    ("dump.dump", "dump = [\"mongodump\", \"--archive\"]"),
    ("dump.check", "check = [\"pg_restore\", \"-f\", \"/dev/null\"]"),
    ("dump.restore", "restore = [\"mongorestore\", \"--archive\"]"),
    ("dump.ready", "ready = [\"mongosh\", \"--quiet\", \"--eval\", \"db.hello()\"]"),
    ("dump.count", "count = [\"sh\", \"-c\", \"count-collections\"]"),
    ("volume", "[[volume]]"),
    ("volume.name", "name = \"uploads\""),
    ("volume.path", "path = \"uploads\""),
    ("volume.mode", "mode = \"live\""),
    ("migrate", "[[migrate]]"),
    ("migrate.service", "service = \"web\""),
    ("migrate.command", "command = [\"alembic\", \"upgrade\", \"head\"]"),
    ("migrate.folder", "folder = \"migrations\""),
    ("migrate.database", "database = \"myapp\""),
    ("migrate.table", "table = \"schema_migrations\""),
    ("migrate.timeout_seconds", "timeout_seconds = 600"),
    ("hook", "[[hook]]"),
    ("hook.when", "when = \"after-deploy\""),
    ("hook.command", "command = [\"./scripts/announce\"]"),
    ("hook.timeout_seconds", "timeout_seconds = 600"),
    ("health", "[[health]]"),
    ("health.url", "url = \"http://127.0.0.1:8080/health\""),
    ("health.status", "status = 200"),
    ("health.timeout_seconds", "timeout_seconds = 5"),
    ("health.within_seconds", "within_seconds = 30"),
    ("verify", "[verify]"),
    ("verify.start_timeout_seconds", "start_timeout_seconds = 120"),
    ("verify.stable_seconds", "stable_seconds = 5"),
    ("secrets", "[secrets]"),
    ("secrets.required", "required = [\"DB_PASSWORD\"]"),
    ("secrets.plain", "plain = [\"CACHE_PASSWORD\"]"),
    ("backup", "[backup]"),
    ("backup.schedule", "schedule = \"0 3 * * *\""),
    ("backup.timezone", "timezone = \"Europe/Berlin\""),
    ("backup.drill", "drill = \"after-release\""),
    ("backup.keep", "keep = { daily = 7, weekly = 4, monthly = 6 }"),
    ("backup.keep.last", "last = 3"),
    ("backup.keep.hourly", "hourly = 24"),
    ("backup.keep.daily", "daily = 7"),
    ("backup.keep.weekly", "weekly = 4"),
    ("backup.keep.monthly", "monthly = 6"),
    ("backup.keep.yearly", "yearly = 3"),
    ("logs", "[logs]"),
    ("logs.max_size", "max_size = \"20m\""),
    ("logs.max_files", "max_files = 5"),
    ("git", "[git]"),
    ("git.clean", "clean = true"),
    ("git.branch", "branch = \"main\""),
    ("check", "[[check]]"),
    ("check.command", "command = [\"npm\", \"test\"]"),
    ("check.folder", "folder = \"mobile\""),
    ("check.timeout_seconds", "timeout_seconds = 600"),
    ("env", "[env.staging.server]"),
];

/// How many edits away a known key may be to be offered.
const NEAR_EDITS: usize = 3;

/// The example of the key at `path`.
pub(super) fn example(path: &str) -> Option<&'static str> {
    KEYS.iter().find(|(key, _)| *key == path).map(|(_, example)| *example)
}

/// Looks for a key that Wharf does not know, in the base and in every environment.
pub(super) fn check(file: &str, text: &str, root: &DeTable<'_>) -> Result<(), ConfigError> {
    check_table(file, text, root, "")?;
    let environments = root.get("env").and_then(|env| env.get_ref().as_table());
    for overlay in environments.into_iter().flat_map(|env| env.values()) {
        if let Some(table) = overlay.get_ref().as_table() {
            if let Some((key, _)) = table.iter().find(|(key, _)| key.get_ref() == "env") {
                let place = Place::of(file, text, key.span());
                let known = "the same keys as at the top, but no `env` inside an environment".to_owned();
                let section = " in [env.NAME]".to_owned();
                let unknown = UnknownKey { place, key: "env".to_owned(), section, nearest: None, known };
                return Err(ConfigError::UnknownKey(Box::new(unknown)));
            }
            check_table(file, text, table, "")?;
        }
    }
    Ok(())
}

fn check_table(file: &str, text: &str, table: &DeTable<'_>, section: &str) -> Result<(), ConfigError> {
    for (key, value) in table {
        let path = join(section, key.get_ref());
        if example(&path).is_none() {
            return Err(unknown(Place::of(file, text, key.span()), key.get_ref(), section));
        }
        if path != "env" {
            for below in tables(value.get_ref()) {
                check_table(file, text, below, &path)?;
            }
        }
    }
    Ok(())
}

/// The tables that a value is made of: itself, or the items of an array.
fn tables<'a, 'i>(value: &'a DeValue<'i>) -> Vec<&'a DeTable<'i>> {
    match value {
        DeValue::Table(table) => vec![table],
        DeValue::Array(array) => array.iter().filter_map(|item| item.get_ref().as_table()).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn unknown(place: Place, key: &str, section: &str) -> ConfigError {
    let siblings: Vec<&str> = KEYS.iter().filter_map(|(path, _)| sibling(path, section)).collect();
    ConfigError::UnknownKey(Box::new(UnknownKey {
        place,
        key: key.to_owned(),
        section: if section.is_empty() { String::new() } else { format!(" in [{section}]") },
        // The very word in another table says more than one that looks like it here.
        nearest: elsewhere(key).or_else(|| nearest(key, &siblings)),
        known: siblings.join(", "),
    }))
}

/// The last part of `path` where it lies directly in `section`.
fn sibling<'a>(path: &'a str, section: &str) -> Option<&'a str> {
    let rest = if section.is_empty() { path } else { path.strip_prefix(section)?.strip_prefix('.')? };
    (!rest.contains('.')).then_some(rest)
}

fn nearest(key: &str, siblings: &[&str]) -> Option<String> {
    let distance = |known: &&str| edits(key, known);
    if let Some(longer) = siblings.iter().find(|known| known.starts_with(key)) {
        return Some((*longer).to_owned());
    }
    let best = siblings.iter().min_by_key(|known| distance(known))?;
    let limit = NEAR_EDITS.min(best.len().div_ceil(3));
    (distance(best) <= limit).then(|| (*best).to_owned())
}

/// A key of the same name that belongs into another table.
fn elsewhere(key: &str) -> Option<String> {
    let (path, _) = KEYS.iter().find(|(path, _)| path.rsplit('.').next() == Some(key))?;
    Some((*path).to_owned())
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((j, cb), pair) in b.iter().enumerate().zip(row.windows(2)) {
            let replaced = pair.first().copied().unwrap_or(j) + usize::from(ca != *cb);
            let removed = pair.last().copied().unwrap_or(j) + 1;
            let added = next.last().copied().unwrap_or(i) + 1;
            next.push(replaced.min(removed).min(added));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_levenshteins() {
        for (a, b, expected) in [("", "", 0), ("host", "hots", 2), ("file", "files", 1), ("a", "xyz", 3)] {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn every_key_below_a_table_has_its_table() {
        for (path, _) in KEYS {
            if let Some((parent, _)) = path.rsplit_once('.') {
                assert!(example(parent).is_some(), "{path}");
            }
        }
    }
}
