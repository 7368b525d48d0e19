//! What an SSH configuration says of one host, before anything in it is expanded.

/// Keywords that Wharf follows. A list keeps the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    pub hostname: Option<String>,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub identity_files: Vec<String>,
    pub identities_only: Option<bool>,
    pub identity_agent: Option<String>,
    pub proxy_jump: Option<String>,
    pub proxy_command: Option<String>,
    pub user_known_hosts: Vec<String>,
    pub global_known_hosts: Vec<String>,
    pub host_key_alias: Option<String>,
    pub hash_known_hosts: Option<bool>,
}

impl Settings {
    /// Takes a keyword's value unless an earlier line gave one: the first wins, but identity files add up.
    /// Keywords that Wharf does not follow are ignored.
    pub fn take(&mut self, keyword: &str, value: &str) {
        let text = || Some(value.to_owned());
        match keyword.to_ascii_lowercase().as_str() {
            "hostname" => keep(&mut self.hostname, text()),
            "user" => keep(&mut self.user, text()),
            "port" => keep(&mut self.port, value.parse().ok()),
            "identityfile" => self.identity_files.push(value.to_owned()),
            "identitiesonly" => keep(&mut self.identities_only, Some(yes(value))),
            "identityagent" => keep(&mut self.identity_agent, text()),
            // Whichever of the two stands first counts.
            "proxyjump" if self.proxy_command.is_none() => keep(&mut self.proxy_jump, text()),
            "proxycommand" if self.proxy_jump.is_none() => keep(&mut self.proxy_command, text()),
            "userknownhostsfile" => keep_list(&mut self.user_known_hosts, value),
            "globalknownhostsfile" => keep_list(&mut self.global_known_hosts, value),
            "hostkeyalias" => keep(&mut self.host_key_alias, text()),
            "hashknownhosts" => keep(&mut self.hash_known_hosts, Some(yes(value))),
            _ => {}
        }
    }
}

fn keep<T>(place: &mut Option<T>, value: Option<T>) {
    if place.is_none() {
        *place = value;
    }
}

fn keep_list(place: &mut Vec<String>, value: &str) {
    if place.is_empty() {
        place.extend(value.split_whitespace().map(|file| file.trim_matches('"').to_owned()));
    }
}

fn yes(value: &str) -> bool {
    value.eq_ignore_ascii_case("yes") || value.eq_ignore_ascii_case("true")
}
