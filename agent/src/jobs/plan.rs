//! The plan of a job: decided here, before anything is touched, and refused here where it could lose data.

use super::database::{self, Database};
use super::decide::{Decided, ImageDecision, decide};
use super::ground;
use super::hooks;
use super::log_limits;
use super::queue::Seat;
use super::survey::{self, Survey};
use super::volumes::{self, Volume};
use super::{Source, Work};
use crate::agent::Agent;
use crate::failures;
use crate::layout::Beside;
use crate::migrations;
use crate::outside;
use std::collections::{BTreeMap, BTreeSet};
use wharf_plan::bases::MadeFrom;
use wharf_plan::bump::{self, BumpFacts};
use wharf_plan::data::{DataFacts, DataPlan, data_plan};
use wharf_plan::facts::{ContainerFacts, MountSource};
use wharf_plan::inputs::writable_mounts;
use wharf_plan::model::Service;
use wharf_plan::overlay::{FileOp, Overlay, OverlayFacts, overlay};
use wharf_plan::rights::check_rights;
use wharf_plan::scale::check_scales;
use wharf_plan::services::{self, ServiceDigests, ServiceFacts, service_plans};
use wharf_plan::{InputKey, Model, Refusal, secrets};
use wharf_proto::database::DatabaseKind;
use wharf_proto::plan::{ContainerAction, DeployPlan, VersionChange};
use wharf_proto::{Digest, Failure, FailureKind, RelPath};
use wharf_state::{AppRecord, ReleaseRecord, ServiceInputs};

/// A plan, and what carrying it out needs to know.
pub struct Planned {
    /// As people read it.
    pub plan: DeployPlan,
    pub model: Model,
    pub project: String,
    /// The stack's containers before the job.
    pub before: Vec<ContainerFacts>,
    /// The model that was in place before the job.
    pub model_before: Option<Model>,
    pub databases: Vec<Database>,
    /// The data that `[[volume]]` names.
    pub data: Vec<Volume>,
    pub known: Option<AppRecord>,
    pub live: Option<ReleaseRecord>,
    pub adopts: bool,
    pub ops: Vec<FileOp>,
    pub images: BTreeMap<String, ImageDecision>,
    pub inputs: BTreeMap<String, ServiceInputs>,
    /// The services whose images others are made from.
    pub made_from: MadeFrom,
    pub env: BTreeMap<String, String>,
    pub key: InputKey,
    /// Whether base images are to be refreshed.
    pub pull: bool,
    /// The volumes that the model uses, by their names on the engine.
    pub volumes: Vec<String>,
    /// The versions that will have been started.
    pub highest: BTreeMap<String, String>,
    /// Services whose containers must be made anew though Compose sees no difference: a mounted file changed, or the log
    /// is to have a limit.
    pub forced: BTreeSet<String>,
}

impl Planned {
    /// The image that the service runs now.
    pub fn image_before(&self, service: &Service) -> Option<String> {
        let recorded =
            self.live.as_ref().and_then(|live| live.images.get(&service.name)).map(|image| image.id.clone());
        let running = || self.before.iter().find(|c| c.service == service.name).map(|c| c.image_id.clone());
        recorded.or_else(running)
    }

    /// Whether an image is built that is made from this service's.
    pub fn is_built_on(&self, service: &Service) -> bool {
        self.made_from.iter().any(|(of, bases)| {
            bases.contains(&service.name) && self.images.get(of) == Some(&ImageDecision::Build)
        })
    }

    /// Whether two services are built from the very same inputs.
    pub fn builds_alike(&self, a: &str, b: &str) -> bool {
        match (self.inputs.get(a), self.inputs.get(b)) {
            (Some(a), Some(b)) => a.image == b.image,
            _ => false,
        }
    }
}

