use super::*;
use crate::keyed::InputKey;

/// What Compose 2.26 makes of a file with everything in it.
const RICH: &str = include_str!("rich.json");

fn rich() -> Model {
    Model::parse(RICH, "/srv/.wharf-stage-1", "/srv/app/").unwrap()
}

fn with(replace: &str, by: &str) -> Model {
    assert!(RICH.contains(replace), "{replace}");
    Model::parse(&RICH.replace(replace, by), "/srv/.wharf-stage-1", "/srv/app").unwrap()
}

#[test]
fn paths_are_those_of_the_app_directory() {
    let model = rich();
    let backend = model.service("backend").unwrap();
    let build = backend.build.as_ref().unwrap();
    assert_eq!(build.context, Context::Project(Some("backend".parse().unwrap())));
    assert_eq!(build.dockerfile_path(model.app_root()), Some("backend/Dockerfile.prod".parse().unwrap()));
    assert_eq!(build.additional_contexts["assets"], "/srv/app/conf");
    let bind = |source: &str, target: &str, writable| Mount {
        backing: Backing::Bind(source.into()),
        target: target.into(),
        writable,
    };
    assert_eq!(backend.mounts[0], bind("/srv/app/uploads", "/app/uploads", true));
    assert_eq!(backend.mounts[1], bind("/srv/app/nginx/nginx.conf", "/etc/nginx/nginx.conf", false));
    assert!(matches!(model.config("a"), Some(Content::File(path)) if path == "/srv/app/conf/a.conf"));
    assert_eq!(model.project_path("/srv/app"), Some(None));
    assert_eq!(model.project_path("/srv/application/x"), None);
}

#[test]
fn doubled_dollars_are_single_again() {
    let model = rich();
    assert_eq!(model.service("db").unwrap().variable("BIG"), Some("$HOME"));
    let init = model.service("init").unwrap().build.as_ref().unwrap();
    assert_eq!(init.dockerfile_inline.as_deref(), Some("FROM busybox\nRUN echo $X\n"));
    assert_eq!(init.context, Context::Project(None));
}

#[test]
fn mounts_are_resolved() {
    let model = rich();
    let db = model.service("db").unwrap();
    let found: Vec<_> = db.mounts.iter().map(|m| (m.target.as_str(), m.backing.clone())).collect();
    let pgdata = Backing::Volume {
        key: "pgdata".into(),
        name: "docker_pgdata".into(),
        external: false,
        subpath: None,
    };
    assert_eq!(
        found,
        [
            ("/var/lib/postgresql/data", pgdata),
            ("/anon", Backing::Anonymous),
            ("/scratch", Backing::Tmpfs),
            ("/run2", Backing::Tmpfs),
            ("/run3", Backing::Tmpfs),
        ]
    );
    // `volumes_from: backend:ro` brings its mounts along, read-only.
    let borrowed = model.mounts(model.service("vf").unwrap());
    assert_eq!(borrowed.len(), 3);
    assert!(borrowed.iter().all(|m| !m.writable));
    assert!(matches!(&borrowed[2].backing,
        Backing::Volume { name, external: true, subpath: Some(folder), .. } if name == "other" && folder == "a"));
}

#[test]
fn services_tell_their_kind() {
    let model = rich();
    let service = |name: &str| model.service(name).unwrap();
    assert_eq!(model.image_reference(service("backend")), "docker-backend");
    assert_eq!(model.image_reference(service("db")), "postgres:17");
    assert_eq!((service("backend").replicas, service("init").replicas, service("db").replicas), (2, 3, 1));
    assert_eq!(service("db").restart, Restart::UnlessStopped);
    assert_eq!(service("backend").restart, Restart::OnFailure);
    assert!(model.is_one_shot(service("init")));
    assert!(!model.is_one_shot(service("db")) && !model.is_one_shot(service("vf")));
    assert!(service("backend").privileged && service("backend").pid.as_deref() == Some("host"));
    let ports: Vec<_> = service("backend")
        .ports
        .iter()
        .map(|p| (p.target, p.published.as_deref(), p.protocol.as_str()))
        .collect();
    assert_eq!(
        ports,
        [
            (80, Some("8080"), "tcp"),
            (9000, Some("9000"), "udp"),
            (9001, Some("9001"), "udp"),
            (80, None, "tcp")
        ]
    );
    let order: Vec<_> = model.start_order().into_iter().map(|s| s.name.as_str()).collect();
    assert_eq!(order, ["db", "init", "backend", "inl", "vf"]);
    assert_eq!(
        service("inl").build.as_ref().unwrap().context,
        Context::Remote("https://github.com/a/b.git#main".into())
    );
}

