//! How a database is, as its server says.

use serde::{Deserialize, Serialize};

/// Which kind of server keeps a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseKind {
    #[default]
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// Redis or Valkey: all databases of a server at once.
    Redis,
    /// Any other: the project says the commands that dump and restore it.
    Commands,
    /// One that a newer version knows.
    #[serde(other)]
    Unknown,
}

/// One PostgreSQL database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseStatus {
    pub service: String,
    pub database: String,
    /// The server's version: `17.2`.
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub size_bytes: u64,
    /// Connections to the whole server.
    #[serde(default)]
    pub connections: u32,
    #[serde(default)]
    pub max_connections: u32,
    /// Queries that have run for longer than was asked about, longest first; at most 20.
    #[serde(default)]
    pub slow: Vec<SlowQuery>,
    /// Who waits for a lock that another holds; at most 20.
    #[serde(default)]
    pub blocked: Vec<Blocked>,
    /// The biggest tables with their indexes; at most 10.
    #[serde(default)]
    pub tables: Vec<TableSize>,
    /// Why nothing more is known.
    #[serde(default)]
    pub problem: Option<String>,
}

/// A query that has run for long. Its text is left out: it may hold people's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowQuery {
    pub pid: u32,
    pub user: String,
    pub seconds: u64,
    /// `active`, `idle in transaction`.
    pub state: String,
    /// What it waits for, where it waits: `Lock: relation`.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// The first word: `UPDATE`.
    pub command: String,
}

/// A process of the server that waits for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    pub pid: u32,
    pub by: Vec<u32>,
    pub seconds: u64,
    pub command: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSize {
    /// With its schema: `public.workouts`.
    pub table: String,
    pub size_bytes: u64,
    /// As the server estimates it.
    pub rows: u64,
}
