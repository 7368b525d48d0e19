//! The agent's log, on standard error.
//!
//! **Invariant**: at no level does it hold what Docker, a build or a peer were told or said: that is environments and
//! tokens. Libraries that write such things down are held back whatever `WHARFD_LOG` asks for.

use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt,
};

/// The most that libraries tell which write down what passes through them: by the crate's name, or its beginning.
const HELD_BACK: [(&str, Level); 9] = [
    // Every answer of Docker's, containers' environments among them.
    ("bollard", Level::INFO),
    ("russh", Level::DEBUG),
    ("hyper", Level::DEBUG),
    ("h2", Level::DEBUG),
    ("tonic", Level::DEBUG),
    ("tower", Level::DEBUG),
    ("reqwest", Level::DEBUG),
    ("rustls", Level::DEBUG),
    ("rustic", Level::DEBUG),
];

/// Starts it, by `WHARFD_LOG`.
pub fn start() {
    let filter = EnvFilter::try_from_env("WHARFD_LOG").unwrap_or_else(|_| EnvFilter::new("info,russh=warn"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = lines.with_filter(filter_fn(|meta| may_tell(meta.target(), *meta.level())));
    tracing_subscriber::registry().with(filter).with(lines).init();
}

fn may_tell(target: &str, level: Level) -> bool {
    let library = target.split("::").next().unwrap_or(target);
    HELD_BACK.iter().all(|(name, most)| !library.starts_with(name) || level <= *most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_quote_are_held_back() {
        for (target, level, told) in [
            ("bollard::docker", Level::DEBUG, false),
            ("bollard::docker", Level::INFO, true),
            ("russh::client", Level::TRACE, false),
            ("hyper_util::client::legacy", Level::TRACE, false),
            ("wharfd::jobs", Level::TRACE, true),
            ("wharf_engine::build", Level::DEBUG, true),
        ] {
            assert_eq!(may_tell(target, level), told, "{target} {level}");
        }
    }
}
