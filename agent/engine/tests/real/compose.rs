//! Compose projects on the real engine.

use crate::support::{BUSYBOX, Cleanup, engine, socket, unique, write};
use std::path::PathBuf;
use std::time::Duration;
use wharf_engine::{ComposeCli, ComposeError, ComposeProject, Engine, OneOff, Recreate, StreamKind, UpSpec};
use wharf_plan::facts::{ContainerFacts, ContainerState, MountSource};

struct Stack {
    engine: Engine,
    project: ComposeProject,
    name: String,
    _dir: tempfile::TempDir,
    clean: Cleanup,
}

impl Stack {
    async fn new(services: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = unique("wharf-engine-test");
        write(dir.path(), "compose.yml", &format!("services:\n{services}\nvolumes:\n  data: {{}}\n"));
        write(dir.path(), ".env.prod", "GREETING=hello\nDB_PASSWORD=secret-of-the-database\n");
        let project = ComposeProject {
            cli: ComposeCli::locate().await.unwrap(),
            project_directory: dir.path().into(),
            files: vec![dir.path().join("compose.yml")],
            env_file: Some(dir.path().join(".env.prod")),
            docker_config: None,
            profiles: Vec::new(),
            project: Some(name.clone()),
            docker_socket: socket(),
            supervisor: None,
        };
        let mut clean = Cleanup::default();
        clean.projects.push(name.clone());
        Self { engine: engine().await, project, name, _dir: dir, clean }
    }

    fn file(&self) -> PathBuf {
        self.project.files[0].clone()
    }

    async fn up(&self, services: &[&str], force_recreate: bool) -> Result<(), ComposeError> {
        let services = services.iter().map(ToString::to_string).collect();
        let recreate = if force_recreate { Recreate::All } else { Recreate::Changed };
        let wait_limit = Duration::from_secs(60);
        let spec = UpSpec { services, recreate, wait_limit, ..UpSpec::default() };
        self.project.up(&spec, |_| {}).await
    }

    async fn container(&self, service: &str) -> ContainerFacts {
        let all = self.engine.project_containers(&self.name).await.unwrap();
        all.into_iter().find(|facts| facts.service == service && !facts.one_off).unwrap()
    }
}

fn two_services() -> String {
    let common =
        format!("    image: {BUSYBOX}\n    init: true\n    network_mode: none\n    stop_grace_period: 0s\n");
    format!(
        "  db:\n{common}    command: sleep 1000\n    restart: unless-stopped\n    tmpfs: /scratch\n    volumes: ['data:/data', './compose.yml:/conf:ro', '/anonymous']\n  \
           web:\n{common}    command: sleep 1000\n    depends_on: [db]\n    environment: {{GREETING: '$GREETING', DB_PASSWORD: '$DB_PASSWORD'}}\n    healthcheck: {{test: 'true', interval: 1s}}\n"
    )
}

#[tokio::test]
async fn a_stack_comes_up_and_its_containers_are_known() {
    let stack = Stack::new(&two_services()).await;
    stack.up(&[], false).await.unwrap();
    let hashes = stack.project.config_hashes().await.unwrap();
    let (db, web) = (stack.container("db").await, stack.container("web").await);
    for facts in [&db, &web] {
        assert_eq!(facts.state, ContainerState::Running);
        assert_eq!(facts.project, stack.name);
        assert_eq!(facts.config_hash, hashes[&facts.service]);
        assert_eq!(facts.working_dir, stack.project.project_directory.to_str().unwrap());
        assert_eq!(facts.config_files, [stack.file().to_str().unwrap()]);
        assert_eq!(facts.image, BUSYBOX);
        assert!(facts.exit_code.is_none() && facts.restarts == 0 && facts.started_at.is_some());
    }
    assert_eq!((db.health.as_deref(), web.health.as_deref()), (None, Some("healthy")));
    assert_eq!((db.restart_policy.as_str(), web.restart_policy.as_str()), ("unless-stopped", "no"));
    let mounts: Vec<_> = db.mounts.iter().map(|m| (m.target.as_str(), m.writable)).collect();
    assert_eq!(mounts, [("/anonymous", true), ("/conf", false), ("/data", true), ("/scratch", true)]);
    assert!(matches!(db.mounts[0].source, MountSource::AnonymousVolume(_)));
    assert_eq!(db.mounts[1].source, MountSource::Bind(stack.file().to_str().unwrap().into()));
    assert_eq!(db.mounts[2].source, MountSource::Volume(format!("{}_data", stack.name)));
    assert_eq!(db.mounts[3].source, MountSource::Tmpfs);
    assert!(stack.engine.compose_containers().await.unwrap().contains(&db));
}

