//! Conversations that go wrong, over SSH, with the real agent: each ends with one failure that says what is wrong, the
//! agent serves on, and nothing is left of it.
//!
//! The agent runs in the test's own process, so nothing here may come as far as a child of the agent's (Compose, backups):
//! the agent starts those through its own program, which is the test here.

mod support;
#[path = "conversation/uploads.rs"]
mod uploads;

use serde_json::json;
use std::path::Path;
use support::{Agent, deploys, listed};
use wharf_proto::log::LogsRequest;
use wharf_proto::message::{ClientMessage, JobOptions, Reply, Request, RollbackRequest, ServerMessage};
use wharf_proto::spec::BumpRule;
use wharf_proto::version::Hello;
use wharf_proto::{AppName, Failure, FailureKind, JobId, limits};

const COMPOSE: &[u8] = b"services: {}\n";
const OTHER: &[u8] = b"something else";

/// What a person reads of a failure, in one piece.
fn told(failure: &Failure) -> String {
    format!("{}\n{}\n{}", failure.message, failure.causes.join("\n"), failure.hints.join("\n"))
}

#[track_caller]
fn says(failure: &Failure, kind: FailureKind, text: &str) {
    assert!(failure.kind == kind && told(failure).contains(text), "{text:?} ({kind:?}) in: {failure:?}");
}

fn app() -> AppName {
    "fitnessapp".parse().expect("an app name")
}

