use super::*;
use std::io::Write;
use wharf_proto::event::Level;
use wharf_proto::{Event, EventBody, Failure, FailureKind, Outcome, ReleaseId, Step};

const JOB: JobId = JobId(7);

fn logs() -> (tempfile::TempDir, EventLogs) {
    let dir = tempfile::tempdir().unwrap();
    let logs = EventLogs::open(&dir.path().join("jobs")).unwrap();
    (dir, logs)
}

fn output(line: impl Into<String>) -> EventBody {
    EventBody::Output { step: Step::Build, service: None, line: line.into() }
}

fn finished() -> EventBody {
    EventBody::Finished { outcome: Outcome::Released { release: ReleaseId(1) } }
}

fn started() -> EventBody {
    EventBody::StepStarted { step: Step::Build }
}

async fn all(mut follow: Follow) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = follow.next().await.unwrap() {
        events.push(event);
    }
    events
}

fn indices(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.index).collect()
}

#[tokio::test]
async fn finished_comes_once_and_last() {
    let (_dir, logs) = logs();
    let writer = logs.create(JOB).await.unwrap();
    assert_eq!(writer.append(started()).await.unwrap().unwrap().index, 0);
    assert_eq!(writer.append(finished()).await.unwrap().unwrap().index, 1);
    for body in [finished(), output("late"), started()] {
        assert!(matches!(writer.append(body).await, Err(EventError::Finished(JOB))));
    }
    drop(writer);
    let writer = logs.resume(JOB).await.unwrap();
    assert_eq!(writer.outcome().await, Some(Outcome::Released { release: ReleaseId(1) }));
    assert!(matches!(writer.append(finished()).await, Err(EventError::Finished(JOB))));
    assert_eq!(indices(&all(logs.follow(JOB, 0).await.unwrap()).await), [0, 1]);
}

#[tokio::test]
async fn a_job_has_one_writer() {
    let (_dir, logs) = logs();
    let writer = logs.create(JOB).await.unwrap();
    assert!(matches!(logs.create(JOB).await, Err(EventError::Written(JOB))));
    assert!(matches!(logs.resume(JOB).await, Err(EventError::Written(JOB))));
    assert!(matches!(logs.remove(JOB).await, Err(EventError::Written(JOB))));
    drop(writer);
    assert!(matches!(logs.create(JOB).await, Err(EventError::Exists(JOB))));
    drop(logs.resume(JOB).await.unwrap());
    logs.remove(JOB).await.unwrap();
    logs.remove(JOB).await.unwrap();
    assert!(matches!(logs.follow(JOB, 0).await, Err(EventError::NoSuchLog(JOB))));
}

/// The log of a process that was killed is cut at every byte; each time the whole events stay and numbering goes on.
#[tokio::test]
async fn a_torn_line_is_cut_off_wherever_it_was_torn() {
    let (dir, logs) = logs();
    let writer = logs.create(JOB).await.unwrap();
    for body in [started(), output("eins"), output("zwei\nü")] {
        writer.append(body).await.unwrap();
    }
    drop(writer);
    let path = logs.path(JOB);
    let whole = std::fs::read(&path).unwrap();
    for length in 0..=whole.len() {
        let torn = &whole[..length];
        std::fs::write(&path, torn).unwrap();
        let kept = torn.iter().filter(|byte| **byte == b'\n').count() as u64;
        let process = EventLogs::open(&dir.path().join("jobs")).unwrap();
        let writer = process.resume(JOB).await.unwrap();
        assert_eq!(writer.append(finished()).await.unwrap().unwrap().index, kept, "cut at {length}");
        let events = all(process.follow(JOB, 0).await.unwrap()).await;
        assert_eq!(indices(&events), (0..=kept).collect::<Vec<_>>(), "cut at {length}");
    }
}

#[tokio::test]
async fn what_follows_a_damaged_line_is_cut_off_with_it() {
    let (_dir, logs) = logs();
    let writer = logs.create(JOB).await.unwrap();
    writer.append(started()).await.unwrap();
    drop(writer);
    let good = std::fs::read(logs.path(JOB)).unwrap();
    // Zeros that a file system left, another job's event, and an event out of turn.
    let others: Vec<Vec<u8>> = vec![
        b"\0\0\0\0\n".to_vec(),
        String::from_utf8(good.clone()).unwrap().replace("\"job\":7", "\"job\":8").into_bytes(),
        good.clone(),
    ];
    for other in others {
        std::fs::write(logs.path(JOB), [good.as_slice(), &other, &good].concat()).unwrap();
        drop(logs.resume(JOB).await.unwrap());
        assert_eq!(std::fs::read(logs.path(JOB)).unwrap(), good);
    }
}

