//! What the agent does not serve, asked by the real `ssh` and `sftp`.

use crate::agent::{Echo, Place, Server, control, in_time};
use std::process::{Output, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// A client program with the friend's key, that trusts the server.
fn program(name: &str, place: &Place, server: &Server) -> Command {
    let mut command = Command::new(name);
    let known = place.path("known_hosts");
    let key = place.host_key().public_key().to_openssh().unwrap();
    place.write("known_hosts", &format!("[127.0.0.1]:{} {key}\n", server.address.port()));
    command
        .args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-o")
        .arg(format!("IdentityFile={}", place.path("ada").display()))
        .arg("-o")
        .arg(format!("Port={}", server.address.port()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn ssh(place: &Place, server: &Server, arguments: &[&str]) -> Output {
    let mut command = program("ssh", place, server);
    command.args(arguments).output().await.expect("openssh-client is installed")
}

#[tokio::test]
async fn exec_of_wharf_is_served_to_the_real_client() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let mut child = program("ssh", &place, &server)
            .args(["deploy@127.0.0.1", "wharf"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let frame = control("\"from ssh\"").encode().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&frame).await.unwrap();
        drop(stdin);
        let mut heard = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, frame);
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn everything_else_is_refused() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        for (arguments, said) in [
            (&["deploy@127.0.0.1"][..], "shell request failed"),
            (&["-tt", "deploy@127.0.0.1"], "PTY allocation request failed"),
            (&["deploy@127.0.0.1", "id"], "exec request failed"),
            (&["deploy@127.0.0.1", "wharf "], "exec request failed"),
            (&["deploy@127.0.0.1", "wharf; id"], "exec request failed"),
            (&["-s", "deploy@127.0.0.1", "sftp"], "subsystem request failed"),
            (&["-W", "127.0.0.1:22", "deploy@127.0.0.1"], "administratively prohibited"),
            (
                &["-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1", "deploy@127.0.0.1"],
                "remote port forwarding failed",
            ),
            (
                &[
                    "-o",
                    "ExitOnForwardFailure=yes",
                    "-N",
                    "-R",
                    "/tmp/wharf-refused.sock:127.0.0.1:1",
                    "deploy@127.0.0.1",
                ],
                "remote port forwarding failed",
            ),
            (
                &["-o", "PubkeyAuthentication=no", "deploy@127.0.0.1", "wharf"],
                "Permission denied (publickey)",
            ),
        ] {
            let output = ssh(&place, &server, arguments).await;
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_ne!(output.status.code(), Some(0), "{arguments:?}");
            assert!(stderr.contains(said), "{arguments:?} said: {stderr}");
            assert!(output.stdout.is_empty(), "{arguments:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn sftp_is_refused() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let output = program("sftp", &place, &server).arg("deploy@127.0.0.1").output().await.unwrap();
        assert_eq!(output.status.code(), Some(255), "{}", String::from_utf8_lossy(&output.stderr));
    })
    .await;
}
