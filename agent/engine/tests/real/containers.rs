//! Containers and images of the real engine.

use crate::support::{BUSYBOX, Cleanup, docker, docker_ok, engine, unique};
use futures_util::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use wharf_engine::{
    Engine, EngineError, ExecOutput, ExecSpec, LogOptions, Scratch, StreamKind, Throwaway, Toolbox,
};

const LIMIT: Duration = Duration::from_secs(60);

async fn running(clean: &mut Cleanup, args: &[&str]) -> (Engine, String) {
    let name = unique("wharf-engine-test");
    clean.containers.push(name.clone());
    docker_ok(&[&["run", "-d", "--init", "--network", "none", "--name", &name], args].concat());
    (engine().await, name)
}

#[tokio::test]
async fn the_engine_tells_about_itself() {
    let engine = engine().await;
    engine.wait_ready(LIMIT).await.unwrap();
    let info = engine.info().await.unwrap();
    assert_eq!(info.version, docker_ok(&["version", "-f", "{{.Server.Version}}"]));
    assert_eq!(info.root_dir.to_str().unwrap(), docker_ok(&["info", "-f", "{{.DockerRootDir}}"]));
}

/// A container of which nobody says how it logs is what the engine makes of it, and so is the one that never starts.
#[tokio::test]
async fn whether_the_engine_limits_logs_is_told_as_its_containers_show() {
    let mut clean = Cleanup::default();
    let (engine, name) = running(&mut clean, &[BUSYBOX, "true"]).await;
    let log = engine.container(&name).await.unwrap().unwrap().log;
    assert_eq!(engine.leaves_logs_unlimited(Some(BUSYBOX)).await.unwrap(), log.is_unlimited());
    let own = ["--log-driver", "json-file", "--log-opt", "max-size=3m", BUSYBOX, "true"];
    let (engine, name) = running(&mut clean, &own).await;
    let log = engine.container(&name).await.unwrap().unwrap().log;
    assert_eq!(
        (log.driver.as_str(), log.max_size.as_deref(), log.is_unlimited()),
        ("json-file", Some("3m"), false)
    );
    assert!(!log.by_wharf && log.path.is_some());
}

#[tokio::test]
async fn no_engine_is_an_error_that_names_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("none.sock");
    let error = Engine::connect_when_ready(Some(&socket), Duration::from_millis(300)).await.unwrap_err();
    assert!(
        matches!(error, EngineError::Unreachable { .. }) && error.to_string().contains("none.sock"),
        "{error}"
    );
}

#[tokio::test]
async fn a_command_is_binary_safe_both_ways_and_tells_its_exit_code() {
    let mut clean = Cleanup::default();
    let (engine, name) = running(&mut clean, &[BUSYBOX, "sleep", "1000"]).await;
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let spec = ExecSpec { stdin: true, ..ExecSpec::new(["cat"]) };
    let result = engine.exec_to_end(&name, &spec, &bytes, LIMIT, 4_000_000).await.unwrap();
    assert_eq!((result.code, result.stdout == bytes), (Some(0), true));

    let spec = ExecSpec {
        env: vec!["GREETING=hello".into()],
        user: Some("65534".into()),
        ..ExecSpec::new(["sh", "-c", "echo $GREETING; id -u; echo bad >&2; exit 3"])
    };
    let result = engine.exec_to_end(&name, &spec, b"", LIMIT, 1000).await.unwrap();
    assert_eq!(result.code, Some(3));
    assert_eq!((result.stdout.as_slice(), result.stderr.as_slice()), (&b"hello\n65534\n"[..], &b"bad\n"[..]));

    let missing = engine.exec_to_end(&name, &ExecSpec::new(["no-such-program"]), b"", LIMIT, 1000).await;
    assert!(missing.map_or(true, |result| result.code != Some(0)));
    let unread = ExecSpec { stdin: true, ..ExecSpec::new(["true"]) };
    let result = engine.exec_to_end(&name, &unread, &bytes, LIMIT, 1000).await.unwrap();
    assert_eq!(result.code, Some(0));
}

