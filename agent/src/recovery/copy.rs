//! The copy that an app comes back from: where it is, what it has, and bringing it here.

use crate::agent::Agent;
use crate::failures;
use crate::jobs::backup::child;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use wharf_backup::{
    AppsRequest, BackupError, BackupInfo, BackupReport, CopyRequest, ListRequest, Location, LookRequest,
    Place, ReadBack,
};
use wharf_proto::backup::Proof;
use wharf_proto::{AppName, BackupId, Failure, FailureKind, ReleaseId};
use wharf_state::BackupRecord;

/// How many backups are listed to choose from.
const LISTED: usize = 20;

/// A copy of one app's backups.
pub struct Copy {
    app: AppName,
    place: Place,
    key_file: PathBuf,
}

/// What `--from` names: an `[[offsite]]` of the server's configuration, or a folder.
///
/// # Errors
/// Neither.
pub fn place(agent: &Agent, from: &str) -> Result<Place, Failure> {
    if let Some(offsite) = agent.config.offsite.iter().find(|offsite| offsite.name == from) {
        return Ok(offsite.place().clone());
    }
    if from.starts_with('/') {
        return Ok(Place::Folder(from.into()));
    }
    let names: Vec<&str> = agent.config.offsite.iter().map(|offsite| offsite.name.as_str()).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(Failure::new(FailureKind::Config, format!("there is no place {from}"))
        .cause(format!("[[offsite]] in wharfd.toml names: {known}"))
        .hint("write the place into /etc/wharf/wharfd.toml as the old server had it, or name a folder: --from /mnt/disk"))
}

impl Copy {
    /// The copy of `app`, or of the only app that the place has.
    ///
    /// # Errors
    /// A place that does not answer, that has nothing, or several apps.
    pub async fn find(
        agent: &Agent,
        place: &Place,
        app: Option<AppName>,
        key_file: PathBuf,
    ) -> Result<Self, Failure> {
        let found = wharf_backup::run(&child(agent), AppsRequest { place: place.clone() }, |_| ()).await;
        let apps = found.map_err(|e| e.failure())?.apps;
        let listed = if apps.is_empty() { "none".to_owned() } else { apps.join(", ") };
        let none = |text: String| {
            Failure::new(FailureKind::NotFound, text).cause(format!("apps with backups there: {listed}"))
        };
        let app = match (app, apps.as_slice()) {
            (Some(app), apps) if apps.iter().any(|name| name == app.as_str()) => app,
            (Some(app), _) => return Err(none(format!("{place} has no backups of {app}"))),
            (None, [only]) => only.parse().map_err(|e| Failure::from_error(FailureKind::NotFound, &e))?,
            (None, []) => return Err(none(format!("{place} has no backups"))),
            (None, _) => {
                return Err(Failure::new(FailureKind::Config, format!("{place} has several apps: {listed}"))
                    .hint("name one: --app NAME"));
            }
        };
        Ok(Self { place: place.below(app.as_str()), app, key_file })
    }

    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// Every backup that the copy has, newest first.
    ///
    /// # Errors
    /// A wrong key; a place that does not answer.
    pub async fn backups(&self, agent: &Agent) -> Result<Vec<BackupInfo>, Failure> {
        let look = LookRequest { from: self.location(agent) };
        let found = wharf_backup::run(&child(agent), look, |_| ()).await;
        let mut found = found.map_err(|e| self.cannot_look(&e))?.backups;
        found.reverse();
        Ok(found)
    }

    /// Copies one backup (or all) into the app's own repository, which is made where it is missing; its identity there.
    ///
    /// # Errors
    /// It cannot be copied, or what came is not what was there.
    pub async fn bring(&self, agent: &Agent, only: Option<&BackupId>) -> Result<Option<BackupId>, Failure> {
        let request = CopyRequest {
            from: self.location(agent),
            to: Location {
                place: Place::Folder(agent.layout.repository(&self.app)),
                key_file: agent.layout.repository_key(&self.app),
                password_file: self.key_file.clone(),
                own: true,
            },
            only: only.into_iter().cloned().collect(),
            newest: None,
            read_back: ReadBack::All,
        };
        let copied = wharf_backup::run(&child(agent), request, |_| ()).await.map_err(|e| e.failure())?;
        Ok(copied.copied.into_iter().chain(copied.present).map(|backup| backup.copy).next())
    }

    fn cannot_look(&self, error: &BackupError) -> Failure {
        let file = self.key_file.display();
        let place = match error {
            BackupError::ElsewhereForeign { place } => place,
            BackupError::KeyMissing { key_file, cause } if *key_file == self.key_file => {
                return Failure::new(
                    FailureKind::Config,
                    format!("the recovery key cannot be read from {file}"),
                )
                .cause(cause.clone())
                .hint("name a file that holds it, alone on one line, with mode 600: --key-file FILE");
            }
            BackupError::KeyExposed { .. } => {
                return Failure { kind: FailureKind::Config, ..error.failure() };
            }
            other => return other.failure(),
        };
        let text = format!("the key in {file} does not open the backups of {} at {place}", self.app);
        Failure::new(FailureKind::Backup, text)
            .hint(format!(
                "put the recovery key of {} there, which `wharf backup key` showed: it alone, on one line",
                self.app
            ))
            .hint("each app has its own: see that the key and --app go together")
    }

