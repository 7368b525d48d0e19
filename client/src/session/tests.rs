use super::{
    fake::{Agent, End},
    *,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use tokio::sync::mpsc;
use wharf_proto::{
    Digest, Entry, EntryKind, Event, EventBody, Failure, FailureKind, JobId, Manifest, Outcome, ReleaseId,
    Step,
    manifest::Chunk,
    message::{ClientMessage, PackEncoding, Reply, Request, ServerMessage},
    spec::DumpSpec,
    version::Hello,
};

const JOB: JobId = JobId(12);

fn event(index: u64) -> ServerMessage {
    let body = match index {
        4 => EventBody::Finished { outcome: Outcome::Released { release: ReleaseId(1) } },
        _ => EventBody::StepStarted { step: Step::Plan },
    };
    ServerMessage::Event { event: Event { job: JOB, index, at: jiff::Timestamp::UNIX_EPOCH, body } }
}

#[derive(Default)]
struct Seen {
    indices: Vec<u64>,
    lost: u32,
    found: u32,
}

impl Watched for Seen {
    fn event(&mut self, event: &Event) {
        self.indices.push(event.index);
    }
    fn lost(&mut self, _error: &SessionError) {
        self.lost += 1;
    }
    fn found(&mut self) {
        self.found += 1;
    }
}

/// Greets, checks where the watcher goes on, and says the events of `indices`.
async fn replay(mut end: End, from: u64, indices: Vec<u64>) {
    let request = end.greet().await;
    assert_eq!(request, Request::Attach { job: JOB, from_index: from });
    for index in indices {
        end.say(event(index)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_event_is_told_once_over_any_number_of_connections() {
    let agent = Agent::default()
        .then(|end| replay(end, 0, vec![0, 1]))
        .then_unreachable()
        .then_unreachable()
        // It may replay too much, or skip one.
        .then(|end| replay(end, 2, vec![0, 1, 2]))
        .then(|end| replay(end, 3, vec![4]))
        // One that is being stopped says goodbye.
        .then(|mut end| async move {
            end.greet().await;
            end.say(ServerMessage::End).await;
        })
        .then(|end| replay(end, 3, vec![3, 4]));
    let mut seen = Seen::default();
    let outcome = watch(&agent.session(), JOB, None, 0, Backoff::default(), &mut seen).await.unwrap();
    assert_eq!(outcome, Outcome::Released { release: ReleaseId(1) });
    assert_eq!(seen.indices, [0, 1, 2, 3, 4]);
    assert!(seen.lost >= 1 && seen.found >= 1);
    assert_eq!(agent.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_away_is_given_up_and_the_text_says_how_to_go_on() {
    let agent = Agent::default().then(|end| replay(end, 0, vec![0]));
    let mut seen = Seen::default();
    let error = watch(&agent.session(), JOB, None, 0, Backoff::default(), &mut seen).await.unwrap_err();
    assert_eq!((seen.indices.as_slice(), seen.lost), ([0].as_slice(), 1));
    let failure = Failure::from(error);
    assert_eq!(failure.exit_code(), 4);
    assert!(failure.hints.iter().any(|hint| hint.contains("--attach 12")), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_tried_again() {
    let agent = Agent::default().then(|mut end| async move {
        end.greet().await;
        end.fail(Failure::new(FailureKind::NotFound, "there is no job 12")).await;
    });
    let mut seen = Seen::default();
    let error = watch(&agent.session(), JOB, None, 0, Backoff::default(), &mut seen).await.unwrap_err();
    assert!(matches!(error, SessionError::Agent(_)), "{error:?}");
}

#[tokio::test]
async fn sides_that_share_no_version_name_the_older_one() {
    let agent = Agent::default().then(|mut end| async move {
        end.message().await;
        let hello =
            Hello { min: 7, current: 9, software: "wharfd 9".into(), encodings: vec![], features: vec![] };
        end.say(ServerMessage::Hello { hello }).await;
    });
    let error = agent.session().ask(Request::Status { app: None }).await.unwrap_err();
    let failure = Failure::from(error);
    assert_eq!(failure.exit_code(), 4);
    assert!(failure.hints[0].starts_with("upgrade wharf "), "{failure:?}");
}

#[tokio::test]
async fn an_agent_that_knows_no_dumps_is_asked_for_none() {
    let mut with_dump = deploy();
    with_dump.spec.dump = vec![DumpSpec { service: "docs".into(), ..DumpSpec::default() }];
    for (request, refused) in [(deploy(), false), (with_dump, true)] {
        let agent = Agent::default().then(|mut end| async move {
            end.message().await;
            let hello = Hello { features: vec![], ..Hello::ours("wharfd 0.0.1") };
            end.say(ServerMessage::Hello { hello }).await;
        });
        match agent.session().open(Request::Deploy(Box::new(request))).await.map(|_| ()) {
            Ok(()) => assert!(!refused),
            Err(error) => {
                assert!(refused, "{error:?}");
                let failure = Failure::from(error);
                assert_eq!(failure.kind, FailureKind::Unsupported);
                assert!(failure.message.contains("wharfd 0.0.1, knows no [[dump]]"), "{failure:?}");
                assert!(failure.hints[0].starts_with("upgrade wharfd"), "{failure:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends() {
    let agent = Agent::default().then(|mut end| async move {
        end.greet().await;
        std::future::pending::<()>().await;
    });
    let error = agent.session().ask(Request::Status { app: None }).await.unwrap_err();
    assert!(matches!(error, SessionError::Silent { .. }), "{error:?}");
}

fn manifest(files: usize) -> Manifest {
    let entry = |n: usize| {
        let content = n.to_string();
        let chunk = Chunk { digest: Digest::of(content.as_bytes()), size_bytes: content.len() as u32 };
        let kind = EntryKind::File {
            mode: 0o644,
            mtime_seconds: 0,
            size_bytes: content.len() as u64,
            chunks: vec![chunk],
        };
        Entry { path: format!("f{n}").parse().unwrap(), kind }
    };
    Manifest::new((0..files).map(entry).collect()).unwrap()
}

#[derive(Default)]
struct Bytes(u64, u64);

impl Progress for Bytes {
    fn start(&mut self, total_bytes: u64, _chunks: u64) {
        self.0 = total_bytes;
    }
    fn sent(&mut self, bytes: u64) {
        self.1 += bytes;
    }
    fn finish(&mut self, _sent: &Sent) {}
}

fn deploy() -> wharf_proto::message::DeployRequest {
    serde_json::from_value(serde_json::json!({
        "spec": { "app": "a", "path": "/a", "compose": { "files": ["c.yml"] } },
        "options": {}, "source": { "git_commit": null, "git_branch": null }
    }))
    .unwrap()
}

/// One pack of 600,000 bytes for each missing digest.
fn packs(missing: BTreeSet<Digest>) -> Packs {
    let (tx, rx) = mpsc::channel(1);
    tokio::spawn(async move {
        for digest in missing {
            let bytes = vec![digest.0[0]; 600_000].into();
            let _ = tx.send(Ok(Pack { encoding: PackEncoding::Zip, bytes, content_bytes: 3 })).await;
        }
    });
    rx
}

async fn receive_manifest(end: &mut End) -> Vec<Entry> {
    let mut all = Vec::new();
    loop {
        let Some(ClientMessage::Manifest { entries, last }) = end.message().await else {
            panic!("no manifest")
        };
        all.extend(entries);
        if last {
            return all;
        }
    }
}

#[tokio::test]
async fn a_release_is_shipped_in_the_order_that_the_protocol_says() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let stored = got.clone();
    let agent = Agent::default().then(move |mut end| async move {
        assert!(matches!(end.greet().await, Request::Deploy(_)));
        let entries = receive_manifest(&mut end).await;
        assert_eq!(entries.len(), 4_500);
        let wanted: Vec<Digest> =
            [7, 8, 9].iter().map(|n: &u32| Digest::of(n.to_string().as_bytes())).collect();
        end.say(ServerMessage::Missing { digests: wanted[..2].to_vec(), last: false }).await;
        end.say(ServerMessage::Missing { digests: wanted[2..].to_vec(), last: true }).await;
        loop {
            match end.message().await.unwrap() {
                ClientMessage::Pack { size_bytes, .. } => {
                    let bytes = end.bulk(size_bytes).await.unwrap();
                    stored.lock().unwrap().push(bytes.len());
                    end.say(ServerMessage::Stored { chunks: 1 }).await;
                }
                ClientMessage::Sent => break,
                other => panic!("{other:?}"),
            }
        }
        end.say(ServerMessage::Accepted { job: JOB }).await;
    });
    let mut progress = Bytes::default();
    let manifest = manifest(4_500);
    let offer = Offer { request: deploy(), manifest: &manifest, packs: &packs };
    let shipped = ship(&agent.session(), &offer, &mut progress).await.unwrap();
    let Shipped::Job { job, sent, .. } = shipped else { panic!("no job") };
    assert_eq!((job, sent.chunks, sent.bytes, sent.content_bytes), (JOB, 3, 1_800_000, 9));
    assert_eq!((progress.0, progress.1), (3, 9), "progress is told in the project's bytes");
    assert_eq!(*got.lock().unwrap(), [600_000; 3]);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_another_job_is_not_silence() {
    for (lock_wait_seconds, waited) in [(0, false), (900, true)] {
        let agent = Agent::default().then(|mut end| async move {
            end.greet().await;
            tokio::time::sleep(std::time::Duration::from_secs(800)).await;
            receive_manifest(&mut end).await;
            end.say(ServerMessage::Missing { digests: vec![], last: true }).await;
            end.message().await;
            end.say(ServerMessage::Accepted { job: JOB }).await;
        });
        let mut request = deploy();
        request.options.lock_wait_seconds = lock_wait_seconds;
        // More pages than the line holds, so that the client waits while it sends, too.
        let manifest = manifest(40_000);
        let offer = Offer { request, manifest: &manifest, packs: &packs };
        let shipped = ship(&agent.session(), &offer, &mut Bytes::default()).await;
        assert_eq!(shipped.is_ok(), waited);
    }
}

#[tokio::test]
async fn a_server_that_lacks_nothing_is_sent_nothing() {
    let agent = Agent::default().then(|mut end| async move {
        end.greet().await;
        receive_manifest(&mut end).await;
        end.say(ServerMessage::Missing { digests: vec![], last: true }).await;
        assert_eq!(end.message().await, Some(ClientMessage::Sent));
        end.say(ServerMessage::Accepted { job: JOB }).await;
    });
    let offer = Offer { request: deploy(), manifest: &Manifest::default(), packs: &packs };
    assert!(matches!(ship(&agent.session(), &offer, &mut Bytes::default()).await, Ok(Shipped::Job { .. })));
}

#[tokio::test]
async fn what_the_agent_says_during_the_upload_is_told_rather_than_that_the_line_broke() {
    let agent = Agent::default().then(|mut end| async move {
        end.greet().await;
        receive_manifest(&mut end).await;
        end.say(ServerMessage::Missing { digests: vec![Digest::of(b"1"), Digest::of(b"2")], last: true })
            .await;
        end.message().await;
        end.fail(Failure::new(FailureKind::Environment, "the server's disk is full")).await;
    });
    let manifest = manifest(3);
    let offer = Offer { request: deploy(), manifest: &manifest, packs: &packs };
    let Err(error) = ship(&agent.session(), &offer, &mut Bytes::default()).await else { panic!("shipped") };
    assert_eq!(Failure::from(error).message, "the server's disk is full");
}

#[tokio::test]
async fn what_breaks_before_the_job_and_what_breaks_at_it_are_told_apart() {
    for (late, unknown) in [(false, false), (true, true)] {
        let agent = Agent::default().then(move |mut end| async move {
            end.greet().await;
            receive_manifest(&mut end).await;
            if late {
                end.say(ServerMessage::Missing { digests: vec![], last: true }).await;
                end.message().await;
            }
        });
        let offer = Offer { request: deploy(), manifest: &Manifest::default(), packs: &packs };
        let Err(error) = ship(&agent.session(), &offer, &mut Bytes::default()).await else {
            panic!("shipped")
        };
        assert_eq!(matches!(error, SessionError::Unknown { .. }), unknown, "{error:?}");
        assert_eq!(error.is_connection(), !unknown);
    }
}

#[tokio::test]
async fn a_rollback_may_begin_with_its_first_event() {
    let agent = Agent::default().then(|mut end| async move {
        end.greet().await;
        for index in 0..5 {
            end.say(event(index)).await;
        }
    });
    let session = agent.session();
    let request = wharf_proto::message::RollbackRequest {
        app: "a".parse().unwrap(),
        to: None,
        options: wharf_proto::message::JobOptions::default(),
    };
    let options = request.options.clone();
    let started = start(&session, Request::Rollback(request), &options).await.unwrap();
    let Started::Job { job, talk } = started else { panic!("no job") };
    let mut seen = Seen::default();
    watch(&session, job, Some(*talk), 0, Backoff::default(), &mut seen).await.unwrap();
    assert_eq!(seen.indices, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn an_answer_to_another_question_is_a_bug_that_is_told() {
    let agent = Agent::default().then(|mut end| async move {
        end.greet().await;
        end.say(ServerMessage::Reply { reply: Reply::Jobs { jobs: vec![] } }).await;
    });
    let reply = agent.session().ask(Request::Status { app: None }).await.unwrap();
    assert_eq!(reply, Reply::Jobs { jobs: vec![] });
}
