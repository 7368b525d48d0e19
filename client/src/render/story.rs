//! A job as it is told on a terminal: steps with how long they took, notes, output, and how it ended.

use super::{Style, Verbosity, bytes, clean, duration, failure};
use std::{collections::BTreeMap, time::Duration};
use wharf_proto::{
    AppName, BackupId, Event, EventBody, JobId, Outcome, ReleaseId, Step,
    event::{JobKind, Level},
    plan::{ContainerAction, DeployPlan, ImageAction},
};

/// What is known of a job so far. [`Story::tell`] turns each event into the lines to show for it.
pub struct Story {
    style: Style,
    verbosity: Verbosity,
    app: Option<AppName>,
    steps: Vec<Step>,
    /// What was live before, once the plan has told it.
    live: Option<Option<ReleaseId>>,
    versions: BTreeMap<String, String>,
    backup: Option<BackupId>,
    warnings: Vec<String>,
}

impl Story {
    pub fn new(style: Style, verbosity: Verbosity) -> Self {
        Self {
            style,
            verbosity,
            app: None,
            steps: Vec::new(),
            live: None,
            versions: BTreeMap::new(),
            backup: None,
            warnings: Vec::new(),
        }
    }

    /// The front ends' versions in the release, by file.
    pub fn versions(&self) -> &BTreeMap<String, String> {
        &self.versions
    }

    pub fn backup(&self) -> Option<&BackupId> {
        self.backup.as_ref()
    }

    /// The lines for an event, each with its end; empty where there is nothing to show.
    pub fn tell(&mut self, event: &Event) -> String {
        self.learn(&event.body);
        let normal = self.verbosity > Verbosity::Quiet;
        match &event.body {
            EventBody::Finished { outcome } => self.ending(event.job, outcome),
            EventBody::Note { level: Level::Warning | Level::Unknown, text } => {
                self.indented(&self.style.yellow("warning:"), text)
            }
            _ if !normal => String::new(),
            EventBody::Announced { job_kind, app, .. } => {
                let what = match job_kind {
                    JobKind::Deploy { release } => format!("Deploy of {app} as {release}"),
                    JobKind::Rollback { from, to } => format!("Rollback of {app} from {from} to {to}"),
                    JobKind::Backup => format!("Backup of {app}"),
                    JobKind::Restore { backup } => format!("Restore of {app} from backup {}", backup.short()),
                    JobKind::Drill { backup } => format!("Drill of {app}'s backup {}", backup.short()),
                    JobKind::Prune => format!("Pruning of {app}'s backups"),
                    JobKind::PruneDocker => format!("Pruning of what Docker holds of {app}"),
                    JobKind::Restart { services } if services.is_empty() => format!("Restart of {app}"),
                    JobKind::Restart { services } => format!("Restart of {} of {app}", services.join(", ")),
                    JobKind::Scale { services } => format!("Scaling of {} of {app}", services.join(", ")),
                    JobKind::MigrateUp => format!("Pending migrations of {app}"),
                    JobKind::MigrateDown { names } => format!("{app}: back before {}", names.join(", ")),
                    JobKind::Forget => format!("{app} leaves Wharf"),
                    JobKind::Unknown => format!("A job of {app} that this wharf is too old to know"),
                };
                format!("{} (job {})\n", self.style.bold(&what), event.job)
            }
            EventBody::Planned { plan } => self.planned(plan),
            EventBody::StepStarted { step } => format!("{}\n", self.heading(*step)),
            EventBody::StepFinished { duration_ms, .. } => {
                let took = duration(Duration::from_millis(*duration_ms));
                format!("      {}\n", self.style.dim(&format!("done in {took}")))
            }
            EventBody::StepSkipped { step, why } => {
                format!("{} {}\n", self.heading(*step), self.style.dim(&format!("skipped: {}", clean(why))))
            }
            EventBody::StepFailed { failure, .. } => {
                self.indented(&self.style.red("failed:"), &failure.message)
            }
            EventBody::Note { text, .. } => self.indented("", text),
            EventBody::Output { service, line, .. } => {
                let prefix = service.as_ref().map(|name| format!("{} |", clean(name))).unwrap_or_default();
                self.indented(&self.style.dim(&prefix), line)
            }
            EventBody::BackedUp { backup, summary } => {
                self.indented("", &format!("backup {}: {summary}", backup.short()))
            }
            EventBody::Unknown => String::new(),
        }
    }

    fn learn(&mut self, body: &EventBody) {
        match body {
            EventBody::Announced { app, steps, .. } => {
                self.app = Some(app.clone());
                self.steps.clone_from(steps);
            }
            EventBody::Planned { plan } => {
                self.live = Some(plan.live);
                let version =
                    |change: &wharf_proto::plan::VersionChange| (change.file.to_string(), change.to.clone());
                self.versions = plan.versions.iter().map(version).collect();
            }
            EventBody::BackedUp { backup, .. } => self.backup = Some(backup.clone()),
            EventBody::Note { level: Level::Warning, text } => self.warnings.push(text.clone()),
            _ => {}
        }
    }

