//! A backup's volumes and folders of data in the place of the live ones.
//!
//! A safety backup first; then each is written beside the live one and compared, byte by byte, while the app goes on
//! serving; only then whatever of the app mounts it is stopped, and the two change places. What was live is kept.
//!
//! **Invariant**: until the exchange nothing that is live is touched, and the exchange of one folder is one act of the file
//! system ([`super::exchange`]). What is found half-way after a crash is brought to one side ([`super::over::settle`]).

use super::exchange::{ExchangeError, inode, trial, try_out};
use super::known;
use super::over::summary;
use super::place::{self, Place};
use super::swap;
use super::task::{containers, note_undo, sources};
use super::undo::{Exchange, Swaps, Undo, Writer};
use crate::failures::{self, blocking};
use crate::jobs::backup::{self, child};
use crate::jobs::run::Job;
use crate::jobs::volumes::Volume;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use wharf_backup::{CompareRequest, RestoreRequest, VolumeReport};
use wharf_plan::facts::{ContainerFacts, ContainerState, MountSource};
use wharf_proto::{BackupId, Failure, FailureKind, Step};
use wharf_state::{AppRecord, PhaseEvent};

/// What is to stay free on a disk.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;

/// Restores volumes of the backup over the live ones; a summary.
///
/// # Errors
/// What failed. [`super::over::settle`] brings things to one side then.
pub async fn restore(
    job: &Job,
    app: &AppRecord,
    backup: &BackupId,
    wanted: &[String],
) -> Result<String, Failure> {
    let found = sources(job, app, "before-restore", Some("before a restore".into()), &[]).await?;
    let known = known::all(&job.agent, app).await?;
    let targets = choose(known::find(&known, backup)?, wanted, found.volumes())?;
    let places = places(job, app, &targets).await?;
    apart(&places)?;
    has_room(targets.iter().map(|target| target.report.size_bytes).sum(), &places)?;
    holders(job, app, &places).await?;
    let safety = async { backup::make(job, found.borrowed()).await.map(drop) };
    job.record.step(Step::Backup, safety).await?;
    job.record.step(Step::Restore, write_all(job, backup, &targets, &places)).await?;
    job.record.step(Step::Check, compare_all(job, backup, &targets, &places)).await?;
    let swaps = plan(job, app, &targets, &places).await?;
    note_undo(job, Undo::Swap(swaps.clone())).await?;
    job.agent.state.set_phase(job.id, PhaseEvent::Change).await.map_err(|e| failures::of_state(&e))?;
    job.record.step(Step::Swap, swap::swap(job, &swaps)).await?;
    Ok(summary(backup, &swaps))
}

/// A volume that is to be replaced.
struct Target<'a> {
    report: &'a VolumeReport,
    live: &'a Volume,
    path: &'a Path,
}

/// What of the backup takes the place of what, by what the live release's `wharf.toml` names.
fn choose<'a>(
    backup: &'a known::Known,
    wanted: &[String],
    live: &'a [Volume],
) -> Result<Vec<Target<'a>>, Failure> {
    let mut targets: Vec<Target<'a>> = Vec::new();
    for name in wanted {
        let report = backup.volume(name)?;
        if targets.iter().any(|target| target.report.label == report.label) {
            continue;
        }
        let found = same(report, live).ok_or_else(|| {
            let label = &report.label;
            let text = format!("nothing that is live is the {label} of the backup");
            Failure::new(FailureKind::Config, text)
                .cause("the wharf.toml of the live release names no such [[volume]]")
                .hint(format!("name it under [[volume]] and deploy, or: --volume {label} --as NAME"))
        })?;
        let path = found.path.as_deref().ok_or_else(|| {
            let text = format!("there is no {} yet, so nothing can be restored over it", found.describe());
            Failure::new(FailureKind::Config, text).hint("start the app first, or restore it with --as NAME")
        })?;
        targets.push(Target { report, live: found, path });
    }
    if targets.is_empty() {
        return Err(Failure::new(FailureKind::Config, "no volume is named").hint("name one: --volume VOLUME"));
    }
    Ok(targets)
}

