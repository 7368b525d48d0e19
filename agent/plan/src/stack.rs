//! Which Compose project on the server is this app.
//!
//! **Invariant**: a stack is known by where it was started from (Compose's labels), never by its project's name alone:
//! many are called `docker`.

use crate::facts::ContainerFacts;
use crate::model::{clean, is_within};
use crate::refusal::Refusal;
use std::collections::BTreeSet;

/// What is asked.
pub struct StackFacts<'a> {
    /// The app directory.
    pub app_path: &'a str,
    /// The Compose files in place: absolute, in the order of `-f`.
    pub files: &'a [String],
    /// Every container of any Compose project.
    pub containers: &'a [ContainerFacts],
    /// The name that Compose would choose in place.
    pub default_project: &'a str,
    /// The name that the project asks for.
    pub configured: Option<&'a str>,
    /// The name under which this app was deployed before.
    pub known: Option<&'a str>,
    pub others: &'a [OtherApp],
}

/// Another app of this agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherApp {
    pub name: String,
    pub project: String,
    pub path: String,
}

/// The stack that this app is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Compose's project name, to be given as `-p` always.
    pub project: String,
    /// Its owner started it by hand: it becomes v0.
    pub adopts: bool,
    /// All its containers, one-off ones too.
    pub containers: Vec<ContainerFacts>,
}

/// Finds the app's stack.
///
/// # Errors
/// A refusal where two apps would share a name, or where it cannot be told which stack is meant.
pub fn find_stack(facts: &StackFacts<'_>) -> Result<Stack, Box<Refusal>> {
    let app_path = clean(facts.app_path);
    let found = match facts.known {
        Some(known) => Some(known.to_owned()),
        None => candidate(facts, &app_path)?,
    };
    let adopts = facts.known.is_none() && found.is_some();
    let project = match (found, facts.configured) {
        (Some(found), Some(configured)) if found != configured => {
            let to = configured.to_owned();
            return Err(Box::new(Refusal::ProjectRenamed { from: found, to }));
        }
        (Some(found), _) => found,
        (None, configured) => configured.unwrap_or(facts.default_project).to_owned(),
    };
    refuse_two_apps(facts, &app_path, &project)?;
    let containers = facts.containers.iter().filter(|c| c.project == project).cloned().collect();
    Ok(Stack { project, adopts, containers })
}

/// The project whose containers were started from this app's files: from exactly these, else from one of them.
fn candidate(facts: &StackFacts<'_>, app_path: &str) -> Result<Option<String>, Box<Refusal>> {
    let exact = projects(facts, |c| files_of(c) == facts.files.iter().map(|f| clean(f)).collect::<Vec<_>>());
    let fitting = if exact.is_empty() { projects(facts, |c| fits(facts, app_path, c)) } else { exact };
    let chosen = match facts.configured {
        Some(configured) if fitting.len() > 1 => {
            fitting.iter().filter(|p| *p == configured).cloned().collect()
        }
        _ => fitting.clone(),
    };
    let mut chosen = chosen.into_iter();
    match (chosen.next(), chosen.next()) {
        (Some(_), Some(_)) => Err(ambiguous(fitting, app_path)),
        (None, _) if !fitting.is_empty() => Err(ambiguous(fitting, app_path)),
        (first, _) => Ok(first),
    }
}

fn ambiguous(projects: BTreeSet<String>, app_path: &str) -> Box<Refusal> {
    let projects = projects.into_iter().collect();
    Box::new(Refusal::AmbiguousStacks { projects, path: app_path.to_owned() })
}

fn projects(facts: &StackFacts<'_>, select: impl Fn(&ContainerFacts) -> bool) -> BTreeSet<String> {
    let containers = facts.containers.iter().filter(|c| !c.one_off && select(c));
    containers.map(|c| c.project.clone()).collect()
}

fn files_of(container: &ContainerFacts) -> Vec<String> {
    let absolute = |file: &String| {
        let file = file.trim();
        if file.starts_with('/') { clean(file) } else { clean(&format!("{}/{file}", container.working_dir)) }
    };
    container.config_files.iter().map(absolute).collect()
}

/// Started from one of this app's files; or from its folder under the very name that this app would take.
fn fits(facts: &StackFacts<'_>, app_path: &str, container: &ContainerFacts) -> bool {
    let from_ours =
        files_of(container).iter().any(|file| facts.files.iter().any(|ours| clean(ours) == *file));
    let name = facts.configured.unwrap_or(facts.default_project);
    from_ours || (container.project == name && is_from_here(app_path, container))
}

fn is_from_here(app_path: &str, container: &ContainerFacts) -> bool {
    is_within(&clean(&container.working_dir), app_path)
        || files_of(container).iter().any(|file| is_within(file, app_path))
}

