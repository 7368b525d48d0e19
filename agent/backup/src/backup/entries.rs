//! What goes into a snapshot, in the order of its tree.

use super::checks::Checks;
use crate::hold::Holds;
use crate::ledger::Ledger;
use crate::lock::{lock_path, reading_path};
use crate::manifest::{BackupManifest, MANIFEST_PATH, RECOVERY_PATH};
use crate::source::{Entry, Opener, sort};
use crate::sqlite::Copies;
use crate::volumes::{Tally, path_of};
use crate::walk::{Data, Tree, walk};
use crate::{BackupError, BackupRequest, DumpReport, VolumeReport, VolumeRequest, sqlite, volumes};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A volume that is backed up.
#[derive(Clone)]
pub(super) struct Volume {
    request: VolumeRequest,
    tally: Arc<Tally>,
    copies: Arc<Copies>,
}

impl Volume {
    pub(super) fn new(request: &VolumeRequest, copies: &Arc<Copies>) -> Self {
        let copies = if request.live { Arc::clone(copies) } else { Arc::default() };
        Self { request: request.clone(), tally: Arc::default(), copies }
    }

    /// What went in; complete when it was walked.
    pub(super) fn report(&self) -> VolumeReport {
        self.tally.report(&self.request)
    }
}

/// Everything, in the order of the tree: cold copies, dumps, the project, recovery, volumes, the manifest. Containers are held
/// when the first volume that asks for it is reached and every dump was checked.
pub(super) fn entries(
    request: &BackupRequest,
    reports: &[DumpReport],
    (mut dumps, checks): (Vec<Entry>, &Arc<Checks>),
    volumes: &[Volume],
    holds: &Arc<Holds>,
    ledger: &Arc<Ledger>,
) -> Result<impl Iterator<Item = Entry> + Send + 'static, BackupError> {
    let mut cold = Vec::new();
    for copy in &request.cold {
        cold.push(tree(request, &copy.path, Path::new("/cold").join(&copy.label), &[])?);
    }
    cold.sort_by(|a, b| a.at.components().cmp(b.at.components()));
    let project = match &request.project {
        Some(project) => Some(tree(request, &project.root, "/project".into(), &project.exclude)?),
        None => None,
    };
    let recovery = recovery(request)?;
    let volume_trees = volume_trees(request, volumes)?;
    let manifest = manifest(reports.to_vec(), volumes.to_vec(), request, Arc::clone(ledger));
    sort(&mut dumps);
    let walks = {
        let ledger = Arc::clone(ledger);
        move |tree| walk(tree, Arc::clone(&ledger))
    };
    let volumes = held(volume_trees, Arc::clone(holds), Arc::clone(checks), Arc::clone(ledger));
    Ok(cold
        .into_iter()
        .flat_map(walks.clone())
        .chain(dumps)
        .chain(project.into_iter().flat_map(walks))
        .chain(recovery)
        .chain(volumes)
        .chain(manifest))
}

fn tree(request: &BackupRequest, root: &Path, at: PathBuf, exclude: &[PathBuf]) -> Result<Tree, BackupError> {
    Ok(Tree { root: canonical(root)?, at, exclude: excluded(request, exclude), data: None })
}

/// What another machine needs to bring the app back.
fn recovery(request: &BackupRequest) -> Result<Vec<Entry>, BackupError> {
    let Some(path) = &request.recovery else { return Ok(Vec::new()) };
    let json = std::fs::read(path).map_err(|e| BackupError::unreadable(path, &e))?;
    let entry = Entry::made(RECOVERY_PATH, json.len() as u64, request.time, Opener::Bytes(json.into()))?;
    Ok(vec![entry])
}

/// The volumes' trees, and for each whether containers are to be held first.
fn volume_trees(request: &BackupRequest, volumes: &[Volume]) -> Result<Vec<(Tree, bool)>, BackupError> {
    let mut trees = Vec::new();
    for volume in volumes {
        let data = Data { tally: Arc::clone(&volume.tally), copies: Arc::clone(&volume.copies) };
        let tree = tree(request, &volume.request.path, path_of(&volume.request.label), &[])?;
        trees.push((Tree { data: Some(data), ..tree }, !volume.request.live));
    }
    trees.sort_by(|a, b| a.0.at.cmp(&b.0.at));
    Ok(trees)
}

fn held(
    trees: Vec<(Tree, bool)>,
    holds: Arc<Holds>,
    checks: Arc<Checks>,
    ledger: Arc<Ledger>,
) -> impl Iterator<Item = Entry> + Send + 'static {
    // rustic asks for one entry more than it works on: this one comes between a dump and who waits for its check.
    let above = trees.iter().any(|(_, hold)| *hold).then(|| Entry::folder(volumes::FOLDER));
    let volumes = trees.into_iter().flat_map(move |(tree, hold)| {
        // Entries are asked for while those before them are still read, and nobody is held for as long as a check takes.
        let taken = if hold { checks.all().and_then(|()| holds.take()) } else { Ok(()) };
        let tree = match taken {
            Ok(()) => Some(tree),
            Err(fault) => {
                ledger.fail(fault);
                None
            }
        };
        let ledger = Arc::clone(&ledger);
        tree.into_iter().flat_map(move |tree| walk(tree, Arc::clone(&ledger)))
    });
    above.into_iter().chain(volumes)
}

/// The manifest, made when everything before it has been walked.
fn manifest(
    dumps: Vec<DumpReport>,
    volumes: Vec<Volume>,
    request: &BackupRequest,
    ledger: Arc<Ledger>,
) -> impl Iterator<Item = Entry> + Send + 'static {
    let time = request.time;
    let cold = request.cold.iter().map(|copy| copy.label.clone()).collect();
    std::iter::once_with(move || {
        let manifest = BackupManifest::new(dumps, volumes.iter().map(Volume::report).collect(), cold);
        let made = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| BackupError::Invalid { what: error.to_string() })
            .and_then(|json| Entry::made(MANIFEST_PATH, json.len() as u64, time, Opener::Bytes(json.into())));
        made.map_err(|fault| ledger.fail(fault)).ok()
    })
    .flatten()
}

/// A folder's real place: one that is named by a link is what the link leads to.
pub(super) fn canonical(root: &Path) -> Result<PathBuf, BackupError> {
    std::fs::canonicalize(root).map_err(|e| BackupError::unreadable(root, &e))
}

/// What is not to be walked: mounted data, and the repository itself, should it lie in the project.
fn excluded(request: &BackupRequest, exclude: &[PathBuf]) -> BTreeSet<PathBuf> {
    let own = [
        request.repo.clone(),
        lock_path(&request.repo),
        reading_path(&request.repo),
        sqlite::folder_of(&request.repo),
    ];
    exclude
        .iter()
        .chain(&own)
        .flat_map(|path| [Some(path.clone()), std::fs::canonicalize(path).ok()])
        .flatten()
        .collect()
}
