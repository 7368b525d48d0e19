//! `~` and `%h` in paths of the SSH configuration.

use std::path::PathBuf;

/// What the tokens stand for.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    /// `%h`: where the connection goes.
    pub hostname: String,
    /// `%n`: as the person wrote it.
    pub original: String,
    /// `%p`
    pub port: u16,
    /// `%r`: the user on the server.
    pub user: String,
}

impl Tokens {
    /// The path that `text` means; `None` where it means none.
    pub fn path(&self, text: &str) -> Option<PathBuf> {
        if text.is_empty() || text.eq_ignore_ascii_case("none") {
            return None;
        }
        let text = self.text(text);
        match text.strip_prefix('~') {
            Some("") => home(),
            Some(rest) => match rest.strip_prefix(['/', '\\']) {
                Some(below) => Some(home()?.join(below)),
                // `~someone`: another person's home is not ours to look up.
                None => Some(text.into()),
            },
            None => Some(text.into()),
        }
    }

    /// `text` with its tokens replaced; unknown ones stay.
    pub fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                out.push(character);
                continue;
            }
            match characters.next() {
                Some('h') => out.push_str(&self.hostname),
                Some('n') => out.push_str(&self.original),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(&self.user),
                Some('u') => out.push_str(&local_user().unwrap_or_default()),
                Some('d') => out.push_str(&home().unwrap_or_default().to_string_lossy()),
                Some('%') => out.push('%'),
                Some(other) => out.extend(['%', other]),
                None => out.push('%'),
            }
        }
        out
    }
}

/// Who sits here.
pub fn local_user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|user| !user.is_empty())
}

pub fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_tilde() {
        let tokens =
            Tokens { hostname: "10.0.0.7".into(), original: "home".into(), port: 22, user: "ada".into() };
        assert_eq!(tokens.text("/k/%h-%n-%p-%r-%%-%C"), "/k/10.0.0.7-home-22-ada-%-%C");
        assert_eq!(tokens.path("~/x"), home().map(|home| home.join("x")));
        assert_eq!(tokens.path("none"), None);
        assert_eq!(tokens.path("/a/%n"), Some("/a/home".into()));
    }
}
