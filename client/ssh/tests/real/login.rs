//! Who is let in, by which key.

use crate::agent::{Echo, Person, Place, Server, connect, connect_asking, exchange, in_time, render};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use wharf_agent_ssh::Limits;
use wharf_ssh::{HostKeyPolicy, Options, Secret, SshError};

/// Connects with a person to ask, and says hello.
async fn hello(server: &Server, options: &Options, person: &Person) -> Result<(), SshError> {
    let link = connect_asking(&server.host(), options, HostKeyPolicy::AcceptNew, person.clone()).await?;
    exchange(&link).await?;
    link.disconnect().await;
    Ok(())
}

#[tokio::test]
async fn keys_of_every_kind() {
    in_time(async {
        let place = Place::new();
        let server = place.serve(Echo).await;
        for (name, arguments) in [
            ("ed25519", &["-t", "ed25519"][..]),
            ("ecdsa", &["-t", "ecdsa", "-b", "384"]),
            ("rsa", &["-t", "rsa", "-b", "2048"]),
            ("rsa-pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ] {
            let line = place.key(name, arguments);
            place.authorize(&line);
            let served = hello(&server, &place.options(name), &Person::default()).await;
            assert!(served.is_ok(), "{name}: {served:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_weak_rsa_key_is_refused_though_it_is_listed() {
    in_time(async {
        let place = Place::new();
        let line = place.key("weak", &["-t", "rsa", "-b", "1024"]);
        place.authorize(&line);
        let server = place.serve(Echo).await;
        let error = hello(&server, &place.options("weak"), &Person::default()).await.unwrap_err();
        assert!(matches!(error, SshError::NotAuthenticated { ended: false, .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_the_text_says_which() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        place.key("eve", &[]);
        let server = place.serve(Echo).await;
        let error = hello(&server, &place.options("eve"), &Person::default()).await.unwrap_err();
        insta::assert_snapshot!(render(&error, &place));
    })
    .await;
}

#[tokio::test]
async fn taking_a_line_out_acts_at_once() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        hello(&server, &place.options("ada"), &Person::default()).await.unwrap();
        let line = place.read("authorized_keys");
        for (text, lets_in) in [
            (String::new(), false),
            (line.clone(), true),
            (format!("from=\"10.0.0.0/8\" {line}"), false),
            (format!("from=\"127.0.0.0/8\" {line}"), true),
            (format!("shiny-new-option {line}"), false),
            (format!("cert-authority {line}"), false),
        ] {
            place.write("authorized_keys", &text);
            let served = hello(&server, &place.options("ada"), &Person::default()).await;
            assert_eq!(served.is_ok(), lets_in, "{text}: {served:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_locked_key_asks_until_the_passphrase_is_right() {
    in_time(async {
        let place = Place::new();
        let line = place.key("ada", &["-N", "open sesame"]);
        place.authorize(&line);
        let server = place.serve(Echo).await;
        let person = Person::who_types(&["wrong", "open sesame"]);
        hello(&server, &place.options("ada"), &person).await.unwrap();
        assert_eq!(person.asked(), ["ada", "ada"]);

        let person = Person::who_types(&["one", "two", "three", "open sesame"]);
        let error = hello(&server, &place.options("ada"), &person).await.unwrap_err();
        assert_eq!(person.asked().len(), 3);
        insta::assert_snapshot!(render(&error, &place));
    })
    .await;
}

#[tokio::test]
async fn a_locked_key_in_an_old_format_is_opened_too() {
    in_time(async {
        let place = Place::new();
        let line = place.key("ada", &["-t", "ecdsa", "-m", "PKCS8", "-N", "open sesame"]);
        place.authorize(&line);
        let server = place.serve(Echo).await;
        let person = Person::who_types(&["open sesame"]);
        hello(&server, &place.options("ada"), &person).await.unwrap();
        assert_eq!(person.asked(), ["ada"]);
    })
    .await;
}

#[tokio::test]
async fn no_passphrase_is_asked_for_a_key_that_the_server_would_not_take() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        place.key("locked", &["-N", "open sesame"]);
        let server = place.serve(Echo).await;
        let person = Person::who_types(&["open sesame"]);
        let error = hello(&server, &place.options("locked"), &person).await.unwrap_err();
        assert!(matches!(error, SshError::NotAuthenticated { .. }), "{error:?}");
        assert_eq!(person.asked(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_person_may_think_longer_than_the_server_waits() {
    in_time(async {
        let place = Place::new();
        let line = place.key("ada", &["-N", "open sesame"]);
        place.authorize(&line);
        let limits = Limits { authenticate_within: Duration::from_secs(2), ..Limits::default() };
        let server = place.serve_within(limits, Echo).await;
        let person = Person {
            trusts: true,
            thinks: Duration::from_millis(2600),
            ..Person::who_types(&["open sesame"])
        };
        let options = place.options("ada");
        let link =
            connect_asking(&server.host(), &options, HostKeyPolicy::Ask, person.clone()).await.unwrap();
        exchange(&link).await.unwrap();
        // Once for the host, once for the key.
        assert_eq!(person.asked().len(), 2, "{:?}", person.asked());
    })
    .await;
}

#[tokio::test]
async fn a_key_may_be_given_as_text() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let text =
            |text: String| Options { identity: None, key_pem: Some(Secret::new(text)), ..place.options("x") };
        hello(&server, &text(place.read("ada")), &Person::default()).await.unwrap();
        place.key("locked", &["-N", "open sesame"]);
        let locked = hello(&server, &text(place.read("locked")), &Person::default()).await.unwrap_err();
        let rubbish = hello(&server, &text("rubbish".into()), &Person::default()).await.unwrap_err();
        insta::assert_snapshot!(render(&locked, &place) + &render(&rubbish, &place));
    })
    .await;
}

#[tokio::test]
async fn a_key_file_that_cannot_be_used_says_why() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let missing = hello(&server, &place.options("missing"), &Person::default()).await.unwrap_err();
        place.write("rubbish", "rubbish");
        let rubbish = hello(&server, &place.options("rubbish"), &Person::default()).await.unwrap_err();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(place.path("ada"), open).unwrap();
        let exposed = hello(&server, &place.options("ada"), &Person::default()).await.unwrap_err();
        let told: String = [missing, rubbish, exposed].iter().map(|error| render(error, &place)).collect();
        insta::assert_snapshot!(told);
    })
    .await;
}

/// A real ssh-agent.
struct KeyAgent {
    child: Child,
    socket: PathBuf,
}

impl KeyAgent {
    fn start(place: &Place) -> Self {
        let socket = place.path("agent.sock");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("openssh-client is installed");
        let began = std::time::Instant::now();
        while !socket.exists() {
            assert!(began.elapsed() < Duration::from_secs(20), "ssh-agent did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        place.write(
            "ssh_config",
            &format!(
                "Host *\n  IdentityAgent {}\n  IdentityFile {}\n  GlobalKnownHostsFile none\n",
                socket.display(),
                place.path("none").display()
            ),
        );
        Self { child, socket }
    }

    fn add(&self, key: &Path) {
        let added =
            Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).status().unwrap();
        assert!(added.success());
    }
}

impl Drop for KeyAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn keys_of_an_ssh_agent() {
    in_time(async {
        let place = Place::new();
        let server = place.serve(Echo).await;
        let agent = KeyAgent::start(&place);
        place.key("eve", &[]);
        agent.add(&place.path("eve"));
        let no_file = Options { identity: None, ..place.options("x") };
        let refused = hello(&server, &no_file, &Person::default()).await.unwrap_err();
        insta::assert_snapshot!(render(&refused, &place));
        for arguments in [&["-t", "ed25519"][..], &["-t", "rsa", "-b", "2048"]] {
            let name = format!("friend-{}", arguments[1]);
            let line = place.key(&name, arguments);
            place.authorize(&line);
            agent.add(&place.path(&name));
            hello(&server, &no_file, &Person::default()).await.unwrap();
            // Only the public half is left: the agent has the other.
            std::fs::remove_file(place.path(&name)).unwrap();
            hello(&server, &place.options(&name), &Person::default()).await.unwrap();
            place.write("authorized_keys", "");
        }
    })
    .await;
}

#[tokio::test]
async fn a_locked_key_that_the_agent_has_asks_nothing() {
    in_time(async {
        let place = Place::new();
        let server = place.serve(Echo).await;
        let agent = KeyAgent::start(&place);
        let line = place.key("ada", &[]);
        place.authorize(&line);
        agent.add(&place.path("ada"));
        // The same key, locked in its file.
        let locked = Command::new("ssh-keygen")
            .args(["-q", "-p", "-N", "open sesame", "-f"])
            .arg(place.path("ada"))
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(locked.success());
        let person = Person::default();
        hello(&server, &place.options("ada"), &person).await.unwrap();
        assert_eq!(person.asked(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_server_that_loses_patience_is_told_from_one_that_refused() {
    in_time(async {
        let place = Place::new();
        let server = place.serve(Echo).await;
        let mut config = String::from("Host *\n  IdentityAgent none\n  GlobalKnownHostsFile none\n");
        for number in 0..9 {
            let name = format!("key{number}");
            place.key(&name, &[]);
            config.push_str(&format!("  IdentityFile {}\n", place.path(&name).display()));
        }
        place.write("ssh_config", &config);
        let options = Options { identity: None, ..place.options("x") };
        match connect(&server.host(), &options).await.unwrap_err() {
            SshError::NotAuthenticated { tried, ended, .. } => {
                assert!(ended);
                // Six tries, and the one that was too many.
                assert!((6..=8).contains(&tried.len()), "{tried:?}");
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
}
