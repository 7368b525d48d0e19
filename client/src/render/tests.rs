use super::*;
use std::{collections::BTreeMap, time::Duration};
use wharf_proto::backup::Proof;
use wharf_proto::certificate::CertificateFacts;
use wharf_proto::{
    AppName, BackupId, Event, EventBody, Failure, FailureKind, JobId, Outcome, ReleaseId, Step,
    event::{JobKind, Level},
    lock::DeployLock,
    plan::{ContainerAction, DataMount, DeployPlan, FileChanges, ImageAction, ServicePlan, VersionChange},
    release::{
        AppStatus, AuditEntry, ContainerStatus, DiskSpace, JobInfo, LastDrill, ReleaseInfo, ScheduleStatus,
    },
};

fn app() -> AppName {
    "fitnessapp".parse().unwrap()
}

fn at(minute: u32) -> jiff::Timestamp {
    format!("2026-11-21T10:{minute:02}:00Z").parse().unwrap()
}

fn backup() -> BackupId {
    BackupId("1a2b3c4d5e6f".into())
}

fn release(number: u32) -> ReleaseInfo {
    ReleaseInfo {
        release: ReleaseId(number),
        live: number == 2,
        adopted: number == 0,
        created: at(number),
        versions: (0..number).map(|n| (format!("app{n}.json"), format!("1.0.{n}"))).collect(),
        message: (number == 1).then(|| "first\nwith a second line".into()),
        by: "SHA256:abc (ann@laptop)".into(),
        git_commit: (number == 2).then(|| "0123456789abcdef".into()),
        backup: (number > 0).then(backup),
        proof: (number == 2).then(|| Proof::Proven { at: at(3) }),
        promoted: None,
    }
}

fn certificate(host: &str, days_left: Option<i64>, problem: Option<&str>) -> CertificateFacts {
    CertificateFacts {
        host: host.into(),
        expires: days_left.map(|_| "2027-01-18T10:00:00Z".parse().unwrap()),
        days_left,
        problem: problem.map(Into::into),
    }
}

fn a_plan() -> DeployPlan {
    let service = |service: &str, image, container, why: &[&str]| ServicePlan {
        service: service.into(),
        image,
        container,
        why: why.iter().map(|&why| why.into()).collect(),
    };
    let mount = |service: &str, before: Option<&str>, after: Option<&str>| DataMount {
        service: service.into(),
        target: "/data".into(),
        before: before.map(Into::into),
        after: after.map(Into::into),
    };
    DeployPlan {
        release: ReleaseId(3),
        live: Some(ReleaseId(2)),
        project: "docker".into(),
        adopts: true,
        versions: vec![VersionChange {
            file: "mobile/app.json".parse().unwrap(),
            from: Some("1.0.1".into()),
            to: "1.0.2".into(),
        }],
        files: FileChanges {
            added: 1,
            changed: 2,
            removed: 0,
            unchanged: 40,
            drifted: vec!["nginx/nginx.conf".parse().unwrap()],
        },
        services: vec![
            service("web", ImageAction::Build, ContainerAction::Recreate, &["backend/app.py changed"]),
            service("db", ImageAction::Keep, ContainerAction::Keep, &[]),
            service("old", ImageAction::Keep, ContainerAction::Remove, &["no longer in the model"]),
        ],
        data: vec![
            mount("db", Some("docker_pgdata"), Some("docker_pgdata")),
            mount("cache", Some("docker_cache"), None),
            mount("new", None, Some("docker_new")),
        ],
        dumps: vec!["fitness in db".into()],
        migrations: vec!["web: alembic upgrade head".into()],
        logs: vec!["at most 5 files of 20m for each container of web".into()],
        warnings: vec!["db has no restart policy".into()],
        promoted: None,
        awaited_images: vec![],
    }
}

