//! Builds with the real engine.

use crate::support::{BUSYBOX, Cleanup, docker_ok, engine, paths, unique, write};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wharf_engine::build::AdditionalContext;
use wharf_engine::{BuildError, BuildLine, BuildSpec, Dockerfile, Engine, SecretSource};

struct Bench {
    engine: Engine,
    dir: tempfile::TempDir,
    clean: Cleanup,
}

impl Bench {
    async fn new() -> Self {
        let engine = engine().await;
        Self { engine, dir: tempfile::tempdir().unwrap(), clean: Cleanup::default() }
    }

    fn spec(&mut self, dockerfile: &str, files: &[&str]) -> BuildSpec {
        let dockerfile = Dockerfile::Inline(format!("FROM {BUSYBOX} AS base\n{dockerfile}"));
        let mut spec = BuildSpec::new(self.dir.path(), paths(files), dockerfile);
        let tag = format!("{}:v1", unique("wharf-engine-test"));
        self.clean.images.push(tag.clone());
        spec.tags = vec![tag];
        spec.network = Some("none".into());
        spec.limit = Duration::from_secs(300);
        spec
    }

    async fn build(&mut self, spec: BuildSpec) -> (Result<String, BuildError>, Vec<BuildLine>) {
        let mut lines = Vec::new();
        let result = self.engine.build(spec, &CancellationToken::new(), |line| lines.push(line)).await;
        if let Ok(id) = &result {
            self.clean.images.push(id.clone());
        }
        (result, lines)
    }

    fn run(&self, image: &str, script: &str) -> String {
        docker_ok(&["run", "--rm", "--network", "none", image, "sh", "-c", script])
    }
}

#[tokio::test]
async fn everything_a_dockerfile_of_today_uses() {
    let mut bench = Bench::new().await;
    write(bench.dir.path(), "src/app.sh", "echo app");
    write(bench.dir.path(), "src/ignored", "no");
    write(bench.dir.path(), "secret.txt", "file-secret-value");
    std::fs::create_dir(bench.dir.path().join("empty")).unwrap();
    std::os::unix::fs::symlink("app.sh", bench.dir.path().join("src/link")).unwrap();
    let dockerfile = r#"
ARG GREETING
RUN <<EOT
echo "$GREETING" > /greeting
EOT
COPY --chmod=0755 src /app
COPY empty /empty
RUN --mount=type=secret,id=token cat /run/secrets/token | tee /dev/stderr | wc -c > /length
RUN --mount=type=secret,id=file cat /run/secrets/file | wc -c > /file-length
RUN --mount=type=cache,target=/cache echo x > /cache/x
FROM base AS other
RUN false
"#;
    let mut spec = bench.spec(dockerfile, &["src/app.sh", "src/link", "empty"]);
    spec.target = Some("base".into());
    spec.args.insert("GREETING".into(), "hello".into());
    spec.secrets.insert("token".into(), SecretSource::Value("value-of-the-token".into()));
    spec.secrets.insert("file".into(), SecretSource::File(bench.dir.path().join("secret.txt")));
    spec.labels.insert("who".into(), "test".into());
    let tag = spec.tags[0].clone();
    let (result, lines) = bench.build(spec).await;
    let id = result.unwrap_or_else(|error| panic!("{error}\n{:#?}", error.lines()));
    let image = bench.engine.image(&tag).await.unwrap().unwrap();
    assert_eq!(image.id, id);
    assert!(image.tags.contains(&tag), "{:?}", image.tags);
    let seen = bench.run(&tag, "cat /greeting /length /file-length; sh /app/app.sh; ls /app; stat -c '%a %u %g' /app/app.sh; readlink /app/link; ls -d /empty");
    assert_eq!(
        seen.split_whitespace().collect::<Vec<_>>(),
        ["hello", "18", "17", "app", "app.sh", "link", "755", "0", "0", "app.sh", "/empty"]
    );
    assert!(lines.iter().any(|line| line.step.contains("COPY --chmod=0755 src /app")), "{lines:#?}");
    let text = format!("{lines:?}");
    assert!(!text.contains("value-of-the-token") && text.contains("***"), "{text}");
}

#[tokio::test]
async fn a_failing_step_is_named_with_its_output() {
    let mut bench = Bench::new().await;
    let spec = bench.spec("RUN echo before\nRUN echo on-out; echo on-err >&2; exit 7\n", &[]);
    let (result, lines) = bench.build(spec).await;
    let error = result.unwrap_err();
    let BuildError::Failed { instruction, why, lines: last } = &error else { panic!("{error:?}") };
    assert!(instruction.as_deref().unwrap().contains("RUN echo on-out"), "{instruction:?}");
    assert!(why.contains("exit code: 7"), "{why}");
    // Two pipes: which of them is read first is nobody's promise.
    let mut last = last.clone();
    last.sort();
    assert_eq!(last, ["on-err", "on-out"]);
    assert!(lines.iter().any(|line| line.text == "before"));
}

#[tokio::test]
async fn a_dockerfile_that_cannot_be_read_says_where() {
    let mut bench = Bench::new().await;
    let spec = bench.spec("FROBNICATE all\n", &[]);
    let error = bench.build(spec).await.0.unwrap_err().to_string();
    assert!(error.contains("FROBNICATE"), "{error}");
}

