//! Whether data can take the place of what is live in one act: looked at before anything is done.

use super::exchange::{ExchangeError, inode, itself};
use super::place::{self, Place};
use super::task::containers;
use super::undo::{Exchange, Writer};
use crate::failures::{self, blocking};
use crate::jobs::run::Job;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wharf_plan::facts::{ContainerFacts, ContainerState, MountSource};
use wharf_proto::{Failure, FailureKind};
use wharf_state::AppRecord;

/// What is to stay free on a disk.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;
/// What is mounted where, as the agent sees it.
const MOUNTS: &str = "/proc/self/mountinfo";
const NAME_ITSELF: &str = "name the folder itself: path under [[volume]] in wharf.toml";

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
    let mountinfo = blocking(|| {
        std::fs::read_to_string(MOUNTS).map_err(|e| {
            Failure::from_error(FailureKind::Environment, &e).cause(format!("while reading {MOUNTS}"))
        })
    })
    .await?;
    let staged = format!(".wharf-restore-job{}-{index}", job.id);
    let names = (staged.as_str(), suffix);
    let place = match &at.volume {
        Some(volume) => {
            let plain =
                job.agent.engine.volume_is_plain(volume).await.map_err(|e| failures::of_engine(&e))?;
            let is_plain = plain == Some(true) && canonical(&at.path) == at.path;
            let place = place::of_volume(&at.path, volume, names).filter(|_| is_plain);
            let elsewhere = "its driver or its options keep it elsewhere than in the engine's own store";
            place.ok_or_else(|| refused(&at.label, elsewhere))?
        }
        None => {
            let mounted: Vec<PathBuf> = containers(job, app).await?.iter().flat_map(binds).collect();
            let real = real(&at.label, &at.path, &app_dir, &mounted)?;
            let mut roots: Vec<PathBuf> = mounted.iter().map(|path| canonical(path)).collect();
            roots.extend(app_dir.canonicalize());
            place::of_folder(&real, roots.iter().map(PathBuf::as_path), names)
                .ok_or_else(|| refused(&at.label, "a container has the whole file system mounted"))?
        }
    };
    if let Some(point) = place::mounted(&place, &mountinfo) {
        let why = format!("something is mounted at {}, and cannot change its place", point.display());
        return Err(refused(&at.label, &why));
    }
    if !on_one_disk(&place) {
        let why = format!("{} is a file system or a subvolume of its own", place.live.display());
        return Err(refused(&at.label, &why));
    }
    if place.kept.symlink_metadata().is_ok() {
        return Err(refused(&at.label, &format!("{} is there already", place.kept.display())));
    }
    Ok(place)
}

/// Whether what is restored is written to the file system of what is live. Subvolumes are no mounts, and yet are others.
fn on_one_disk(place: &Place) -> bool {
    let device = |path: &Path| path.metadata().ok().map(|found| found.dev());
    let live = device(&place.live);
    live.is_some() && live == place.staged.parent().and_then(device)
}

/// Where the folder really lies. Whoever has a folder mounted could put a symbolic link to anything of the server's into it,
/// so from the outermost folder down that a container has mounted, or from the app directory, none is followed.
fn real(label: &str, path: &Path, app_dir: &Path, mounted: &[PathBuf]) -> Result<PathBuf, Failure> {
    let look = |path: &Path| {
        path.canonicalize().map_err(|error| refused(label, &format!("{}: {error}", path.display())))
    };
    let real = look(path)?;
    if path.starts_with(app_dir) && !real.starts_with(look(app_dir)?) {
        let why = format!("{} leads out of the app directory, to {}", path.display(), real.display());
        return Err(refused(label, &why).hint(NAME_ITSELF));
    }
    let holding = mounted.iter().map(PathBuf::as_path).chain([app_dir]).filter(|root| path.starts_with(root));
    let root = holding.min_by_key(|root| root.components().count()).unwrap_or(Path::new("/"));
    let below = path.strip_prefix(root).unwrap_or(path);
    // Joined to nothing, a path would end with a slash; as paths the two are the same.
    if real != look(root)?.join(below) {
        let why = format!("a symbolic link on the way to {} leads to {}", path.display(), real.display());
        return Err(refused(label, &why).hint(NAME_ITSELF));
    }
    Ok(real)
}

/// What the containers have mounted of the server's own folders, as it was named.
fn binds(container: &ContainerFacts) -> impl Iterator<Item = PathBuf> {
    container.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind(path) => Some(PathBuf::from(path)),
        MountSource::Volume(_) | MountSource::AnonymousVolume(_) | MountSource::Tmpfs => None,
    })
}

/// The path without symbolic links, as far as it is there.
pub fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// As [`has_room`], of several at once: what lies on one disk needs room there together.
///
/// # Errors
/// A disk has too little.
pub fn have_room(all: &[(u64, &Place)]) -> Result<(), Failure> {
    let mut disks: BTreeMap<Option<u64>, (u64, &Place)> = BTreeMap::new();
    for &(needed, place) in all {
        let device = place.staged.parent().and_then(|beside| Some(beside.metadata().ok()?.dev()));
        let (sum, _) = disks.entry(device).or_insert((0, place));
        *sum = sum.saturating_add(needed);
    }
    disks.into_values().try_for_each(|(needed, place)| has_room(needed, [place]))
}

