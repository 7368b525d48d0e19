//! The real commands that delete volumes, through the guard: each is refused with a text that helps, and the data stays.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::engine::{BUSYBOX, DATA, Guard, Turn, shell};
use crate::raw;

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

#[test]
fn commands_that_delete_volumes_are_refused() {
    let turn = Turn::take();
    let guard = Guard::open(&turn);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("compose.yml"), COMPOSE).unwrap();
    turn.docker(&["volume", "create", "loose"]);
    turn.container("stopped", json!({"Image": DATA}));
    turn.docker(&["run", "-d", "--rm", "--name", "fleeting", DATA, "sleep", "3600"]);
    let up = shell(&guard.socket(), folder.path(), "refused", "docker compose up -d");
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let before = turn.volumes();
    assert_eq!(before.len(), 5, "{before:?}");

    for script in [
        "docker volume rm loose",
        "docker volume rm -f loose",
        "docker volume rm refused_data",
        "docker volume prune -f",
        "docker volume prune -af",
        "docker rm -v stopped",
        "docker rm -fv stopped",
        "docker stop -t 0 fleeting",
        "docker kill fleeting",
        "docker restart -t 0 fleeting",
        "docker compose rm -fsv",
        "docker compose down -v",
        "docker compose down --volumes --remove-orphans",
        "docker system prune --volumes -af",
        "curl -sf -X DELETE --unix-socket $GUARD http://docker/volumes/loose",
    ] {
        let script = script.replace("$GUARD", &guard.socket().display().to_string());
        let output = shell(&guard.socket(), folder.path(), "refused", &script);
        assert!(!output.status.success(), "{script}");
        let said = String::from_utf8_lossy(&output.stderr);
        // An address made anew answers as the engine would; curl -f is silent.
        assert!(script.starts_with("curl") || said.contains("refused: "), "{script}: {said}");
        assert_eq!(turn.volumes(), before, "{script}");
        if said.contains("refused: ") && !script.contains("fleeting") {
            assert!(said.contains("docker volume rm NAME"), "{script}: {said}");
        }
    }
}

#[test]
fn commands_that_only_leave_volumes_behind_go_through() {
    let turn = Turn::take();
    let guard = Guard::open(&turn);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("compose.yml"), COMPOSE).unwrap();
    turn.docker(&["run", "-d", "--rm", "--name", "fleeting", DATA, "sleep", "3600"]);
    turn.container("stopped", json!({"Image": DATA}));
    let mut before = turn.volumes();
    for script in [
        "docker compose up -d",
        "docker compose up -d -V --force-recreate",
        "docker compose down",
        "docker compose up -d",
        "docker compose rm -fs",
        "docker container prune -f",
        "docker rm -f fleeting",
        "docker run --rm wharf-base/busybox:1 true",
        "docker run --rm guard-data:1 true",
        "docker system prune -f",
    ] {
        let output = shell(&guard.socket(), folder.path(), "left", script);
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        let after = turn.volumes();
        assert!(after.is_superset(&before), "{script}: {before:?} {after:?}");
        before = after;
    }
    // The engine removes what was run with --rm; removed by hand first, its volume stays.
    assert!(!turn.exists("fleeting"));
}

#[test]
fn a_tight_socket_gives_no_way_round_it() {
    let turn = Turn::take();
    let guard = Guard::tight(&turn);
    turn.docker(&["volume", "create", "target"]);
    turn.docker(&["run", "-d", "--privileged", "--name", "root", BUSYBOX, "sleep", "3600"]);
    let folder = tempfile::tempdir().unwrap();
    let root = turn.docker(&["info", "--format", "{{.DockerRootDir}}"]);
    std::os::unix::fs::symlink(&root, folder.path().join("link")).unwrap();
    let link = folder.path().join("link").display().to_string();
    let socket = turn.socket().display().to_string();
    for script in [
        "docker run --rm -v /:/host IMAGE rm -rf /hostROOT/volumes/target",
        "docker run --rm -v ROOT:/d IMAGE true",
        "docker run --rm -v ROOT/volumes/target/_data:/d IMAGE true",
        "docker run --rm -v LINK:/d IMAGE true",
        "docker run --rm -v LINK/volumes:/d:ro IMAGE true",
        "docker run --rm --mount type=bind,src=LINK,dst=/d IMAGE true",
        "docker run --rm -v SOCKET:/s IMAGE true",
        "docker run --rm -v /var/run:/s IMAGE true",
        "docker run --rm --privileged IMAGE true",
        "docker run --rm --pid host IMAGE true",
        "docker run --rm --cap-add SYS_ADMIN IMAGE true",
        "docker run --rm --device /dev/mem IMAGE true",
        "docker run --rm --security-opt systempaths=unconfined IMAGE true",
        "docker volume create -o type=none -o o=bind -o device=ROOT/volumes",
        "docker run --rm --mount type=volume,dst=/d,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=ROOT IMAGE true",
        "docker exec root true",
        "docker cp /etc/hostname root:/x",
        "docker run --rm --volumes-from root IMAGE true",
        "docker exec --privileged root true",
        "docker create -v /proc:/p IMAGE true",
    ] {
        let script = script
            .replace("ROOT", &root)
            .replace("LINK", &link)
            .replace("SOCKET", &socket)
            .replace("IMAGE", BUSYBOX);
        let output = shell(&guard.socket(), folder.path(), "tight", &script);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("refused: "), "{script}: {said}");
    }
    assert!(turn.volumes().contains("target"));
    let here = folder.path().display().to_string();
    for script in [
        "docker run --rm -v HERE:/d -v target:/t IMAGE sh -c 'touch /d/x /t/x'",
        "docker create --name plain IMAGE sleep 60",
        "docker start plain",
        "docker exec plain true",
        "docker rm -f plain",
    ] {
        let script = script.replace("HERE", &here).replace("IMAGE", BUSYBOX);
        let output = shell(&guard.socket(), folder.path(), "tight", &script);
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn refusals_are_in_the_engines_own_form() {
    let turn = Turn::take();
    let guard = Guard::open(&turn);
    let (status, answer) = raw::call(&guard.socket(), "DELETE", "/volumes/x", &serde_json::Value::Null);
    assert_eq!(status, 403);
    assert!(
        answer["message"].as_str().unwrap().starts_with("refused: this would delete the volume \"x\""),
        "{answer}"
    );

    let nowhere = Guard::start(Path::new("/nonexistent/docker.sock"), wharf_guard::Policy::default());
    let (status, answer) = raw::call(&nowhere.socket(), "GET", "/info", &serde_json::Value::Null);
    assert_eq!(status, 502);
    assert!(answer["message"].as_str().unwrap().contains("check that it runs"), "{answer}");
}
