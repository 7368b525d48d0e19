//! Whose context it is. `/etc/group` is read by hand: a static program has nothing else to ask.

use super::error::ContextError;
use crate::passwd;
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};
use std::path::PathBuf;

/// A user of this server, and where Docker's command line keeps that user's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub home: PathBuf,
    /// `~/.docker`, unless something else was said.
    pub docker: PathBuf,
    uid: u32,
    gid: u32,
}

impl User {
    /// Who is meant: `named`, else who runs this, or ran it by `sudo`.
    pub fn choose(named: Option<&str>, docker: Option<PathBuf>) -> Result<Self, ContextError> {
        let environment = |key: &str| std::env::var(key).ok().filter(|value| !value.is_empty());
        let own = geteuid().as_raw();
        let by_sudo = environment("SUDO_USER").filter(|name| own == 0 && name != "root");
        let mut user = match named.map(str::to_owned).or(by_sudo) {
            Some(name) => passwd::by_name(&name).and_then(at_home).ok_or(ContextError::UnknownUser(name))?,
            None if own == 0 => return Err(ContextError::NoUser),
            None => {
                let home = environment("HOME").map(PathBuf::from);
                let known = passwd::by_uid(own).and_then(at_home);
                let mut user = known.or_else(|| nameless(own, home.clone()?));
                if let (Some(user), Some(home)) = (&mut user, home) {
                    user.home = home;
                    user.docker =
                        environment("DOCKER_CONFIG").map_or(user.home.join(".docker"), PathBuf::from);
                }
                user.ok_or(ContextError::NoUser)?
            }
        };
        if own != 0 && own != user.uid {
            return Err(ContextError::NotYours(user.name));
        }
        user.docker = docker.unwrap_or(user.docker);
        Ok(user)
    }

    /// Gives up every right but this user's, for the rest of the process.
    pub fn assume(&self) -> Result<(), ContextError> {
        let own = geteuid().as_raw();
        if own != 0 || self.uid == 0 {
            return Ok(());
        }
        let group = std::fs::read_to_string("/etc/group").unwrap_or_default();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let mut groups = groups_of(&group, &self.name);
        groups.push(gid);
        setgroups(&groups)
            .and_then(|()| setresgid(gid, gid, gid))
            .and_then(|()| setresuid(uid, uid, uid))
            .map_err(|source| ContextError::Become { name: self.name.clone(), source })
    }
}

/// Somebody whom `/etc/passwd` does not know, as within a container.
fn nameless(uid: u32, home: PathBuf) -> Option<User> {
    let docker = home.join(".docker");
    Some(User { name: format!("uid {uid}"), home, docker, uid, gid: nix::unistd::getegid().as_raw() })
}

/// Somebody whose configuration has a place.
fn at_home(user: passwd::Entry) -> Option<User> {
    let passwd::Entry { name, uid, gid, home } = user;
    let docker = home.join(".docker");
    home.is_absolute().then_some(User { name, home, docker, uid, gid })
}

fn groups_of(group: &str, name: &str) -> Vec<Gid> {
    let member = |line: &str| {
        let mut fields = line.split(':');
        let gid = fields.nth(2)?.parse().ok()?;
        fields.next()?.split(',').any(|member| member.trim() == name).then(|| Gid::from_raw(gid))
    };
    group.lines().filter_map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_groups_and_a_home() {
        let user =
            |home: &str| passwd::Entry { name: "anna".into(), uid: 1000, gid: 1001, home: home.into() };
        let anna = at_home(user("/home/anna")).unwrap();
        assert_eq!((anna.uid, anna.gid, anna.docker), (1000, 1001, PathBuf::from("/home/anna/.docker")));
        assert_eq!(at_home(user("")), None);
        let group = "root:x:0:\ndocker:x:998:bob,anna\nsudo:x:27:annabel\nanna:x:1001:\n";
        assert_eq!(groups_of(group, "anna"), [Gid::from_raw(998)]);
    }
}
