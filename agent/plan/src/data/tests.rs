use super::*;
use crate::facts::{ContainerState, MountFacts};

const ANON: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const PGDATA: &str = "/var/lib/postgresql/data";

/// What is on the server, and how to ask.
struct World {
    now: Vec<ContainerFacts>,
    volumes: Vec<VolumeFacts>,
    owned: BTreeSet<String>,
    postgres: BTreeMap<String, Vec<PostgresData>>,
    images: BTreeMap<String, ImageFacts>,
    shipped: Vec<String>,
    accept_detach: Vec<String>,
    accept_volume: Vec<String>,
}

fn container(service: &str, image: &str, mounts: &[(MountSource, &str, bool)]) -> ContainerFacts {
    let mount = |(source, target, writable): &(MountSource, &str, bool)| MountFacts {
        source: source.clone(),
        target: (*target).into(),
        writable: *writable,
    };
    ContainerFacts {
        log: crate::facts::LogFacts::default(),
        id: format!("{service}-id"),
        name: format!("docker-{service}-1"),
        project: "docker".into(),
        service: service.into(),
        config_hash: String::new(),
        working_dir: "/srv/app/docker".into(),
        config_files: vec![],
        one_off: false,
        image_id: format!("sha256:{image}"),
        image: image.into(),
        state: ContainerState::Running,
        health: None,
        exit_code: None,
        oom_killed: false,
        restarts: 0,
        started_at: None,
        restart_policy: "no".into(),
        mounts: mounts.iter().map(mount).collect(),
    }
}

fn volume(name: &str) -> MountSource {
    MountSource::Volume(name.into())
}

fn image(reference: &str, volumes: &[&str], env: &[(&str, &str)]) -> (String, ImageFacts) {
    let facts = ImageFacts {
        id: format!("sha256:{reference}"),
        tags: vec![reference.into()],
        repo_digests: vec![],
        content: String::new(),
        volumes: volumes.iter().map(|v| (*v).into()).collect(),
        env: env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    };
    (reference.to_owned(), facts)
}

impl World {
    /// A database with rows, and a back end with uploads.
    fn usual() -> Self {
        let now = vec![
            container("db", "postgres:17", &[(volume("docker_pgdata"), PGDATA, true)]),
            container(
                "backend",
                "docker-backend",
                &[
                    (MountSource::Bind("/srv/app/uploads".into()), "/app/uploads", true),
                    (MountSource::Bind("/srv/app/nginx.conf".into()), "/etc/n.conf", false),
                ],
            ),
        ];
        let labels = BTreeMap::from([("com.docker.compose.project".to_owned(), "docker".to_owned())]);
        let data = PostgresData { folder: String::new(), major: "17".into() };
        Self {
            now,
            volumes: vec![VolumeFacts { name: "docker_pgdata".into(), labels }],
            owned: BTreeSet::new(),
            postgres: BTreeMap::from([("docker_pgdata".to_owned(), vec![data])]),
            images: BTreeMap::from([
                image("postgres:17", &[PGDATA], &[("PG_MAJOR", "17"), ("PGDATA", PGDATA)]),
                image("docker-backend", &[], &[]),
            ]),
            shipped: vec![],
            accept_detach: vec![],
            accept_volume: vec![],
        }
    }

    fn plan(&self, model: &str) -> DataPlan {
        let model = Model::parse(model, "/srv/app", "/srv/app").unwrap();
        data_plan(&DataFacts {
            now: &self.now,
            model: &model,
            images: &|reference| {
                self.images
                    .get(reference)
                    .or_else(|| self.images.values().find(|i| i.id == reference))
                    .cloned()
            },
            volumes: &self.volumes,
            owned: &self.owned,
            postgres: &self.postgres,
            shipped: &|path| self.shipped.iter().any(|s| s == path),
            accept_detach: &self.accept_detach,
            accept_volume: &self.accept_volume,
        })
    }

    fn refusals(&self, model: &str) -> Vec<String> {
        self.plan(model).refusals.iter().map(ToString::to_string).collect()
    }
}

