//! What a deploy does, decided before anything is touched.
//!
//! **Invariant**: nothing here does I/O. Facts come in, plans and refusals go out, and every rule can be tested by table.

pub mod facts;
