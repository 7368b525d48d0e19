//! The `docker compose` command.
//!
//! **Invariants**
//! - Never `--remove-orphans`, `--no-deps`, `-V`, `--rm`, and `down` never with `-v`: nothing here removes what it was not
//!   told to, and no volume goes, an anonymous one neither.
//! - The child's environment is made up from nothing: no `DOCKER_*` or `COMPOSE_*` of the agent's reaches it.
//! - What `config` prints holds secrets: it is handed to the caller and goes nowhere else.

mod command;
mod error;
mod locate;
mod one_off;
mod project;

pub(crate) use command::Run;
pub use error::ComposeError;
pub use locate::ComposeCli;
pub use one_off::OneOff;
pub use project::{ComposeProject, Recreate, UpSpec};