#[tokio::test]
async fn no_cache_means_that_every_step_runs_again() {
    let mut bench = Bench::new().await;
    let dockerfile = "RUN cat /proc/sys/kernel/random/uuid > /stamp\n";
    let (first, second) = (bench.spec(dockerfile, &[]), bench.spec(dockerfile, &[]));
    let (a, b) = (first.tags[0].clone(), second.tags[0].clone());
    bench.build(first).await.0.unwrap();
    bench.build(second).await.0.unwrap();
    assert_ne!(bench.run(&a, "cat /stamp"), bench.run(&b, "cat /stamp"));
}

#[tokio::test]
async fn equal_content_is_equal_though_the_ids_differ_and_other_content_is_not() {
    let mut bench = Bench::new().await;
    write(bench.dir.path(), "file", "one");
    let mut contents = Vec::new();
    for change in [None, None, Some("two")] {
        if let Some(text) = change {
            write(bench.dir.path(), "file", text);
        }
        let mut spec = bench.spec("COPY file /\nENV A=1\nCMD [\"true\"]\n", &["file"]);
        spec.tags.clear();
        let id = bench.build(spec).await.0.unwrap();
        contents.push((id.clone(), bench.engine.image(&id).await.unwrap().unwrap().content));
    }
    assert_ne!(contents[0].0, contents[1].0);
    assert_eq!(contents[0].1, contents[1].1);
    assert_ne!(contents[1].1, contents[2].1);
}

#[tokio::test]
async fn a_file_that_vanished_fails_the_build_by_name() {
    let mut bench = Bench::new().await;
    let spec = bench.spec("COPY . /all\n", &["gone.txt"]);
    let error = bench.build(spec).await.0.unwrap_err();
    assert!(matches!(&error, BuildError::Unreadable { path, .. } if path.ends_with("gone.txt")), "{error:?}");
}

#[tokio::test]
async fn cancelling_stops_the_build() {
    let mut bench = Bench::new().await;
    // The step tells its host process by an unusual number of seconds.
    let seconds = format!("{}", 100_000 + rand::random::<u32>() % 900_000);
    let spec = bench.spec(&format!("RUN echo started; sleep {seconds}\n"), &[]);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let engine = bench.engine.clone();
    let result = engine
        .build(spec, &cancel, |line| {
            if line.text == "started" {
                stop.cancel();
            }
        })
        .await;
    assert!(matches!(result, Err(BuildError::Cancelled)), "{result:?}");
    let running = || {
        let output = std::process::Command::new("ps").args(["-eo", "args"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().any(|line| line.trim() == format!("sleep {seconds}"))
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while running() {
        assert!(std::time::Instant::now() < deadline, "the step still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_dockerfile_outside_and_more_contexts() {
    let mut bench = Bench::new().await;
    let elsewhere = tempfile::tempdir().unwrap();
    write(
        elsewhere.path(),
        "Special.dockerfile",
        &format!("FROM {BUSYBOX}\nCOPY --from=extra deep/x /x\nCOPY a /a\n"),
    );
    write(elsewhere.path(), "deep/x", "from the extra context");
    write(bench.dir.path(), "a", "from the context");
    let mut spec = bench.spec("", &["a"]);
    spec.dockerfile = Dockerfile::Outside(elsewhere.path().join("Special.dockerfile"));
    let folder = AdditionalContext::Folder { dir: elsewhere.path().into(), files: paths(&["deep/x"]) };
    spec.additional_contexts.insert("extra".into(), folder);
    let tag = spec.tags[0].clone();
    bench.build(spec).await.0.unwrap();
    assert_eq!(bench.run(&tag, "cat /x; echo; cat /a"), "from the extra context\nfrom the context");
}

#[tokio::test]
async fn a_file_edited_without_a_trace_in_size_or_time_is_sent_anew() {
    let mut bench = Bench::new().await;
    let mut seen = Vec::new();
    for text in ["one", "two"] {
        write(bench.dir.path(), "file", text);
        let file = std::fs::File::options().write(true).open(bench.dir.path().join("file")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
        let spec = bench.spec("COPY file /\n", &["file"]);
        let tag = spec.tags[0].clone();
        bench.build(spec).await.0.unwrap();
        seen.push(bench.run(&tag, "cat /file"));
    }
    assert_eq!(seen, ["one", "two"]);
}

#[tokio::test]
async fn a_missing_secret_and_a_missing_base_say_what_is_missing() {
    let mut bench = Bench::new().await;
    let spec = bench.spec("RUN --mount=type=secret,id=absent,required=true true\n", &[]);
    let error = bench.build(spec).await.0.unwrap_err().to_string();
    assert!(error.contains("absent"), "{error}");
    let mut spec = bench.spec("", &[]);
    spec.dockerfile = Dockerfile::Inline("FROM localhost:1/nothing/here:1\n".into());
    let error = bench.build(spec).await.0.unwrap_err().to_string();
    assert!(error.contains("localhost:1/nothing/here"), "{error}");
}
