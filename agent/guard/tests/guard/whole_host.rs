//! The guard as an authorization plugin of the engine's: every way to the engine goes past it, its own socket too.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wharf_guard::plugin::{self, NAME, Permit, Plugin};

use crate::corpus::{attack, corpus, prepare};
use crate::engine::{BUSYBOX, DATA, Turn, shell, until};
use crate::hostile::FLEETING;
use crate::raw;

const SOON: Duration = Duration::from_secs(20);

/// The engine of the tests', guarded. Its configuration is read again, as on any server: it is not started anew.
struct Whole<'a> {
    turn: &'a Turn,
    served: Option<Served>,
}

/// The plugin, in this process.
struct Served {
    stop: CancellationToken,
    thread: std::thread::JoinHandle<()>,
}

impl<'a> Whole<'a> {
    fn guard(turn: &'a Turn) -> Self {
        let mut this = Self { turn, served: None };
        this.start();
        this.ask(&[NAME]);
        this
    }

    fn permits(&self) -> PathBuf {
        self.turn.folder().join("permits")
    }

    fn start(&mut self) {
        let plugin = Plugin {
            listen: self.turn.folder().join("plugins/wharf-guard.sock"),
            upstream: self.turn.socket(),
            permits: self.permits(),
        };
        let (stop, (tell, ready)) = (CancellationToken::new(), std::sync::mpsc::channel());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let ready = move || tell.send(()).unwrap();
            runtime.block_on(plugin::serve(plugin, ready, stopped.cancelled_owned())).unwrap();
        });
        ready.recv_timeout(SOON).unwrap();
        self.served = Some(Served { stop, thread });
    }

    fn end(&mut self) {
        if let Some(served) = self.served.take() {
            served.stop.cancel();
            served.thread.join().unwrap();
        }
    }

    /// Which plugins the engine is to ask.
    fn ask(&self, plugins: &[&str]) {
        fs::write(
            self.turn.folder().join("daemon.json"),
            json!({"authorization-plugins": plugins}).to_string(),
        )
        .unwrap();
        let pid = fs::read_to_string(self.turn.folder().join("docker.pid")).unwrap();
        let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
        // What `/info` lists is what the engine was started with; who is asked shows in an answer.
        let expected = if plugins.is_empty() { 404 } else { 403 };
        let asks = || self.turn.api("DELETE", "/volumes/no-such-volume", Value::Null).0 == expected;
        until(SOON, asks, || fs::read_to_string(self.turn.folder().join("log")).unwrap_or_default());
    }
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        if self.served.is_none() {
            self.start();
        }
        self.ask(&[]);
        self.end();
    }
}

#[test]
fn no_hostile_request_deletes_a_volume_of_a_guarded_engine() {
    let turn = Turn::take();
    prepare(&turn);
    let mut whole = Whole::guard(&turn);
    for hostile in &corpus() {
        if !turn.exists(FLEETING) {
            // It cannot be made while the guard is there.
            drop(whole);
            prepare(&turn);
            whole = Whole::guard(&turn);
        }
        prepare(&turn);
        let lost = attack(&turn, &turn.socket(), hostile);
        assert!(
            lost.is_empty(),
            "{}: {lost:?} deleted by {:?}",
            hostile.name,
            String::from_utf8_lossy(&hostile.bytes())
        );
    }
    drop(whole);
}

#[test]
fn commands_that_delete_volumes_are_refused_and_others_run() {
    let turn = Turn::take();
    turn.docker(&["run", "-d", "--rm", "--name", "fleeting", DATA, "sleep", "3600"]);
    let _whole = Whole::guard(&turn);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("compose.yml"), COMPOSE).unwrap();
    fs::write(folder.path().join("Dockerfile"), format!("FROM {BUSYBOX}\nRUN echo built >/stamp\n")).unwrap();
    let run = |script: &str| shell(&turn.socket(), folder.path(), "whole", script);
    for script in ORDINARY {
        let before = turn.volumes();
        let output = run(script);
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(turn.volumes().is_superset(&before), "{script}");
    }
    turn.docker(&["volume", "create", "loose"]);
    let before = turn.volumes();
    for script in REFUSED {
        let output = run(script);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("refused: "), "{script}: {said}");
        assert!(turn.volumes().is_superset(&before), "{script}");
    }
    // Larger than any shows: refused by the one or the other.
    let long = json!({"Image": DATA, "Env": [format!("A={}", "x".repeat(9 << 20))], "HostConfig": {"AutoRemove": true}});
    let (status, said) = turn.api("POST", "/containers/create", long);
    assert!(status >= 400, "{said}");
}