/// Each disk must hold the live one and the restored one at the same time.
///
/// # Errors
/// One does not.
pub fn has_room<'a>(needed: u64, places: impl IntoIterator<Item = &'a Place>) -> Result<(), Failure> {
    for place in places {
        let beside = place.staged.parent().unwrap_or(&place.staged);
        let Some(space) = crate::room::on(beside) else { continue };
        if !fits(needed, space.free_bytes) {
            let text = format!("there is no room in {} for what is restored", beside.display());
            return Err(Failure::new(FailureKind::Refused, text)
                .cause(format!(
                    "it takes {needed} bytes beside the live one, and {} are free",
                    space.free_bytes
                ))
                .cause("nothing was changed")
                .hint("make room there, or restore to a folder on another disk: wharf backup restore ID --to DIR"));
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
    let lives: Vec<PathBuf> = places.iter().map(|place| canonical(&place.live)).collect();
    let mut writers = Vec::new();
    for container in running {
        let sources: Vec<PathBuf> = container.sources.iter().map(|source| canonical(source)).collect();
        let mounts = |above: bool| {
            sources.iter().any(|source| {
                let reaches =
                    |live: &PathBuf| source.starts_with(live) || (above && live.starts_with(source));
                lives.iter().any(reaches)
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

fn fits(needed: u64, free: u64) -> bool {
    needed.checked_add(SPARE_BYTES).is_some_and(|needed| needed <= free)
}

/// Asked once more when everybody was stopped: somebody may have started a container since.
///
/// # Errors
/// One runs that would go on with what was live.
pub async fn nobody_holds(job: &Job, folders: &[Exchange]) -> Result<(), Failure> {
    if folders.is_empty() {
        return Ok(());
    }
    let running = job.agent.engine.running_mounts().await.map_err(|e| failures::of_engine(&e))?;
    let lives: Vec<PathBuf> = folders.iter().map(|folder| canonical(&folder.live)).collect();
    let holds = |source: &PathBuf| {
        let source = canonical(source);
        lives.iter().any(|live| source.starts_with(live))
    };
    for container in running.into_iter().filter(|container| container.sources.iter().any(holds)) {
        // The engine's list can still have what has just been stopped; asked for the one, it knows.
        let found = job.agent.engine.container(&container.id).await.map_err(|e| failures::of_engine(&e))?;
        let runs = |state| {
            matches!(state, ContainerState::Running | ContainerState::Paused | ContainerState::Restarting)
        };
        if found.is_some_and(|found| runs(found.state)) {
            let text = format!("{} was started meanwhile, and has what is live mounted", container.name);
            return Err(Failure::new(FailureKind::Environment, text)
                .hint(format!("stop it, then try again: docker stop {}", container.name)));
        }
    }
    Ok(())
}

/// The inode number of a folder that must be there, and be there by no symbolic link.
///
/// # Errors
/// It is not.
pub fn number(path: &Path) -> Result<u64, Failure> {
    let stranger = || ExchangeError::Stranger { path: path.to_owned() };
    itself(path)
        .and_then(|()| inode(path))
        .and_then(|found| found.ok_or_else(stranger))
        .map_err(|e| e.failure())
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

    #[test]
    fn a_disk_must_hold_both_and_a_little_more() {
        for (needed, free, expected) in [
            (0, SPARE_BYTES, true),
            (1, SPARE_BYTES, false),
            (1000, SPARE_BYTES + 1000, true),
            (u64::MAX, u64::MAX, false),
        ] {
            assert_eq!(fits(needed, free), expected, "{needed} of {free}");
        }
    }

    #[test]
    fn a_folder_of_the_app_must_not_lead_out_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().join("app");
        std::fs::create_dir_all(app.join("uploads")).unwrap();
        std::os::unix::fs::symlink(&app, folder.path().join("other name")).unwrap();
        let by_link = folder.path().join("other name");
        assert_eq!(
            real("uploads", &by_link.join("uploads"), &by_link, &[]).unwrap(),
            app.canonicalize().unwrap().join("uploads")
        );
        std::os::unix::fs::symlink("/etc", app.join("away")).unwrap();
        let refused = real("away", &app.join("away"), &app, &[]).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Refused);
        assert!(refused.causes[0].contains("leads out of the app directory, to /etc"), "{refused:?}");
    }

    #[test]
    fn no_link_that_a_container_may_have_made_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [app, data] = ["app", "data"].map(|name| folder.path().join(name));
        std::fs::create_dir_all(app.join("uploads")).unwrap();
        std::fs::create_dir_all(data.join("photos")).unwrap();
        std::os::unix::fs::symlink("uploads", app.join("within")).unwrap();
        std::os::unix::fs::symlink("/etc", data.join("films")).unwrap();
        for (path, mounted, is_found) in [
            (app.join("uploads"), vec![], true),
            (app.join("within"), vec![], false),
            (data.join("photos"), vec![data.join("photos")], true),
            (data.join("photos"), vec![data.join("photos"), data.clone()], true),
            (data.join("films"), vec![data.clone()], false),
            // One container has the folder mounted, another one what it lies in.
            (data.join("films"), vec![data.join("films"), data.clone()], false),
            (data.join("films"), vec![], false),
        ] {
            let found = real("data", &path, &app, &mounted);
            assert_eq!(found.is_ok(), is_found, "{} of {mounted:?}: {found:?}", path.display());
        }
    }
}