#[test]
fn tables() {
    let style = Style::plain();
    insta::assert_snapshot!("releases", releases(&[release(2), release(1), release(0)], &style));
    let failure = Failure::new(FailureKind::Verify, "web is not healthy");
    let job = |number: u64, outcome: Option<Outcome>| JobInfo {
        job: JobId(number),
        app: app(),
        kind: if number == 3 {
            JobKind::Rollback { from: ReleaseId(2), to: ReleaseId(1) }
        } else {
            JobKind::Deploy { release: ReleaseId(2) }
        },
        by: "ann".into(),
        started: at(1),
        finished: outcome.is_some().then(|| at(4)),
        outcome,
    };
    let all = [
        job(5, None),
        job(4, Some(Outcome::Released { release: ReleaseId(2) })),
        job(3, Some(Outcome::Failed { failure: failure.clone() })),
        job(2, Some(Outcome::PutBack { failure: failure.clone(), live: Some(ReleaseId(1)) })),
        job(1, Some(Outcome::NotPutBack { failure: failure.clone(), put_back: failure.clone() })),
        job(0, Some(Outcome::Postponed { failure })),
    ];
    insta::assert_snapshot!("jobs", jobs(&all, &style));
    let entry = AuditEntry {
        at: at(3),
        app: Some(app()),
        by: "laptop SHA256:abc (ann@laptop)".into(),
        from: "127.0.0.1:5000".into(),
        action: "deploy v3".into(),
        outcome: "v3 live".into(),
    };
    let all = [entry.clone(), AuditEntry { app: None, action: "status\x1b[2J".into(), ..entry }];
    insta::assert_snapshot!("audit", audit(&all, &style));
}

#[test]
fn the_status_of_apps() {
    let container = |service: &str, health: Option<&str>| ContainerStatus {
        service: service.into(),
        name: format!("docker-{service}-1"),
        state: "running".into(),
        health: health.map(Into::into),
        restarts: 0,
        image: format!("fitnessapp-{service}:v2"),
        started: None,
        memory_bytes: Some(48_200_000),
        memory_limit_bytes: health.map(|_| 512_000_000),
    };
    let busy = AppStatus {
        app: app(),
        path: "/home/deploy/fitnessapp".into(),
        project: "docker".into(),
        live: Some(release(2)),
        containers: vec![container("web", Some("healthy")), container("db", None)],
        scaled_to_zero: vec!["worker".into()],
        last_backup: Some(at(2)),
        last_backup_proof: Some(Proof::Unproven),
        last_drill: Some(LastDrill {
            backup: backup(),
            proof: Proof::Failed { at: at(1), why: "public.a: 1 row".into() },
        }),
        schedule: Some(ScheduleStatus {
            schedule: "0 3 * * *".into(),
            timezone: "Europe/Berlin".into(),
            on: true,
            next: Some(at(30)),
        }),
        job: Some(JobId(7)),
        lock: Some(DeployLock {
            by: "ann@laptop (key ann)".into(),
            at: at(3),
            reason: Some("sale until Monday".into()),
        }),
        disk: Some(DiskSpace { free_bytes: 12_345_678_901, size_bytes: 40_000_000_000 }),
        certificates: vec![
            certificate("fit.example", Some(58), None),
            certificate("fit.example:8443", None, Some("connection\x1b[2J refused")),
        ],
        warnings: vec!["db has no restart policy".into()],
    };
    let empty = AppStatus {
        app: "other".parse().unwrap(),
        live: None,
        containers: vec![],
        scaled_to_zero: vec![],
        last_backup: None,
        last_backup_proof: None,
        last_drill: None,
        schedule: Some(ScheduleStatus {
            schedule: "0 3 * * *".into(),
            timezone: "UTC".into(),
            on: false,
            next: None,
        }),
        job: None,
        lock: None,
        disk: None,
        certificates: vec![],
        warnings: vec![],
        ..busy.clone()
    };
    insta::assert_snapshot!(status(&[busy, empty], &Style::plain()));
}

#[test]
fn a_plan_with_everything_in_it() {
    insta::assert_snapshot!(plan(&a_plan(), &Style::plain()));
}

