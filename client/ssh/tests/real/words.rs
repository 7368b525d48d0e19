//! Conversations: both ways, their ends, their errors.

use crate::agent::{Echo, Hand, Place, connect, control, exchange, in_time, render};
use tokio::sync::mpsc;
use wharf_agent_ssh::{Conversation, ConversationError, Handler, Peer};
use wharf_ssh::SshError;

#[tokio::test]
async fn hello_goes_there_and_back() {
    in_time(async {
        let place = Place::new();
        let identity = place.key("ada", &[]);
        place.authorize(&format!("restrict,command=\"wharfd connect --app blog\" {identity} at home"));
        let (hand, mut conversations) = mpsc::channel(1);
        let server = place.serve(Hand(hand)).await;
        let link = connect(&server.host(), &place.options("ada")).await.unwrap();
        let mut ours = link.open().await.unwrap();
        ours.send(control("1")).await.unwrap();
        let (peer, mut theirs) = conversations.recv().await.unwrap();
        assert_eq!(peer.key_comment, "ada at home");
        assert_eq!(peer.key_command.as_deref(), Some("wharfd connect --app blog"));
        assert_eq!(peer.user, "deploy");
        assert!(peer.key_fingerprint.starts_with("SHA256:"));
        assert_eq!(theirs.recv().await.unwrap(), Some(control("1")));
        theirs.sender().send(control("2")).await.unwrap();
        assert_eq!(ours.recv().await.unwrap(), Some(control("2")));
        link.disconnect().await;
        assert!(matches!(theirs.recv().await, Err(ConversationError::Gone)));
        theirs.sender().gone().await;
        assert!(matches!(theirs.sender().send(control("3")).await, Err(ConversationError::Gone)));
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn several_conversations_share_a_link() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let link = connect(&server.host(), &place.options("ada")).await.unwrap();
        // More than may be open at once, one after another.
        for _ in 0..12 {
            let (a, b) = tokio::join!(exchange(&link), exchange(&link));
            a.unwrap();
            b.unwrap();
        }
        link.disconnect().await;
    })
    .await;
}

/// Breaks as soon as it hears something.
struct Broken;

#[async_trait::async_trait]
impl Handler for Broken {
    async fn conversation(&self, _: Peer, mut conversation: Conversation) {
        let sender = conversation.sender();
        sender.send(control("\"last words\"")).await.unwrap();
        let _ = conversation.recv().await;
        panic!("on purpose");
    }
}

#[tokio::test]
async fn a_handler_that_breaks_is_an_error_after_what_it_said() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Broken).await;
        let link = connect(&server.host(), &place.options("ada")).await.unwrap();
        let mut conversation = link.open().await.unwrap();
        conversation.send(control("1")).await.unwrap();
        assert_eq!(conversation.recv().await.unwrap(), Some(control("\"last words\"")));
        let error = conversation.recv().await.unwrap_err();
        insta::assert_snapshot!(render(&error, &place));
        // The connection outlives it.
        assert!(!link.is_closed());
        link.disconnect().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_is_a_lost_connection() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let server = place.serve(Echo).await;
        let link = connect(&server.host(), &place.options("ada")).await.unwrap();
        let mut conversation = link.open().await.unwrap();
        conversation.send(control("1")).await.unwrap();
        conversation.recv().await.unwrap();
        server.stop().await;
        let error = conversation.recv().await.unwrap_err();
        assert!(matches!(error, SshError::Lost { .. }), "{error:?}");
        insta::assert_snapshot!(render(&error, &place));
        let error = link.open().await.unwrap_err();
        assert!(matches!(error, SshError::Lost { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_no_ssh_channel_carries_conversations_too() {
    in_time(async {
        let (ours, theirs) = tokio::io::duplex(1000);
        let (reader, writer) = tokio::io::split(theirs);
        let peer = Peer {
            key_fingerprint: "uid 0".into(),
            key_comment: "root".into(),
            key_command: None,
            user: "root".into(),
            from: "127.0.0.1:0".parse().unwrap(),
        };
        let serving =
            tokio::spawn(wharf_agent_ssh::serve_stream(reader, writer, peer, std::sync::Arc::new(Echo)));
        let (reader, writer) = tokio::io::split(ours);
        let (mut conversation, ends) = Conversation::over(reader, writer);
        let sender = conversation.sender();
        for number in 0..500 {
            sender.send(control(&number.to_string())).await.unwrap();
        }
        for number in 0..500 {
            assert_eq!(conversation.recv().await.unwrap(), Some(control(&number.to_string())));
        }
        ends.finish().await.unwrap();
        serving.await.unwrap().unwrap();
    })
    .await;
}
