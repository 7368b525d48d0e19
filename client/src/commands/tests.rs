mod logs;
mod promote;

use super::*;
use crate::{
    cli::{Cli, Common},
    config::ServerAddress,
    context::Door,
    render::{Captured, Console},
    session::{
        Dial,
        fake::{Agent, End},
    },
};
use clap::Parser as _;
use std::{fs, path::Path, sync::Arc};
use tokio::sync::watch;
use wharf_proto::{
    Digest, Event, EventBody, FailureKind, JobId, Outcome, RelPath, ReleaseId,
    event::JobKind,
    message::{ClientMessage, DeployRequest, Reply, Request, ServerMessage},
    plan::{DeployPlan, FileChanges},
    release::{AppStatus, DiskSpace, FrontEnd},
};

const JOB: JobId = JobId(12);
const APP_JSON: &str = "{\n  \"expo\": { \"name\": \"fit\",   \"version\" : \"1.0.1\" }\n}\n";

struct Fake(Agent);

impl Door for Fake {
    fn dial(&self, _server: &ServerAddress) -> Arc<dyn Dial> {
        Arc::new(self.0.clone())
    }
}

/// A project with a front end.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("docker-compose.yml", "services: {}\n");
    write("mobile/app.json", APP_JSON);
    write("mobile/App.js", "hello\n");
    write(
        "wharf.toml",
        "app = \"fit\"\n[server]\nhost = \"deploy@home.example\"\npath = \"/srv/fit\"\n\
        [compose]\nfiles = [\"docker-compose.yml\"]\n\
        [[bump]]\nfile = \"mobile/app.json\"\nwhen_changed = [\"mobile/**\"]\n",
    );
    folder
}

fn app_json(project: &Path) -> String {
    fs::read_to_string(project.join("mobile/app.json")).unwrap()
}

struct Ran {
    exit: Exit,
    told: Captured,
}

async fn wharf(project: &Path, agent: &Agent, args: &[&str]) -> Ran {
    wharf_until(project, agent, args, watch::channel(false).1).await
}

/// As [`wharf`], with the flags that hold for every command.
async fn wharf_in(project: &Path, agent: &Agent, args: &[&str]) -> Ran {
    let cli = Cli::try_parse_from(["wharf"].iter().chain(args)).unwrap();
    let (console, told) = Console::captured(cli.common.json);
    let (door, stop) = (Box::new(Fake(agent.clone())), watch::channel(false).1);
    let folder = project.to_owned();
    let mut context = Context { console, common: cli.common, folder, door, stop, taken: Vec::new() };
    let exit = run(cli.command, &mut context).await;
    Ran { exit, told }
}

async fn wharf_until(project: &Path, agent: &Agent, args: &[&str], stop: watch::Receiver<bool>) -> Ran {
    let cli = Cli::try_parse_from(["wharf"].iter().chain(args)).unwrap();
    let (console, told) = Console::captured(cli.common.json);
    let common = Common { env: None, ..cli.common };
    let door = Box::new(Fake(agent.clone()));
    let mut context = Context { console, common, folder: project.to_owned(), door, stop, taken: Vec::new() };
    let exit = run(cli.command, &mut context).await;
    Ran { exit, told }
}

/// Answers the question for front ends: `live` is live, and its tree is another one.
async fn front_ends(mut end: End, live: &'static str, highest: &'static str) {
    let Request::FrontEnds { rules, .. } = end.greet().await else { panic!("not asked for front ends") };
    let front_end = FrontEnd {
        file: rules[0].file.clone(),
        live_tree: Some(Digest::of(b"another")),
        live_version: Some(live.into()),
        highest_version: Some(highest.into()),
    };
    end.say(ServerMessage::Reply { reply: Reply::FrontEnds { front_ends: vec![front_end] } }).await;
}

/// Takes a deploy up to its job, without asking for any content, and comes back with what was requested.
async fn take(end: &mut End) -> (DeployRequest, Vec<wharf_proto::Entry>) {
    let Request::Deploy(request) = end.greet().await else { panic!("no deploy") };
    let mut all = Vec::new();
    while let Some(ClientMessage::Manifest { entries, last }) = end.message().await {
        all.extend(entries);
        if last {
            break;
        }
    }
    end.say(ServerMessage::Missing { digests: vec![], last: true }).await;
    assert_eq!(end.message().await, Some(ClientMessage::Sent));
    (*request, all)
}

async fn job(end: &mut End, outcome: Outcome) {
    end.say(ServerMessage::Accepted { job: JOB }).await;
    let kind = JobKind::Deploy { release: ReleaseId(3) };
    let bodies = [
        EventBody::Announced { job_kind: kind, app: "fit".parse().unwrap(), steps: vec![] },
        EventBody::Finished { outcome },
    ];
    for (index, body) in (0..).zip(bodies) {
        let event = Event { job: JOB, index, at: jiff::Timestamp::UNIX_EPOCH, body };
        end.say(ServerMessage::Event { event }).await;
    }
}

