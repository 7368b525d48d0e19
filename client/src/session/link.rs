//! What a session needs of a connection: frames out, frames in. SSH is one such; the tests have one in memory.

use super::SessionError;
use async_trait::async_trait;
use wharf_proto::frame::Frame;

/// Opens conversations. A connection that broke is made anew.
#[async_trait]
pub trait Dial: std::marker::Send + Sync {
    async fn dial(&self) -> Result<(Box<dyn Send>, Box<dyn Receive>), SessionError>;

    /// Says goodbye, where there is a connection; bounded.
    async fn close(&self) {}
}

/// The half of a conversation that goes to the agent.
#[async_trait]
pub trait Send: std::marker::Send {
    async fn send(&mut self, frame: Frame) -> Result<(), SessionError>;
}

/// The half that comes from the agent.
#[async_trait]
pub trait Receive: std::marker::Send {
    /// The next frame; `None` at the end. Dropping the future loses no frame.
    async fn receive(&mut self) -> Result<Option<Frame>, SessionError>;
}