/// Plans the work.
///
/// # Errors
/// Every refusal at once; a model or server that cannot be read. Nothing was changed then.
pub async fn prepare(agent: &Agent, work: &Work, beside: &Beside, seat: &Seat) -> Result<Planned, Failure> {
    let survey = Box::pin(survey::survey(agent, work, beside, seat)).await?;
    let mut refusals = Vec::new();
    let mut warnings = Vec::new();

    let may_be_root = agent.config.allows_root(&work.spec.app);
    let objections = match may_be_root {
        true => BTreeMap::new(),
        false => agent.guards.objections(&agent.layout, &survey.model).await?,
    };
    refusals.extend(check_rights(work.spec.app.as_str(), &survey.model, &objections, may_be_root));
    refusals.extend(Box::pin(hooks::refusal(agent, work, &seat.supervisor)).await?);
    let data = data(work, &survey);
    refusals.extend(data.refusals);
    warnings.extend(data.warnings);
    let is_new = |key: &str| work.env.as_ref().is_some_and(|env| env.changed.contains(key));
    let verdict =
        secrets::check(&survey.env, &work.spec.secrets, &|key| survey.env_is_running && !is_new(key));
    refusals.extend(verdict.refusals);
    warnings.extend(verdict.warnings);
    warnings.extend(database_passwords(work, &survey));
    let scales = agent.state.scales(&work.spec.app).await.map_err(|e| failures::of_state(&e))?;
    refusals.extend(check_scales(&survey.model, &scales, &|reference| survey.images.get(reference).cloned()));
    let (versions, not_raised) = versions(agent, work, &survey).await?;
    refusals.extend(not_raised);
    let writable = writable(&survey);
    let overlay = overlay(&OverlayFacts {
        live: survey::shipped(survey.live.as_ref()),
        next: &work.manifest,
        next_is_adopted: survey::is_adopted(work),
        disk: &survey.disk,
        writable_mounts: &writable,
    });
    refusals.extend(overlay.refusals.iter().cloned());
    for path in &overlay.left {
        warnings.push(format!("{path} is no longer shipped, but containers have written to it: it stays"));
    }
    if let Some(failure) = refuse(&refusals) {
        return Err(failure);
    }
    outside::check_plan(&work.spec, &survey.env, &survey.model)?;
    crate::data::check_commands(&work.spec, &survey.model)?;

    let migrations = match work.source {
        Source::Shipped { .. } => migrations::planned(agent, work, &survey.stack.containers).await?,
        Source::Earlier { .. } | Source::Again | Source::Recovered { .. } => migrations::Planned::default(),
    };
    warnings.extend(migrations.warnings);
    warnings.extend(ground::warnings(agent, &survey).await);
    let found = find_volumes(agent, work, &survey).await?;
    let decided = decide(agent, work, beside, &survey).await?;
    let mut plan = assemble(work, &survey, &overlay, &decided, data.mounts, versions, warnings);
    plan.migrations = migrations.lines;
    plan.dumps.extend(found.iter().map(Volume::describe));
    let mut forced = plan_services(&survey, &overlay, &BTreeMap::new(), &decided.inputs)
        .into_iter()
        .filter(|service| service.container == ContainerAction::Recreate)
        .map(|service| service.service)
        .collect();
    Box::pin(log_limits::plan(agent, work, &survey, &mut plan, &mut forced)).await;
    Ok(Planned { data: found, ..planned(work, survey, overlay, decided, plan, forced) })
}

/// What is told of passwords that change for a database of the stack which runs. Others may be given one by the same name: those
/// that use it, and those of a database elsewhere.
fn database_passwords(work: &Work, survey: &Survey) -> Vec<String> {
    let (Some(env), None) = (&work.env, &work.role) else { return Vec::new() };
    let databases = database::databases(work, survey);
    let runs = |service: &Service| {
        databases.iter().any(|database| {
            database.kind == DatabaseKind::Postgres
                && !database.outside
                && database.container.is_some()
                && database.service == service.name
        })
    };
    let given = survey
        .model
        .services()
        .filter(|service| runs(service))
        .filter_map(|service| Some((service.name.as_str(), service.variable("POSTGRES_PASSWORD")?)));
    secrets::database_passwords(given, &survey.env, &env.changed)
}