const UPLOADS: &str = r#"{"type":"bind","source":"/srv/app/uploads","target":"/app/uploads"}"#;

/// A model with a database and a back end; the parts that the tests change are given.
fn model_of(name: &str, db: &str, backend_mounts: &str, volumes: &str) -> String {
    format!(
        r#"{{"name":"{name}","services":{{{db},"backend":{{"build":{{"context":"/srv/app/backend"}},"image":"docker-backend",
            "volumes":[{backend_mounts}]}}}},"volumes":{{{volumes}}}}}"#
    )
}

fn db(image: &str, mounts: &str, more: &str) -> String {
    format!(r#""db":{{"image":"{image}","volumes":[{mounts}]{more}}}"#)
}

fn at(key: &str, target: &str) -> String {
    format!(r#"{{"type":"volume","source":"{key}","target":"{target}"}}"#)
}

const DECLARED: &str = r#""pgdata":{"name":"docker_pgdata"}"#;

fn usual_model() -> String {
    model_of("docker", &db("postgres:17", &at("pgdata", PGDATA), ""), UPLOADS, DECLARED)
}

#[test]
fn what_stays_is_listed_and_nothing_is_refused() {
    let plan = World::usual().plan(&usual_model());
    assert_eq!((plan.refusals, plan.warnings), (vec![], vec![]));
    let mount = |service: &str, target: &str, at: &str| DataMount {
        service: service.into(),
        target: target.into(),
        before: Some(at.into()),
        after: Some(at.into()),
    };
    assert_eq!(
        plan.mounts,
        [mount("backend", "/app/uploads", "/srv/app/uploads"), mount("db", PGDATA, "docker_pgdata")]
    );
}

#[test]
fn detachments_are_refused_until_they_are_accepted_by_name() {
    let standard = at("pgdata", PGDATA);
    let other_name = r#""pgdata":{"name":"fit_pgdata"}"#;
    let two = r#""pgdata":{"name":"docker_pgdata"},"other":{"name":"docker_other"}"#;
    let bind_db = format!(r#"{{"type":"bind","source":"/srv/pg","target":"{PGDATA}"}}"#);
    let tmpfs = format!(r#"{{"type":"tmpfs","target":"{PGDATA}"}}"#);
    let usual = |mounts: &str| db("postgres:17", mounts, "");
    for (what, model, accept, expected) in [
        (
            "the project's name, and with it the volume's",
            model_of("fit", &usual(&standard), UPLOADS, other_name),
            "docker_pgdata",
            "db would start with fit_pgdata at /var/lib/postgresql/data, and not with the volume docker_pgdata",
        ),
        (
            "another volume",
            model_of("docker", &usual(&at("other", PGDATA)), UPLOADS, two),
            "docker_pgdata",
            "db would start with docker_other at /var/lib/postgresql/data, and not with the volume docker_pgdata",
        ),
        (
            "a folder",
            model_of("docker", &usual(&bind_db), UPLOADS, ""),
            "docker_pgdata",
            "db would keep /var/lib/postgresql/data in the server's /srv/pg, and not in docker_pgdata",
        ),
        (
            "memory",
            model_of("docker", &usual(&tmpfs), UPLOADS, ""),
            "docker_pgdata",
            "db would keep /var/lib/postgresql/data in memory (tmpfs), and not in docker_pgdata",
        ),
        (
            "a bind gone",
            model_of("docker", &usual(&standard), "", DECLARED),
            "/srv/app/uploads",
            "backend would start without /srv/app/uploads, which holds /app/uploads now",
        ),
        (
            "a bind elsewhere",
            model_of(
                "docker",
                &usual(&standard),
                &UPLOADS.replace("/srv/app/uploads", "/srv/app/up"),
                DECLARED,
            ),
            "/srv/app/uploads",
            "backend would keep /app/uploads in the server's /srv/app/up, and not in /srv/app/uploads",
        ),
        (
            "a moved target",
            model_of(
                "docker",
                &usual(&standard),
                &UPLOADS.replace("/app/uploads\"}", "/data/up\"}"),
                DECLARED,
            ),
            "/srv/app/uploads",
            "backend would find /srv/app/uploads at /data/up, and nothing of it at /app/uploads",
        ),
        (
            "a bind made a volume",
            model_of(
                "docker",
                &usual(&standard),
                &at("up", "/app/uploads"),
                r#""pgdata":{"name":"docker_pgdata"},"up":{"name":"docker_up"}"#,
            ),
            "/srv/app/uploads",
            "backend would keep /app/uploads in the volume docker_up, and not in /srv/app/uploads",
        ),
    ] {
        let mut world = World::usual();
        assert_eq!(world.refusals(&model), [expected], "{what}");
        let failure = world.plan(&model).refusals[0].to_failure();
        assert!(
            failure.hints.iter().any(|h| h.contains(&format!("--accept-detach {accept} "))),
            "{failure:?}"
        );
        world.accept_detach = vec!["something_else".into()];
        assert_eq!(world.refusals(&model).len(), 1, "{what}: another name accepts nothing");
        world.accept_detach = vec![accept.into()];
        let plan = world.plan(&model);
        assert_eq!(plan.refusals, [], "{what}");
        assert!(plan.warnings.iter().any(|w| w.contains("as accepted")), "{what}");
    }
}

#[test]
fn a_renamed_project_is_told_by_its_name() {
    let model = model_of(
        "fit",
        &db("postgres:17", &at("pgdata", PGDATA), ""),
        UPLOADS,
        r#""pgdata":{"name":"fit_pgdata"}"#,
    );
    let refusal = &World::usual().plan(&model).refusals[0];
    assert!(
        matches!(refusal, Refusal::VolumeReplaced { project_before: Some(old), after_exists: false, .. } if old == "docker")
    );
}

#[test]
fn a_volume_kept_under_another_key_is_the_same() {
    let model = model_of(
        "fit",
        &db("postgres:17", &at("data", PGDATA), ""),
        UPLOADS,
        r#""data":{"name":"docker_pgdata","external":true}"#,
    );
    assert_eq!(World::usual().refusals(&model), Vec::<String>::new());
}

#[test]
fn shipped_files_and_the_systems_are_no_data() {
    let mut world = World::usual();
    world.now[1].mounts = vec![
        MountFacts {
            source: MountSource::Bind("/srv/app/n.conf".into()),
            target: "/n".into(),
            writable: true,
        },
        MountFacts {
            source: MountSource::Bind("/var/run/docker.sock".into()),
            target: "/s".into(),
            writable: true,
        },
    ];
    world.shipped = vec!["/srv/app/n.conf".into()];
    let model = model_of("docker", &db("postgres:17", &at("pgdata", PGDATA), ""), "", DECLARED);
    assert_eq!(world.refusals(&model), Vec::<String>::new());
}

#[test]
fn anonymous_volumes_are_carried_over_where_they_are() {
    let mut world = World::usual();
    world.now[1].mounts = vec![MountFacts {
        source: MountSource::AnonymousVolume(ANON.into()),
        target: "/cache".into(),
        writable: true,
    }];
    let with =
        |mounts: &str| model_of("docker", &db("postgres:17", &at("pgdata", PGDATA), ""), mounts, DECLARED);
    let anonymous = r#"{"type":"volume","target":"/cache"}"#;
    assert_eq!(world.refusals(&with(anonymous)), Vec::<String>::new());
    let left = format!("backend would leave its data at /cache behind in the anonymous volume {ANON}");
    assert_eq!(world.refusals(&with("")), [left]);
    // The image's VOLUME keeps it, too.
    world.images.extend([image("docker-backend", &["/cache/"], &[])]);
    let plan = world.plan(&with(""));
    assert_eq!(plan.refusals, []);
    assert!(plan.mounts.iter().any(|m| m.target == "/cache" && m.after.as_deref() == Some(ANON)));
    // Given a name, the data comes along.
    let named =
        r#""pgdata":{"name":"docker_pgdata"},"c":{"name":"ANON","external":true}"#.replace("ANON", ANON);
    world.volumes.push(VolumeFacts { name: ANON.into(), labels: BTreeMap::new() });
    let model = model_of("docker", &db("postgres:17", &at("pgdata", PGDATA), ""), &at("c", "/cache"), &named);
    assert_eq!(world.refusals(&model), Vec::<String>::new());
}

#[test]
fn a_mount_that_only_the_images_volume_would_keep_is_gone() {
    let model = model_of("docker", &db("postgres:17", "", ""), UPLOADS, "");
    assert_eq!(
        World::usual().refusals(&model),
        [
            "db would start without docker_pgdata, which holds /var/lib/postgresql/data now",
            "db is a database whose data would be kept in no volume",
        ]
    );
}

#[test]
fn read_only_views_of_a_volume_that_others_keep_may_go() {
    let mut world = World::usual();
    world.now[1].mounts =
        vec![MountFacts { source: volume("docker_pgdata"), target: "/ro".into(), writable: false }];
    let model = model_of("docker", &db("postgres:17", &at("pgdata", PGDATA), ""), "", DECLARED);
    assert_eq!(world.refusals(&model), Vec::<String>::new());
    world.now[1].mounts[0].writable = true;
    assert_eq!(world.refusals(&model).len(), 1);
}

#[test]
fn services_that_vanish_leave_their_volumes_and_heirs_must_take_them() {
    let world = World::usual();
    let without = model_of("docker", r#""x":{"image":"busybox"}"#, UPLOADS, "");
    let plan = world.plan(&without);
    assert_eq!(plan.refusals, []);
    assert!(plan.warnings[0].contains("no service uses docker_pgdata any more"));
    let heir = |key: &str, volumes: &str| {
        let service = db("postgres:17", &at(key, PGDATA), "").replace("\"db\"", "\"postgres\"");
        model_of("docker", &service, UPLOADS, volumes)
    };
    assert_eq!(world.refusals(&heir("pgdata", DECLARED)), Vec::<String>::new());
    assert_eq!(
        world.refusals(&heir("fresh", r#""fresh":{"name":"docker_fresh"}"#)),
        ["postgres takes the place of db, but would start with an empty /var/lib/postgresql/data"]
    );
}

#[test]
fn replicas_share_and_one_off_containers_do_not_count() {
    let mut world = World::usual();
    let mut replica = world.now[1].clone();
    replica.id = "second".into();
    world.now.push(replica);
    let mut one_off = container("backend", "docker-backend", &[(volume("docker_tmp"), "/tmp/x", true)]);
    one_off.one_off = true;
    world.now.push(one_off);
    let plan = world.plan(&usual_model());
    assert_eq!((plan.refusals.len(), plan.mounts.len()), (0, 2));
}

#[test]
fn postgres_must_fit_its_data() {
    let mut world = World::usual();
    let with = |image: &str, target: &str, more: &str| {
        model_of("docker", &db(image, &at("pgdata", target), more), UPLOADS, DECLARED)
    };
    let major = "db would start PostgreSQL 18 on data of PostgreSQL 17";
    assert_eq!(
        world.refusals(&with("postgres:18-alpine", PGDATA, "")).last().map(String::as_str),
        Some(
            "db would look for its data at /var/lib/postgresql/18/docker, where docker_pgdata does not have it"
        )
    );
    // Images of our own and of others.
    assert_eq!(world.refusals(&with("wharf-base/postgres:17", PGDATA, "")), Vec::<String>::new());
    let env = r#","environment":{"PGDATA":"/var/lib/postgresql/data"}"#;
    assert_eq!(world.refusals(&with("postgres:18", PGDATA, env)), [major]);
    assert_eq!(world.refusals(&with("pgvector/pgvector:pg18", PGDATA, env)), [major]);
    // Built on top of PostgreSQL: its image says so.
    world.images.extend([image("mine:1", &[PGDATA], &[("PG_MAJOR", "18"), ("PGDATA", PGDATA)])]);
    assert_eq!(world.refusals(&with("mine:1", PGDATA, "")), [major]);
    // The tag is not told: a warning.
    let plan = world.plan(&with("postgres:latest", PGDATA, ""));
    assert!(plan.refusals.is_empty() && plan.warnings[0].contains("cannot be told"), "{plan:?}");
    // Another folder of the same volume would be empty.
    let inside = r#","environment":{"PGDATA":"/var/lib/postgresql/data/pgdata"}"#;
    assert_eq!(
        world.refusals(&with("postgres:17", PGDATA, inside)),
        [
            "db would look for its data at /var/lib/postgresql/data/pgdata, where docker_pgdata does not have it"
        ]
    );
}

#[test]
fn a_database_needs_a_volume_at_its_data() {
    let fresh = |image: &str, mounts: &str, more: &str| {
        let mut world = World::usual();
        world.now.remove(0);
        world.volumes.clear();
        world.postgres.clear();
        world.plan(&model_of("docker", &db(image, mounts, more), UPLOADS, r#""v":{"name":"docker_v"}"#))
    };
    let tmpfs = |target: &str| format!(r#"{{"type":"tmpfs","target":"{target}"}}"#);
    for (image, target, refused) in [
        ("postgres:17", PGDATA, false),
        // The image's VOLUME below it would hide it.
        ("postgres:17", "/var/lib/postgresql", true),
        ("postgres:17", "/elsewhere", true),
        ("postgres:18", "/var/lib/postgresql", false),
        ("postgres:18", PGDATA, true),
        ("mysql:8", "/var/lib/mysql", false),
        ("mysql:8", "/data", true),
        ("mariadb", "/var/lib/mysql", false),
        ("mongo:7", "/data/db", false),
        ("mongo:7", "/db", true),
        ("redis:7", "/x", false),
    ] {
        let plan = fresh(image, &at("v", target), "");
        assert_eq!(!plan.refusals.is_empty(), refused, "{image} at {target}: {plan:?}");
    }
    assert!(fresh("redis:7", "", "").warnings[0].contains("/data"));
    assert!(fresh("postgres:17", &tmpfs(PGDATA), "").warnings[0].contains("memory"));
    // Clients of a database are none.
    for more in [r#","command":["psql","-c","select 1"]"#, r#","entrypoint":["sh","-c","pg_dump"]"#] {
        assert_eq!(fresh("postgres:17", "", more).refusals, []);
    }
    assert_eq!(fresh("postgres:17", "", r#","command":["postgres","-c","x=1"]"#).refusals.len(), 1);
    assert_eq!(fresh("postgres:17", "", r#","command":["-c","x=1"]"#).refusals.len(), 1);
}

#[test]
fn a_database_that_runs_on_an_anonymous_volume_is_told_how_to_keep_it() {
    let mut world = World::usual();
    world.now[0].mounts[0].source = MountSource::AnonymousVolume(ANON.into());
    let model = model_of("docker", &db("postgres:17", "", ""), UPLOADS, "");
    let refusals = world.plan(&model).refusals;
    assert!(
        matches!(&refusals[..], [Refusal::DatabaseWithoutVolume { anonymous: Some(v), .. }] if v == ANON)
    );
    // A new, empty volume is no remedy.
    let fresh =
        model_of("docker", &db("postgres:17", &at("n", PGDATA), ""), UPLOADS, r#""n":{"name":"docker_n"}"#);
    assert!(
        matches!(&world.plan(&fresh).refusals[..], [Refusal::VolumeReplaced { before, .. }] if before == ANON)
    );
}

#[test]
fn a_volume_that_is_there_already_is_asked_for_by_name() {
    let mut world = World::usual();
    world.now.clear();
    let refused = Refusal::VolumeNotOwned {
        volume: "docker_pgdata".into(),
        project: "docker".into(),
        other_project: Some("docker".into()),
    };
    assert_eq!(world.plan(&usual_model()).refusals, [refused]);
    world.accept_volume = vec!["docker_pgdata".into()];
    assert_eq!(world.plan(&usual_model()).refusals, []);
    world.accept_volume.clear();
    world.owned.insert("docker_pgdata".into());
    assert_eq!(world.plan(&usual_model()).refusals, []);
    let missing = usual_model().replace("\"docker_pgdata\"", "\"nowhere\",\"external\":true");
    world.owned.clear();
    assert_eq!(world.refusals(&missing), ["the volume nowhere does not exist"]);
}
