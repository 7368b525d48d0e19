//! Everything that a plan is made from, looked at in one go: Compose's model, Docker, the disk, what is remembered.

use super::compose::{self, Stack as Compose};
use super::queue::Seat;
use super::{Source, Work, disk, stage};
use crate::agent::Agent;
use crate::failures;
use crate::layout::Beside;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use wharf_plan::data::PostgresData;
use wharf_plan::facts::{ContainerFacts, ImageFacts, MountSource, VolumeFacts};
use wharf_plan::model::Backing;
use wharf_plan::overlay::DiskEntry;
use wharf_plan::stack::{OtherApp, Stack, StackFacts, find_stack};
use wharf_plan::{InputKey, Model};
use wharf_proto::{Failure, FailureKind, Manifest, RelPath};
use wharf_state::{AppRecord, ReleaseRecord};

/// `PG_VERSION` is one short line.
const PG_VERSION_BYTES: u64 = 64;

/// What was seen.
pub struct Survey {
    /// The next model, resolved in the stage, with the paths that it will have.
    pub model: Model,
    /// The model that is in place now, where there is one that Compose can read.
    pub model_before: Option<Model>,
    pub stack: Stack,
    pub known: Option<AppRecord>,
    pub live: Option<ReleaseRecord>,
    /// By reference and by ID.
    pub images: BTreeMap<String, ImageFacts>,
    pub volumes: Vec<VolumeFacts>,
    /// Volumes known as the app's own.
    pub owned: BTreeSet<String>,
    pub postgres: BTreeMap<String, Vec<PostgresData>>,
    pub disk: BTreeMap<RelPath, DiskEntry>,
    /// The env file's variables. Secrets.
    pub env: BTreeMap<String, String>,
    /// Whether the containers run with the env file as it is now.
    pub env_is_running: bool,
    pub key: InputKey,
}

/// Looks at everything. Writes the stage, and nothing else.
///
/// # Errors
/// A model that Compose cannot read, a stack that cannot be told, an engine that does not answer.
pub async fn survey(agent: &Agent, work: &Work, beside: &Beside, seat: &Seat) -> Result<Survey, Failure> {
    let spec = &work.spec;
    stage::make(&agent.blobs, &work.manifest, work.env.as_ref(), beside).await?;
    let env = compose::env_values(agent, spec, beside, seat).await?;
    let known = agent.state.app(&spec.app).await.map_err(|e| failures::of_state(&e))?;
    let live = crate::answers::live(agent, &spec.app).await?;
    let first_guess = compose::staged(agent, spec, beside, None, seat).model().await?;
    // Where the name comes from the folder of the first file, and that is the root, it is the stage's instead of the app's.
    let default_project = if first_guess.name() == compose::default_name(&beside.stage()) {
        compose::default_name(&beside.app_dir)
    } else {
        first_guess.name().to_owned()
    };
    let stack = find(agent, work, known.as_ref(), &default_project).await?;
    let model = if first_guess.name() == stack.project {
        first_guess
    } else {
        compose::staged(agent, spec, beside, Some(stack.project.clone()), seat).model().await?
    };
    let (model_before, env_is_running) = before(agent, work, live.as_ref(), &stack, seat).await;
    let images = images(agent, &model, &stack.containers).await?;
    let volumes = agent.engine.volumes().await.map_err(|e| failures::of_engine(&e))?;
    let mut owned = agent.state.volumes(&spec.app).await.map_err(|e| failures::of_state(&e))?;
    // What the stack's own containers mount is the stack's.
    owned.extend(stack.containers.iter().flat_map(|c| &c.mounts).filter_map(|mount| match &mount.source {
        MountSource::Volume(name) => Some(name.clone()),
        MountSource::AnonymousVolume(_) | MountSource::Bind(_) | MountSource::Tmpfs => None,
    }));
    let postgres = postgres_data(agent, &model, &stack.containers).await;
    let disk = look_at_disk(spec.path.clone().into(), shipped(live.as_ref()).cloned(), work.manifest.clone())
        .await?;
    let key = InputKey::new(agent.state.secret_key());
    Ok(Survey {
        model,
        model_before,
        stack,
        known,
        live,
        images,
        volumes,
        owned,
        postgres,
        disk,
        env,
        env_is_running,
        key,
    })
}

/// What Wharf itself wrote: nothing, where what is live was adopted.
pub fn shipped(live: Option<&ReleaseRecord>) -> Option<&Manifest> {
    live.filter(|live| !live.adopted).map(|live| &live.manifest)
}

async fn find(
    agent: &Agent,
    work: &Work,
    known: Option<&AppRecord>,
    default_project: &str,
) -> Result<Stack, Failure> {
    let spec = &work.spec;
    let containers = agent.engine.compose_containers().await.map_err(|e| failures::of_engine(&e))?;
    let apps = agent.state.apps().await.map_err(|e| failures::of_state(&e))?;
    let others: Vec<OtherApp> = apps
        .into_iter()
        .filter(|record| record.app != spec.app)
        .map(|record| OtherApp { name: record.app.to_string(), project: record.project, path: record.path })
        .collect();
    let files: Vec<String> = spec
        .compose
        .files
        .iter()
        .map(|file| file.below(Path::new(&spec.path)).to_string_lossy().into_owned())
        .collect();
    find_stack(&StackFacts {
        app_path: &spec.path,
        files: &files,
        containers: &containers,
        default_project,
        configured: spec.compose.project.as_deref(),
        known: known.map(|record| record.project.as_str()),
        others: &others,
    })
    .map_err(|refusal| refusal.to_failure())
}