#[tokio::test]
async fn a_command_streams_and_can_be_ended_by_its_id() {
    let mut clean = Cleanup::default();
    let (engine, name) = running(&mut clean, &[BUSYBOX, "sleep", "1000"]).await;
    let spec =
        ExecSpec { stdin: true, ..ExecSpec::new(["sh", "-c", "read line; echo got $line; exec sleep 1000"]) };
    let mut exec = engine.exec(&name, &spec).await.unwrap();
    let mut stdin = exec.take_stdin().unwrap();
    stdin.write_all(b"this\n").await.unwrap();
    stdin.flush().await.unwrap();
    assert_eq!(exec.next().await.unwrap().unwrap(), ExecOutput::Stdout("got this\n".into()));
    engine.end_exec(exec.id()).await.unwrap();
    while exec.next().await.is_some() {}
    assert_eq!(exec.exit_code().await.unwrap(), Some(137));
    let slow = engine
        .exec_to_end(&name, &ExecSpec::new(["sleep", "1000"]), b"", Duration::from_millis(500), 10)
        .await;
    assert!(matches!(slow, Err(EngineError::Timeout { .. })), "{slow:?}");
    // Only what the container started with is left.
    let left = docker_ok(&["exec", &name, "ps"]);
    assert_eq!(left.matches("sleep 1000").count(), 2, "{left}");
}

#[tokio::test]
async fn files_are_read_from_stopped_containers_and_volumes() {
    let mut clean = Cleanup::default();
    let volume = unique("wharf-engine-test");
    clean.volumes.push(volume.clone());
    let mount = format!("{volume}:/data");
    let script = "echo 17 > /data/PG_VERSION; mkdir /data/folder; head -c 5000 /dev/zero > /data/big";
    let (engine, name) = running(&mut clean, &["-v", &mount, BUSYBOX, "sh", "-c", script]).await;
    docker_ok(&["wait", &name]);
    let read = |path: &'static str, max| engine.read_file(&name, path, max);
    assert_eq!(read("/data/PG_VERSION", 100).await.unwrap().as_deref(), Some(&b"17\n"[..]));
    assert_eq!(read("/data/absent", 100).await.unwrap(), None);
    assert_eq!(read("/data/folder", 100).await.unwrap(), None);
    assert_eq!(read("/data/big", 5000).await.unwrap().map(|content| content.len()), Some(5000));
    assert!(matches!(read("/data/big", 4999).await, Err(EngineError::FileTooLarge { .. })));
    assert_eq!(engine.read_file("no-such-container", "/x", 10).await.unwrap(), None);
    assert!(engine.volumes().await.unwrap().iter().any(|facts| facts.name == volume));
    let at = engine.volume_mountpoint(&volume).await.unwrap().unwrap();
    assert!(at.starts_with(engine.info().await.unwrap().root_dir), "{at:?}");
}

#[tokio::test]
async fn a_container_goes_and_its_volumes_stay() {
    let mut clean = Cleanup::default();
    let (engine, name) = running(&mut clean, &["-v", "/anonymous", BUSYBOX, "sleep", "1000"]).await;
    let facts = engine.container(&name).await.unwrap().unwrap();
    let wharf_plan::facts::MountSource::AnonymousVolume(volume) = &facts.mounts[0].source else {
        panic!("{facts:?}")
    };
    clean.volumes.push(volume.clone());
    engine.stop(&name, Duration::from_secs(1)).await.unwrap();
    engine.stop(&name, Duration::from_secs(1)).await.unwrap();
    engine.remove_container(&name).await.unwrap();
    engine.remove_container(&name).await.unwrap();
    assert_eq!(engine.container(&name).await.unwrap(), None);
    assert!(engine.volumes().await.unwrap().iter().any(|facts| &facts.name == volume));
}

#[tokio::test]
async fn logs_come_line_by_line_with_their_stream() {
    let mut clean = Cleanup::default();
    let script = "echo one; echo two; echo three >&2; printf four";
    let (engine, name) = running(&mut clean, &[BUSYBOX, "sh", "-c", script]).await;
    let options = LogOptions { follow: true, ..Default::default() };
    let lines = async |options| {
        let lines = engine.logs(&name, &options).map(Result::unwrap);
        lines.map(|line| (line.kind, line.text)).collect::<Vec<_>>().await
    };
    let mut all = tokio::time::timeout(LIMIT, lines(options)).await.unwrap();
    all.sort_by(|a, b| a.1.cmp(&b.1));
    let (out, err) = (StreamKind::Stdout, StreamKind::Stderr);
    let expected = [(out, "four"), (out, "one"), (err, "three"), (out, "two")];
    assert_eq!(all, expected.map(|(kind, text)| (kind, text.to_owned())));
    let last = lines(LogOptions { tail: Some(1), ..Default::default() }).await;
    assert_eq!(last.len(), 1);
}

