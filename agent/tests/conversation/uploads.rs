//! Deploys that arrive wrong, or not whole.

use super::{Agent, COMPOSE, OTHER, deploy, deploys, says, told};
use serde_json::json;
use wharf_proto::manifest::Chunk;
use wharf_proto::message::{ClientMessage, PackEncoding, Request, ServerMessage};
use wharf_proto::{Digest, Entry, EntryKind, FailureKind, limits};

/// Manifests that no good client sends, as JSON, since most of them cannot be made of Rust's types.
#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_lead_astray_are_refused() {
    let digest = Digest::of(COMPOSE).to_hex();
    let file = |path: &str, size: u64, chunk: u64| {
        json!({"path": path, "kind": "file", "mode": 0o644, "size_bytes": size,
               "chunks": [{"digest": digest, "size_bytes": chunk}]})
    };
    let link = |target: &str| json!({"path": "link", "kind": "symlink", "target": target});
    let agent = Agent::start().await;
    for (entries, text) in [
        (json!([file("a", 1, 1), file("a", 1, 1)]), "a is listed twice"),
        (json!([file("/etc/passwd", 1, 1)]), "it is absolute"),
        (json!([file("../x", 1, 1)]), "'..' part"),
        (json!([file("a/../../x", 1, 1)]), "'..' part"),
        (json!([file("a//b", 1, 1)]), "empty"),
        (json!([file("", 1, 1)]), "it is empty"),
        (json!([file("a\0b", 1, 1)]), "NUL"),
        (json!([file("a", 1, 1), file("a/b", 1, 1)]), "a/b lies below a"),
        (json!([link("/etc"), file("link/passwd", 1, 1)]), "link/passwd lies below link"),
        (json!([file("a", 2, 1)]), "do not add up"),
        (json!([file("a", 0, 0)]), "a chunk is empty"),
        (json!([file("a", 1 << 23, 1 << 23)]), "longer than"),
        (json!([file("a", 1, 1 << 40)]), "cannot be read"),
        (json!([link("")]), "symbolic link"),
        (json!([link("a\0b")]), "symbolic link"),
        (json!([{"path": "x", "kind": "folder", "mode": 0o4755}]), "permission bits"),
        (json!([{"path": "x", "kind": "device"}]), "cannot be read"),
    ] {
        let mut talk = agent.talk();
        talk.open(Request::Deploy(Box::new(deploy(&agent)))).await;
        talk.say(&json!({"type": "manifest", "entries": entries, "last": true})).await;
        says(&talk.failure().await, FailureKind::Unsupported, text);
    }
    agent.is_as_new().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_that_are_not_what_they_should_be_are_refused() {
    let named = |content: &[u8]| Digest::of(content).to_hex();
    let agent = Agent::start().await;
    for (pack, text) in [
        (deploys::zip_of(&[(named(COMPOSE), OTHER)]), "holds something else"),
        (deploys::zip_of(&[(named(OTHER), OTHER)]), "was not asked for"),
        (deploys::zip_of(&[("../../etc/passwd".into(), OTHER)]), "not named by a digest"),
        (b"this is no zip".to_vec(), "not a zip"),
        (deploys::pack_of(&[COMPOSE])[..40].to_vec(), "not a zip"),
    ] {
        let mut talk = agent.talk();
        let missing = talk.offer(deploy(&agent), vec![deploys::file("compose.yml", COMPOSE)]).await;
        assert_eq!(missing, [Digest::of(COMPOSE)]);
        talk.send_pack(&pack).await;
        let failure = talk.failure().await;
        assert!(told(&failure).contains(text), "{text:?} in: {failure:?}");
    }
    agent.is_as_new().await;
    agent.stop().await;
}

