use super::*;

fn model() -> Model {
    Model::parse(
        r#"{"name":"p","services":{
            "db":{"image":"postgres:17","restart":"always"},
            "init":{"image":"busybox","restart":"no"},
            "web":{"build":{"context":"/app/web"},"depends_on":{"db":{"condition":"service_started"}},"scale":2,
                   "volumes":[{"type":"bind","source":"/app/nginx","target":"/n"}]}}}"#,
        "/app",
        "/app",
    )
    .unwrap()
}

fn container(service: &str, state: ContainerState, exit_code: Option<i64>) -> ContainerFacts {
    ContainerFacts {
        log: crate::facts::LogFacts::default(),
        id: service.into(),
        name: service.into(),
        project: "p".into(),
        service: service.into(),
        config_hash: "h".into(),
        working_dir: "/app".into(),
        config_files: vec![],
        one_off: false,
        image_id: "sha256:1".into(),
        image: "i".into(),
        state,
        health: None,
        exit_code,
        oom_killed: false,
        restarts: 0,
        started_at: None,
        restart_policy: "no".into(),
        mounts: vec![],
    }
}

fn running() -> Vec<ContainerFacts> {
    vec![
        container("db", ContainerState::Running, None),
        container("init", ContainerState::Exited, Some(0)),
        container("web", ContainerState::Running, None),
        container("web", ContainerState::Running, None),
    ]
}

struct Case {
    now: Vec<ContainerFacts>,
    images: BTreeMap<String, ImageDecision>,
    before: BTreeMap<String, ServiceDigests>,
    next: BTreeMap<String, ServiceDigests>,
    hashes: BTreeMap<String, String>,
    touched: Vec<RelPath>,
}

impl Case {
    fn unchanged() -> Self {
        let digests = ServiceDigests { definition: Digest([1; 32]), mounted: Digest([2; 32]) };
        let all: BTreeMap<_, _> =
            ["db", "init", "web"].into_iter().map(|s| (s.to_owned(), digests)).collect();
        Self {
            now: running(),
            images: BTreeMap::new(),
            before: all.clone(),
            next: all.clone(),
            hashes: all.keys().map(|s| (s.clone(), "h".to_owned())).collect(),
            touched: vec![],
        }
    }

    fn plans(&self) -> Vec<(String, ContainerAction, String)> {
        let plans = service_plans(&ServiceFacts {
            model: &model(),
            now: &self.now,
            images: &self.images,
            before: &self.before,
            next: &self.next,
            config_hashes: &self.hashes,
            touched: &self.touched,
        });
        plans
            .into_iter()
            .filter(|p| p.container != ContainerAction::Keep)
            .map(|p| (p.service, p.container, p.why.join("; ")))
            .collect()
    }
}

fn one(service: &str, action: ContainerAction, why: &str) -> Vec<(String, ContainerAction, String)> {
    vec![(service.to_owned(), action, why.to_owned())]
}

#[test]
fn what_is_unchanged_and_runs_is_left_alone() {
    assert_eq!(Case::unchanged().plans(), []);
}

#[test]
fn each_change_recreates_its_service_alone() {
    let mut case = Case::unchanged();
    case.next.get_mut("db").unwrap().definition = Digest([9; 32]);
    assert_eq!(case.plans(), one("db", ContainerAction::Recreate, "definition changed"));

    let mut case = Case::unchanged();
    case.hashes.insert("db".into(), "other".into());
    assert_eq!(case.plans(), one("db", ContainerAction::Recreate, "definition changed"));

    let mut case = Case::unchanged();
    case.touched = vec!["nginx/nginx.conf".parse().unwrap(), "web/App.js".parse().unwrap()];
    assert_eq!(case.plans(), one("web", ContainerAction::Recreate, "mounted file changed: nginx/nginx.conf"));

    let mut case = Case::unchanged();
    case.next.get_mut("web").unwrap().mounted = Digest([9; 32]);
    assert_eq!(case.plans(), one("web", ContainerAction::Recreate, "a mounted file changed"));

    let mut case = Case::unchanged();
    let decision = ImageDecision { action: ImageAction::Build, why: vec!["context changed: web/a".into()] };
    case.images.insert("web".into(), decision);
    assert_eq!(case.plans(), one("web", ContainerAction::Recreate, "context changed: web/a"));
}