#[tokio::test]
async fn a_follower_waits_through_a_crash_for_the_job_to_be_resumed() {
    let (dir, logs) = logs();
    let writer = logs.create(JOB).await.unwrap();
    writer.append(started()).await.unwrap();
    drop(writer);
    std::fs::File::options()
        .append(true)
        .open(logs.path(JOB))
        .unwrap()
        .write_all(b"{\"job\":7,\"ind")
        .unwrap();

    let process = EventLogs::open(&dir.path().join("jobs")).unwrap();
    let mut follow = process.follow(JOB, 0).await.unwrap();
    assert_eq!(follow.next().await.unwrap().unwrap().index, 0);
    // It waits now: dropping the future in `select!` loses nothing.
    tokio::select! {
        biased;
        event = follow.next() => panic!("{event:?} out of a torn line"),
        () = tokio::task::yield_now() => {}
    }
    let writer = process.resume(JOB).await.unwrap();
    writer.append(output("on")).await.unwrap();
    writer.append(finished()).await.unwrap();
    assert_eq!(indices(&all(follow).await), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_see_each_event_once_whatever_is_appended_meanwhile() {
    const WRITERS: u64 = 3;
    const LINES: u64 = 400;
    let (_dir, logs) = logs();
    let writer = logs.create(JOB).await.unwrap();
    let followers: Vec<_> = [0, 5, WRITERS * LINES]
        .into_iter()
        .map(|from| {
            let logs = logs.clone();
            tokio::spawn(async move { (from, all(logs.follow(JOB, from).await.unwrap()).await) })
        })
        .collect();
    let appended: Vec<_> = (0..WRITERS)
        .map(|number| {
            let writer = writer.clone();
            tokio::spawn(async move {
                for line in 0..LINES {
                    // Some lines are longer than a piece that a follower reads.
                    let body = if line % 100 == 99 {
                        EventBody::Note { level: Level::Info, text: "n".repeat(600_000) }
                    } else {
                        output(format!("{number} {line}"))
                    };
                    writer.append(body).await.unwrap();
                }
            })
        })
        .collect();
    for task in appended {
        task.await.unwrap();
    }
    writer.append(finished()).await.unwrap();
    for follower in followers {
        let (from, events) = follower.await.unwrap();
        assert_eq!(indices(&events), (from..=WRITERS * LINES).collect::<Vec<_>>());
    }
    drop(writer);
    // Over, and read by another: from the file alone, leaving nothing behind.
    assert_eq!(all(logs.follow(JOB, 0).await.unwrap()).await.len() as u64, WRITERS * LINES + 1);
    assert!(logs.follow(JobId(8), 0).await.is_err());
    logs.create(JobId(9)).await.unwrap();
    drop(logs.follow(JobId(9), 0).await.unwrap());
    assert!(logs.shared.slots().len() <= 1);
}

#[tokio::test]
async fn output_beyond_the_limit_is_dropped_after_one_note_also_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let open = || EventLogs::with_output_limit(dir.path(), 10).unwrap();
    let logs = open();
    let writer = logs.create(JOB).await.unwrap();
    assert!(writer.append(output("123456")).await.unwrap().is_some());
    let note = writer.append(output("123456")).await.unwrap().unwrap();
    assert!(matches!(note.body, EventBody::Note { level: Level::Warning, .. }));
    assert_eq!(writer.append(output("1")).await.unwrap(), None);
    drop(writer);
    let writer = open().resume(JOB).await.unwrap();
    assert_eq!(writer.append(output("1")).await.unwrap(), None);
    assert_eq!(writer.append(finished()).await.unwrap().unwrap().index, 2);
}

#[tokio::test]
async fn a_long_line_is_cut_and_says_so() {
    let (_dir, logs) = logs();
    let writer = logs.create(JOB).await.unwrap();
    for text in ["ü".repeat(20_000), format!("x{}", "ü".repeat(20_000))] {
        let event = writer.append(output(text)).await.unwrap().unwrap();
        let EventBody::Output { line, .. } = event.body else { panic!("not output") };
        assert!(line.len() <= wharf_proto::limits::OUTPUT_LINE_BYTES);
        assert!(line.ends_with("(the rest of this line was cut)"));
    }
    let whole = "x".repeat(wharf_proto::limits::OUTPUT_LINE_BYTES);
    let event = writer.append(output(whole.clone())).await.unwrap().unwrap();
    assert_eq!(event.body, output(whole));
}

#[tokio::test]
async fn an_event_that_no_frame_could_carry_is_refused_and_leaves_no_trace() {
    let (_dir, logs) = logs();
    let writer = logs.create(JOB).await.unwrap();
    let body = EventBody::StepFailed {
        step: Step::Build,
        failure: Failure::new(FailureKind::Build, "x".repeat(5_000_000)),
    };
    assert!(matches!(writer.append(body).await, Err(EventError::TooLong { .. })));
    assert_eq!(writer.append(finished()).await.unwrap().unwrap().index, 0);
}

#[tokio::test]
async fn a_log_that_is_removed_ends_its_followers() {
    let (_dir, logs) = logs();
    let writer = logs.create(JOB).await.unwrap();
    writer.append(started()).await.unwrap();
    drop(writer);
    let mut follow = logs.follow(JOB, 0).await.unwrap();
    assert_eq!(follow.next().await.unwrap().unwrap().index, 0);
    let waiting = tokio::spawn(async move { follow.next().await });
    tokio::task::yield_now().await;
    logs.remove(JOB).await.unwrap();
    assert!(matches!(waiting.await.unwrap(), Err(EventError::Removed(JOB))));
}