    /// `[3/9] build`.
    fn heading(&self, step: Step) -> String {
        let number = match self.steps.iter().position(|known| *known == step) {
            Some(at) => format!("[{}/{}]", at + 1, self.steps.len()),
            None => "[-]".to_owned(),
        };
        self.style.bold(&format!("{number} {}", step.title()))
    }

    fn indented(&self, prefix: &str, text: &str) -> String {
        let gap = if prefix.is_empty() { "" } else { " " };
        // An empty line is a line, too: a build's output keeps its shape.
        let lines: Vec<&str> = if text.is_empty() { vec![""] } else { text.lines().collect() };
        let line = |line: &str| format!("      {prefix}{gap}{}", clean(line)).trim_end().to_owned() + "\n";
        lines.into_iter().map(line).collect()
    }

    /// The plan in a few lines; `--dry-run` and `-v` show it whole.
    fn planned(&self, plan: &DeployPlan) -> String {
        if self.verbosity == Verbosity::Verbose {
            return super::plan(plan, &self.style).lines().map(|line| format!("      {line}\n")).collect();
        }
        let files = &plan.files;
        let mut out = self.indented(
            "",
            &format!("files: {} added, {} changed, {} removed", files.added, files.changed, files.removed),
        );
        for path in &files.drifted {
            out +=
                &self.indented("", &format!("{path} was changed on the server: saved aside, then replaced"));
        }
        for (what, wanted) in SERVICES {
            let names: Vec<&str> = plan
                .services
                .iter()
                .filter(|s| wanted(s.image, s.container))
                .map(|s| s.service.as_str())
                .collect();
            if !names.is_empty() {
                out += &self.indented("", &format!("{what}: {}", names.join(", ")));
            }
        }
        for warning in &plan.warnings {
            out += &self.indented(&self.style.yellow("warning:"), warning);
        }
        out
    }

    fn ending(&self, job: JobId, outcome: &Outcome) -> String {
        let app = self.app.as_ref().map_or("the app", AppName::as_str);
        match outcome {
            Outcome::Released { release } => {
                let versions = match self.versions.values().cloned().collect::<Vec<_>>() {
                    none if none.is_empty() => String::new(),
                    some => format!(" ({})", some.join(", ")),
                };
                let live = self.style.green(&format!("{app} {release} is live{versions}"));
                match &self.backup {
                    Some(backup) => format!("{live}; backup {} was made just before\n", backup.short()),
                    None => format!("{live}\n"),
                }
            }
            Outcome::Failed { failure: why } => {
                let before =
                    self.live.map(|live| format!(": {}", self.before(app, live, "serves as before")));
                format!("{}Nothing was changed{}.\n", self.failed(why), before.unwrap_or_default())
            }
            Outcome::PutBack { failure: why, live } => {
                let live = self.before(app, *live, "serves again as before");
                format!("{}Everything was put back: {live}.{}\n", self.failed(why), self.backup_sentence())
            }
            Outcome::NotPutBack { failure: why, put_back } => format!(
                "{}And what ran before could not be put back:\n{}{app} needs a person now.{} `wharf status` shows what runs, `wharf deploy --attach {job}` this job again.\n",
                self.failed(why),
                failure(put_back, &self.style),
                self.backup_sentence(),
            ),
            Outcome::Done { summary } => format!("{}\n", self.style.green(&clean(summary))),
            Outcome::Postponed { failure: why } => {
                format!("{}It was not done. The app was not changed.\n", self.failed(why))
            }
            Outcome::Unknown => format!(
                "{}\nThe job ended in a way that this wharf is too old to know: upgrade it, then run `wharf deploy --attach {job}`.\n",
                self.style.yellow("unknown outcome")
            ),
        }
    }

    fn failed(&self, why: &wharf_proto::Failure) -> String {
        failure(why, &self.style)
    }

    fn before(&self, app: &str, live: Option<ReleaseId>, serves: &str) -> String {
        match live {
            Some(release) => format!("{app} {release} {serves}"),
            None => format!("no release of {app} was live"),
        }
    }

    fn backup_sentence(&self) -> String {
        let sentence = |backup: &BackupId| format!(" The data as it was before: backup {}.", backup.short());
        self.backup.as_ref().map(sentence).unwrap_or_default()
    }
}

type Wanted = fn(ImageAction, ContainerAction) -> bool;

/// The lines that a plan has for services.
const SERVICES: [(&str, Wanted); 6] = [
    ("build", |image, _| image == ImageAction::Build),
    ("pull", |image, _| image == ImageAction::Pull),
    ("create", |_, container| container == ContainerAction::Create),
    ("recreate", |_, container| container == ContainerAction::Recreate),
    ("remove (volumes stay)", |_, container| container == ContainerAction::Remove),
    ("leave alone", |image, container| image == ImageAction::Keep && container == ContainerAction::Keep),
];

/// What an upload came to, in a line.
pub(super) fn sent_line(content_bytes: u64, on_wire_bytes: u64, time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = on_wire_bytes.saturating_mul(1000) / millis;
    format!(
        "sent {} ({} on the wire) in {}, {}/s",
        bytes(content_bytes),
        bytes(on_wire_bytes),
        duration(time),
        bytes(rate)
    )
}