#[test]
fn a_definitions_digest_sees_what_makes_the_container() {
    let key = InputKey::new([3; 32]);
    let environment = |value: &str| BTreeMap::from([("DB_PASSWORD".to_owned(), value.to_owned())]);
    let digest = |model: &Model, service: &str, password: &str| {
        model.service_digest(model.service(service).unwrap(), &environment(password), &key)
    };
    let same = rich();
    assert_eq!(digest(&same, "backend", "ab"), digest(&rich(), "backend", "ab"));
    for (service, replace, by, changes) in [
        ("db", "\"POSTGRES_PASSWORD\": \"ab\"", "\"POSTGRES_PASSWORD\": \"cd\"", true),
        ("db", "\"postgres:17\"", "\"postgres:18\"", true),
        ("db", "\"docker_pgdata\"", "\"other_pgdata\"", true),
        ("backend", "\"target\": \"final\"", "\"target\": \"other\"", false),
        ("backend", "\"replicas\": 2", "\"replicas\": 5", false),
        // Compose's config-hash does not see this one.
        ("backend", "\"content\": \"hullo ab\"", "\"content\": \"hello cd\"", true),
        ("db", "\"content\": \"hullo ab\"", "\"content\": \"hello cd\"", false),
    ] {
        let other = with(replace, by);
        assert_eq!(digest(&other, service, "ab") != digest(&same, service, "ab"), changes, "{service}: {by}");
    }
    assert_ne!(digest(&same, "backend", "ab"), digest(&same, "backend", "cd"), "configs: environment:");
    let other_key = InputKey::new([4; 32]);
    let keyed = same.service_digest(same.service("db").unwrap(), &environment("ab"), &other_key);
    assert_ne!(digest(&same, "db", "ab"), keyed);
}

#[test]
fn differences_are_told_without_values() {
    assert!(same_model(&rich(), &rich()).is_empty());
    let in_place = RICH.replace("/srv/.wharf-stage-1", "/srv/app");
    assert!(same_model(&rich(), &Model::parse(&in_place, "/srv/app", "/srv/app").unwrap()).is_empty());
    let other = with("\"POSTGRES_PASSWORD\": \"ab\"", "\"POSTGRES_PASSWORD\": \"cd\"");
    assert_eq!(same_model(&rich(), &other), ["services.db.environment.POSTGRES_PASSWORD"]);
    let other = with("\"scale\": 3", "\"scalf\": 3");
    assert_eq!(same_model(&rich(), &other), ["services.init.scale", "services.init.scalf"]);
}

#[test]
fn errors_and_debug_hold_no_values() {
    let secret = "hunter2";
    let json = RICH.replace("\"ab\"", "\"hunter2\"");
    let model = Model::parse(&json, "/a", "/b").unwrap();
    let told = format!("{model:?} {:?}", model.services().collect::<Vec<_>>());
    assert!(!told.contains(secret));
    for broken in [
        "hunter2",
        r#"{"name":"x","services":{"a":{"volumes":[{"type":"bind","source":"hunter2"}]}}}"#,
        r#"{"name":"x","services":{"a":{"volumes":[{"type":"volume","source":"gone","target":"/x"}]}}}"#,
        r#"{"password":"hunter2"}"#,
    ] {
        let error = Model::parse(broken, "/a", "/b").unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{error}");
    }
}