#[test]
fn what_does_not_run_is_started() {
    let mut case = Case::unchanged();
    case.now.retain(|c| c.service != "db");
    assert_eq!(case.plans(), one("db", ContainerAction::Create, "not running"));

    let mut case = Case::unchanged();
    case.now[0].state = ContainerState::Exited;
    case.now[0].exit_code = Some(0);
    assert_eq!(case.plans(), one("db", ContainerAction::Create, "not running"));

    let mut case = Case::unchanged();
    case.now[1].exit_code = Some(1);
    assert_eq!(case.plans(), one("init", ContainerAction::Create, "not running"));

    let mut case = Case::unchanged();
    case.now.pop();
    assert_eq!(case.plans(), one("web", ContainerAction::Create, "replicas: 1 → 2"));
}

#[test]
fn services_that_the_model_lacks_go() {
    let mut case = Case::unchanged();
    case.now.push(container("old", ContainerState::Running, None));
    let mut one_off = container("tool", ContainerState::Running, None);
    one_off.one_off = true;
    case.now.push(one_off);
    assert_eq!(
        case.plans(),
        one("old", ContainerAction::Remove, "the Compose files do not have it any more")
    );
}

#[test]
fn images_are_built_when_something_says_so() {
    let model = model();
    let (web, db) = (model.service("web").unwrap(), model.service("db").unwrap());
    let changed: [RelPath; 4] = ["a", "b", "c", "d"].map(|p| p.parse().unwrap());
    let same = Some(Digest([1; 32]));
    let bases = ["base".to_owned(), "core".to_owned()];
    let base = |service| ImageFactsOf {
        service,
        before: same,
        now: same.map(Ok),
        changed: &[],
        present: true,
        changing_bases: &[],
        rebuild: false,
        pull: false,
        origin: Origin::Laptop,
    };
    let other = || Some(Ok(Digest([2; 32])));
    let secret = || Some(Err(InputsError::Secret("npm".into())));
    for (facts, action, why) in [
        (base(web), ImageAction::Keep, ""),
        (ImageFactsOf { rebuild: true, ..base(web) }, ImageAction::Build, "--rebuild"),
        (ImageFactsOf { present: false, ..base(web) }, ImageAction::Build, "there is no image yet"),
        (
            ImageFactsOf { now: other(), changed: &changed, ..base(web) },
            ImageAction::Build,
            "context changed: a, b, c and 1 more",
        ),
        (
            ImageFactsOf { now: other(), ..base(web) },
            ImageAction::Build,
            "the Dockerfile, an argument, a secret or a base image changed",
        ),
        (
            ImageFactsOf { before: None, ..base(web) },
            ImageAction::Build,
            "it is not known what the image was built from",
        ),
        (
            ImageFactsOf { now: secret(), ..base(web) },
            ImageAction::Build,
            "the content of the build secret npm is not known",
        ),
        // Though all that goes into it seems to be the same.
        (
            ImageFactsOf { changing_bases: &bases[..1], ..base(web) },
            ImageAction::Build,
            "made from an image that changes: base",
        ),
        (
            ImageFactsOf { changing_bases: &bases, now: other(), changed: &changed, ..base(web) },
            ImageAction::Build,
            "made from an image that changes: base, core",
        ),
        (
            ImageFactsOf { changing_bases: &bases, present: false, ..base(web) },
            ImageAction::Build,
            "there is no image yet",
        ),
        (
            ImageFactsOf { changing_bases: &bases, rebuild: true, ..base(web) },
            ImageAction::Build,
            "--rebuild",
        ),
        (ImageFactsOf { now: None, ..base(db) }, ImageAction::Keep, ""),
        (ImageFactsOf { now: None, pull: true, ..base(db) }, ImageAction::Pull, "--pull"),
        (ImageFactsOf { now: None, rebuild: true, ..base(db) }, ImageAction::Keep, ""),
        (
            ImageFactsOf { now: None, present: false, ..base(db) },
            ImageAction::Pull,
            "the image is not on the server",
        ),
    ] {
        let decision = image_decision(&facts);
        assert_eq!((decision.action, decision.why.join("; ").as_str()), (action, why));
    }
}