    fn location(&self, agent: &Agent) -> Location {
        Location {
            place: self.place.clone(),
            // None such is ever made: the recovery key alone opens it.
            key_file: agent.layout.offsite(&self.app).join("recovery"),
            password_file: self.key_file.clone(),
            own: false,
        }
    }
}

/// The backup to come back to: the one that is named, or the newest.
///
/// # Errors
/// There is none such, or it does not say what is needed.
pub fn choose<'a>(backups: &'a [BackupInfo], wanted: Option<&BackupId>) -> Result<&'a BackupInfo, Failure> {
    let Some(wanted) = wanted else {
        return backups.iter().find(|backup| usable(backup)).ok_or_else(|| {
            by_hand(Failure::new(FailureKind::NotFound, "no backup there says how to bring the app back"))
        });
    };
    let digits = wanted.0.to_ascii_lowercase();
    let mut found = backups.iter().filter(|backup| digits.len() >= 4 && backup.id.0.starts_with(&digits));
    match (found.next(), found.next()) {
        (Some(backup), None) if usable(backup) => Ok(backup),
        (Some(backup), None) => {
            let text = format!(
                "backup {} does not hold all that is needed to bring the app back",
                backup.id.short()
            );
            Err(by_hand(Failure::new(FailureKind::Refused, text)))
        }
        _ => Err(Failure::new(FailureKind::NotFound, format!("no backup there is {wanted}, or several are"))
            .hint("see what there is: wharfd recover --list")),
    }
}

/// Made while a release was live, and with its databases dumped.
fn usable(backup: &BackupInfo) -> bool {
    backup.recoverable && backup.cold.is_empty()
}

fn by_hand(failure: Failure) -> Failure {
    failure
        .cause("it was made by an older wharfd, before the first release, or with --cold-backup")
        .hint("docs/RECOVERY.md says how to bring it back by hand")
}

/// The backups as people read them, a line each.
pub fn lines(backups: &[BackupInfo]) -> Vec<String> {
    let line = |backup: &BackupInfo| {
        let rows: u64 = backup.dumps.iter().flat_map(|dump| &dump.tables).map(|table| table.rows).sum();
        let note = if usable(backup) { "" } else { "; not for wharfd recover" };
        format!(
            "{}  {}  {} files, {} databases ({rows} rows), {} volumes{note}",
            backup.id.short(),
            backup.time,
            backup.files,
            backup.dumps.len(),
            backup.volumes.len()
        )
    };
    backups.iter().take(LISTED).map(line).collect()
}

/// Records the backups that the app's own repository has by now, and that the owner has their key.
///
/// # Errors
/// The repository or the state does not answer.
pub async fn record(
    agent: &Agent,
    app: &AppName,
    chosen: &BackupId,
    release: ReleaseId,
) -> Result<(), Failure> {
    let of_state = |e: wharf_state::StateError| failures::of_state(&e);
    let list = ListRequest {
        repo: agent.layout.repository(app),
        key_file: agent.layout.repository_key(app),
        patient: true,
    };
    let listed = wharf_backup::run(&child(agent), list, |_| ()).await.map_err(|e| e.failure())?.backups;
    let known = agent.state.backups(app).await.map_err(of_state)?;
    for backup in listed.into_iter().filter(|backup| !known.iter().any(|known| known.id == backup.id)) {
        let release = (backup.id == *chosen).then_some(release);
        agent.state.record_backup(app, recorded(backup, release)?).await.map_err(of_state)?;
    }
    agent.state.set_key_saved(app, Some(Timestamp::now())).await.map_err(of_state)
}

fn recorded(backup: BackupInfo, release: Option<ReleaseId>) -> Result<BackupRecord, Failure> {
    let (id, at) = (backup.id.clone(), backup.time);
    let report = BackupReport {
        id: backup.id,
        files: backup.files,
        size_bytes: backup.size_bytes,
        added_bytes: 0,
        dumps: backup.dumps,
        cold: backup.cold,
        volumes: backup.volumes,
        duration_ms: 0,
    };
    let report = serde_json::to_value(report).map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    let message = Some(format!("from the copy of {}", backup.host));
    Ok(BackupRecord { id, at, job: None, release, report, message, proof: Proof::Unproven, pinned: false })
}

/// Whether nothing is at `path`, or an empty folder.
pub fn is_free(path: &Path) -> bool {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
        }
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
