//! What a MongoDB's section would be: with its `#`, since nobody has tried it against a MongoDB server yet.

use super::parts::{list, quoted};
use crate::{Database, Kind};

/// As whom each of its programs connects: the user that the image was made with, where it was made with one.
const AUTH: &str = "${MONGO_INITDB_ROOT_USERNAME:+--username \"$MONGO_INITDB_ROOT_USERNAME\" \
    --password \"$MONGO_INITDB_ROOT_PASSWORD\" --authenticationDatabase admin}";
/// Its image starts a first server for itself, and only then the real one as process 1.
const READY: &str = "grep -aq ^mongod /proc/1/cmdline && mongosh --quiet --eval 'db.hello().isWritablePrimary' | grep -q true";
/// A line for each collection that is not the server's own.
const COUNT: &str = "db.adminCommand({listDatabases: 1, nameOnly: true}).databases.map(d => d.name)\
    .filter(d => ![\"admin\", \"config\", \"local\"].includes(d)).forEach(d => db.getSiblingDB(d)\
    .getCollectionInfos({type: \"collection\"}).map(c => c.name).filter(c => !c.startsWith(\"system.\"))\
    .forEach(c => print(d + \".\" + c + \" \" + db.getSiblingDB(d).getCollection(c).countDocuments({}))))";

/// The section, every line of it a comment; nothing for another database.
pub fn section(database: &Database) -> String {
    if database.kind != Kind::Mongo {
        return String::new();
    }
    let command = |key: &str, script: &str| format!("{key} = {}", list(&["sh", "-c", script]));
    let lines = [
        format!(
            "{} is MongoDB: it is dumped by its own commands. They have not been tried against a MongoDB server by us.",
            database.service
        ),
        "To use them, take the # away below, deploy, and prove them: wharf backup create, then wharf backup verify.".to_owned(),
        "Of a replica set, add --oplog to mongodump and --oplogReplay to mongorestore: the dump is of one moment then."
            .to_owned(),
        "[[dump]]".to_owned(),
        format!("service = {}", quoted(&database.service)),
        command("dump", &format!("exec mongodump --quiet --archive {AUTH}")),
        command("check", &format!("exec mongorestore --quiet --archive --dryRun {AUTH}")),
        command("restore", &format!("exec mongorestore --quiet --archive --stopOnError {AUTH}")),
        command("ready", READY),
        command("count", &format!("exec mongosh --quiet {AUTH} --eval '{COUNT}'")),
    ];
    lines.iter().map(|line| format!("# {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_signs_it_is_a_section() {
        let database = Database {
            service: "docs".into(),
            kind: Kind::Mongo,
            volume: Some("data".into()),
            moved_to: None,
        };
        let text = section(&database);
        assert!(text.lines().all(|line| line.starts_with("# ")), "{text}");
        let plain: String =
            text.lines().skip(3).map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
        let read: toml_edit::DocumentMut = plain.parse().unwrap();
        let dump = read["dump"].as_array_of_tables().unwrap().get(0).unwrap().clone();
        assert_eq!(dump["service"].as_str(), Some("docs"));
        for key in ["dump", "check", "restore", "ready", "count"] {
            let words = dump[key].as_array().unwrap();
            assert_eq!(words.get(0).unwrap().as_str(), Some("sh"), "{key}");
            let script = words.get(2).unwrap().as_str().unwrap();
            let parsed = std::process::Command::new("sh").args(["-n", "-c", script]).status().unwrap();
            assert!(parsed.success(), "{script}");
        }
        assert_eq!(section(&Database { kind: Kind::Redis, ..database }), "");
    }
}
