//! The server's own configuration, `/etc/wharf/wharfd.toml`: how people come in.
//!
//! **Invariant**: of a file that is there, only what is missing is added; every other byte stays.

use super::SetupError;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value, value};
use wharf_proto::Role;

/// Where the agent listens to `wharfd connect`: a folder that every user may enter.
const SOCKET: &str = "/run/wharf/wharfd.sock";
const STATE: &str = "/var/lib/wharf";

/// What the configuration is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The whole text.
    pub text: String,
    /// Whether the server's is another.
    pub changes: bool,
    /// Whether the server has none, or one that is as setup writes it.
    pub is_setups_own: bool,
    pub socket: String,
    /// The agent's state folder.
    pub state: String,
}

impl ConfigFile {
    /// What the file must say for `uid` to come in with keys of at most `role`; `there` is what the server has.
    ///
    /// # Errors
    /// What is there is no TOML.
    pub fn of(there: Option<&str>, user: &str, uid: u32, role: Role) -> Result<Self, SetupError> {
        let new = new(user, uid, role);
        let Some(there) = there else {
            return Ok(Self {
                text: new,
                changes: true,
                is_setups_own: true,
                socket: SOCKET.into(),
                state: STATE.into(),
            });
        };
        let mut document: DocumentMut = there.parse().map_err(|e| SetupError::Config(Box::new(e)))?;
        let text_of = |document: &DocumentMut, key: &str| document.get(key)?.as_str().map(str::to_owned);
        let (socket, state) = (text_of(&document, "socket_path"), text_of(&document, "state"));
        if socket.is_none() {
            document.insert("socket_path", value(SOCKET));
        }
        if uid != 0 && !has_rule(&document, user, uid) {
            let rules = document.entry("socket").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
            if let Some(rules) = rules.as_array_of_tables_mut() {
                rules.push(rule(user, uid, role));
            }
        }
        let text = document.to_string();
        Ok(Self {
            changes: text != there,
            is_setups_own: there == new,
            text,
            socket: socket.unwrap_or_else(|| SOCKET.into()),
            state: state.unwrap_or_else(|| STATE.into()),
        })
    }
}

fn has_rule(document: &DocumentMut, user: &str, uid: u32) -> bool {
    let Some(rules) = document.get("socket").and_then(Item::as_array_of_tables) else { return false };
    rules.iter().any(|rule| {
        rule.get("user").and_then(Item::as_str) == Some(user)
            || rule.get("uid").and_then(Item::as_integer) == Some(uid.into())
    })
}

fn rule(user: &str, uid: u32, role: Role) -> Table {
    let mut table = Table::new();
    table.insert("uid", value(i64::from(uid)));
    if let Some(uid) = table.get_mut("uid").and_then(Item::as_value_mut) {
        uid.decor_mut().set_suffix(format!("  # {}", user.replace(['\n', '\r'], "")));
    }
    table.insert("role", value(role.as_str()));
    table.insert("apps", value(Value::Array(std::iter::once("*").collect())));
    table
}

fn new(user: &str, uid: u32, role: Role) -> String {
    let rule = if uid == 0 {
        String::new()
    } else {
        format!(
            "\n# The most that keys may do which come in as {user}. Of several rules for one user the first holds.\n\
             [[socket]]\nuid = {uid}\nrole = \"{role}\"\napps = [\"*\"]\n",
            user = user.replace(['\n', '\r'], ""),
        )
    };
    format!(
        "# Written by `wharf setup`. A deploy cannot change what is here; docs/CONFIGURATION.md of Wharf's has every key.\n\
         listen = \"none\"  # no port of the agent's: people come in through the server's sshd\n\
         socket_path = \"{SOCKET}\"\n{rule}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(there: Option<&str>, uid: u32) -> ConfigFile {
        ConfigFile::of(there, "deploy", uid, Role::Admin).unwrap()
    }

    #[test]
    fn what_is_written_is_complete() {
        let new = of(None, 1000);
        insta::assert_snapshot!(new.text);
        let again = of(Some(&new.text), 1000);
        assert!(!again.changes && again.is_setups_own);
        let root = of(None, 0);
        assert!(!root.text.contains("[[socket]]"));
        assert!(!of(Some(&root.text), 0).changes);
        // Another user comes in later.
        let second = ConfigFile::of(Some(&new.text), "ci", 1001, Role::Deploy).unwrap();
        assert!(second.changes && second.text.starts_with(&new.text), "{}", second.text);
        assert!(!ConfigFile::of(Some(&second.text), "ci", 1001, Role::Deploy).unwrap().changes);
    }

    #[test]
    fn of_a_file_that_is_there_every_byte_stays() {
        let there = "# mine\nlisten = \"10.0.0.1:2222\"   # VPN\nstate = \"/data/wharf\"\n\n[app.blog]\nhooks = true # yes\n";
        let file = of(Some(there), 1000);
        assert!(file.changes && !file.is_setups_own);
        assert_eq!(file.state, "/data/wharf");
        let lines: Vec<&str> = file.text.lines().collect();
        assert!(there.lines().all(|line| lines.contains(&line)), "{}", file.text);
        assert!(!of(Some(&file.text), 1000).changes, "{}", file.text);
        let named = format!("{there}[[socket]]\nuser = \"deploy\"\nrole = \"read\"\napps = []\n");
        let named = of(Some(&named), 1000);
        assert!(named.changes && named.text.matches("[[socket]]").count() == 1, "{}", named.text);
        assert!(ConfigFile::of(Some("x = "), "deploy", 1, Role::Admin).is_err());
    }
}
