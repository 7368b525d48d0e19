//! The line in the server's `authorized_keys` that lets the laptop's deploy key in, and nothing else.

use super::script;
use wharf_proto::Role;

/// How long a key's name may be.
const NAME_CHARS: usize = 100;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// `ssh-ed25519 AAAA…`
    pub public: String,
    /// What the server's audit calls the key.
    pub name: String,
    pub role: Role,
    /// Where the agent listens.
    pub socket: String,
}

impl KeyLine {
    /// The whole line.
    pub fn text(&self) -> String {
        let Self { public, name, role, socket } = self;
        let role = if *role == Role::Admin { String::new() } else { format!(" --role {role}") };
        format!(
            "restrict,command=\"{} connect --socket {socket}{role} --key-name {name}\" {public} wharf-{name}",
            script::BINARY
        )
    }

    /// Whether `line` is about the same key, whatever it says of it.
    pub fn is_for_same_key(&self, line: &str) -> bool {
        !line.trim_start().starts_with('#') && line.contains(self.public.as_str())
    }
}

/// `person` (`ada@laptop`) in the characters that a forced command may have.
pub fn name_of(person: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.@".contains(c) { c } else { '_' };
    let name: String = person.chars().map(plain).take(NAME_CHARS).collect();
    // A word that begins with a dash would be an option.
    name.trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_lets_in_to_the_agent_alone() {
        let mut line = KeyLine {
            public: "ssh-ed25519 AAAA".into(),
            name: name_of("Ada Ö@lap top"),
            role: Role::Admin,
            socket: "/run/wharf/wharfd.sock".into(),
        };
        let command = "restrict,command=\"/usr/local/bin/wharfd connect --socket /run/wharf/wharfd.sock";
        let end = "--key-name Ada__@lap_top\" ssh-ed25519 AAAA wharf-Ada__@lap_top";
        assert_eq!(line.text(), format!("{command} {end}"));
        line.role = Role::Deploy;
        assert_eq!(line.text(), format!("{command} --role deploy {end}"));
        assert!(
            line.is_for_same_key("ssh-ed25519 AAAA other") && !line.is_for_same_key("# ssh-ed25519 AAAA")
        );
    }
}