fn refuse_two_apps(facts: &StackFacts<'_>, app_path: &str, project: &str) -> Result<(), Box<Refusal>> {
    let two = |other_path: String| {
        let (project, path) = (project.to_owned(), app_path.to_owned());
        Box::new(Refusal::TwoApps { project, path, other_path })
    };
    let other = facts.others.iter().find(|other| other.project == project || clean(&other.path) == app_path);
    if let Some(other) = other {
        return Err(two(format!("{} ({})", other.path, other.name)));
    }
    let foreign = facts.containers.iter().find(|c| c.project == project && !is_from_here(app_path, c));
    foreign.map_or(Ok(()), |c| Err(two(c.working_dir.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::ContainerState;

    fn container(project: &str, working_dir: &str, files: &[&str]) -> ContainerFacts {
        ContainerFacts {
            log: crate::facts::LogFacts::default(),
            id: format!("{project}-1"),
            name: format!("{project}-db-1"),
            project: project.into(),
            service: "db".into(),
            config_hash: String::new(),
            working_dir: working_dir.into(),
            config_files: files.iter().map(|f| (*f).into()).collect(),
            one_off: false,
            image_id: String::new(),
            image: "postgres:17".into(),
            state: ContainerState::Running,
            health: None,
            exit_code: None,
            oom_killed: false,
            restarts: 0,
            started_at: None,
            restart_policy: "no".into(),
            mounts: vec![],
        }
    }

    struct Case {
        containers: Vec<ContainerFacts>,
        configured: Option<&'static str>,
        known: Option<&'static str>,
        others: Vec<OtherApp>,
    }

    impl Case {
        fn of(containers: Vec<ContainerFacts>) -> Self {
            Self { containers, configured: None, known: None, others: vec![] }
        }

        #[expect(clippy::result_large_err, reason = "tests compare refusals by value")]
        fn find(&self) -> Result<(String, bool, usize), Refusal> {
            find_stack(&StackFacts {
                app_path: "/srv/fit/",
                files: &["/srv/fit/docker/prod.yml".into()],
                containers: &self.containers,
                default_project: "docker",
                configured: self.configured,
                known: self.known,
                others: &self.others,
            })
            .map(|s| (s.project, s.adopts, s.containers.len()))
            .map_err(|refusal| *refusal)
        }
    }

    fn ours(project: &str) -> ContainerFacts {
        container(project, "/srv/fit/docker", &["/srv/fit/docker/prod.yml"])
    }

    #[test]
    fn nothing_runs_then_the_name_is_the_configured_or_the_default() {
        assert_eq!(Case::of(vec![]).find(), Ok(("docker".into(), false, 0)));
        assert_eq!(Case { configured: Some("fit"), ..Case::of(vec![]) }.find(), Ok(("fit".into(), false, 0)));
    }

    #[test]
    fn a_stack_started_by_hand_is_adopted_under_its_name() {
        assert_eq!(Case::of(vec![ours("docker")]).find(), Ok(("docker".into(), true, 1)));
        assert_eq!(Case::of(vec![ours("special")]).find(), Ok(("special".into(), true, 1)));
        let relative = container("docker", "/srv/fit/docker", &["prod.yml"]);
        assert_eq!(Case::of(vec![relative]).find(), Ok(("docker".into(), true, 1)));
        // With an override file beside ours.
        let with_override = container(
            "docker",
            "/srv/fit/docker",
            &["/srv/fit/docker/prod.yml", "/srv/fit/docker/extra.yml"],
        );
        assert_eq!(Case::of(vec![with_override]).find(), Ok(("docker".into(), true, 1)));
        let other = container("docker2", "/srv/else", &["/srv/else/prod.yml"]);
        assert_eq!(Case::of(vec![ours("docker"), other]).find(), Ok(("docker".into(), true, 1)));
    }

    #[test]
    fn another_apps_stack_of_the_same_name_is_refused() {
        let other = container("docker", "/srv/else/docker", &["/srv/else/docker/prod.yml"]);
        let refused = Refusal::TwoApps {
            project: "docker".into(),
            path: "/srv/fit".into(),
            other_path: "/srv/else/docker".into(),
        };
        assert_eq!(Case::of(vec![other.clone()]).find(), Err(refused.clone()));
        assert_eq!(Case::of(vec![ours("docker"), other.clone()]).find(), Err(refused));
        let case = Case { configured: Some("fit"), ..Case::of(vec![other]) };
        assert_eq!(case.find(), Ok(("fit".into(), false, 0)));
        let recorded = OtherApp { name: "b".into(), project: "docker".into(), path: "/srv/b".into() };
        let case = Case { others: vec![recorded], ..Case::of(vec![]) };
        assert!(
            matches!(case.find(), Err(Refusal::TwoApps { other_path, .. }) if other_path == "/srv/b (b)")
        );
    }

    #[test]
    fn two_stacks_of_the_same_files_need_a_word() {
        let two = vec![ours("a"), ours("b")];
        assert!(matches!(Case::of(two.clone()).find(), Err(Refusal::AmbiguousStacks { .. })));
        let case = Case { configured: Some("b"), ..Case::of(two.clone()) };
        assert_eq!(case.find(), Ok(("b".into(), true, 1)));
        let case = Case { configured: Some("c"), ..Case::of(two) };
        assert!(matches!(case.find(), Err(Refusal::AmbiguousStacks { .. })));
        // The same folder, but other files: a development stack is not this one.
        let dev = container("dev", "/srv/fit/docker", &["/srv/fit/docker/dev.yml"]);
        assert_eq!(Case::of(vec![ours("docker"), dev.clone()]).find(), Ok(("docker".into(), true, 1)));
        assert_eq!(Case::of(vec![dev]).find(), Ok(("docker".into(), false, 0)));
    }

    #[test]
    fn a_project_is_never_renamed_silently() {
        let renamed = Err(Refusal::ProjectRenamed { from: "docker".into(), to: "fit".into() });
        assert_eq!(Case { configured: Some("fit"), ..Case::of(vec![ours("docker")]) }.find(), renamed);
        assert_eq!(
            Case { configured: Some("fit"), known: Some("docker"), ..Case::of(vec![]) }.find(),
            renamed
        );
        let case = Case { known: Some("docker"), ..Case::of(vec![ours("docker")]) };
        assert_eq!(case.find(), Ok(("docker".into(), false, 1)));
    }
}