async fn find_volumes(agent: &Agent, work: &Work, survey: &Survey) -> Result<Vec<Volume>, Failure> {
    let containers: Vec<ContainerFacts> =
        survey.stack.containers.iter().filter(|container| !container.one_off).cloned().collect();
    let stack = volumes::Stack {
        spec: &work.spec,
        project: &survey.stack.project,
        containers: &containers,
        models: survey.model_before.iter().chain([&survey.model]).collect(),
    };
    volumes::find(agent, &stack).await
}

fn planned(
    work: &Work,
    survey: Survey,
    overlay: Overlay,
    decided: Decided,
    plan: DeployPlan,
    forced: BTreeSet<String>,
) -> Planned {
    let databases = database::databases(work, &survey);
    let volumes = survey.model.volumes().map(|volume| volume.name.clone()).collect();
    Planned {
        plan,
        project: survey.stack.project,
        databases,
        data: Vec::new(),
        model_before: survey.model_before,
        before: survey.stack.containers.into_iter().filter(|c| !c.one_off).collect(),
        adopts: survey.stack.adopts,
        model: survey.model,
        known: survey.known,
        live: survey.live,
        ops: overlay.ops,
        images: decided.images,
        inputs: decided.inputs,
        made_from: decided.made_from,
        env: survey.env,
        key: survey.key,
        pull: matches!(work.source, Source::Shipped { pull: true, .. }),
        volumes,
        highest: highest(&decided.highest, &work.versions),
        forced,
    }
}

/// The higher of what was started before and what is about to be.
fn highest(before: &BTreeMap<String, String>, next: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut highest = before.clone();
    for (file, version) in next {
        let is_higher = |known: &String| bump::compare(version, known).is_gt();
        if highest.get(file).is_none_or(is_higher) {
            highest.insert(file.clone(), version.clone());
        }
    }
    highest
}

/// What containers can write in the app directory, before or after.
fn writable(survey: &Survey) -> Vec<Option<RelPath>> {
    let mut found = writable_mounts(&survey.model);
    for mount in survey.stack.containers.iter().flat_map(|c| &c.mounts).filter(|mount| mount.writable) {
        if let MountSource::Bind(path) = &mount.source {
            found.extend(survey.model.project_path(path));
        }
    }
    found
}

/// All refusals as one failure; `None` where there are none.
fn refuse(refusals: &[Refusal]) -> Option<Failure> {
    let mut failures = refusals.iter().map(Refusal::to_failure);
    let first = failures.next()?;
    let rest: Vec<Failure> = failures.collect();
    if rest.is_empty() {
        return Some(first);
    }
    let mut all = Failure::new(
        FailureKind::Refused,
        format!("there are {} reasons not to deploy this", rest.len() + 1),
    );
    for failure in std::iter::once(first).chain(rest) {
        all.causes.push(failure.message);
        all.causes.extend(failure.causes);
        all.hints.extend(failure.hints);
    }
    Some(all)
}

fn data(work: &Work, survey: &Survey) -> DataPlan {
    let shipped = |path: &str| match survey.model.project_path(path) {
        Some(Some(place)) => {
            let live = survey::shipped(survey.live.as_ref());
            let entries = live.into_iter().chain([&work.manifest]).flat_map(|manifest| manifest.entries());
            entries.into_iter().any(|entry| entry.path.is_within(&place))
        }
        _ => false,
    };
    data_plan(&DataFacts {
        now: &survey.stack.containers,
        model: &survey.model,
        images: &|reference| survey.images.get(reference).cloned(),
        volumes: &survey.volumes,
        owned: &survey.owned,
        postgres: &survey.postgres,
        shipped: &shipped,
        accept_detach: &work.options.accept_detach,
        accept_volume: &work.options.accept_volume,
    })
}

