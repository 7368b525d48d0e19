//! A backup's volumes and folders of data in the place of the live ones.
//!
//! A safety backup first; then each is written beside the live one and compared, byte by byte, while the app goes on
//! serving; only then whatever of the app mounts it is stopped, and the two change places. What was live is kept.
//!
//! **Invariant**: until the exchange nothing that is live is touched, and the exchange of one folder is one act of the file
//! system ([`super::exchange`]). What is found half-way after a crash is brought to one side ([`super::over::settle`]).

use super::exchange::{trial, try_out};
use super::exchangeable::{Where, has_room, holders, number, place_of, suffix};
use super::known;
use super::over::summary;
use super::place::Place;
use super::swap;
use super::task::{note_undo, sources};
use super::undo::{Exchange, Swaps, Undo};
use crate::failures::{self, blocking};
use crate::jobs::backup::{self, child};
use crate::jobs::run::Job;
use crate::jobs::volumes::Volume;
use std::collections::BTreeSet;
use std::path::Path;
use wharf_backup::{CompareRequest, RestoreRequest, VolumeReport};
use wharf_proto::{BackupId, Failure, FailureKind, Step};
use wharf_state::{AppRecord, PhaseEvent};

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
            mysql: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::place;
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