fn agent_with(outcome: Outcome, version: &'static str) -> Agent {
    Agent::default().then(|end| front_ends(end, "1.0.1", "1.0.1")).then(move |mut end| async move {
        let (request, entries) = take(&mut end).await;
        let file: RelPath = "mobile/app.json".parse().unwrap();
        assert_eq!(request.versions.get(&file).map(String::as_str), Some(version));
        let content = APP_JSON.replace("1.0.1", version);
        let entry = entries.iter().find(|entry| entry.path == file).unwrap();
        let wharf_proto::EntryKind::File { chunks, .. } = &entry.kind else { panic!("no file") };
        assert_eq!(chunks[0].digest, Digest::of(content.as_bytes()), "what is shipped carries the version");
        job(&mut end, outcome).await;
    })
}

#[tokio::test]
async fn a_changed_front_end_goes_up_by_a_patch_and_only_in_those_bytes() {
    let project = project();
    let ran =
        wharf(project.path(), &agent_with(Outcome::Released { release: ReleaseId(3) }, "1.0.2"), &["deploy"])
            .await;
    assert_eq!(ran.exit, Exit::DONE, "{}", ran.told.err());
    assert_eq!(app_json(project.path()), APP_JSON.replace("1.0.1", "1.0.2"));
    insta::assert_snapshot!(ran.told.err());
}

#[tokio::test]
async fn the_version_that_was_asked_for_is_taken() {
    let project = project();
    let agent = agent_with(Outcome::Released { release: ReleaseId(3) }, "1.4.0");
    let ran = wharf(project.path(), &agent, &["ship", "--bump", "1.4.0", "--json"]).await;
    assert_eq!(ran.exit, Exit::DONE);
    assert_eq!(ran.told.err(), "");
    let uploaded = regex_free_duration(&ran.told.out());
    insta::assert_snapshot!(uploaded);
}

