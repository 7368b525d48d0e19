//! What a MongoDB's section would be: with its `#`, since nobody has tried it against a MongoDB server yet.

use super::parts::{list, quoted};
use crate::{Database, Kind};

/// As whom `mongodump` and `mongorestore` connect: the user that the image was made with, where it was made with one. The
/// password is quoted as YAML wants it, and read from a pipe: every user of the host may read a program's arguments.
const AUTH: &str = "${MONGO_INITDB_ROOT_USERNAME:+--username \"$MONGO_INITDB_ROOT_USERNAME\" \
    --authenticationDatabase admin --config <(printf 'password: \"%s\"\\n' \
    \"$(printf %s \"$MONGO_INITDB_ROOT_PASSWORD\" | sed 's/[\\\\\"]/\\\\&/g')\")}";
/// Its image starts a first server for itself, and only then the real one as process 1.
const READY: &str = "grep -aq ^mongod /proc/1/cmdline && mongosh --quiet --eval 'db.hello().isWritablePrimary' | grep -q true";
/// A line for each collection that is not the server's own.
const COUNT: &str = "if (process.env.MONGO_INITDB_ROOT_USERNAME) db.getSiblingDB(\"admin\")\
    .auth(process.env.MONGO_INITDB_ROOT_USERNAME, process.env.MONGO_INITDB_ROOT_PASSWORD); \
    db.adminCommand({listDatabases: 1, nameOnly: true}).databases.map(d => d.name)\
    .filter(d => ![\"admin\", \"config\", \"local\"].includes(d)).forEach(d => db.getSiblingDB(d)\
    .getCollectionInfos({type: \"collection\"}).map(c => c.name).filter(c => !c.startsWith(\"system.\"))\
    .forEach(c => print(d + \".\" + c + \" \" + db.getSiblingDB(d).getCollection(c).countDocuments({}))))";

/// The section, every line of it a comment; nothing for another database.
pub fn section(database: &Database) -> String {
    if database.kind != Kind::Mongo {
        return String::new();
    }
    let command = |key: &str, script: &str| format!("{key} = {}", list(&["bash", "-c", script]));
    let lines = [
        format!(
            "{} is MongoDB: it is dumped by its own commands. They have not been tried against a MongoDB server by us.",
            database.service
        ),
        "To use them, take the # away below, deploy, and prove them: wharf backup create, then wharf backup verify.".to_owned(),
        "No program of its image checks such a dump without restoring it: the drill does. Passwords are in no argument list."
            .to_owned(),
        "Of a replica set, add --oplog to mongodump and --oplogReplay to mongorestore: the dump is of one moment then."
            .to_owned(),
        "[[dump]]".to_owned(),
        format!("service = {}", quoted(&database.service)),
        command("dump", &format!("exec mongodump --archive {AUTH}")),
        command("restore", &format!("exec mongorestore --archive --stopOnError {AUTH}")),
        command("ready", READY),
        command("count", &format!("exec mongosh --quiet --eval '{COUNT}'")),
    ];
    lines.iter().map(|line| format!("# {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_read_from_a_file_as_yaml() {
        let script = format!("show() {{ echo \"$@\" | grep -c sec; cat \"${{@: -1}}\"; }}; show {AUTH}");
        let run = std::process::Command::new("bash")
            .args(["-c", &script])
            .env("MONGO_INITDB_ROOT_USERNAME", "root")
            .env("MONGO_INITDB_ROOT_PASSWORD", "s\"ec\\%s'$x&")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(run.stdout).unwrap(), "0\npassword: \"s\\\"ec\\\\%s'$x&\"\n");
    }

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
            text.lines().skip(4).map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
        let read: toml_edit::DocumentMut = plain.parse().unwrap();
        let dump = read["dump"].as_array_of_tables().unwrap().get(0).unwrap().clone();
        assert_eq!(dump["service"].as_str(), Some("docs"));
        for key in ["dump", "restore", "ready", "count"] {
            let words = dump[key].as_array().unwrap();
            assert_eq!(words.get(0).unwrap().as_str(), Some("bash"), "{key}");
            let script = words.get(2).unwrap().as_str().unwrap();
            let parsed = std::process::Command::new("bash").args(["-n", "-c", script]).status().unwrap();
            assert!(parsed.success(), "{script}");
            assert!(!script.contains("--password"), "{script}");
        }
        assert_eq!(section(&Database { kind: Kind::Redis, ..database }), "");
    }
}