#[test]
fn a_permit_lets_one_volume_go_once() {
    let turn = Turn::take();
    let whole = Whole::guard(&turn);
    for name in ["going", "staying"] {
        turn.docker(&["volume", "create", name]);
    }
    let delete = |name: &str| turn.api("DELETE", &format!("/v1.45/volumes/{name}"), Value::Null).0;
    assert_eq!(delete("going"), 403);
    let permit = Permit::give(&whole.permits(), "going").unwrap().unwrap();
    assert_eq!((delete("staying"), delete("going")), (403, 204));
    turn.docker(&["volume", "create", "going"]);
    assert_eq!(delete("going"), 403);
    drop(permit);
    assert_eq!(turn.volumes().len(), 2);
}

#[test]
fn without_its_guard_the_engine_serves_nobody_and_goes_on_when_it_is_back() {
    let turn = Turn::take();
    let mut whole = Whole::guard(&turn);
    turn.docker(&["volume", "create", "kept"]);
    whole.end();
    // The engine tries for some time before it refuses: what is asked meanwhile waits.
    let socket = turn.socket();
    let asking = std::thread::spawn(move || raw::call(&socket, "DELETE", "/volumes/kept", &Value::Null));
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!asking.is_finished(), "{:?}", asking.join());
    whole.start();
    let (status, said) = asking.join().unwrap();
    assert!(status == 403 && said["message"].as_str().unwrap().contains("refused: "), "{status} {said}");
    assert!(turn.volumes().contains("kept"));
    turn.docker(&["run", "--rm", "--network", "none", BUSYBOX, "true"]);
}

const COMPOSE: &str = "
services:
  db:
    image: wharf-base/busybox:1
    command: sleep 3600
    volumes: [data:/named, /unnamed]
    stop_grace_period: 0s
volumes:
  data:
";

const ORDINARY: [&str; 21] = [
    "docker compose up -d --wait",
    "docker compose exec -T db sh -c 'echo x >/named/x'",
    "docker compose up -d -V --force-recreate",
    "docker compose ps && docker compose logs",
    "test $(docker run --rm --network none wharf-base/busybox:1 echo hello) = hello",
    "test $(echo piped | docker run --rm -i --network none -v $PWD:/here wharf-base/busybox:1 cat) = piped",
    // Nothing anonymous is made where something is mounted over what the image declares.
    "docker run --rm -v named:/data guard-data:1",
    "docker run --rm --mount type=tmpfs,dst=/data guard-data:1",
    "docker run --name stays guard-data:1 && docker rm stays",
    "docker run -d --name logged --network none wharf-base/busybox:1 sh -c 'echo one; exec sleep 3600'",
    "docker exec -i logged sh -c 'cat >/tmp/in' <compose.yml && docker cp logged:/tmp/in - | tar -xO | cmp - compose.yml",
    "timeout 1 docker logs -f logged; test $? = 124",
    "docker cp compose.yml logged:/tmp/out && docker restart -t 0 logged && docker stop -t 0 logged && docker rm logged",
    "docker build --network none -q -t whole-built .",
    "docker save whole-built -o saved.tar && docker rmi whole-built && docker load -q -i saved.tar && docker rmi whole-built",
    "S=$(date +%s); docker create --name seen wharf-base/busybox:1; docker rm seen; \
     timeout 20 docker events --since $S --until $(($(date +%s) + 1)) --filter container=seen --format '{{.Action}}' | grep -q destroy",
    "docker run --rm no-such-image:none true; test $? = 125",
    "docker stop no-such-container 2>&1 | grep -q 'No such container'",
    "docker network create whole-n && docker network rm whole-n",
    "docker rm -f fleeting",
    "docker compose down -t 0",
];

const REFUSED: [&str; 11] = [
    "docker volume rm loose",
    "docker volume rm -f loose",
    "docker volume prune -af",
    "docker system prune --volumes -af",
    "docker compose up -d && docker compose down -t 0 -v",
    "docker compose up -d && docker compose rm -fsv",
    "docker run --rm guard-data:1",
    "docker run --rm -v /anonymous wharf-base/busybox:1 true",
    // Larger than an engine has to show it; this one does.
    "head -c 2000000 /dev/zero | tr '\\0' x >long && \
     (printf '{\"Image\":\"guard-data:1\",\"HostConfig\":{\"AutoRemove\":true},\"Env\":[\"A='; cat long; printf '\"]}') >body && \
     curl -s --unix-socket ${DOCKER_HOST#unix://} -H 'Content-Type: application/json' --data-binary @body http://d/v1.45/containers/create >&2; false",
    // Known from CVE-2024-41110: a body that the length denies.
    "curl -s --unix-socket ${DOCKER_HOST#unix://} -X POST -H 'Content-Type: application/json' -H 'Content-Length: 0' \
     http://d/v1.45/containers/create >&2; false",
    "docker compose run --rm -T -v /anonymous db true",
];
