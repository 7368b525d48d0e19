//! Why a step failed, where that is a known cause: looks while the failed release still stands, before it is put back.
//!
//! **Invariants**
//! - Nothing is changed, and a look that fails or takes too long only names fewer causes; the failure itself is told as it is.
//! - What was read here (logs, nginx's configuration, answers) is matched and dropped; none of it is told or kept.

use super::Work;
use super::plan::Planned;
use super::probe;
use super::run::Job;
use futures_util::StreamExt;
use std::future::Future;
use std::time::Duration;
use wharf_engine::{ExecSpec, LogOptions};
use wharf_plan::causes::{Evidence, Page, causes};
use wharf_plan::facts::{ContainerFacts, ContainerState};
use wharf_plan::secrets;
use wharf_proto::spec::ProbeSpec;
use wharf_proto::{Failure, FailureKind};

/// How long all looks together may take: the old release waits to be put back.
const LIMIT: Duration = Duration::from_secs(10);
/// For one page.
const PAGE_LIMIT: Duration = Duration::from_secs(2);
/// How much of each container's log is read, and of how many.
const LOG_LINES: u32 = 200;
const MAX_CONTAINERS: usize = 20;
/// `nginx -T` prints all of its configuration.
const NGINX_BYTES: usize = 4 * 1024 * 1024;

/// What is being done, and may have to be explained.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub job: &'a Job,
    pub work: &'a Work,
    pub planned: &'a Planned,
}

impl Case<'_> {
    /// Does `work`; its failure is explained by what it says and what its programs wrote.
    ///
    /// # Errors
    /// What `work` failed with, and the known causes of that.
    pub async fn by_words<T>(self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        match work.await {
            Err(failure) if is_ours_to_explain(&failure) => {
                let evidence = self.words(&failure);
                Err(explained(failure, &evidence))
            }
            result => result,
        }
    }

    /// As [`Case::by_words`], and by the containers and pages of the release that just failed.
    ///
    /// # Errors
    /// What `work` failed with, and the known causes of that.
    pub async fn by_all<T>(self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        match work.await {
            Err(failure) if is_ours_to_explain(&failure) => {
                let mut evidence = self.words(&failure);
                if tokio::time::timeout(LIMIT, self.look(&mut evidence)).await.is_err() {
                    tracing::info!(job = %self.job.id, "looking for known causes took too long");
                }
                Err(explained(failure, &evidence))
            }
            result => result,
        }
    }

    fn words(self, failure: &Failure) -> Evidence {
        let mut told = vec![failure.message.clone()];
        told.extend(failure.causes.iter().cloned());
        told.extend(self.job.record.last_lines());
        let shipped = self.work.manifest.entries().iter().filter_map(|entry| entry.path.as_str());
        Evidence {
            told,
            odd_passwords: secrets::odd_passwords(&self.planned.env, &self.work.spec.secrets),
            shipped: shipped.map(str::to_owned).collect(),
            ..Evidence::default()
        }
    }

    async fn look(self, evidence: &mut Evidence) {
        let engine = &self.job.agent.engine;
        let mut containers = match engine.project_containers(&self.planned.project).await {
            Ok(containers) => containers,
            Err(error) => {
                tracing::info!(job = %self.job.id, %error, "cannot look at the containers for known causes");
                return;
            }
        };
        containers.retain(|container| !container.one_off);
        // What was killed before the job is not the job's.
        let as_before = |c: &ContainerFacts| {
            self.planned.before.iter().any(|b| b.id == c.id && b.started_at == c.started_at)
        };
        evidence.containers = containers.iter().filter(|c| !as_before(c)).cloned().collect();
        for container in in_trouble(&evidence.containers).into_iter().take(MAX_CONTAINERS) {
            evidence.logs.extend(self.log(container).await);
        }
        for probe in &self.work.spec.health {
            if let Some(page) = self.page(probe, &containers).await {
                evidence.pages.push(page);
            }
        }
    }

    /// What a container wrote since the job began.
    async fn log(self, container: &ContainerFacts) -> Vec<(String, String)> {
        let since = i32::try_from(self.job.record.began().as_second()).ok();
        let options = LogOptions { tail: Some(LOG_LINES), since, ..LogOptions::default() };
        let lines = self.job.agent.engine.logs(&container.id, &options).take(LOG_LINES as usize);
        let lines = lines.filter_map(|line| async { line.ok() });
        lines.map(|line| (container.service.clone(), line.text)).collect().await
    }

    /// A page that does not answer as it should, with what its neighbours answer. `None`: it does, or nothing answers.
    async fn page(self, probe: &ProbeSpec, containers: &[ContainerFacts]) -> Option<Page> {
        let client = probe::client(PAGE_LIMIT).ok()?;
        let answer = client.get(&probe.url).send().await.ok()?;
        let status = answer.status().as_u16();
        if status == probe.status {
            return None;
        }
        let header =
            |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let by_nginx = header("server").is_some_and(|server| server.starts_with("nginx"));
        let ask = async |url: reqwest::Url| {
            let status = client.get(url.clone()).send().await.ok()?.status().as_u16();
            Some((url.to_string(), status))
        };
        let url = reqwest::Url::parse(&probe.url).ok()?;
        let twin = match twin(&url) {
            Some(twin) => ask(twin).await,
            None => None,
        };
        let start_page = ask(url.join("/").ok()?).await.map(|(_, status)| status);
        let mut page = Page {
            url: probe.url.clone(),
            wanted: probe.status,
            status,
            location: header("location"),
            twin,
            start_page,
            nginx_without_try_files: None,
        };
        if by_nginx && status == reqwest::StatusCode::NOT_FOUND.as_u16() {
            page.nginx_without_try_files = self.nginx_without_try_files(containers).await;
        }
        Some(page)
    }

    /// The service whose nginx has no `try_files`; `None` where one has, or none can be asked.
    async fn nginx_without_try_files(self, containers: &[ContainerFacts]) -> Option<String> {
        let mut found = None;
        for container in containers.iter().filter(|c| c.state == ContainerState::Running).take(MAX_CONTAINERS)
        {
            let spec = ExecSpec::new(["nginx", "-T"]);
            let ran =
                self.job.agent.engine.exec_to_end(&container.id, &spec, &[], PAGE_LIMIT, NGINX_BYTES).await;
            let Ok(ran) = ran else { continue };
            if ran.code == Some(0) {
                if has_directive(&String::from_utf8_lossy(&ran.stdout), "try_files") {
                    return None;
                }
                found.get_or_insert_with(|| container.service.clone());
            }
        }
        found
    }
}

