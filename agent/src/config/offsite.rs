//! `[[offsite]]`: other places that backups are copied to.

use super::Retention;
use crate::chores::servers_zone;
use serde::Deserialize;
use std::path::{Component, PathBuf};
use wharf_backup::{Place, ReadBack, S3Place, SftpPlace};
use wharf_proto::AppName;
use wharf_schedule::Schedule;

/// The longest name of a place, in bytes.
const NAME_BYTES: usize = 40;

/// A place, and whose backups go there.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
pub struct Offsite {
    pub name: String,
    /// Empty: every app's.
    apps: Vec<AppName>,
    place: Place,
    pub read_back: ReadBack,
    /// Which backups are to be there; `None`: all, and none is ever dropped.
    pub keep: Option<Retention>,
    /// When copies begin; `None`: after each backup, and every hour.
    pub schedule: Option<Schedule>,
}

/// As it stands in the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    apps: Vec<AppName>,
    path: Option<PathBuf>,
    sftp: Option<String>,
    identity: Option<PathBuf>,
    known_hosts: Option<PathBuf>,
    s3: Option<S3Place>,
    #[serde(default)]
    read_back: ReadBack,
    keep: Option<Retention>,
    schedule: Option<String>,
    timezone: Option<String>,
}

impl Offsite {
    /// The place itself, with every app's folder in it.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where the backups of `app` go; `None`: not there.
    pub fn place_of(&self, app: &AppName) -> Option<Place> {
        (self.apps.is_empty() || self.apps.contains(app)).then(|| self.place.below(app.as_str()))
    }
}

impl TryFrom<Written> for Offsite {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written {
            name,
            apps,
            path,
            sftp,
            identity,
            known_hosts,
            s3,
            read_back,
            keep,
            schedule,
            timezone,
        } = written;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(plain) {
            return Err(format!(
                "offsite: `{name}` is no name: use 1 to {NAME_BYTES} letters, digits, - and _"
            ));
        }
        let only_for_sftp = identity.is_some() || known_hosts.is_some();
        if sftp.is_none() && only_for_sftp {
            return Err(format!("offsite {name}: `identity` and `known_hosts` go with `sftp`"));
        }
        let place = match (path, sftp, s3) {
            (Some(path), None, None) => Place::Folder(absolute(&name, path)?),
            (None, Some(sftp), None) => {
                let (host, path) = sftp.split_once('/').unwrap_or((&sftp, "~"));
                let path = match path {
                    "~" => String::new(),
                    path => path.strip_prefix("~/").map_or(format!("/{path}"), str::to_owned),
                };
                Place::Sftp(SftpPlace { host: host.to_owned(), path, identity, known_hosts })
            }
            (None, None, Some(s3)) if !is_http(&s3.endpoint) => {
                return Err(format!("offsite {name}: `endpoint` must begin with https:// or http://"));
            }
            (None, None, Some(s3)) => Place::S3(s3),
            _ => return Err(format!("offsite {name}: give one of `path`, `sftp` and `s3`")),
        };
        if keep.is_some_and(|keep| keep.is_empty()) {
            return Err(format!(
                "offsite {name}: `keep` would keep nothing: give it a number above 0, or leave it out"
            ));
        }
        let schedule = read_schedule(schedule, timezone).map_err(|why| format!("offsite {name}: {why}"))?;
        Ok(Self { name, apps, place, read_back, keep, schedule })
    }
}

fn is_http(endpoint: &str) -> bool {
    ["https://", "http://"].iter().any(|begin| endpoint.len() > begin.len() && endpoint.starts_with(begin))
}

fn read_schedule(schedule: Option<String>, timezone: Option<String>) -> Result<Option<Schedule>, String> {
    let zone = match (&schedule, timezone) {
        (None, Some(_)) => return Err("`timezone` goes with `schedule`".to_owned()),
        (_, Some(name)) => name.parse().map_err(|e| format!("{e}; for example \"Europe/Berlin\""))?,
        (_, None) => servers_zone(),
    };
    let read = |text: String| Schedule::parse(&text, zone);
    schedule.map(read).transpose().map_err(|e| format!("{e}; for example \"0 3 * * *\""))
}

fn absolute(name: &str, path: PathBuf) -> Result<PathBuf, String> {
    let plain = path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
    if plain { Ok(path) } else { Err(format!("offsite {name}: `path` must be absolute, without `..`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Offsite, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn each_kind_of_place_is_read() {
        let app: AppName = "shop".parse().unwrap();
        for (text, place) in [
            ("name = 'd'\npath = '/mnt/d'", "/mnt/d/shop"),
            ("name = 'd'\nsftp = 'me@nas:2022/srv/w'", "sftp://me@nas:2022/srv/w/shop"),
            ("name = 'd'\nsftp = 'me@nas/~/w'", "sftp://me@nas/~/w/shop"),
            ("name = 'd'\nsftp = 'nas'", "sftp://nas/~/shop"),
            (
                "name = 'd'\ns3 = { endpoint = 'https://s3.example', bucket = 'b', prefix = 'p' }",
                "https://s3.example/b/p/shop",
            ),
        ] {
            assert_eq!(read(text).unwrap().place_of(&app).unwrap().to_string(), place);
        }
        let others = read("name = 'd'\npath = '/mnt/d'\napps = ['blog']").unwrap();
        assert_eq!(others.place_of(&app), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("name = 'a b'\npath = '/x'", "`a b`"),
            ("name = 'd'", "one of"),
            ("name = 'd'\npath = '/x'\nsftp = 'h'", "one of"),
            ("name = 'd'\npath = 'x'", "absolute"),
            ("name = 'd'\npath = '/x'\nidentity = '/k'", "go with `sftp`"),
            ("name = 'd'\npath = '/x'\nkeeep = 1", "keeep"),
            ("name = 'd'\npath = '/x'\nkeep = {}", "nothing"),
            ("name = 'd'\npath = '/x'\nkeep = { dayly = 7 }", "dayly"),
            ("name = 'd'\npath = '/x'\nschedule = '0 3 * *'", "five fields"),
            (
                "name = 'd'\npath = '/x'\nschedule = '0 3 * * *'\ntimezone = 'Mars'",
                "\"Mars\" is not a time zone",
            ),
            ("name = 'd'\npath = '/x'\ntimezone = 'UTC'", "goes with `schedule`"),
            ("name = 'd'\ns3 = { endpoint = 'ftp://x', bucket = 'b' }", "https://"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