#[test]
fn a_promoted_image_serves_where_all_that_goes_into_it_is_the_same() {
    let model = model();
    let (web, db) = (model.service("web").unwrap(), model.service("db").unwrap());
    let (one, two) = (Digest([1; 32]), Digest([2; 32]));
    let here = |inputs, present| Origin::Here { name: "staging v12", inputs, present };
    let elsewhere = |image| Origin::Elsewhere { name: "staging v12", image };
    let bases = ["base".to_owned()];
    let first = |origin| ImageFactsOf {
        service: web,
        before: None,
        now: Some(Ok(one)),
        changed: &[],
        present: false,
        changing_bases: &[],
        rebuild: false,
        pull: false,
        origin,
    };
    let live = |before, origin| ImageFactsOf { before: Some(before), present: true, ..first(origin) };
    let secret = Some(Err(InputsError::Secret("npm".into())));
    for (facts, action, why) in [
        (first(here(Some(one), true)), ImageAction::Reuse, "the image of staging v12"),
        (live(two, here(Some(one), true)), ImageAction::Reuse, "the image of staging v12"),
        // What serves already is as good, and its container stays.
        (live(one, here(Some(one), true)), ImageAction::Keep, ""),
        (
            first(here(Some(two), true)),
            ImageAction::Build,
            "an argument, a secret or a base image is not that of staging v12",
        ),
        (
            first(here(Some(one), false)),
            ImageAction::Build,
            "the image of staging v12 is no longer on the server",
        ),
        (first(here(None, true)), ImageAction::Build, "there is no image yet"),
        (
            ImageFactsOf { now: secret, ..first(here(Some(one), true)) },
            ImageAction::Build,
            "there is no image yet",
        ),
        (
            ImageFactsOf { now: None, ..first(here(Some(one), true)) },
            ImageAction::Build,
            "there is no image yet",
        ),
        (ImageFactsOf { rebuild: true, ..first(here(Some(one), true)) }, ImageAction::Build, "--rebuild"),
        // Built on what this app has, not on what the other made its own from.
        (
            ImageFactsOf { changing_bases: &bases, ..live(one, Origin::Laptop) },
            ImageAction::Build,
            "made from an image that changes: base",
        ),
        (
            first(elsewhere(Travelled::No("it is for linux/arm64"))),
            ImageAction::Build,
            "there is no image yet; staging v12 runs on another server, and its image is not sent \
             (it is for linux/arm64): built here from its source",
        ),
        (
            first(elsewhere(Travelled::Awaited)),
            ImageAction::Reuse,
            "the image of staging v12, which its server sends",
        ),
        (
            live(two, elsewhere(Travelled::Here)),
            ImageAction::Reuse,
            "the image of staging v12, from its server",
        ),
        (live(one, elsewhere(Travelled::Awaited)), ImageAction::Keep, ""),
        (
            ImageFactsOf { rebuild: true, ..first(elsewhere(Travelled::Here)) },
            ImageAction::Build,
            "--rebuild",
        ),
        // What comes from a registry is what its name means here.
        (
            ImageFactsOf { service: db, now: None, ..first(here(Some(one), true)) },
            ImageAction::Pull,
            "the image is not on the server",
        ),
    ] {
        let decision = image_decision(&facts);
        assert_eq!((decision.action, decision.why.join("; ").as_str()), (action, why));
    }
}