async fn versions(
    agent: &Agent,
    work: &Work,
    survey: &Survey,
) -> Result<(Vec<VersionChange>, Vec<Refusal>), Failure> {
    if !matches!(work.source, Source::Shipped { .. }) {
        return Ok((Vec::new(), Vec::new()));
    }
    let by_path = |versions: &BTreeMap<String, String>| -> BTreeMap<RelPath, String> {
        versions.iter().filter_map(|(file, version)| Some((file.parse().ok()?, version.clone()))).collect()
    };
    let highest = agent.state.highest_versions(&work.spec.app).await.map_err(|e| failures::of_state(&e))?;
    let live_versions = survey.live.as_ref().map(|live| by_path(&live.versions)).unwrap_or_default();
    bump::bump_check(&BumpFacts {
        rules: &work.spec.bump,
        live: survey::shipped(survey.live.as_ref()),
        next: &work.manifest,
        live_versions: &live_versions,
        highest: &by_path(&highest),
        shipped: &by_path(&work.versions),
    })
    .map_err(|e| Failure::from_error(FailureKind::Config, &e))
}

fn plan_services(
    survey: &Survey,
    overlay: &Overlay,
    why: &BTreeMap<String, services::ImageDecision>,
    inputs: &BTreeMap<String, ServiceInputs>,
) -> Vec<wharf_proto::plan::ServicePlan> {
    let digests =
        |inputs: &ServiceInputs| ServiceDigests { definition: inputs.definition, mounted: inputs.mounted };
    let before: BTreeMap<String, ServiceDigests> = match (&survey.live, &survey.model_before) {
        (Some(live), _) if !live.inputs.is_empty() => {
            live.inputs.iter().map(|(service, inputs)| (service.clone(), digests(inputs))).collect()
        }
        // An adopted stack: its definitions can be compared, its files are by what the overlay touches.
        (_, Some(model)) => adopted_digests(survey, model, inputs),
        (_, None) => BTreeMap::new(),
    };
    let next: BTreeMap<String, ServiceDigests> =
        inputs.iter().map(|(service, inputs)| (service.clone(), digests(inputs))).collect();
    let touched: Vec<RelPath> = overlay.ops.iter().filter_map(touched).collect();
    service_plans(&ServiceFacts {
        model: &survey.model,
        now: &survey.stack.containers,
        images: why,
        before: &before,
        next: &next,
        config_hashes: &BTreeMap::new(),
        touched: &touched,
    })
}

fn adopted_digests(
    survey: &Survey,
    model: &Model,
    inputs: &BTreeMap<String, ServiceInputs>,
) -> BTreeMap<String, ServiceDigests> {
    let of = |service: &Service| {
        let definition = model.service_digest(service, &survey.env, &survey.key);
        let mounted = inputs.get(&service.name).map_or_else(|| Digest::of(b""), |inputs| inputs.mounted);
        (service.name.clone(), ServiceDigests { definition, mounted })
    };
    model.services().map(of).collect()
}

fn touched(op: &FileOp) -> Option<RelPath> {
    match op {
        FileOp::Write { entry, .. } => Some(entry.path.clone()),
        FileOp::Remove { path, .. } => Some(path.clone()),
        FileOp::RemoveFolder { .. } | FileOp::MakeFolder { .. } => None,
    }
}

fn assemble(
    work: &Work,
    survey: &Survey,
    overlay: &Overlay,
    decided: &Decided,
    data: Vec<wharf_proto::plan::DataMount>,
    versions: Vec<VersionChange>,
    warnings: Vec<String>,
) -> DeployPlan {
    DeployPlan {
        release: work.release,
        live: survey.live.as_ref().map(|live| live.release),
        project: survey.stack.project.clone(),
        adopts: survey.stack.adopts,
        versions,
        files: overlay.changes.clone(),
        services: plan_services(survey, overlay, &decided.why, &decided.inputs),
        data,
        dumps: database::databases(work, survey).iter().map(ToString::to_string).collect(),
        migrations: Vec::new(),
        logs: Vec::new(),
        warnings,
        promoted: work.promotes().cloned(),
        awaited_images: decided.awaited.clone(),
    }
}
