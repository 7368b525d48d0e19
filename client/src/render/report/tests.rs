use super::*;
use crate::render::ErrorLines;
use std::collections::BTreeMap;
use wharf_proto::backup::{BackupInfo, Proof};
use wharf_proto::certificate::CertificateFacts;
use wharf_proto::event::{Event, EventBody, JobKind, Level};
use wharf_proto::plan::{ContainerAction, DeployPlan, FileChanges, ImageAction, ServicePlan};
use wharf_proto::release::{
    AuditEntry, ContainerStatus, DiskSpace, JobInfo, LastDrill, ReleaseInfo, ScheduleStatus,
};
use wharf_proto::{BackupId, Failure, FailureKind, JobId, Outcome, ReleaseId, Step};

fn at(minute: u32) -> Timestamp {
    format!("2026-11-21T10:{minute:02}:00Z").parse().unwrap()
}

fn release(number: u32) -> ReleaseInfo {
    ReleaseInfo {
        release: ReleaseId(number),
        live: number == 2,
        adopted: false,
        created: at(number),
        versions: BTreeMap::from([("mobile/app.json".into(), format!("1.0.{number}"))]),
        message: (number == 2).then(|| "faster | better".into()),
        by: "ann@laptop (key ann)".into(),
        git_commit: (number == 2).then(|| "0123456789abcdef".into()),
        backup: Some(BackupId("1a2b3c4d5e6f".into())),
        proof: None,
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

fn status() -> AppStatus {
    let container = |service: &str, health: Option<&str>, state: &str| ContainerStatus {
        service: service.into(),
        name: format!("fit-{service}-1"),
        state: state.into(),
        health: health.map(Into::into),
        restarts: 3,
        image: format!("fit-{service}:v2"),
        started: None,
        memory_bytes: health.map(|_| 48_200_000),
        memory_limit_bytes: health.map(|_| 512_000_000),
    };
    AppStatus {
        app: "fitnessapp".parse().unwrap(),
        path: "/home/deploy/fitnessapp".into(),
        project: "docker".into(),
        live: Some(release(2)),
        containers: vec![
            container("db", None, "exited (137)"),
            container("web", Some("unhealthy"), "running"),
        ],
        scaled_to_zero: vec!["worker".into()],
        last_backup: Some(at(2)),
        last_backup_proof: Some(Proof::Unproven),
        last_drill: Some(LastDrill {
            backup: BackupId("1a2b3c4d5e6f".into()),
            proof: Proof::Failed { at: at(1), why: "public.a: 1 row".into() },
        }),
        schedule: Some(ScheduleStatus {
            schedule: "0 3 * * *".into(),
            timezone: "Europe/Berlin".into(),
            on: true,
            next: Some(at(30)),
        }),
        job: None,
        lock: None,
        disk: Some(DiskSpace { free_bytes: 12_345_678_901, size_bytes: 40_000_000_000 }),
        certificates: vec![
            certificate("fit.example", Some(58), None),
            certificate("fit.example:8443", None, Some("connection\x1b[2J refused")),
        ],
        warnings: vec!["db ran out of memory and was killed".into()],
    }
}

fn job(outcome: Option<Outcome>) -> JobInfo {
    JobInfo {
        job: JobId(12),
        app: "fitnessapp".parse().unwrap(),
        kind: JobKind::Deploy { release: ReleaseId(3) },
        by: "ann@laptop (key ann)".into(),
        started: at(10),
        finished: outcome.is_some().then(|| at(13)),
        outcome,
    }
}

#[test]
fn how_an_app_is() {
    let backup = |number: u32| BackupInfo {
        id: BackupId(format!("{number:08x}")),
        time: at(number),
        release: None,
        before: None,
        files: 12,
        size_bytes: 1_234_567,
        databases: vec![],
        volumes: vec![],
        message: None,
        pinned: false,
        checked: number > 1,
        proof: if number == 12 { Proof::Proven { at: at(40) } } else { Proof::Unproven },
        copies: vec![],
    };
    let backups: Vec<BackupInfo> = (1..=12).rev().map(backup).collect();
    let app = status();
    let releases = [release(2), release(1)];
    let facts =
        HealthFacts { at: at(50), app: &app, releases: &releases, backups: &backups, key_saved: false };
    let empty = AppStatus {
        live: None,
        containers: vec![],
        scaled_to_zero: vec![],
        last_backup: None,
        last_drill: None,
        schedule: None,
        disk: None,
        certificates: vec![],
        warnings: vec![],
        ..app.clone()
    };
    let none = HealthFacts { at: at(50), app: &empty, releases: &[], backups: &[], key_saved: true };
    insta::assert_snapshot!(health(&facts, &Style::plain()) + "\n---\n\n" + &health(&none, &Style::plain()));
}

fn events() -> Vec<Event> {
    let failure = Failure::new(FailureKind::Build, "web could not be built");
    let plan = DeployPlan {
        release: ReleaseId(3),
        live: Some(ReleaseId(2)),
        project: "docker".into(),
        adopts: false,
        versions: vec![],
        files: FileChanges { added: 1, changed: 2, ..FileChanges::default() },
        services: vec![ServicePlan {
            service: "web".into(),
            image: ImageAction::Build,
            container: ContainerAction::Recreate,
            why: vec!["backend/app.py changed".into()],
        }],
        data: vec![],
        dumps: vec!["fitness in db".into()],
        migrations: vec![],
        logs: vec![],
        warnings: vec![],
        promoted: None,
        awaited_images: vec![],
    };
    let output =
        |step, line: &str| EventBody::Output { step, service: Some("web".into()), line: line.into() };
    let bodies = vec![
        EventBody::Announced {
            job_kind: JobKind::Deploy { release: ReleaseId(3) },
            app: "fitnessapp".parse().unwrap(),
            steps: vec![Step::Plan, Step::Backup, Step::Build],
        },
        EventBody::StepStarted { step: Step::Plan },
        EventBody::Planned { plan: Box::new(plan) },
        EventBody::StepFinished { step: Step::Plan, duration_ms: 312 },
        EventBody::StepStarted { step: Step::Backup },
        output(Step::Backup, "not of the step that failed"),
        EventBody::BackedUp {
            backup: BackupId("1a2b3c4d5e6f".into()),
            summary: "project and db, 20.1 MB".into(),
        },
        EventBody::StepFinished { step: Step::Backup, duration_ms: 1_200 },
        EventBody::Note { level: Level::Warning, text: "the disk is nearly full".into() },
        EventBody::StepSkipped { step: Step::Migrate, why: "there is none".into() },
        EventBody::StepStarted { step: Step::Build },
        output(Step::Build, "\x1b[31m```ERROR: no such file"),
        EventBody::StepFailed { step: Step::Build, failure },
    ];
    let event = |(index, body)| Event { job: JobId(12), index, at: at(10), body };
    let mut events: Vec<Event> = (0..).zip(bodies).map(event).collect();
    events.last_mut().unwrap().at = at(12);
    events
}

#[test]
fn how_a_job_went() {
    let failure = Failure::new(FailureKind::Build, "web could not be built")
        .cause("RUN pip install: exit code 1")
        .hint("look at the lines below");
    let put_back = Failure::new(FailureKind::Environment, "the disk is full");
    let told = |outcome, events: &[Event], release| {
        let job = job(Some(outcome));
        let release: Option<&ReleaseInfo> = release;
        deploy(&DeployFacts { at: at(50), job: &job, events, release }, &Style::plain())
    };
    let events = events();
    let all = [
        told(Outcome::PutBack { failure: failure.clone(), live: Some(ReleaseId(2)) }, &events, None),
        told(Outcome::Released { release: ReleaseId(3) }, &events[..4], Some(&release(2))),
        told(Outcome::NotPutBack { failure, put_back }, &[], None),
    ];
    insta::assert_snapshot!(all.join("\n---\n\n"));
}

#[test]
fn what_is_known_of_an_incident() {
    let app = status();
    let failure = Failure::new(FailureKind::Verify, "web is not healthy");
    let jobs = [job(Some(Outcome::PutBack { failure, live: Some(ReleaseId(2)) }))];
    let entry = |minute, action: &str, outcome: &str| AuditEntry {
        at: at(minute),
        app: Some(app.app.clone()),
        by: "ann@laptop (key ann)".into(),
        from: "192.0.2.1".into(),
        action: action.into(),
        outcome: outcome.into(),
    };
    let audit = [
        entry(13, "deploy v3", "failed and put back: web is not healthy"),
        entry(10, "deploy v3", "job 12 started"),
    ];
    let errors = ErrorLines {
        counts: BTreeMap::from([((None, "web".to_owned()), 7)]),
        pattern: "(?i)error".into(),
        more: true,
    };
    let told = |audit, errors, cut| {
        let facts = IncidentFacts { since: at(5), at: at(50), app: &app, jobs: &jobs, audit, cut, errors };
        incident(&facts, &Style::plain())
    };
    let read = told(Ok(&audit), Ok(errors), false);
    let denied = told(
        Err("it has the role read, and operate is needed".into()),
        Err("the engine is away".into()),
        true,
    );
    insta::assert_snapshot!(read + "\n---\n\n" + &denied);
}
