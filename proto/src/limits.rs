//! Every bound that both ends must agree on. Units are last in the names.

/// The largest control frame (JSON). A page of a manifest must fit; see [`MANIFEST_PAGE_ENTRIES`].
pub const CONTROL_FRAME_BYTES: u32 = 4 * 1024 * 1024;
/// The largest bulk frame (raw bytes).
pub const BULK_FRAME_BYTES: u32 = 256 * 1024;
/// The largest pack that one `pack` message may announce. It is held in memory at both ends.
pub const PACK_BYTES: u64 = 24 * 1024 * 1024;
/// How many uncompressed bytes a client puts into one pack before it starts the next one: what a broken
/// connection can cost at most.
pub const PACK_TARGET_BYTES: u64 = 4 * 1024 * 1024;
/// A file at most this long is one chunk; a longer one is cut by content.
pub const CHUNK_MAX_BYTES: u32 = 4 * 1024 * 1024;
/// Average length of a chunk of a large file.
pub const CHUNK_AVERAGE_BYTES: u32 = 1024 * 1024;
/// Shortest chunk of a large file, but for its last one.
pub const CHUNK_MIN_BYTES: u32 = 256 * 1024;
/// Entries in one page of a manifest.
pub const MANIFEST_PAGE_ENTRIES: usize = 2_000;
/// Entries in a whole manifest.
pub const MANIFEST_ENTRIES: usize = 500_000;
/// Chunks of one file (at the average length, a file of 64 GiB).
pub const FILE_CHUNKS: usize = 65_536;
/// Chunks of a whole manifest (at the average length, a project of a tebibyte).
pub const MANIFEST_CHUNKS: usize = 1_000_000;
/// Digests in one page of the agent's answer to an offer.
pub const MISSING_PAGE_DIGESTS: usize = 20_000;
/// The largest image that travels between two servers, as the engine's archive.
pub const IMAGE_BYTES: u64 = 32 * 1024 * 1024 * 1024;
/// Layers of such an image; engines make no more than 127.
pub const IMAGE_LAYERS: usize = 128;
/// Longest path inside a project, in bytes.
pub const PATH_BYTES: usize = 4_096;
/// Longest name of an app.
pub const APP_NAME_BYTES: usize = 63;
/// Bulk bytes of a terminal that may be under way in one direction: less than what an agent queues for a slow peer.
pub const TERMINAL_WINDOW_BYTES: u64 = 512 * 1024;
/// The most containers that a service can be scaled to.
pub const SCALE_REPLICAS: u32 = 100;
/// The least memory that a container can be limited to: the engine takes no less.
pub const SCALE_MEMORY_BYTES: u64 = 6 * 1024 * 1024;
/// Longest pattern that lines of a log are looked for with.
pub const GREP_PATTERN_BYTES: usize = 1_000;
/// What such a pattern may take once it is compiled.
pub const GREP_COMPILED_BYTES: usize = 1024 * 1024;
/// Longest line of output kept in one event; longer ones are cut and say so.
pub const OUTPUT_LINE_BYTES: usize = 16 * 1024;
