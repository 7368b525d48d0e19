use super::*;
use crate::dockerignore::filter_context;
use wharf_proto::manifest::{Chunk, LinkTarget};

fn file(path: &str, content: &str, mode: u32) -> Entry {
    let chunk = Chunk { digest: Digest::of(content.as_bytes()), size_bytes: content.len() as u32 };
    let kind =
        EntryKind::File { mode, mtime_seconds: 5, size_bytes: content.len() as u64, chunks: vec![chunk] };
    Entry { path: path.parse().unwrap(), kind }
}

fn tree(extra: &[Entry]) -> Manifest {
    let mut entries = vec![
        file("backend/Dockerfile", "FROM a", 0o644),
        file("backend/app.py", "1", 0o644),
        file("nginx/nginx.conf", "n", 0o644),
        file("conf/a", "a", 0o644),
    ];
    for new in extra {
        entries.retain(|e| e.path != new.path);
        entries.push(new.clone());
    }
    Manifest::new(entries).unwrap()
}

fn model(build: &str) -> Model {
    let json = format!(
        r#"{{"name":"p","services":{{"web":{{"build":{build},
            "configs":[{{"source":"a"}}],"secrets":[{{"source":"s"}}],
            "volumes":[{{"type":"bind","source":"/app/nginx/nginx.conf","target":"/n","read_only":true}},
                       {{"type":"bind","source":"/app/uploads","target":"/u"}}]}}}},
          "configs":{{"a":{{"file":"/app/conf/a"}}}},"secrets":{{"s":{{"file":"/app/.secret"}}}}}}"#
    );
    Model::parse(&json, "/app", "/app").unwrap()
}

const BUILD: &str = r#"{"context":"/app/backend","args":{"A":"1"},"secrets":[{"source":"npm"}]}"#;

struct Case {
    build: &'static str,
    manifest: Manifest,
    from: &'static str,
    secret: &'static str,
    platform: Option<&'static str>,
}

impl Case {
    fn usual() -> Self {
        Self { build: BUILD, manifest: tree(&[]), from: "sha256:1", secret: "x", platform: None }
    }

    fn digest(&self) -> Digest {
        let key = InputKey::new([1; 32]);
        let model = model(self.build);
        let service = model.service("web").unwrap();
        let build = service.build.as_ref().unwrap();
        let folder = context_folder(build, &self.manifest).unwrap();
        let context = filter_context(&self.manifest, folder, None, Some("*.pyc")).unwrap();
        image_inputs(
            &ImageInputs {
                build,
                context: &context.entries,
                dockerfile: "FROM a",
                additional: &BTreeMap::new(),
                platform: self.platform,
                from_images: &BTreeMap::from([("a".into(), self.from.into())]),
                secrets: &BTreeMap::from([("npm".into(), key.digest(self.secret.as_bytes()))]),
            },
            &key,
        )
        .unwrap()
    }
}

