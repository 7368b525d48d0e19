//! Setting a server up over the OpenSSH that is there: `wharf setup`.
//!
//! [`Facts`] are looked at first, [`plan`] is pure, [`execute`] carries it out. Our own SSH client does it, not the `ssh`
//! program: it asks no second time for a passphrase, judges the host key by the rules of every other command, works where
//! no OpenSSH client is installed, and reads `~/.ssh/config` all the same.
//!
//! **Invariants**
//! - Nothing is written on a server before the plan was told, and agreed to by a person or `--yes`.
//! - A file is written beside its place and renamed into it; a binary is in place only after its hash was compared there and
//!   it has said its version there. Running it again changes nothing.
//! - Nothing of an app is touched: no container, no volume, no file of the app's.
//! - An agent is stopped only when no job runs, by asking it to leave; what must not be interrupted goes on on the server
//!   when the laptop leaves.
//! - A password for sudo goes through standard input alone.

mod agent_file;
pub mod config_file;
mod error;
mod execute;
pub mod facts;
pub mod key_line;
mod plan;
mod remote;
mod remove;
pub mod script;
#[cfg(test)]
mod tests;
mod unit;
mod upgrade;

pub use agent_file::AgentFile;
pub use error::SetupError;
pub use execute::execute;
pub use facts::{Facts, Login};
pub use key_line::KeyLine;
pub use plan::{Laptop, Plan, Step, plan};
pub use remote::Remote;
pub use remove::{Removal, remove};
pub use upgrade::{Upgrade, upgrade};
