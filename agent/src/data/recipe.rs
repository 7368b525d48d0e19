//! How a throwaway server of each kind is started, and how one tells that it answers.

use wharf_backup::{DRILL_FOLDER, DumpReport, drill_command};
use wharf_proto::database::DatabaseKind;
use wharf_proto::{Failure, FailureKind};

pub const MIB: u64 = 1024 * 1024;
/// For an empty server and its journal.
const EMPTY_BYTES: u64 = 256 * MIB;
const EMPTY_MYSQL_BYTES: u64 = 512 * MIB;
/// What a dump of Redis may take in memory, as so many of itself: its texts are compressed.
const REDIS_TIMES: u64 = 16;

/// Nothing of it is to survive: it need not be safe from a power cut, and writes little.
const POSTGRES: [&str; 8] = [
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=128MB",
    "shared_buffers=64MB",
    "maintenance_work_mem=64MB",
    "autovacuum=off",
];
/// The same, for as long as it works; what is on the disk once it has ended is whole. And the events of a database must not run.
pub const MYSQL: [&str; 6] = [
    "--event-scheduler=OFF",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=64M",
    "--performance-schema=OFF",
    "--max-allowed-packet=1G",
];
/// It answers whoever asks, with a password or without.
const PING: &str = "admin=$(command -v mariadb-admin || command -v mysqladmin) || exit 127\n\
    exec \"$admin\" --no-defaults --protocol=tcp --host=127.0.0.1 --connect-timeout=5 --user=root ping";

/// What a throwaway server is made from.
#[derive(Debug, PartialEq, Eq)]
pub struct Recipe {
    /// `None`: the image's own.
    pub entrypoint: Option<Vec<String>>,
    pub command: Vec<String>,
    pub env: Vec<String>,
    /// As whom the dump is restored.
    pub user: Option<String>,
    /// Where the server's data lies, in memory or on the disk.
    pub scratch_bytes: u64,
    /// For the server's processes, beside that.
    pub memory_bytes: u64,
}

/// The recipe for a dump.
///
/// # Errors
/// A kind that a newer version knows.
pub fn recipe(dump: &DumpReport) -> Result<Recipe, Failure> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let memory_bytes = 512 * MIB;
    Ok(match dump.kind {
        DatabaseKind::Postgres => Recipe {
            entrypoint: None,
            command: std::iter::once("postgres".to_owned())
                .chain(POSTGRES.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]))
                .collect(),
            env: vec![
                format!("POSTGRES_USER={}", dump.user),
                "POSTGRES_DB=postgres".to_owned(),
                "POSTGRES_HOST_AUTH_METHOD=trust".to_owned(),
                format!("PGDATA={DRILL_FOLDER}/data"),
            ],
            user: Some(dump.user.clone()),
            scratch_bytes: EMPTY_BYTES.saturating_add(dump.size_bytes.saturating_mul(4)),
            memory_bytes,
        },
        DatabaseKind::Mysql => Recipe {
            entrypoint: None,
            command: std::iter::once(format!("--datadir={DRILL_FOLDER}/data")).chain(words(&MYSQL)).collect(),
            env: words(&["MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1", "MYSQL_ALLOW_EMPTY_PASSWORD=1"]),
            user: Some("root".to_owned()),
            scratch_bytes: EMPTY_MYSQL_BYTES.saturating_add(dump.size_bytes.saturating_mul(4)),
            memory_bytes,
        },
        DatabaseKind::Redis => Recipe {
            entrypoint: Some(drill_command()),
            command: Vec::new(),
            env: Vec::new(),
            user: None,
            scratch_bytes: (16 * MIB).saturating_add(dump.size_bytes.saturating_mul(2)),
            memory_bytes: memory_bytes.saturating_add(dump.size_bytes.saturating_mul(REDIS_TIMES)),
        },
        // Its server is started as the live one is: see `commands`.
        DatabaseKind::Commands | DatabaseKind::Unknown => return Err(unknown(dump)),
    })
}

/// What is asked in a container to learn whether its server answers over the network, since local sockets answer before a
/// first start is complete. `None`: that it runs is enough.
pub fn probe(kind: DatabaseKind, user: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = match kind {
        DatabaseKind::Postgres => {
            vec!["pg_isready", "-q", "-h", "127.0.0.1", "-d", "postgres", "-U", user]
        }
        DatabaseKind::Mysql => vec!["sh", "-c", PING],
        DatabaseKind::Redis | DatabaseKind::Commands | DatabaseKind::Unknown => return None,
    };
    Some(words.into_iter().map(str::to_owned).collect())
}

/// The failure of a dump of a kind that a newer version knows.
pub fn unknown(dump: &DumpReport) -> Failure {
    Failure::new(
        FailureKind::Unsupported,
        format!("{} is a database of a kind that this agent does not know", dump.label),
    )
    .hint("upgrade wharfd on the server")
}