#[test]
fn an_image_changes_with_each_of_its_inputs_and_nothing_else() {
    let usual = Case::usual().digest();
    let with = |entry: Entry| Case { manifest: tree(&[entry]), ..Case::usual() };
    let mut touched = file("backend/app.py", "1", 0o644);
    if let EntryKind::File { mtime_seconds, .. } = &mut touched.kind {
        *mtime_seconds = 99;
    }
    let build = |build| Case { build, ..Case::usual() };
    for (what, case, changes) in [
        ("time", with(touched), false),
        ("content", with(file("backend/app.py", "2", 0o644)), true),
        ("mode", with(file("backend/app.py", "1", 0o755)), true),
        ("new file", with(file("backend/b.py", "2", 0o644)), true),
        ("ignored file", with(file("backend/b.pyc", "2", 0o644)), false),
        ("outside", with(file("nginx/nginx.conf", "2", 0o644)), false),
        ("base", Case { from: "sha256:2", ..Case::usual() }, true),
        ("secret", Case { secret: "y", ..Case::usual() }, true),
        ("platform", Case { platform: Some("linux/arm64"), ..Case::usual() }, true),
        ("arg", build(r#"{"context":"/app/backend","args":{"A":"2"},"secrets":[{"source":"npm"}]}"#), true),
        (
            "target",
            build(r#"{"context":"/app/backend","args":{"A":"1"},"target":"t","secrets":[{"source":"npm"}]}"#),
            true,
        ),
        (
            "tags",
            build(
                r#"{"context":"/app/backend","args":{"A":"1"},"tags":["t"],"no_cache":true,"secrets":[{"source":"npm"}]}"#,
            ),
            false,
        ),
        (
            "unknown option",
            build(r#"{"context":"/app/backend","args":{"A":"1"},"novel":1,"secrets":[{"source":"npm"}]}"#),
            true,
        ),
    ] {
        assert_eq!(case.digest() != usual, changes, "{what}");
    }
}

#[test]
fn what_is_not_known_is_an_error() {
    let key = InputKey::new([1; 32]);
    let none = BTreeMap::new();
    let digest = |build: &str, from: &str, dockerfile: &str| {
        let model = model(build);
        let service = model.service("web").unwrap();
        let inputs = ImageInputs {
            build: service.build.as_ref().unwrap(),
            context: &[],
            dockerfile,
            additional: &BTreeMap::new(),
            platform: None,
            from_images: &BTreeMap::from([("a".to_owned(), from.to_owned())]),
            secrets: &none,
        };
        image_inputs(&inputs, &key)
    };
    assert!(matches!(digest(BUILD, "sha256:1", "FROM a"), Err(InputsError::Secret(_))));
    assert!(matches!(digest(r#"{"context":"/app"}"#, "", "FROM a"), Err(InputsError::FromImage(_))));
    assert!(digest(r#"{"context":"/app"}"#, "sha256:1", "FROM a").is_ok());
    let remote = digest(r#"{"context":"https://me:hunter2@git.example/a.git"}"#, "x", "FROM a").unwrap_err();
    assert_eq!(remote, InputsError::ContextElsewhere("https://git.example/a.git".into()));
    let additional = r#"{"context":"/app","additional_contexts":{"b":"service:other"}}"#;
    assert!(matches!(digest(additional, "x", "FROM a"), Err(InputsError::ContextElsewhere(_))));
}

#[test]
fn a_context_behind_a_link_is_not_compared() {
    let link = Entry {
        path: "backend".parse().unwrap(),
        kind: EntryKind::Symlink { target: LinkTarget::Text("real".into()) },
    };
    let manifest = Manifest::new(vec![link, file("real/a", "1", 0o644)]).unwrap();
    let model = model(r#"{"context":"/app/backend/x"}"#);
    let build = model.service("web").unwrap().build.clone().unwrap();
    assert!(matches!(context_folder(&build, &manifest), Err(InputsError::ThroughALink { .. })));
}

#[test]
fn mounted_files_are_inputs() {
    let key = InputKey::new([1; 32]);
    let model = model(BUILD);
    let digest = |manifest: &Manifest, secret: &str| {
        let server = |path: &str| (path == "/app/.secret").then(|| key.digest(secret.as_bytes()));
        mounted_inputs(&model, model.service("web").unwrap(), manifest, &server, &key)
    };
    let usual = digest(&tree(&[]), "x");
    assert_eq!(digest(&tree(&[file("backend/app.py", "2", 0o644)]), "x"), usual);
    assert_ne!(digest(&tree(&[file("nginx/nginx.conf", "2", 0o644)]), "x"), usual);
    assert_ne!(digest(&tree(&[file("conf/a", "2", 0o644)]), "x"), usual);
    assert_ne!(digest(&tree(&[file("uploads/seed.png", "2", 0o644)]), "x"), usual);
    assert_ne!(digest(&tree(&[]), "y"), usual, "a secret's file on the server");
    assert_eq!(writable_mounts(&model), [Some("uploads".parse().unwrap())]);
}

#[test]
fn changed_paths_are_new_gone_or_different() {
    let before = [file("a", "1", 0o644), file("b", "1", 0o644), file("c", "1", 0o644)];
    let after = [file("b", "2", 0o644), file("c", "1", 0o644), file("d", "1", 0o644)];
    let changed: Vec<String> = changed_paths(&before, &after).iter().map(ToString::to_string).collect();
    assert_eq!(changed, ["a", "b", "d"]);
}

#[test]
fn an_image_is_portable_only_where_no_environment_has_a_part_in_it() {
    let none = BTreeMap::new();
    let digest = |build: &str, dockerfile: &str, from: &str| {
        let model = model(build);
        let service = model.service("web").unwrap();
        portable_inputs(&ImageInputs {
            build: service.build.as_ref().unwrap(),
            context: &[],
            dockerfile,
            additional: &BTreeMap::new(),
            platform: None,
            from_images: &BTreeMap::from([("a".to_owned(), from.to_owned())]),
            secrets: &none,
        })
    };
    let plain = digest(r#"{"context":"/app"}"#, "FROM a", "sha256:1");
    assert!(plain.is_some());
    // It was tried out on its own base image.
    assert_eq!(digest(r#"{"context":"/app"}"#, "FROM a", "sha256:2"), plain);
    assert_ne!(digest(r#"{"context":"/app"}"#, "FROM b", "sha256:1"), plain);
    assert_ne!(digest(r#"{"context":"/app","target":"slim"}"#, "FROM a", "sha256:1"), plain);
    for build in [
        r#"{"context":"/app","args":{"SITE":"shop.example"}}"#,
        r#"{"context":"/app","secrets":[{"source":"npm"}]}"#,
        r#"{"context":"/app","labels":{"site":"shop.example"}}"#,
        r#"{"context":"/app","dockerfile_inline":"FROM a"}"#,
        r#"{"context":"/app","additional_contexts":{"b":"docker-image://shop-base"}}"#,
        r#"{"context":"https://git.example/a.git"}"#,
    ] {
        assert_eq!(digest(build, "FROM a", "sha256:1"), None, "{build}");
    }
}
