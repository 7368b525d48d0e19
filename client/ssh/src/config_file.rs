//! `~/.ssh/config`, read by ourselves where there is no OpenSSH client to ask.
//!
//! `Host` blocks and the keywords of [`Settings`] are followed. `Match` blocks other than `Match all` are skipped, and
//! `Include` is not followed; both are warned of.

use crate::{error::SshError, settings::Settings};
use std::{io, path::Path};

/// Adds what `file` says of `host`. A file that is not there says nothing, unless it was named.
pub fn read(file: &Path, host: &str, named: bool, settings: &mut Settings) -> Result<(), SshError> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            parse(&text, host, settings);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => Ok(()),
        Err(source) => Err(SshError::ConfigFile { file: file.into(), source }),
    }
}

fn parse(text: &str, host: &str, settings: &mut Settings) {
    let mut applies = true;
    for (keyword, arguments) in text.lines().filter_map(split_line) {
        match keyword.to_ascii_lowercase().as_str() {
            "host" => applies = matches_list(&arguments, host),
            "match" => {
                applies =
                    arguments.len() == 1 && arguments.iter().all(|word| word.eq_ignore_ascii_case("all"));
                if !applies {
                    tracing::warn!(
                        "a Match block of the SSH configuration is skipped: no OpenSSH client was found to judge it"
                    );
                }
            }
            "include" if applies => {
                tracing::warn!(
                    "an Include of the SSH configuration is not followed: no OpenSSH client was found"
                );
            }
            // These take the rest of the line as it stands.
            "proxycommand" | "proxyjump" | "userknownhostsfile" | "globalknownhostsfile" if applies => {
                settings.take(keyword, &arguments.join(" "));
            }
            _ if applies => settings.take(keyword, arguments.first().map_or("", String::as_str)),
            _ => {}
        }
    }
}

/// Keyword and arguments of a line: blanks or one `=` between them, arguments in double quotes where they have blanks.
fn split_line(line: &str) -> Option<(&str, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=')?;
    let (keyword, rest) = line.split_at_checked(end)?;
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let (mut arguments, mut word, mut quoted, mut started) = (Vec::new(), String::new(), false, false);
    for character in rest.chars() {
        match character {
            '"' => (quoted, started) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if started {
                    arguments.push(std::mem::take(&mut word));
                }
                started = false;
            }
            '#' if !quoted && !started => break,
            c => {
                word.push(c);
                started = true;
            }
        }
    }
    if started {
        arguments.push(word);
    }
    Some((keyword, arguments))
}

fn matches_list(patterns: &[String], host: &str) -> bool {
    let mut matched = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if wildcard(negated, host) => return false,
            Some(_) => {}
            None => matched |= wildcard(pattern, host),
        }
    }
    matched
}

/// `*` takes any run of characters, `?` any one; letters of either case are equal.
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.to_lowercase().chars().collect(), text.to_lowercase().chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == '?' || text.get(t) == Some(&wanted) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
# people's own
Host home home-* !home-old
    HostName=10.0.0.7
    User "deploy er"
    Port 2200
    IdentityFile ~/.ssh/first
Host *.example
    ProxyJump ada@jump:2022,second
Match user bob
    Port 1
Host *
    Port 22
    User fallback   # and a remark
    IdentityFile ~/.ssh/second
    UserKnownHostsFile ~/.ssh/a ~/.ssh/b
"#;

    fn settings(host: &str) -> Settings {
        let mut settings = Settings::default();
        parse(CONFIG, host, &mut settings);
        settings
    }

    #[test]
    fn the_first_value_wins_and_identities_add_up() {
        let home = settings("Home-2");
        assert_eq!(home.hostname.as_deref(), Some("10.0.0.7"));
        assert_eq!((home.user.as_deref(), home.port), (Some("deploy er"), Some(2200)));
        assert_eq!(home.identity_files, ["~/.ssh/first", "~/.ssh/second"]);
        assert_eq!(home.user_known_hosts, ["~/.ssh/a", "~/.ssh/b"]);
    }

    #[test]
    fn patterns_choose_and_negations_exclude() {
        assert_eq!(settings("home-old").hostname, None);
        assert_eq!(settings("home-old").user.as_deref(), Some("fallback"));
        assert_eq!(settings("db.example").proxy_jump.as_deref(), Some("ada@jump:2022,second"));
        assert_eq!(settings("example").proxy_jump, None);
    }
}