/// Refusals explain themselves, and nothing was tried.
fn is_ours_to_explain(failure: &Failure) -> bool {
    !matches!(
        failure.kind,
        FailureKind::Refused | FailureKind::Config | FailureKind::Busy | FailureKind::NotFound
    )
}

fn explained(failure: Failure, evidence: &Evidence) -> Failure {
    causes(evidence).into_iter().fold(failure, |failure, found| failure.cause(found.cause).hint(found.remedy))
}

/// The containers that are not well; all, where each of them is.
fn in_trouble(containers: &[ContainerFacts]) -> Vec<&ContainerFacts> {
    let well = |c: &&ContainerFacts| {
        c.state == ContainerState::Running
            && c.restarts == 0
            && matches!(c.health.as_deref(), None | Some("healthy"))
    };
    let ill: Vec<_> = containers.iter().filter(|c| !well(c)).collect();
    if ill.is_empty() { containers.iter().collect() } else { ill }
}

/// The same address with a slash more or less at its end; the start page has none.
fn twin(url: &reqwest::Url) -> Option<reqwest::Url> {
    let path = url.path();
    let other = match path.strip_suffix('/') {
        Some("") => return None,
        Some(without) => without.to_owned(),
        None => format!("{path}/"),
    };
    let mut twin = url.clone();
    twin.set_path(&other);
    Some(twin)
}

/// Whether a configuration of nginx's uses a directive, comments aside.
fn has_directive(configuration: &str, name: &str) -> bool {
    configuration.lines().any(|line| {
        let code = line.split('#').next().unwrap_or_default();
        code.split(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';')).any(|word| word == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_and_its_twin() {
        let other = |url: &str| twin(&url.parse().unwrap()).map(|twin| twin.to_string());
        assert_eq!(other("http://h/a").as_deref(), Some("http://h/a/"));
        assert_eq!(other("http://h/a/?b=1").as_deref(), Some("http://h/a?b=1"));
        assert_eq!(other("http://h"), None);
    }

    #[test]
    fn a_directive_in_a_comment_is_none() {
        assert!(has_directive("location / { try_files $uri /index.html; }", "try_files"));
        assert!(!has_directive("# try_files $uri;\nlocation / { root /x; }", "try_files"));
    }
}