fn deploy(agent: &Agent) -> wharf_proto::message::DeployRequest {
    deploys::to(&agent.apps().join("fitnessapp"))
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_do_not_meet_name_the_side_to_upgrade() {
    let agent = Agent::start().await;
    for (min, current, software, remedy) in [
        (8, 9, "wharf 9.0.0", concat!("upgrade wharfd ", env!("CARGO_PKG_VERSION"))),
        (0, 0, "wharf 0.0.1", "upgrade wharf 0.0.1"),
    ] {
        let mut talk = agent.talk();
        let hello =
            Hello { min, current, software: software.into(), encodings: Vec::new(), features: Vec::new() };
        talk.open_as(hello, Request::Status { app: None }).await;
        assert!(matches!(talk.hear().await, Some(ServerMessage::Hello { .. })));
        says(&talk.failure().await, FailureKind::Unsupported, remedy);
    }
    // A client that speaks more is served in the version that both know.
    let mut talk = agent.talk();
    let hello = Hello {
        min: 1,
        current: 9,
        software: "wharf 9.0.0".into(),
        encodings: Vec::new(),
        features: Vec::new(),
    };
    talk.open_as(hello, Request::Status { app: None }).await;
    assert!(matches!(talk.rest().await.last(), Some(ServerMessage::Reply { .. })));
    agent.is_as_new().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_newer_client_is_unsupported() {
    let agent = Agent::start().await;
    let mut talk = agent.talk();
    let hello = Hello::ours("wharf 9");
    talk.say(&json!({"type": "open", "hello": hello, "person": "a@b", "request": {"request": "teleport", "to": 1}}))
        .await;
    says(&talk.failure().await, FailureKind::Unsupported, "upgrade wharfd");
    agent.is_as_new().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_conversation_is_said_to_be_none() {
    let control = |length: u32| [length.to_be_bytes().as_slice(), &[1]].concat();
    let bulk = |length: u32| [length.to_be_bytes().as_slice(), &[2]].concat();
    let message = |json: &str| [control(json.len() as u32), json.as_bytes().to_vec()].concat();
    let agent = Agent::start().await;
    for (bytes, text) in [
        (b"GET / HTTP/1.1\r\nHost: wharf\r\n\r\n".to_vec(), "does not speak Wharf's protocol"),
        (control(limits::CONTROL_FRAME_BYTES + 1), "more than the"),
        (bulk(limits::BULK_FRAME_BYTES + 1), "more than the"),
        (control(u32::MAX), "more than the"),
        ([bulk(3), b"abc".to_vec()].concat(), "bulk data where a message was due"),
        (message("{\"type\":\"open\""), "cannot be read"),
        (message("[]"), "cannot be read"),
        (message("{\"type\":\"shout\"}"), "cannot be read"),
        (message("{\"type\":\"sent\"}"), "hello"),
        ([control(3), b"\xff\xfe\0".to_vec()].concat(), "cannot be read"),
    ] {
        let mut talk = agent.talk();
        talk.say_bytes(&bytes).await;
        says(&talk.failure().await, FailureKind::Unsupported, text);
    }
    let mut talk = agent.talk();
    talk.say_bytes(&control(100)).await;
    talk.hang_up();
    says(&talk.failure().await, FailureKind::Unsupported, "middle of a frame");
    // Nobody is told who says nothing.
    let mut talk = agent.talk();
    talk.hang_up();
    assert_eq!(talk.rest().await, Vec::new());
    agent.is_as_new().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_what_is_not_there_say_so() {
    let agent = Agent::start().await;
    let rollback = RollbackRequest { app: app(), to: None, options: JobOptions::default() };
    let logs = LogsRequest {
        app: Some(app()),
        services: Vec::new(),
        follow: true,
        lines: None,
        since: None,
        until: None,
        grep: None,
    };
    let pattern = LogsRequest { grep: Some("a(".into()), ..logs.clone() };
    let service = LogsRequest { app: None, services: vec!["web".into()], ..logs.clone() };
    for (request, text) in [
        (Request::Releases { app: app() }, "no app called fitnessapp"),
        (Request::Status { app: Some(app()) }, "no app called fitnessapp"),
        (Request::Rollback(rollback), "no app called fitnessapp"),
        (Request::Logs(logs), "no app called fitnessapp"),
        (Request::Logs(service), "no container of a service called web"),
        (Request::Attach { job: JobId(7), from_index: 0 }, "no job 7"),
        (Request::Attach { job: JobId(u64::MAX), from_index: u64::MAX }, "no job"),
    ] {
        let mut talk = agent.talk();
        talk.open(request).await;
        says(&talk.failure().await, FailureKind::NotFound, text);
    }
    let rule = BumpRule { file: "app.json".parse().unwrap(), when_changed: vec!["a{".into()] };
    let mut talk = agent.talk();
    talk.open(Request::FrontEnds { app: app(), rules: vec![rule] }).await;
    says(&talk.failure().await, FailureKind::Config, "when_changed");
    let mut talk = agent.talk();
    talk.open(Request::Logs(pattern)).await;
    says(&talk.failure().await, FailureKind::Config, "unclosed group");
    agent.is_as_new().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_of_the_system_and_of_the_agent_are_no_app_directories() {
    let agent = Agent::start().await;
    let state = agent.state();
    for path in [
        Path::new("/"),
        Path::new("/etc"),
        Path::new("/etc/cron.d"),
        Path::new("/var/lib/docker"),
        Path::new("/var/lib/docker/volumes/x/_data"),
        Path::new("/home"),
        Path::new("fitnessapp"),
        Path::new(""),
        Path::new("/srv/../etc"),
        &state,
        &state.join("apps/fitnessapp"),
        agent.folder(),
    ] {
        let mut talk = agent.talk();
        talk.open(Request::Deploy(Box::new(deploys::to(path)))).await;
        says(&talk.failure().await, FailureKind::Config, "cannot be an app directory");
    }
    let mut request = deploy(&agent);
    request.spec.compose.files.clear();
    let mut talk = agent.talk();
    talk.open(Request::Deploy(Box::new(request))).await;
    says(&talk.failure().await, FailureKind::Config, "no Compose file");
    agent.is_as_new().await;
    assert!(!state.join("apps").exists() || listed(&state.join("apps")).is_empty(), "no app was made");
    agent.stop().await;
}

/// What stands in `command="…"` limits a key; a limit that is not understood lets nobody do anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_limited_in_words_that_are_not_ours_may_do_nothing() {
    let agent = Agent::start().await;
    agent.limit_key("restrict,command=\"wharfd connect --read\"");
    let mut talk = agent.talk();
    talk.open(Request::Status { app: None }).await;
    says(&talk.failure().await, FailureKind::Unauthorized, "authorized_keys");
    agent.limit_key("restrict,command=\"wharfd connect\"");
    agent.is_as_new().await;
    agent.stop().await;
}

/// A limited key stays in its cell, and what it may not see looks like what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_limited_key_stays_within_its_limits() {
    let agent = Agent::start().await;
    let releases = |name: &str| Request::Releases { app: name.parse().expect("an app name") };
    let failure = async |request| {
        let mut talk = agent.talk();
        talk.open(request).await;
        talk.failure().await
    };

    agent.limit_key("restrict,command=\"wharfd connect --role read --app fitnessapp\"");
    says(&failure(Request::Deploy(Box::new(deploy(&agent)))).await, FailureKind::Unauthorized, "role deploy");
    says(&failure(releases("fitnessapp")).await, FailureKind::NotFound, "no app called fitnessapp");
    says(&failure(releases("other")).await, FailureKind::Unauthorized, "an app called other");
    agent.is_as_new().await;

    // The folder of an app that the server does not know is not such a key's to choose.
    agent.limit_key("restrict,command=\"/usr/local/bin/wharfd connect --role deploy --app fitnessapp\"");
    says(
        &failure(Request::Deploy(Box::new(deploy(&agent)))).await,
        FailureKind::Unauthorized,
        "may not place",
    );
    let mut elsewhere = deploy(&agent);
    elsewhere.spec.app = "other".parse().expect("an app name");
    says(&failure(Request::Deploy(Box::new(elsewhere))).await, FailureKind::Unauthorized, "called other");
    agent.is_as_new().await;
    agent.stop().await;
}

/// A link on the server that leads to a folder that no app may have.
#[tokio::test(flavor = "multi_thread")]
async fn links_do_not_lead_into_the_agents_state() {
    let agent = Agent::start().await;
    let link = agent.folder().join("link");
    std::os::unix::fs::symlink(agent.state(), &link).unwrap();
    let before = listed(&agent.state());
    let mut request = deploys::to(&link.join("fitnessapp"));
    request.options.dry_run = true;
    let mut talk = agent.talk();
    talk.open(Request::Deploy(Box::new(request))).await;
    talk.say(&ClientMessage::Manifest { entries: Vec::new(), last: true }).await;
    talk.say(&ClientMessage::Sent).await;
    says(&talk.failure().await, FailureKind::Config, "cannot be an app directory");
    assert_eq!(listed(&agent.state()), before);
    agent.is_as_new().await;
    agent.stop().await;
}

/// Conversations are worth nothing less for the failures of their neighbours.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_goes_wrong_does_not_disturb_the_others() {
    let agent = Agent::start().await;
    let mut good = agent.talk();
    good.offer(deploy(&agent), vec![deploys::file("compose.yml", COMPOSE)]).await;
    let mut bad = agent.talk();
    bad.say_bytes(b"\xff\xff\xff\xff\xff").await;
    says(&bad.failure().await, FailureKind::Unsupported, "protocol");
    let jobs = agent.ask(Request::Jobs { app: None, limit: u32::MAX }).await;
    assert_eq!(jobs, Reply::Jobs { jobs: Vec::new() });
    good.send_pack(&deploys::pack_of(&[COMPOSE])).await;
    assert_eq!(good.hear().await, Some(ServerMessage::Stored { chunks: 1 }));
    drop(good);
    agent.is_as_new().await;
    agent.stop().await;
}
