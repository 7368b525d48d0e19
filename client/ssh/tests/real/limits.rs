//! What strangers and friends cannot use up.

use crate::agent::{Echo, Place, connect, exchange, in_time};
use std::{net::SocketAddr, time::Duration};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use wharf_agent_ssh::Limits;
use wharf_ssh::SshError;

/// Connects and says nothing; whether the server greets.
async fn stranger(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut greeting = [0; 4];
    match stream.read_exact(&mut greeting).await {
        Ok(_) => {
            assert_eq!(&greeting, b"SSH-");
            Some(stream)
        }
        Err(_) => None,
    }
}

/// Completes when the server hangs up.
async fn hung_up(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn strangers_are_turned_away_above_their_limit_and_friends_do_not_count() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let limits = Limits { unauthenticated: 2, ..Limits::default() };
        let server = place.serve_within(limits, Echo).await;
        let mut friends = Vec::new();
        for _ in 0..4 {
            friends.push(connect(&server.host(), &place.options("ada")).await.unwrap());
        }
        let first = stranger(server.address).await.unwrap();
        let _second = stranger(server.address).await.unwrap();
        assert!(stranger(server.address).await.is_none(), "a third stranger was let wait");
        for friend in &friends {
            exchange(friend).await.unwrap();
        }
        drop(first);
        // The place is free as soon as the server has noticed.
        while stranger(server.address).await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_are_limited_in_all() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let limits = Limits { connections: 2, ..Limits::default() };
        let server = place.serve_within(limits, Echo).await;
        let first = connect(&server.host(), &place.options("ada")).await.unwrap();
        let _second = connect(&server.host(), &place.options("ada")).await.unwrap();
        let error = connect(&server.host(), &place.options("ada")).await.unwrap_err();
        assert!(matches!(error, SshError::Handshake { .. }), "{error:?}");
        first.disconnect().await;
        while stranger(server.address).await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_does_not_authenticate_in_time_is_sent_away() {
    in_time(async {
        let place = Place::new();
        let limits = Limits { authenticate_within: Duration::from_millis(500), ..Limits::default() };
        let server = place.serve_within(limits, Echo).await;
        let silent = stranger(server.address).await.unwrap();
        let mut halfway = stranger(server.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut halfway, b"SSH-2.0-slow\r\n").await.unwrap();
        tokio::join!(hung_up(silent), hung_up(halfway));
    })
    .await;
}

#[tokio::test]
async fn channels_are_limited() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let limits = Limits { channels: 3, ..Limits::default() };
        let server = place.serve_within(limits, Echo).await;
        let link = connect(&server.host(), &place.options("ada")).await.unwrap();
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(link.open().await.unwrap());
        }
        let error = link.open().await.unwrap_err();
        assert!(matches!(error, SshError::Channel { .. }), "{error:?}");
        open.pop();
        loop {
            match link.open().await {
                Ok(_) => break,
                Err(SshError::Channel { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(other) => panic!("{other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_without_a_conversation_ends_after_a_while() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let limits = Limits { idle: Duration::from_millis(700), ..Limits::default() };
        let server = place.serve_within(limits, Echo).await;
        let busy = connect(&server.host(), &place.options("ada")).await.unwrap();
        let mut conversation = busy.open().await.unwrap();
        conversation.send(crate::agent::control("1")).await.unwrap();
        conversation.recv().await.unwrap();
        let idle = connect(&server.host(), &place.options("ada")).await.unwrap();
        while !idle.is_closed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // One with a conversation stays, though nothing is said.
        tokio::time::sleep(Duration::from_millis(1000)).await;
        conversation.send(crate::agent::control("2")).await.unwrap();
        assert!(conversation.recv().await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn a_conversation_in_which_nothing_moves_ends_after_a_long_while() {
    in_time(async {
        let place = Place::new();
        place.friend("ada");
        let limits = Limits { quiet: Duration::from_millis(700), ..Limits::default() };
        let server = place.serve_within(limits, Echo).await;
        let link = connect(&server.host(), &place.options("ada")).await.unwrap();
        let mut conversation = link.open().await.unwrap();
        let error = conversation.recv().await.unwrap_err();
        assert!(matches!(error, SshError::Lost { .. }), "{error:?}");
    })
    .await;
}
