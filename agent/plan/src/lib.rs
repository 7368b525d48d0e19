//! What a deploy does, decided before anything is touched.
//!
//! **Invariant**: nothing here does I/O. Facts come in, plans and refusals go out, and every rule can be tested by table.

pub mod bases;
pub mod bump;
pub mod causes;
pub mod data;
pub mod database_url;
pub mod dockerfile;
pub mod dockerignore;
pub mod env_file;
pub mod facts;
pub mod ground;
pub mod house;
pub mod inputs;
pub mod keyed;
pub mod log_limits;
pub mod model;
pub mod overlay;
pub mod refusal;
pub mod rights;
pub mod scale;
pub mod secrets;
pub mod services;
pub mod stack;

pub use keyed::InputKey;
pub use model::Model;
pub use refusal::Refusal;