#[tokio::test]
async fn only_the_named_service_is_recreated() {
    let stack = Stack::new(&two_services()).await;
    stack.up(&[], false).await.unwrap();
    let (db, web) = (stack.container("db").await, stack.container("web").await);
    stack.up(&["web"], true).await.unwrap();
    assert_eq!(stack.container("db").await.id, db.id);
    assert_ne!(stack.container("web").await.id, web.id);
    stack.up(&[], false).await.unwrap();
    assert_eq!(stack.container("db").await.id, db.id);
    stack.project.stop(&["web".into()], Duration::from_secs(1), |_| {}).await.unwrap();
    let stopped = stack.container("web").await;
    assert_eq!((stopped.state, stopped.exit_code.is_some()), (ContainerState::Exited, true));
    assert_eq!(stack.container("db").await.state, ContainerState::Running);
}

#[tokio::test]
async fn the_model_is_resolved_with_the_env_file_alone() {
    let stack = Stack::new(&two_services()).await;
    let model: serde_json::Value = serde_json::from_str(&stack.project.config().await.unwrap()).unwrap();
    assert_eq!(model["services"]["web"]["environment"]["DB_PASSWORD"], "secret-of-the-database");
    write(&stack.project.project_directory, "compose.yml", "services:\n  web:\n    image: [\n");
    let error = stack.project.config().await.unwrap_err();
    assert!(matches!(error, ComposeError::Failed { subcommand: "config", .. }), "{error:?}");
    assert!(!error.lines().is_empty() && !format!("{error} {error:?}").contains("secret-of-the-database"));
}

#[tokio::test]
async fn a_service_that_does_not_get_healthy_fails_the_start() {
    let services = format!(
        "  web:\n    image: {BUSYBOX}\n    command: sleep 1000\n    init: true\n    network_mode: none\n    healthcheck: {{test: 'false', interval: 1s, retries: 1}}\n"
    );
    let stack = Stack::new(&services).await;
    let error = stack.up(&[], false).await.unwrap_err();
    assert!(matches!(&error, ComposeError::Failed { subcommand: "up", code, .. } if *code != 0), "{error:?}");
}

#[tokio::test]
async fn a_one_off_starts_what_it_needs_and_leaves_no_container() {
    let mut stack = Stack::new(&two_services()).await;
    let name = unique("wharf-engine-one-off");
    stack.clean.containers.push(name.clone());
    let mut spec = OneOff {
        service: "web".into(),
        command: ["sh", "-c", "echo $GREETING; echo no >&2; exit 4"].map(String::from).into(),
        container_name: name.clone(),
        labels: vec![("dev.wharf.test".into(), name.clone())],
        limit: Duration::from_secs(60),
    };
    let mut lines = Vec::new();
    let take = |kind, line: &str| lines.push((kind, line.to_owned()));
    let code = stack.project.run_one_off(&stack.engine, &spec, take).await.unwrap();
    assert_eq!(code, 4);
    assert!(lines.contains(&(StreamKind::Stdout, "hello".into())), "{lines:?}");
    assert!(lines.iter().any(|(_, line)| line == "no"), "{lines:?}");
    assert_eq!(stack.container("db").await.state, ContainerState::Running);
    assert_eq!(stack.engine.container(&name).await.unwrap(), None);

    // While it runs it is found by its label, whatever became of who started it.
    spec.command = ["sh", "-c", "echo up; exec sleep 1000"].map(String::from).into();
    let label = format!("dev.wharf.test={name}");
    let up = tokio::sync::Notify::new();
    let run = stack.project.run_one_off(&stack.engine, &spec, |_, line| {
        if line == "up" {
            up.notify_one();
        }
    });
    tokio::select! {
        ended = run => panic!("it ended: {ended:?}"),
        () = up.notified() => {}
    }
    let found = stack.engine.containers_labelled(&label).await.unwrap();
    assert!(found.len() == 1 && found[0].one_off && found[0].name == name, "{found:?}");
    stack.engine.remove_container(&found[0].id).await.unwrap();
    assert!(stack.engine.containers_labelled(&label).await.unwrap().is_empty());
}

#[tokio::test]
async fn taking_a_stack_down_leaves_every_volume() {
    let mut stack = Stack::new(&two_services()).await;
    stack.up(&[], false).await.unwrap();
    let db = stack.container("db").await;
    let anonymous = db.mounts.iter().find_map(|mount| match &mount.source {
        MountSource::AnonymousVolume(name) => Some(name.clone()),
        _ => None,
    });
    let expected = [anonymous.unwrap(), format!("{}_data", stack.name)];
    stack.clean.volumes.extend(expected.clone());
    stack.engine.stop(&db.id, Duration::from_secs(1)).await.unwrap();
    stack.engine.start(&db.id).await.unwrap();
    stack.engine.start(&db.id).await.unwrap();
    assert_eq!(stack.container("db").await.state, ContainerState::Running);
    stack.project.down(Duration::from_secs(1), |_| {}).await.unwrap();
    assert!(stack.engine.project_containers(&stack.name).await.unwrap().is_empty());
    let volumes: Vec<String> =
        stack.engine.volumes().await.unwrap().into_iter().map(|facts| facts.name).collect();
    assert!(expected.iter().all(|name| volumes.contains(name)), "{expected:?}");
}