/// The live one: of the same name or path; on another server, of the same label.
fn same<'a>(report: &VolumeReport, live: &'a [Volume]) -> Option<&'a Volume> {
    let alike = |volume: &&Volume| volume.volume.is_some() == report.volume.is_some();
    let named = |volume: &&Volume| match &report.volume {
        Some(name) => volume.volume.as_ref() == Some(name),
        None => volume.path.as_ref() == Some(&report.path),
    };
    let by_label = |volume: &&Volume| volume.label == report.label;
    live.iter().filter(alike).find(named).or_else(|| live.iter().filter(alike).find(by_label))
}

async fn places(job: &Job, app: &AppRecord, targets: &[Target<'_>]) -> Result<Vec<Place>, Failure> {
    let suffix = suffix();
    let mut places = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        let at = Where {
            label: target.report.label.clone(),
            volume: target.live.volume.clone(),
            path: target.path.to_owned(),
        };
        places.push(place_of(job, app, &at, (index, &suffix)).await?);
    }
    Ok(places)
}

/// What is added to the name of what is kept.
pub fn suffix() -> String {
    Timestamp::now().strftime("_before_%Y%m%d_%H%M%S").to_string()
}

/// Data that is to be replaced.
pub struct Where {
    /// As people know it.
    pub label: String,
    /// The volume that it is; `None`: a folder.
    pub volume: Option<String>,
    pub path: PathBuf,
}

/// Where the job's `index`th lies until it is live, and where what is live is kept.
///
/// # Errors
/// The two could not change places in one act.
pub async fn place_of(
    job: &Job,
    app: &AppRecord,
    at: &Where,
    (index, suffix): (usize, &str),
) -> Result<Place, Failure> {
    let app_dir = PathBuf::from(&job.spec.path);
    let mountinfo =
        blocking(|| Ok(std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())).await?;
    let staged = format!(".wharf-restore-job{}-{index}", job.id);
    let names = (staged.as_str(), suffix);
    let place = match &at.volume {
        Some(volume) => {
            let plain =
                job.agent.engine.volume_is_plain(volume).await.map_err(|e| failures::of_engine(&e))?;
            let place = place::of_volume(&at.path, volume, names).filter(|_| plain == Some(true));
            let elsewhere = "its driver or its options keep it elsewhere than in the engine's own store";
            place.ok_or_else(|| refused(&at.label, elsewhere))?
        }
        None => {
            let real = real(&at.label, &at.path, &app_dir)?;
            let mut roots: Vec<PathBuf> = containers(job, app).await?.iter().flat_map(binds).collect();
            roots.extend(app_dir.canonicalize());
            place::of_folder(&real, roots.iter().map(PathBuf::as_path), names)
                .ok_or_else(|| refused(&at.label, "a container has the whole file system mounted"))?
        }
    };
    if let Some(point) = place::mounted(&place, &mountinfo) {
        let why = format!("something is mounted at {}, and cannot change its place", point.display());
        return Err(refused(&at.label, &why));
    }
    if place.kept.symlink_metadata().is_ok() {
        return Err(refused(&at.label, &format!("{} is there already", place.kept.display())));
    }
    Ok(place)
}

/// Where the folder really lies. What lies in the app directory must not lead out of it.
fn real(label: &str, path: &Path, app_dir: &Path) -> Result<PathBuf, Failure> {
    let look = |path: &Path| {
        path.canonicalize().map_err(|error| refused(label, &format!("{}: {error}", path.display())))
    };
    let real = look(path)?;
    if path.starts_with(app_dir) && !real.starts_with(look(app_dir)?) {
        let why = format!("{} leads out of the app directory, to {}", path.display(), real.display());
        return Err(refused(label, &why).hint("name the folder itself: path under [[volume]] in wharf.toml"));
    }
    Ok(real)
}

fn binds(container: &ContainerFacts) -> impl Iterator<Item = PathBuf> {
    container.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind(path) => Some(canonical(Path::new(path))),
        MountSource::Volume(_) | MountSource::AnonymousVolume(_) | MountSource::Tmpfs => None,
    })
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Two that lie within each other cannot both take another's place.
fn apart(places: &[Place]) -> Result<(), Failure> {
    for (number, one) in places.iter().enumerate() {
        for other in places.iter().skip(number + 1) {
            if one.live.starts_with(&other.live)
                || other.live.starts_with(&one.live)
                || one.kept == other.kept
            {
                let text =
                    format!("{} and {} cannot both be restored", one.live.display(), other.live.display());
                return Err(Failure::new(FailureKind::Refused, text)
                    .cause("they lie within each other; nothing was changed")
                    .hint("restore one after the other"));
            }
        }
    }
    Ok(())
}