/// Each of these is sent where a pack, or the end of them, is due.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_out_of_turn_is_refused() {
    let control = |message: ClientMessage| serde_json::to_value(message).unwrap();
    let pack = |encoding, size_bytes| control(ClientMessage::Pack { encoding, size_bytes });
    let agent = Agent::start().await;
    for (messages, bulk, text) in [
        (vec![], Some(10), "bulk data where a message was due"),
        (vec![pack(PackEncoding::Zip, limits::PACK_BYTES + 1)], None, "within the limit"),
        (vec![pack(PackEncoding::Zip, u64::MAX)], None, "within the limit"),
        (vec![pack(PackEncoding::Unknown, 10)], None, "was due"),
        (vec![pack(PackEncoding::Zip, 10), control(ClientMessage::Sent)], None, "the rest of a pack"),
        (vec![pack(PackEncoding::Zip, 10)], Some(0), "the rest of a pack"),
        (vec![pack(PackEncoding::Zip, 10)], Some(11), "the length that was announced"),
        (
            vec![control(ClientMessage::Manifest { entries: Vec::new(), last: true })],
            None,
            "where a pack was due",
        ),
        (vec![control(ClientMessage::Sent)], None, "1 chunks are missing"),
    ] {
        let mut talk = agent.talk();
        talk.offer(deploy(&agent), vec![deploys::file("compose.yml", COMPOSE)]).await;
        for message in &messages {
            talk.say(message).await;
        }
        if let Some(length) = bulk {
            talk.say_bulk(&vec![7; length]).await;
        }
        let failure = talk.failure().await;
        assert!(told(&failure).contains(text), "{text:?} in: {failure:?}");
    }
    // And before the manifest is whole.
    let mut talk = agent.talk();
    talk.open(Request::Deploy(Box::new(deploy(&agent)))).await;
    talk.say(&ClientMessage::Manifest { entries: Vec::new(), last: false }).await;
    talk.say(&ClientMessage::Sent).await;
    says(&talk.failure().await, FailureKind::Unsupported, "a page of the manifest");
    agent.is_as_new().await;
    agent.stop().await;
}

/// A chunk of which the manifest tells the digest rightly and the length wrongly.
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_of_another_length_does_not_become_a_file() {
    let agent = Agent::start().await;
    let chunks = vec![Chunk { digest: Digest::of(COMPOSE), size_bytes: 1_000 }];
    let kind = EntryKind::File { mode: 0o644, mtime_seconds: 0, size_bytes: 1_000, chunks };
    let entry = Entry { path: "compose.yml".parse().unwrap(), kind };
    let mut request = deploy(&agent);
    request.options.dry_run = true;
    let mut talk = agent.talk();
    talk.offer(request, vec![entry]).await;
    talk.send_pack(&deploys::pack_of(&[COMPOSE])).await;
    let failure = talk.failure().await;
    assert!(told(&failure).contains("a chunk of the length that the manifest says"), "{failure:?}");
    agent.is_as_new().await;
    agent.stop().await;
}

/// A client that dies while it sends loses nothing, and holds nobody up.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_broke_off_goes_on_where_it_was() {
    let agent = Agent::start().await;
    let entries = || vec![deploys::file("compose.yml", COMPOSE), deploys::file("other", OTHER)];
    let mut first = agent.talk();
    assert_eq!(first.offer(deploy(&agent), entries()).await.len(), 2);
    first.send_pack(&deploys::pack_of(&[COMPOSE])).await;
    assert_eq!(first.hear().await, Some(ServerMessage::Stored { chunks: 1 }));
    first.announce(1_000).await;
    first.say_bulk(&[7; 500]).await;

    let mut second = agent.talk();
    assert_eq!(second.offer(deploy(&agent), entries()).await, [Digest::of(OTHER)]);
    drop(first);
    second.send_pack(&deploys::pack_of(&[OTHER])).await;
    assert_eq!(second.hear().await, Some(ServerMessage::Stored { chunks: 1 }));
    drop(second);
    assert_eq!(agent.talk().offer(deploy(&agent), entries()).await, []);
    agent.is_as_new().await;
    agent.stop().await;
}

/// The same content twice in a project, and empty files, are sent once and not at all.
#[tokio::test(flavor = "multi_thread")]
async fn content_is_asked_for_once() {
    let agent = Agent::start().await;
    let empty = EntryKind::File { mode: 0o644, mtime_seconds: 0, size_bytes: 0, chunks: Vec::new() };
    let entries = vec![
        deploys::file("compose.yml", COMPOSE),
        deploys::file("copy.yml", COMPOSE),
        Entry { path: "empty".parse().unwrap(), kind: empty },
    ];
    assert_eq!(agent.talk().offer(deploy(&agent), entries).await, [Digest::of(COMPOSE)]);
    assert_eq!(agent.talk().offer(deploy(&agent), Vec::new()).await, []);
    agent.is_as_new().await;
    agent.stop().await;
}
