//! An agent in memory, for tests: each conversation is a script.

use super::{Dial, Receive, Send, Session, SessionError};
use async_trait::async_trait;
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};
use tokio::sync::mpsc;
use wharf_proto::{
    Failure,
    frame::{Frame, Kind},
    message::{ClientMessage, Request, ServerMessage},
    version::Hello,
};

/// The agent's end of one conversation.
pub struct End {
    rx: mpsc::Receiver<Frame>,
    tx: mpsc::Sender<Frame>,
}

impl End {
    pub async fn message(&mut self) -> Option<ClientMessage> {
        self.rx.recv().await.map(|frame| frame.message().unwrap())
    }

    /// Bulk frames up to `size_bytes`.
    pub async fn bulk(&mut self, size_bytes: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size_bytes {
            let frame = self.rx.recv().await?;
            assert_eq!(frame.kind, Kind::Bulk);
            bytes.extend_from_slice(&frame.payload);
        }
        Some(bytes)
    }

    /// Bulk frames with these bytes.
    pub async fn bulk_out(&mut self, bytes: Vec<u8>) {
        // The client may have gone.
        let _ = self.tx.send(Frame { kind: Kind::Bulk, payload: bytes.into() }).await;
    }

    pub async fn say(&mut self, message: ServerMessage) {
        // The client may have gone.
        let _ = self.tx.send(Frame::control(&message).unwrap()).await;
    }

    pub async fn fail(&mut self, failure: Failure) {
        self.say(ServerMessage::Failed { failure }).await;
    }

    /// Reads the opening and greets.
    pub async fn greet(&mut self) -> Request {
        let Some(ClientMessage::Open { request, .. }) = self.message().await else { panic!("no opening") };
        self.say(ServerMessage::Hello { hello: Hello::ours("wharfd 0.0.0 (fake)") }).await;
        request
    }
}

type Script =
    Box<dyn FnOnce(End) -> Pin<Box<dyn Future<Output = ()> + std::marker::Send>> + std::marker::Send>;

/// An agent that plays one script a conversation; after the last one nobody answers.
#[derive(Default, Clone)]
pub struct Agent {
    scripts: Arc<Mutex<VecDeque<Option<Script>>>>,
}

impl Agent {
    /// The next conversation.
    pub fn then<F, T>(self, script: F) -> Self
    where
        F: FnOnce(End) -> T + std::marker::Send + 'static,
        T: Future<Output = ()> + std::marker::Send + 'static,
    {
        self.scripts.lock().unwrap().push_back(Some(Box::new(|end| Box::pin(script(end)))));
        self
    }

    /// The next try to connect fails.
    pub fn then_unreachable(self) -> Self {
        self.scripts.lock().unwrap().push_back(None);
        self
    }

    /// How many conversations are still to come.
    pub fn left(&self) -> usize {
        self.scripts.lock().unwrap().len()
    }

    pub fn session(&self) -> Session {
        Session::new(Arc::new(self.clone()), "tester@laptop".into())
    }
}

#[async_trait]
impl Dial for Agent {
    async fn dial(&self) -> Result<(Box<dyn Send>, Box<dyn Receive>), SessionError> {
        let script = self.scripts.lock().unwrap().pop_front();
        let Some(Some(script)) = script else { return Err(SessionError::Broken { source: None }) };
        let (to_agent, from_client) = mpsc::channel(8);
        let (to_client, from_agent) = mpsc::channel(8);
        tokio::spawn(script(End { rx: from_client, tx: to_client }));
        Ok((Box::new(Tx(to_agent)), Box::new(Rx(from_agent))))
    }
}

struct Tx(mpsc::Sender<Frame>);
struct Rx(mpsc::Receiver<Frame>);

#[async_trait]
impl Send for Tx {
    async fn send(&mut self, frame: Frame) -> Result<(), SessionError> {
        self.0.send(frame).await.map_err(|_| SessionError::Broken { source: None })
    }
}

#[async_trait]
impl Receive for Rx {
    async fn receive(&mut self) -> Result<Option<Frame>, SessionError> {
        Ok(self.0.recv().await)
    }
}