/// Each disk must hold the live one and the restored one at the same time.
///
/// # Errors
/// One does not.
pub fn has_room<'a>(needed: u64, places: impl IntoIterator<Item = &'a Place>) -> Result<(), Failure> {
    for place in places {
        let beside = place.staged.parent().unwrap_or(&place.staged);
        let Some(space) = crate::room::on(beside) else { continue };
        if space.free_bytes < needed.saturating_add(SPARE_BYTES) {
            let text = format!("there is no room in {} for what is restored", beside.display());
            return Err(Failure::new(FailureKind::Refused, text)
                .cause(format!(
                    "it takes {needed} bytes beside the live one, and {} are free",
                    space.free_bytes
                ))
                .cause("nothing was changed")
                .hint("make room, or restore to a folder on another disk: --volume VOLUME --to DIR"));
        }
    }
    Ok(())
}

/// The app's containers that run and reach what is live. Others that have it mounted would go on with the old one.
///
/// # Errors
/// One that is none of the app's has it mounted, and runs.
pub async fn holders(job: &Job, app: &AppRecord, places: &[Place]) -> Result<Vec<Writer>, Failure> {
    let of_app = containers(job, app).await?;
    let running = job.agent.engine.running_mounts().await.map_err(|e| failures::of_engine(&e))?;
    let mut writers = Vec::new();
    for container in running {
        let sources: Vec<PathBuf> = container.sources.iter().map(|source| canonical(source)).collect();
        let mounts = |above: bool| {
            sources.iter().any(|source| {
                let reaches = |place: &Place| {
                    source.starts_with(&place.live) || (above && place.live.starts_with(source))
                };
                places.iter().any(reaches)
            })
        };
        let own = of_app.iter().find(|own| own.id == container.id);
        match own.filter(|own| matches!(own.state, ContainerState::Running | ContainerState::Restarting)) {
            Some(own) if mounts(true) => writers.push(Writer {
                service: own.service.clone(),
                container: own.id.clone(),
                healthy: own.state == ContainerState::Running && own.health.as_deref() != Some("unhealthy"),
            }),
            Some(_) => {}
            None if mounts(false) => {
                let text = format!("{} has what is to be restored mounted, and runs", container.name);
                return Err(Failure::new(FailureKind::Refused, text)
                    .cause(
                        "it is none of the app's services that could be stopped for it; nothing was changed",
                    )
                    .hint(format!("stop it first: docker stop {}", container.name)));
            }
            None => {}
        }
    }
    Ok(writers)
}

