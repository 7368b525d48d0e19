//! BuildKit's report, as lines for people.

use super::BuildError;
use super::redact::Redactor;
use crate::StreamKind;
use crate::line::LineSplitter;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog};
use std::collections::{HashMap, VecDeque};

/// How many of a failed step's last lines an error carries.
const KEPT_LINES: usize = 30;

/// One line of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildLine {
    /// The step that it belongs to, as BuildKit names it: `[web 3/7] RUN npm ci`.
    pub step: String,
    pub kind: BuildLineKind,
    /// Empty for a step that starts.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildLineKind {
    /// The step starts.
    Started,
    /// What its program wrote.
    Output(StreamKind),
    /// What BuildKit thinks of the Dockerfile.
    Warning,
}

/// Follows one build.
pub(super) struct Progress<F> {
    redactor: Redactor,
    on_line: F,
    steps: HashMap<String, StepState>,
}

#[derive(Default)]
struct StepState {
    name: String,
    started: bool,
    error: String,
    stdout: LineSplitter,
    stderr: LineSplitter,
    last: VecDeque<String>,
}

impl<F: FnMut(BuildLine)> Progress<F> {
    pub(super) fn new(redactor: Redactor, on_line: F) -> Self {
        Self { redactor, on_line, steps: HashMap::new() }
    }

    pub(super) fn take(&mut self, report: StatusResponse) {
        // A step's end may be reported together with its last lines: those come first.
        let (ended, running): (Vec<_>, Vec<_>) =
            report.vertexes.into_iter().partition(|v| v.completed.is_some());
        for vertex in running.iter().chain(&ended) {
            self.started(vertex);
        }
        for log in report.logs {
            self.wrote(&log);
        }
        for warning in report.warnings {
            let step = self.steps.get(&warning.vertex).map(|step| step.name.clone()).unwrap_or_default();
            let text = self.redactor.clean(String::from_utf8_lossy(&warning.short).into_owned());
            (self.on_line)(BuildLine { step, kind: BuildLineKind::Warning, text });
        }
        for vertex in ended {
            self.ended(&vertex);
        }
    }

    /// The failure of the build: the step that BuildKit blames, and what that wrote last.
    pub(super) fn failure(&mut self, status: &tonic::Status) -> BuildError {
        let unfinished: Vec<String> = self.steps.keys().cloned().collect();
        unfinished.iter().for_each(|digest| self.flush(digest));
        let why = self.redactor.clean(status.message().trim_start_matches("failed to solve: ").to_owned());
        // Steps that ran beside the culprit end as cancelled.
        let blamed = |step: &&StepState| !step.error.is_empty() && !step.error.contains("context canceled");
        let failed = self.steps.values().find(blamed);
        let why = failed.map(|step| step.error.clone()).filter(|error| !error.is_empty()).unwrap_or(why);
        BuildError::Failed {
            instruction: failed.map(|step| step.name.clone()),
            why: crate::line::bounded(why),
            lines: failed.map(|step| step.last.iter().cloned().collect()).unwrap_or_default(),
        }
    }

    fn started(&mut self, vertex: &Vertex) {
        let step = self.steps.entry(vertex.digest.clone()).or_default();
        if step.name.is_empty() {
            step.name = crate::line::bounded(self.redactor.clean(vertex.name.clone()));
        }
        if vertex.started.is_some() && !step.started && !vertex.name.starts_with("[internal]") {
            step.started = true;
            let line =
                BuildLine { step: step.name.clone(), kind: BuildLineKind::Started, text: String::new() };
            (self.on_line)(line);
        }
    }

    fn wrote(&mut self, log: &VertexLog) {
        let Self { redactor, on_line, steps } = self;
        let step = steps.entry(log.vertex.clone()).or_default();
        let StepState { name, stdout, stderr, last, .. } = step;
        let (kind, splitter) = match log.stream {
            2 => (StreamKind::Stderr, stderr),
            _ => (StreamKind::Stdout, stdout),
        };
        splitter.push(&log.msg, |text| {
            let text = redactor.clean(text);
            keep(last, &text);
            on_line(BuildLine { step: name.clone(), kind: BuildLineKind::Output(kind), text });
        });
    }

    fn ended(&mut self, vertex: &Vertex) {
        self.flush(&vertex.digest);
        let error = self.redactor.clean(vertex.error.clone());
        if let Some(step) = self.steps.get_mut(&vertex.digest) {
            step.error = error;
        }
    }

    /// Hands out what a step wrote after its last line break.
    fn flush(&mut self, digest: &str) {
        let Self { redactor, on_line, steps } = self;
        let Some(step) = steps.get_mut(digest) else { return };
        for (kind, text) in
            [(StreamKind::Stdout, step.stdout.finish()), (StreamKind::Stderr, step.stderr.finish())]
        {
            let Some(text) = text.map(|text| redactor.clean(text)) else { continue };
            keep(&mut step.last, &text);
            on_line(BuildLine { step: step.name.clone(), kind: BuildLineKind::Output(kind), text });
        }
    }
}

fn keep(last: &mut VecDeque<String>, text: &str) {
    if last.len() == KEPT_LINES {
        last.pop_front();
    }
    last.push_back(text.to_owned());
}
