//! Whether the server is the right one.

use crate::agent::{Echo, Person, Place, built_in, connect_asking, exchange, in_time, render};
use std::process::{Command, Stdio};
use wharf_ssh::{HostKeyPolicy, SshError};

async fn hello(place: &Place, host: &str, policy: HostKeyPolicy, person: &Person) -> Result<(), SshError> {
    let link = connect_asking(host, &place.options("ada"), policy, person.clone()).await?;
    exchange(&link).await?;
    link.disconnect().await;
    Ok(())
}

#[tokio::test]
async fn an_unknown_host_is_asked_about_once() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let nobody = Person::default();
        let strict = hello(&place, &server.host(), HostKeyPolicy::Strict, &nobody).await.unwrap_err();
        assert_eq!(nobody.asked(), Vec::<String>::new());
        let declined = hello(&place, &server.host(), HostKeyPolicy::Ask, &nobody).await.unwrap_err();
        insta::assert_snapshot!(render(&strict, &place) + &render(&declined, &place));
        assert!(!place.path("known_hosts").exists(), "a host that was declined is remembered");

        let trusting = Person { trusts: true, ..Person::default() };
        hello(&place, &server.host(), HostKeyPolicy::Ask, &trusting).await.unwrap();
        let fingerprint = place.host_key().public_key().fingerprint(Default::default());
        assert_eq!(trusting.asked(), [format!("{} ssh-ed25519 {fingerprint}", server.address)]);
        hello(&place, &server.host(), HostKeyPolicy::Strict, &nobody).await.unwrap();
        assert_eq!(place.read("known_hosts").lines().count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_new_host_can_be_accepted_and_a_changed_one_never() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        place.write("known_hosts", "# mine\nelse.example ssh-ed25519 AAAA\n");
        let trusting = Person { trusts: true, ..Person::default() };
        hello(&place, &server.host(), HostKeyPolicy::AcceptNew, &trusting).await.unwrap();
        assert_eq!(trusting.asked(), Vec::<String>::new());
        assert_eq!(place.read("known_hosts").lines().count(), 3);

        let other = Place::new();
        other.key("other", &[]);
        let line = other.read("other.pub");
        place.write("known_hosts", &format!("# mine\n[127.0.0.1]:{} {line}", server.address.port()));
        for policy in [HostKeyPolicy::AcceptNew, HostKeyPolicy::Ask, HostKeyPolicy::Strict] {
            let error = hello(&place, &server.host(), policy, &trusting).await.unwrap_err();
            assert!(matches!(&error, SshError::HostKeyChanged(changed) if changed.line == 2), "{error:?}");
        }
        assert_eq!(trusting.asked(), Vec::<String>::new());
        let error = hello(&place, &server.host(), HostKeyPolicy::Ask, &trusting).await.unwrap_err();
        let port = server.address.port().to_string();
        insta::assert_snapshot!(render(&error, &place).replace(&format!("]:{port}"), "]:PORT"));
    })
    .await;
}

#[tokio::test]
async fn a_file_that_ssh_keygen_hashed_is_understood() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let key = place.host_key().public_key().to_openssh().unwrap();
        place.write(
            "known_hosts",
            &format!("[127.0.0.1]:{} {key}\nelse.example {key}\n", server.address.port()),
        );
        let hashed = Command::new("ssh-keygen")
            .arg("-Hf")
            .arg(place.path("known_hosts"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(hashed.success());
        assert!(!place.read("known_hosts").contains("127.0.0.1"));
        hello(&place, &server.host(), HostKeyPolicy::Strict, &Person::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_file_that_was_learned_hashed_is_understood_by_ssh_keygen() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        place.write(
            "ssh_config",
            "Host *\n  IdentityAgent none\n  HashKnownHosts yes\n  GlobalKnownHostsFile none\n",
        );
        let server = place.serve(Echo).await;
        hello(&place, &server.host(), HostKeyPolicy::AcceptNew, &Person::default()).await.unwrap();
        assert!(place.read("known_hosts").starts_with("|1|"));
        let found = Command::new("ssh-keygen")
            .arg("-F")
            .arg(format!("[127.0.0.1]:{}", server.address.port()))
            .arg("-f")
            .arg(place.path("known_hosts"))
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(found.success());
    })
    .await;
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let key = place.host_key().public_key().to_openssh().unwrap();
        let port = server.address.port();
        place.write("known_hosts", &format!("[127.0.0.1]:{port} {key}\n@revoked * {key}\n"));
        let error = hello(&place, &server.host(), HostKeyPolicy::Ask, &Person::default()).await.unwrap_err();
        insta::assert_snapshot!(render(&error, &place));
    })
    .await;
}

#[tokio::test]
async fn an_alias_of_the_configuration_leads_there_by_either_reader() {
    in_time(async {
        let place = Place::new();
        let identity = place.friend("ada");
        let server = place.serve(Echo).await;
        place.write(
            "ssh_config",
            &format!(
                "Host home\n  HostName 127.0.0.1\n  Port {}\n  User deploy\n  IdentityFile {}\n  HostKeyAlias my-server\n\
                 Host *\n  IdentityAgent none\n  GlobalKnownHostsFile none\n",
                server.address.port(),
                identity.display()
            ),
        );
        let by_ssh = wharf_ssh::Options { identity: None, ..place.options("x") };
        for options in [by_ssh.clone(), built_in(by_ssh)] {
            let link = connect_asking("home", &options, HostKeyPolicy::AcceptNew, Person::default()).await.unwrap();
            exchange(&link).await.unwrap();
            assert_eq!(link.place(), format!("deploy@{}", server.address));
        }
        let known = place.read("known_hosts");
        assert!(known.starts_with("my-server ssh-ed25519 ") && known.lines().count() == 1, "{known}");
        // The port in the host wins over the configuration's.
        for options in [place.options("ada"), built_in(place.options("ada"))] {
            let target = wharf_ssh::Target::resolve("bob@home:2", &options).await.unwrap();
            assert_eq!(target.place(), "bob@127.0.0.1:2");
        }
    })
    .await;
}
