//! Much data: nothing deadlocks, nothing is kept without a bound, nobody else suffers.

use crate::agent::{Echo, Hand, Place, bulk, connect, control, exchange, in_time};
use sha2::{Digest, Sha256};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;
use tokio::sync::mpsc;
use wharf_agent_ssh::{Conversation, Handler, Peer};
use wharf_proto::frame::Kind;

const FRAME: usize = 256 * 1024;
const FRAMES: usize = 256;

/// Bytes that no two frames share.
fn piece(number: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    (0..FRAME)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect()
}

/// Hashes what comes up while it sends events down, and ends with the hash.
struct Store;

#[async_trait::async_trait]
impl Handler for Store {
    async fn conversation(&self, _: Peer, mut conversation: Conversation) {
        let sender = conversation.sender();
        let events = tokio::spawn({
            let sender = sender.clone();
            async move {
                for number in 0..20_000 {
                    let line = format!("{{\"event\":{number},\"line\":\"{}\"}}", "x".repeat(300));
                    sender.send(control(&line)).await.unwrap();
                }
            }
        });
        let mut hash = Sha256::new();
        while let Some(frame) = conversation.recv().await.unwrap() {
            match frame.kind {
                Kind::Bulk => hash.update(&frame.payload),
                Kind::Control => break,
            }
        }
        events.await.unwrap();
        let digest: Vec<u8> = hash.finalize().to_vec();
        sender.send(bulk(digest)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_and_events_cross_without_a_deadlock() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Store).await;
        let link = connect(&server.host(), &place.options("ada")).await.unwrap();
        let (sender, mut receiver) = link.open().await.unwrap().split();
        let uploading = tokio::spawn(async move {
            let mut hash = Sha256::new();
            for number in 0..FRAMES {
                let bytes = piece(number);
                hash.update(&bytes);
                sender.send(bulk(bytes)).await.unwrap();
            }
            sender.send(control("\"done\"")).await.unwrap();
            (sender, hash.finalize().to_vec())
        });
        let mut events = 0;
        let digest = loop {
            let frame = receiver.recv().await.unwrap().unwrap();
            match frame.kind {
                Kind::Control => events += 1,
                Kind::Bulk => break frame.payload.to_vec(),
            }
        };
        assert_eq!(events, 20_000);
        assert_eq!(digest, uploading.await.unwrap().1);
        link.disconnect().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_both_ways_with_an_agent_of_one_task_does_not_deadlock() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let link = connect(&server.host(), &place.options("ada")).await.unwrap();
        let (sender, mut receiver) = link.open().await.unwrap().split();
        let uploading = tokio::spawn(async move {
            for number in 0..FRAMES {
                sender.send(bulk(piece(number))).await.unwrap();
            }
        });
        for number in 0..FRAMES {
            assert!(receiver.recv().await.unwrap().unwrap().payload == piece(number), "frame {number}");
        }
        uploading.await.unwrap();
        assert_eq!(receiver.recv().await.unwrap(), None);
        link.disconnect().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_does_not_read_stops_its_client_and_nobody_else() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let (hand, mut conversations) = mpsc::channel(1);
        let slow = place.serve(Hand(hand)).await;
        let link = connect(&slow.host(), &place.options("ada")).await.unwrap();
        let (sender, _receiver) = link.open().await.unwrap().split();
        let sent = Arc::new(AtomicU64::new(0));
        let uploading = tokio::spawn({
            let sent = sent.clone();
            async move {
                for number in 0..FRAMES {
                    sender.send(bulk(piece(number))).await.unwrap();
                    sent.fetch_add(1, Ordering::SeqCst);
                }
                sender
            }
        });
        let (_, mut unread) = conversations.recv().await.unwrap();
        let stopped_at = still(&sent).await;
        // What the agent keeps, what both kernels keep, and what the client's queue and russh keep.
        let kept_bytes = stopped_at * FRAME as u64;
        assert!(kept_bytes < 40 * 1024 * 1024, "{kept_bytes} bytes were taken without a reader");

        let other = place.serve(Echo).await;
        let other_link = connect(&other.host(), &place.options("ada")).await.unwrap();
        exchange(&other_link).await.unwrap();

        // The agent can still speak on the connection that it does not read.
        unread.sender().send(control("\"wait\"")).await.unwrap();
        for number in 0..FRAMES {
            assert!(unread.recv().await.unwrap().unwrap().payload == piece(number), "frame {number}");
        }
        drop(uploading.await.unwrap());
        assert_eq!(unread.recv().await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_sends_to_nobody_waits() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let (hand, mut conversations) = mpsc::channel(1);
        let server = place.serve(Hand(hand)).await;
        let link = connect(&server.host(), &place.options("ada")).await.unwrap();
        let mut ours = link.open().await.unwrap();
        ours.send(control("1")).await.unwrap();
        let (_, theirs) = conversations.recv().await.unwrap();
        let sender = theirs.sender();
        let sent = Arc::new(AtomicU64::new(0));
        let sending = tokio::spawn({
            let sent = sent.clone();
            async move {
                for number in 0..FRAMES {
                    sender.send(bulk(piece(number))).await.unwrap();
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let stopped_at = still(&sent).await;
        assert!(
            stopped_at * (FRAME as u64) < 32 * 1024 * 1024,
            "{stopped_at} frames were taken without a reader"
        );
        for number in 0..FRAMES {
            assert!(ours.recv().await.unwrap().unwrap().payload == piece(number), "frame {number}");
        }
        sending.await.unwrap();
    })
    .await;
}

/// The count, once it has stopped rising.
async fn still(count: &AtomicU64) -> u64 {
    let mut before = u64::MAX;
    loop {
        let now = count.load(Ordering::SeqCst);
        if now == before && now > 0 {
            return now;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
}