/// Tells a whole job that goes as far as `Build` and ends with `outcome`.
fn story(verbosity: Verbosity, outcome: Outcome) -> String {
    let bodies = vec![
        EventBody::Announced {
            job_kind: JobKind::Deploy { release: ReleaseId(3) },
            app: app(),
            steps: vec![Step::Plan, Step::Backup, Step::Build, Step::Migrate, Step::Prune],
        },
        EventBody::StepStarted { step: Step::Plan },
        EventBody::Planned { plan: Box::new(a_plan()) },
        EventBody::StepFinished { step: Step::Plan, duration_ms: 312 },
        EventBody::StepStarted { step: Step::Backup },
        EventBody::BackedUp { backup: backup(), summary: "project and db, 20.1 MB".into() },
        EventBody::StepFinished { step: Step::Backup, duration_ms: 1_200 },
        EventBody::StepStarted { step: Step::Build },
        EventBody::Output {
            step: Step::Build,
            service: Some("web".into()),
            line: "\x1b[31m#5 RUN pip install\r\n".into(),
        },
        EventBody::Output { step: Step::Build, service: None, line: String::new() },
        EventBody::Note { level: Level::Info, text: "web: the same content as before".into() },
        EventBody::Note { level: Level::Warning, text: "the disk is nearly full".into() },
        EventBody::StepFailed {
            step: Step::Build,
            failure: Failure::new(FailureKind::Build, "web could not be built"),
        },
        EventBody::StepSkipped { step: Step::Migrate, why: "there is none".into() },
        EventBody::StepStarted { step: Step::PutBack },
        EventBody::Finished { outcome },
    ];
    let mut story = Story::new(Style::plain(), verbosity);
    let event = |(index, body)| Event { job: JobId(12), index, at: at(0), body };
    (0..).zip(bodies).map(event).map(|event| story.tell(&event)).collect()
}

#[test]
fn how_jobs_are_told() {
    let failure = Failure::new(FailureKind::Build, "web could not be built")
        .cause("RUN pip install: exit code 1")
        .hint("look at the lines above");
    let put_back = Failure::new(FailureKind::Environment, "the disk is full");
    let released = || Outcome::Released { release: ReleaseId(3) };
    insta::assert_snapshot!("story_released", story(Verbosity::Normal, released()));
    insta::assert_snapshot!("story_quiet", story(Verbosity::Quiet, released()));
    insta::assert_snapshot!("story_verbose", story(Verbosity::Verbose, released()));
    let endings = [
        Outcome::Failed { failure: failure.clone() },
        Outcome::PutBack { failure: failure.clone(), live: Some(ReleaseId(2)) },
        Outcome::PutBack { failure: failure.clone(), live: None },
        Outcome::NotPutBack { failure: failure.clone(), put_back },
        Outcome::Postponed { failure },
    ];
    let told: Vec<String> = endings.into_iter().map(|outcome| story(Verbosity::Quiet, outcome)).collect();
    insta::assert_snapshot!("story_endings", told.join("\n---\n"));
}

#[test]
fn an_upload_without_a_terminal() {
    use crate::session::{Progress as _, Sent};
    for json in [false, true] {
        let (mut console, captured) = Console::captured(json);
        let mut progress = Progress::new(&mut console);
        progress.start(12_345_678, 34);
        progress.sent(12_345_678);
        progress.finish(&Sent {
            chunks: 34,
            bytes: 5_000_000,
            content_bytes: 12_345_678,
            duration: Duration::from_millis(2500),
        });
        drop(progress);
        insta::assert_snapshot!(
            format!("upload_json_{json}"),
            format!("{}---\n{}", captured.out(), captured.err())
        );
    }
}

#[test]
fn events_as_json_lines() {
    let event = Event {
        job: JobId(12),
        index: 3,
        at: at(0),
        body: EventBody::StepFinished { step: Step::Backup, duration_ms: 1200 },
    };
    let released = Event {
        body: EventBody::Finished { outcome: Outcome::Released { release: ReleaseId(3) } },
        ..event.clone()
    };
    insta::assert_snapshot!(json::line("event", &event) + &json::line("event", &released));
    let none: BTreeMap<String, String> = BTreeMap::new();
    assert_eq!(json::line("setup", &none), "{\"type\":\"setup\"}\n");
}