/// The model in place, and whether the containers were made from it with the env file as it is now.
async fn before(
    agent: &Agent,
    work: &Work,
    live: Option<&ReleaseRecord>,
    stack: &Stack,
    seat: &Seat,
) -> (Option<Model>, bool) {
    let spec = live.map_or(&work.spec, |live| &live.spec);
    let files_there = spec.compose.files.iter().all(|file| file.below(Path::new(&spec.path)).is_file());
    if !files_there || stack.containers.is_empty() {
        return (None, false);
    }
    let in_place: Compose = compose::of(agent, spec, &stack.project, seat);
    let Ok(model) = in_place.model().await else { return (None, false) };
    let hashes = in_place.config_hashes().await.unwrap_or_default();
    let is_running = stack
        .containers
        .iter()
        .filter(|c| !c.one_off)
        .all(|c| hashes.get(&c.service).is_some_and(|hash| *hash == c.config_hash));
    (Some(model), is_running)
}

async fn images(
    agent: &Agent,
    model: &Model,
    containers: &[ContainerFacts],
) -> Result<BTreeMap<String, ImageFacts>, Failure> {
    let wanted: BTreeSet<String> = model
        .services()
        .map(|service| model.image_reference(service))
        .chain(containers.iter().map(|c| c.image_id.clone()))
        .collect();
    let mut found = BTreeMap::new();
    for reference in wanted {
        if let Some(image) = agent.engine.image(&reference).await.map_err(|e| failures::of_engine(&e))? {
            found.insert(reference, image);
        }
    }
    Ok(found)
}

/// The PostgreSQL data behind the volumes and folders that the stack uses or will use, as far as it can be read.
async fn postgres_data(
    agent: &Agent,
    model: &Model,
    containers: &[ContainerFacts],
) -> BTreeMap<String, Vec<PostgresData>> {
    let mut places: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut sources: Vec<MountSource> = Vec::new();
    for mount in containers.iter().flat_map(|c| &c.mounts) {
        sources.push(mount.source.clone());
    }
    sources.extend(model.services().flat_map(|service| model.mounts(service)).filter_map(planned_source));
    for source in sources {
        match source {
            MountSource::Volume(name) | MountSource::AnonymousVolume(name) => {
                if let Ok(Some(at)) = agent.engine.volume_mountpoint(&name).await {
                    places.insert(name, at);
                }
            }
            MountSource::Bind(path) => {
                places.insert(path.clone(), path.into());
            }
            MountSource::Tmpfs => {}
        }
    }
    let read = tokio::task::spawn_blocking(move || {
        places
            .into_iter()
            .map(|(name, at)| (name, postgres_below(&at)))
            .filter(|(_, found)| !found.is_empty())
            .collect()
    });
    read.await.unwrap_or_default()
}

fn planned_source(mount: wharf_plan::model::Mount) -> Option<MountSource> {
    match mount.backing {
        Backing::Volume { name, .. } => Some(MountSource::Volume(name)),
        Backing::Bind(path) => Some(MountSource::Bind(path)),
        Backing::Anonymous | Backing::Tmpfs | Backing::Other(_) => None,
    }
}

/// Data directories at the root of a volume, one folder below (`data`), and as images from 18 on have them (`18/docker`).
fn postgres_below(root: &Path) -> Vec<PostgresData> {
    let mut found = Vec::new();
    let mut look = |folder: &str| {
        if let Some(major) = pg_version(&root.join(folder)) {
            found.push(PostgresData { folder: folder.to_owned(), major });
        }
    };
    look("");
    for folder in ["data", "pgdata"] {
        look(folder);
    }
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        if name.bytes().all(|b| b.is_ascii_digit()) {
            look(&format!("{name}/docker"));
        }
    }
    found
}

fn pg_version(folder: &Path) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(folder.join("PG_VERSION"))
        .ok()?
        .take(PG_VERSION_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

async fn look_at_disk(
    app_dir: PathBuf,
    live: Option<Manifest>,
    next: Manifest,
) -> Result<BTreeMap<RelPath, DiskEntry>, Failure> {
    failures::blocking(move || {
        let manifests: Vec<&Manifest> = live.iter().chain([&next]).collect();
        disk::survey(&app_dir, &manifests).map_err(|e| {
            Failure::from_error(FailureKind::Environment, &e)
                .cause(format!("while reading {}", app_dir.display()))
                .hint("let the agent's user read every file of the app directory")
        })
    })
    .await
}

/// Whether the work is a rollback to what was adopted.
pub fn is_adopted(work: &Work) -> bool {
    matches!(work.source, Source::Earlier { adopted: true, .. } | Source::Recovered { adopted: true, .. })
}