/// The upload's duration is the one number that differs from run to run.
fn regex_free_duration(text: &str) -> String {
    let line = |line: &str| match line.split_once("\"duration_ms\":") {
        Some((head, tail)) if line.contains("\"uploaded\"") => {
            format!("{head}\"duration_ms\":0{}", tail.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn old_bytes_come_back_when_nothing_of_the_release_is_live() {
    let failure = Failure::new(FailureKind::Build, "web could not be built");
    for (outcome, exit) in [
        (Outcome::Failed { failure: failure.clone() }, 1),
        (Outcome::Failed { failure: Failure::new(FailureKind::Refused, "no") }, 3),
        (Outcome::PutBack { failure: failure.clone(), live: Some(ReleaseId(2)) }, 1),
    ] {
        let project = project();
        let ran = wharf(project.path(), &agent_with(outcome, "1.0.2"), &["deploy"]).await;
        assert_eq!(ran.exit, Exit(exit));
        assert_eq!(app_json(project.path()), APP_JSON);
        assert!(ran.told.err().contains("mobile/app.json has its old version again"), "{}", ran.told.err());
    }
    let project = project();
    let outcome = Outcome::NotPutBack { failure: failure.clone(), put_back: failure };
    let ran = wharf(project.path(), &agent_with(outcome, "1.0.2"), &["deploy"]).await;
    assert_eq!(ran.exit, Exit(5));
    assert!(app_json(project.path()).contains("1.0.2"), "it may be live");
}

#[tokio::test]
async fn a_refusal_before_the_job_puts_the_version_back_too() {
    let project = project();
    let agent = Agent::default().then(|end| front_ends(end, "1.0.1", "1.0.1")).then(|mut end| async move {
        take(&mut end).await;
        end.fail(Failure::new(FailureKind::Busy, "another job of fit runs: 11").hint("use --lock-wait 600"))
            .await;
    });
    let ran = wharf(project.path(), &agent, &["deploy"]).await;
    assert_eq!(ran.exit, Exit(3));
    assert_eq!(app_json(project.path()), APP_JSON);
    insta::assert_snapshot!(ran.told.err());
}

#[tokio::test]
async fn a_connection_that_breaks_at_the_job_keeps_the_version_since_it_may_be_live() {
    let project = project();
    let agent = Agent::default().then(|end| front_ends(end, "1.0.1", "1.0.1")).then(|mut end| async move {
        take(&mut end).await;
    });
    let ran = wharf(project.path(), &agent, &["deploy"]).await;
    assert_eq!(ran.exit, Exit(4));
    assert!(app_json(project.path()).contains("1.0.2"));
    insta::assert_snapshot!(ran.told.err());
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_breaks_is_begun_again() {
    let project = project();
    let agent = Agent::default()
        .then(|end| front_ends(end, "1.0.1", "1.0.1"))
        .then(|mut end| async move {
            end.greet().await;
        })
        .then(|mut end| async move {
            take(&mut end).await;
            job(&mut end, Outcome::Released { release: ReleaseId(3) }).await;
        });
    let ran = wharf(project.path(), &agent, &["deploy"]).await;
    assert_eq!(ran.exit, Exit::DONE, "{}", ran.told.err());
    assert!(ran.told.err().contains("trying again"));
}

#[tokio::test]
async fn versions_that_stay() {
    for (live, args, why) in [
        ("1.0.0", ["deploy", "-y"].as_slice(), "stays 1.0.1"),
        ("1.0.1", ["deploy", "--bump", "none"].as_slice(), "--bump none"),
    ] {
        let project = project();
        let agent =
            Agent::default().then(move |end| front_ends(end, live, live)).then(|mut end| async move {
                take(&mut end).await;
                job(&mut end, Outcome::Released { release: ReleaseId(3) }).await;
            });
        let ran = wharf(project.path(), &agent, args).await;
        assert_eq!(ran.exit, Exit::DONE, "{}", ran.told.err());
        assert_eq!(app_json(project.path()), APP_JSON);
        assert!(ran.told.err().contains(why), "{}", ran.told.err());
    }
}

#[tokio::test]
async fn a_dry_run_offers_the_new_version_and_writes_nothing() {
    let project = project();
    let agent = Agent::default().then(|end| front_ends(end, "1.0.1", "1.0.3")).then(|mut end| async move {
        let Request::Deploy(request) = end.greet().await else { panic!("no deploy") };
        assert!(request.options.dry_run);
        let Some(ClientMessage::Manifest { entries, .. }) = end.message().await else {
            panic!("no manifest")
        };
        let content = APP_JSON.replace("1.0.1", "1.0.4");
        let digest = Digest::of(content.as_bytes());
        assert!(entries.iter().any(|entry| serde_json::to_string(entry).unwrap().contains(&digest.to_hex())));
        // Its content must be there to be sent, although the project does not hold it.
        end.say(ServerMessage::Missing { digests: vec![digest], last: true }).await;
        let Some(ClientMessage::Pack { size_bytes, .. }) = end.message().await else { panic!("no pack") };
        end.bulk(size_bytes).await.unwrap();
        end.say(ServerMessage::Stored { chunks: 1 }).await;
        assert_eq!(end.message().await, Some(ClientMessage::Sent));
        let plan = DeployPlan {
            release: ReleaseId(3),
            live: None,
            project: "fit".into(),
            adopts: false,
            versions: vec![],
            files: FileChanges::default(),
            services: vec![],
            data: vec![],
            dumps: vec![],
            migrations: vec![],
            logs: vec![],
            warnings: vec![],
            promoted: None,
            awaited_images: vec![],
        };
        end.say(ServerMessage::Reply { reply: Reply::Plan { plan: Box::new(plan) } }).await;
    });
    let ran = wharf(project.path(), &agent, &["deploy", "--dry-run"]).await;
    assert_eq!(ran.exit, Exit::DONE, "{}", ran.told.err());
    assert_eq!(app_json(project.path()), APP_JSON);
    assert!(ran.told.out().starts_with("v3 of project fit"), "{}", ran.told.out());
}

#[tokio::test]
async fn who_stops_watching_is_told_that_the_job_goes_on() {
    let project = project();
    let (stop, stopped) = watch::channel(false);
    let agent = Agent::default().then(|end| front_ends(end, "1.0.1", "1.0.1")).then(|mut end| async move {
        take(&mut end).await;
        end.say(ServerMessage::Accepted { job: JOB }).await;
        let body = EventBody::Announced {
            job_kind: JobKind::Deploy { release: ReleaseId(3) },
            app: "fit".parse().unwrap(),
            steps: vec![],
        };
        let event = Event { job: JOB, index: 0, at: jiff::Timestamp::UNIX_EPOCH, body };
        end.say(ServerMessage::Event { event }).await;
        // The message is in the client's queue; let it be read before the person stops.
        tokio::task::yield_now().await;
        stop.send(true).unwrap();
        std::future::pending::<()>().await;
    });
    let ran = wharf_until(project.path(), &agent, &["deploy"], stopped).await;
    assert_eq!(ran.exit, Exit::INTERRUPTED);
    assert!(app_json(project.path()).contains("1.0.2"), "the job may go on to make it live");
    assert!(ran.told.err().contains("wharf deploy --attach 12"), "{}", ran.told.err());
}

#[tokio::test]
async fn who_stops_during_the_upload_gets_the_old_version_back() {
    let project = project();
    let (stop, stopped) = watch::channel(false);
    let agent = Agent::default().then(|end| front_ends(end, "1.0.1", "1.0.1")).then(|mut end| async move {
        end.greet().await;
        end.message().await;
        stop.send(true).unwrap();
        std::future::pending::<()>().await;
    });
    let ran = wharf_until(project.path(), &agent, &["deploy"], stopped).await;
    assert_eq!(ran.exit, Exit::INTERRUPTED);
    assert_eq!(app_json(project.path()), APP_JSON);
}

#[tokio::test]
async fn detaching_leaves_the_job_alone() {
    let project = project();
    let agent = Agent::default().then(|end| front_ends(end, "1.0.1", "1.0.1")).then(|mut end| async move {
        take(&mut end).await;
        end.say(ServerMessage::Accepted { job: JOB }).await;
    });
    let ran = wharf(project.path(), &agent, &["deploy", "--detach", "--json"]).await;
    assert_eq!(ran.exit, Exit::DONE);
    assert!(ran.told.out().ends_with("{\"type\":\"detached\",\"job\":12}\n"), "{}", ran.told.out());
}

#[tokio::test]
async fn attaching_finds_the_job_that_runs() {
    let project = project();
    let jobs = |outcome: Option<Outcome>, number| wharf_proto::release::JobInfo {
        job: JobId(number),
        app: "fit".parse().unwrap(),
        kind: JobKind::Deploy { release: ReleaseId(3) },
        by: "ann".into(),
        started: jiff::Timestamp::UNIX_EPOCH,
        finished: None,
        outcome,
    };
    let all = vec![jobs(Some(Outcome::Released { release: ReleaseId(3) }), 13), jobs(None, 12)];
    let agent = Agent::default()
        .then(|mut end| async move {
            end.greet().await;
            end.say(ServerMessage::Reply { reply: Reply::Jobs { jobs: all } }).await;
        })
        .then(|mut end| async move {
            assert_eq!(end.greet().await, Request::Attach { job: JOB, from_index: 0 });
            let body = EventBody::Finished { outcome: Outcome::Released { release: ReleaseId(3) } };
            let event = Event { job: JOB, index: 0, at: jiff::Timestamp::UNIX_EPOCH, body };
            end.say(ServerMessage::Event { event }).await;
        });
    let ran = wharf(project.path(), &agent, &["deploy", "--attach"]).await;
    assert_eq!(ran.exit, Exit::DONE, "{}", ran.told.err());
}

async fn status(mut end: End, warnings: &'static [&'static str], free_bytes: u64) {
    let Request::Status { .. } = end.greet().await else { panic!("no status") };
    let app = AppStatus {
        app: "fit".parse().unwrap(),
        path: "/srv/fit".into(),
        project: "fit".into(),
        live: None,
        containers: vec![],
        scaled_to_zero: vec![],
        last_backup: None,
        last_backup_proof: None,
        last_drill: None,
        schedule: None,
        job: None,
        lock: None,
        disk: Some(DiskSpace { free_bytes, size_bytes: 100 }),
        certificates: vec![],
        warnings: warnings.iter().map(|text| (*text).to_owned()).collect(),
    };
    end.say(ServerMessage::Reply { reply: Reply::Status { apps: vec![app] } }).await;
}

/// A disk that fills up a little is no change; a server that is away for a moment is waited for.
#[tokio::test(start_paused = true)]
async fn watching_without_a_terminal_tells_of_changes_alone() {
    let project = project();
    let agent = Agent::default()
        .then(|end| status(end, &[], 50))
        .then(|end| status(end, &[], 40))
        .then_unreachable()
        .then_unreachable()
        .then(|end| status(end, &["web is down"], 40))
        .then(|mut end| async move {
            end.greet().await;
            end.fail(wharf_proto::Failure::new(FailureKind::Unauthorized, "no more")).await;
        });
    let ran = wharf(project.path(), &agent, &["status", "--watch", "--json", "--interval", "3600"]).await;
    assert_eq!(ran.exit, Exit(4));
    let lines: Vec<serde_json::Value> =
        ran.told.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().map(|line| (&line["type"], &line["warnings"])).collect();
    let (none, down) = (serde_json::json!([]), serde_json::json!(["web is down"]));
    let null = serde_json::Value::Null;
    let expected =
        [(&"status".into(), &none), (&"status".into(), &down), (&serde_json::Value::from("failure"), &null)];
    assert_eq!(told, expected);
    assert_eq!(ran.told.err().matches("trying to reach it again").count(), 1, "{}", ran.told.err());
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}