async fn write_all(
    job: &Job,
    backup: &BackupId,
    targets: &[Target<'_>],
    places: &[Place],
) -> Result<(), Failure> {
    for (target, place) in targets.iter().zip(places) {
        let staged = &place.staged;
        note_undo(job, Undo::Folder { path: staged.clone() }).await?;
        note_undo(job, Undo::Folder { path: trial(staged) }).await?;
        let request = RestoreRequest {
            repo: job.agent.layout.repository(job.app()),
            key_file: job.agent.layout.repository_key(job.app()),
            snapshot: backup.clone(),
            path: format!("/volumes/{}", target.report.label),
            to: staged.clone(),
        };
        wharf_backup::run(&child(&job.agent), request, |_| ()).await.map_err(|e| e.failure())?;
        crate::crash::point("restore.inside");
        let staged = staged.clone();
        blocking(move || try_out(&staged).map_err(|e| e.failure())).await?;
    }
    Ok(())
}

async fn compare_all(
    job: &Job,
    backup: &BackupId,
    targets: &[Target<'_>],
    places: &[Place],
) -> Result<(), Failure> {
    for (target, place) in targets.iter().zip(places) {
        let request = CompareRequest {
            repo: job.agent.layout.repository(job.app()),
            key_file: job.agent.layout.repository_key(job.app()),
            snapshot: backup.clone(),
            path: format!("/volumes/{}", target.report.label),
            with: place.staged.clone(),
        };
        wharf_backup::run(&child(&job.agent), request, |_| ()).await.map_err(|e| e.failure())?;
    }
    Ok(())
}

async fn plan(
    job: &Job,
    app: &AppRecord,
    targets: &[Target<'_>],
    places: &[Place],
) -> Result<Swaps, Failure> {
    let mut folders = Vec::new();
    for (target, place) in targets.iter().zip(places) {
        folders.push(Exchange {
            label: target.report.label.clone(),
            old: number(&place.live)?,
            new: number(&place.staged)?,
            live: place.live.clone(),
            staged: place.staged.clone(),
            kept: place.kept.clone(),
            volume: place.volume.clone(),
            redis: None,
        });
    }
    // As it is now: containers may have come and gone since.
    let writers = holders(job, app, places).await?;
    let names: BTreeSet<&str> = writers.iter().map(|writer| writer.service.as_str()).collect();
    if !names.is_empty() {
        let names: Vec<&str> = names.into_iter().collect();
        job.record.note(format!("stopped for the moment of the exchange: {}", names.join(", "))).await;
    }
    Ok(Swaps { project: app.project.clone(), swaps: Vec::new(), folders, writers })
}

/// The inode number of a folder that must be there.
///
/// # Errors
/// It is not.
pub fn number(path: &Path) -> Result<u64, Failure> {
    let stranger = || ExchangeError::Stranger { path: path.to_owned() };
    inode(path).and_then(|found| found.ok_or_else(stranger)).map_err(|e| e.failure())
}

fn refused(label: &str, why: &str) -> Failure {
    Failure::new(FailureKind::Refused, format!("{label} cannot be restored over what is live"))
        .cause(format!("{why}; nothing was changed"))
        .hint(format!(
            "by hand: wharf backup restore ID --volume {label} --to DIR; docs/RECOVERY.md says how it goes on"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_proto::spec::{VolumeMode, VolumeSpec};

    fn live(label: &str, volume: Option<&str>, path: &str) -> Volume {
        Volume {
            spec: VolumeSpec { name: volume.map(Into::into), path: None, mode: VolumeMode::Live },
            label: label.into(),
            volume: volume.map(Into::into),
            path: Some(path.into()),
            writers: [].into(),
        }
    }

    fn report(label: &str, volume: Option<&str>, path: &str) -> VolumeReport {
        VolumeReport {
            label: label.into(),
            volume: volume.map(Into::into),
            path: path.into(),
            mode: VolumeMode::Live,
            files: 0,
            size_bytes: 0,
            sqlite: vec![],
        }
    }

    #[test]
    fn what_is_restored_goes_where_it_came_from() {
        let all = [
            live("uploads", None, "/srv/app/uploads"),
            live("uploads-2", Some("app_uploads"), "/store/app_uploads/_data"),
            live("media", Some("app_media"), "/store/app_media/_data"),
        ];
        for (of_backup, expected) in [
            (report("uploads", None, "/srv/app/uploads"), Some("uploads")),
            // By what it is, also where it was named in another order.
            (report("uploads", Some("app_uploads"), "/store/app_uploads/_data"), Some("uploads-2")),
            // On another server it has another path and another name.
            (report("uploads", None, "/home/deploy/app/uploads"), Some("uploads")),
            (report("media", Some("old_media"), "/elsewhere/old_media/_data"), Some("media")),
            // A folder is not restored over a volume.
            (report("media", None, "/srv/app/media"), None),
            (report("films", Some("app_films"), "/store/app_films/_data"), None),
        ] {
            assert_eq!(same(&of_backup, &all).map(|volume| volume.label.as_str()), expected, "{of_backup:?}");
        }
    }

    #[test]
    fn what_lies_within_each_other_is_not_restored_at_once() {
        let place = |live: &str| {
            place::of_folder(Path::new(live), [Path::new("/srv/app")], (".staged", "_before"))
                .expect("a place")
        };
        apart(&[place("/srv/app/a"), place("/srv/app/b")]).unwrap();
        apart(&[place("/srv/app/a"), place("/srv/app/a/b")]).unwrap_err();
        // a/b and a_b would be kept under one name.
        apart(&[place("/srv/app/a/b"), place("/srv/app/a_b")]).unwrap_err();
    }
}
