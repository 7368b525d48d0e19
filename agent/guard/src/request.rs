//! What the policy looks at: one request as it was read, before anything is made of it.

/// One request. The proxy fills in what the policy asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, as it was sent.
    pub method: String,
    /// The request target, as it was sent.
    pub target: String,
    /// The value of `Upgrade`, if there was one (several are joined by a comma).
    pub upgrade: Option<String>,
    /// The value of `Content-Type`, if there was one.
    pub content_type: Option<String>,
    /// The body, once somebody asked for it ([`crate::policy::Missing::Body`]).
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request without headers or body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            upgrade: None,
            content_type: None,
            body: None,
        }
    }
}

/// What goes to the engine in a request's place: made anew from what was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The method.
    pub method: String,
    /// Path and query, in canonical spelling.
    pub target: String,
    /// The protocol to switch to, where the route may.
    pub upgrade: Option<Upgrade>,
    /// The body to send instead of the client's; `None` streams the client's own.
    pub body: Option<Vec<u8>>,
    /// What the proxy has to see to afterwards.
    pub afterwards: Afterwards,
}

/// The two protocols that the API switches to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// A raw stream, for attach and exec.
    Tcp,
    /// gRPC, for builds.
    H2c,
    /// Attaching from a browser.
    Websocket,
}

impl Upgrade {
    /// As the header spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::H2c => "h2c",
            Self::Websocket => "websocket",
        }
    }
}

/// What the proxy has to see to after the engine has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Afterwards {
    /// Nothing.
    #[default]
    Nothing,
    /// The container that was made will be removed by the engine, volumes and all: make sure that it has none of its own.
    CheckVolumes,
    /// A container that does not start must not stay behind, if it is one that the guard removes.
    CheckStart,
    /// A restart passes through a moment in which the container has ended: do not remove it then.
    Restart,
}

/// Why a request does not go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status to answer with.
    pub status: u16,
    /// What, why, and what to do instead.
    pub message: String,
}

impl Refusal {
    /// A refusal for safety's sake.
    pub fn forbidden(message: impl std::fmt::Display) -> Self {
        Self { status: 403, message: format!("refused: {message}") }
    }

    /// A request that makes no sense, so nobody can say what it would do.
    pub fn unclear(message: impl std::fmt::Display) -> Self {
        Self { status: 400, message: format!("refused: {message}") }
    }
}
