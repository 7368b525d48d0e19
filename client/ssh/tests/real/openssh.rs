//! The client against the real OpenSSH: as the way in with a forced command, and as a jump host.

use crate::agent::{
    Echo, Person, Place, built_in, connect, connect_asking, control, exchange, in_time, much_comes_back,
    render,
};
use crate::sshd::Sshd;
use wharf_ssh::{HostKeyPolicy, Options, SshError};

/// An sshd that answers `wharf` with `command`, and its first error or frame.
async fn answer(place: &Place, name: &str, command: Option<&str>) -> Result<(), SshError> {
    let line = place.key(name, &[]);
    let line = match command {
        Some(command) => format!("restrict,command=\"{command}\" {line}\n"),
        None => format!("{line}\n"),
    };
    let sshd = Sshd::start(place, &format!("sshd_{name}"), &line);
    let link = connect(&sshd.host(), &place.options(name)).await?;
    let mut conversation = link.open().await?;
    conversation.send(control("\"hello\"")).await?;
    let answer = conversation.recv().await;
    link.disconnect().await;
    answer.map(|frame| assert_eq!(frame, Some(control("\"hello\""))))
}

#[tokio::test]
async fn a_forced_command_of_openssh_carries_conversations() {
    in_time(async {
        let place = Place::new();
        let line = place.key("ada", &[]);
        let sshd = Sshd::start(&place, "sshd", &format!("restrict,command=\"cat\" {line}\n"));
        let link = connect(&sshd.host(), &place.options("ada")).await.unwrap();
        exchange(&link).await.unwrap();
        let mut receiver = much_comes_back(&link).await;
        assert_eq!(receiver.recv().await.unwrap(), None);
        link.disconnect().await;
    })
    .await;
}

#[tokio::test]
async fn servers_that_do_not_lead_to_an_agent_say_what_is_missing() {
    in_time(async {
        let place = Place::new();
        let mut told = String::new();
        for (name, command) in [
            ("missing", None),
            ("failing", Some("echo wharfd: the daemon is not running >&2; exit 3")),
            ("chatty", Some("echo Welcome to this server; cat")),
        ] {
            let error = answer(&place, name, command).await.unwrap_err();
            let user = std::process::Command::new("id").arg("-un").output().unwrap();
            let user = String::from_utf8(user.stdout).unwrap();
            told.push_str(&format!(
                "{name}\n{}",
                render(&error, &place).replace(&format!("{}@", user.trim()), "USER@")
            ));
        }
        // Each shell has words of its own for a command that it does not find.
        insta::with_settings!({filters => vec![(r"because .*wharf: .*not found", "because (not found)")]}, {
            insta::assert_snapshot!(told);
        });
    })
    .await;
}

#[tokio::test]
async fn a_jump_host_is_gone_through_and_checked_like_the_server() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let jump_key = place.key("jump", &[]);
        let sshd = Sshd::start(&place, "sshd", &format!("{jump_key}\n"));
        let server = place.serve(Echo).await;
        place.write(
            "ssh_config",
            &format!(
                "Host behind\n  HostName 127.0.0.1\n  Port {}\n  User deploy\n  IdentityFile {}\n  ProxyJump {}@gate\n\
                 Host gate\n  HostName 127.0.0.1\n  Port {}\n  IdentityFile {}\n\
                 Host *\n  IdentityAgent none\n  GlobalKnownHostsFile none\n",
                server.address.port(),
                place.path("ada").display(),
                sshd.user,
                sshd.port,
                place.path("jump").display()
            ),
        );
        let options = Options { identity: None, ..place.options("x") };
        for options in [options.clone(), built_in(options.clone())] {
            let _ = std::fs::remove_file(place.path("known_hosts"));
            let person = Person { trusts: true, ..Person::default() };
            let link = connect_asking("behind", &options, HostKeyPolicy::Ask, person.clone()).await.unwrap();
            assert_eq!(person.asked().len(), 2, "{:?}", person.asked());
            exchange(&link).await.unwrap();
            much_comes_back(&link).await;
            link.disconnect().await;
        }
        // What the jump host cannot reach.
        let nowhere = place.serve(Echo).await;
        let port = nowhere.address.port();
        nowhere.stop().await;
        let error = connect(&format!("behind:{port}"), &options).await.unwrap_err();
        assert!(matches!(error, SshError::Jump { .. }), "{error:?}");
        insta::assert_snapshot!(render(&error, &place));
    })
    .await;
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let host = server.host();
        server.stop().await;
        let error = connect(&host, &place.options("ada")).await.unwrap_err();
        insta::assert_snapshot!(render(&error, &place));
    })
    .await;
}
