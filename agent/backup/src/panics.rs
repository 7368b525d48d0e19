//! Where rustic panics instead of failing.

use crate::BackupError;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// After a check has walked the trees, rustic takes its index apart, and panics with this where one of its own reader
/// threads still holds it 100 ms later, as happens on a busy machine (`GlobalIndex::into_index` of 0.13).
const INDEX_HELD: &str = "index still in use";
/// How often a check is begun. Each waits those 100 ms.
const TRIES: usize = 20;
/// How much of a panic's text is told.
const TEXT_CHARS: usize = 300;

/// Does what only reads, again where rustic's threads were not done with the index in time.
pub(crate) fn until_index_is_free<T>(read: impl Fn() -> T) -> T {
    let mut left = TRIES;
    loop {
        left -= 1;
        match catch_unwind(AssertUnwindSafe(&read)) {
            Ok(done) => return done,
            Err(panic) if left > 0 && text(panic.as_ref()).starts_with(INDEX_HELD) => {}
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// What became of work that did not come back.
pub(crate) fn failed(error: tokio::task::JoinError) -> BackupError {
    let cause = match error.try_into_panic() {
        Ok(panic) => format!("its library panicked: {}", text(panic.as_ref())),
        Err(error) => error.to_string(),
    };
    BackupError::Repository { action: "work".to_owned(), cause }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text");
    text.chars().take(TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_held_index_is_waited_for() {
        let calls = Cell::new(0);
        let read = || {
            calls.set(calls.get() + 1);
            if calls.get() < 4 {
                // As `expect` words it.
                panic!("{INDEX_HELD}: Index {{ … }}");
            }
            calls.get()
        };
        assert_eq!(until_index_is_free(read), 4);
    }

    #[test]
    fn an_index_that_stays_held_and_other_panics_are_not_hidden() {
        for (said, begun) in [(INDEX_HELD, TRIES), ("convert from u32", 1)] {
            let calls = Cell::new(0);
            let read = || {
                calls.set(calls.get() + 1);
                panic!("{said}")
            };
            let panic = catch_unwind(AssertUnwindSafe(|| until_index_is_free::<()>(read)));
            assert_eq!(panic.map_err(|panic| text(panic.as_ref())), Err(said.to_owned()));
            assert_eq!(calls.get(), begun, "{said}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_told() {
        let joined = tokio::task::spawn_blocking(|| panic!("Scoped Size Handler")).await;
        let told = joined.map_err(|error: tokio::task::JoinError| failed(error));
        assert!(
            matches!(told, Err(BackupError::Repository { cause, .. }) if cause.ends_with("panicked: Scoped Size Handler"))
        );
    }
}