#[tokio::test]
async fn names_of_images_come_and_go_and_what_is_used_stays() {
    let mut clean = Cleanup::default();
    let name = unique("wharf-engine-test");
    let (v1, v2) = (format!("{name}:v1"), format!("{name}:v2"));
    clean.images.extend([v1.clone(), v2.clone()]);
    // An image of its own, so that losing its last name may delete it.
    let made = docker_ok(&["create", "--name", &name, BUSYBOX, "true"]);
    clean.containers.push(made.clone());
    docker_ok(&["commit", &made, &v1]);
    let engine = engine().await;
    let id = engine.image(&v1).await.unwrap().unwrap().id;
    engine.tag(&id, &v2).await.unwrap();
    assert_eq!(engine.image(&v2).await.unwrap().unwrap().id, id);
    assert!(!engine.remove_image(&id).await.unwrap(), "it has two names");
    assert!(engine.untag(&v1).await.unwrap());
    assert!(engine.untag(&v1).await.unwrap(), "a name that is gone is gone");
    assert_eq!(engine.image(&v1).await.unwrap(), None);

    let user = unique("wharf-engine-test");
    clean.containers.push(user.clone());
    docker_ok(&["create", "--name", &user, &v2, "true"]);
    assert!(!engine.untag(&v2).await.unwrap(), "a container uses it");
    assert!(engine.image(&id).await.unwrap().is_some());
    engine.remove_container(&user).await.unwrap();
    assert!(engine.untag(&v2).await.unwrap());
    assert_eq!(engine.image(&id).await.unwrap(), None);
    assert!(matches!(engine.untag(&id).await, Err(EngineError::BadReference(_))));
    assert!(matches!(engine.tag("no-such-image", &v2).await, Err(EngineError::NotFound { .. })));
    assert!(docker(&["image", "inspect", BUSYBOX]).status.success());
}

#[tokio::test]
async fn a_pull_from_nowhere_fails_with_the_engines_reason() {
    let engine = engine().await;
    let error = engine.pull("localhost:1/nothing/here:1", |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("localhost:1/nothing/here:1"), "{error}");
}

/// Who stops waiting in the middle of it has no ID, and nobody would find what is made then.
#[tokio::test]
async fn what_nobody_waits_for_is_removed() {
    let engine = engine().await;
    let mut clean = Cleanup::default();
    let name = unique("wharf-engine-test-toolbox");
    clean.containers.push(name.clone());
    let toolbox = Toolbox {
        image: BUSYBOX.to_owned(),
        name: name.clone(),
        env: vec![],
        labels: vec![("dev.wharf.test".to_owned(), name.clone())],
        network: Some("none".to_owned()),
        hosts: vec![],
        memory_bytes: 64 * 1024 * 1024,
    };
    let id = engine.start_toolbox(&toolbox).await.unwrap();
    let labels = engine.labels(&id).await.unwrap();
    assert_eq!(labels.get("dev.wharf.test"), Some(&name));
    engine.remove_container(&id).await.unwrap();
    assert!(engine.labels(&id).await.unwrap().is_empty());

    let since = docker_ok(&["info", "-f", "{{.SystemTime}}"]);
    // Asked once, and dropped.
    assert!(engine.start_toolbox(&toolbox).now_or_never().is_none());
    is_destroyed(&name, &since).await;

    let throwaway = Throwaway {
        image: BUSYBOX.to_owned(),
        name: unique("wharf-engine-test-throwaway"),
        entrypoint: None,
        command: vec!["sleep".to_owned(), "600".to_owned()],
        env: vec![],
        user: None,
        labels: vec![],
        scratch: vec![("/scratch".to_owned(), Scratch::Memory { bytes: 1024 * 1024 })],
        small: vec![],
        memory_bytes: 64 * 1024 * 1024,
    };
    clean.containers.push(throwaway.name.clone());
    assert!(engine.start_throwaway(&throwaway).now_or_never().is_none());
    is_destroyed(&throwaway.name, &since).await;
}

async fn is_destroyed(name: &str, since: &str) {
    let filter = format!("container={name}");
    let watch =
        ["60", "docker", "events", "--since", since, "--filter", &filter, "--filter", "event=destroy"];
    let mut events = tokio::process::Command::new("timeout")
        .args(watch)
        .kill_on_drop(true)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(events.stdout.take().unwrap()).lines();
    let line = told.next_line().await.unwrap();
    assert!(line.is_some_and(|line| line.contains("destroy")), "{name} is never removed");
}
