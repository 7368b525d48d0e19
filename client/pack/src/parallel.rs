//! Work on all cores.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Most threads that work at once, however many cores there are: a disk gains nothing from more.
const MAX_THREADS: usize = 16;

/// Maps `items` on all cores; results keep their order. `state` makes what one thread reuses from item to item.
/// After the first error no further item is begun, and the error of the earliest item that failed is given.
pub(crate) fn try_map<T: Sync, S, R: Send, E: Send>(
    items: &[T],
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS).min(items.len());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut state = state();
                let mut mine = Vec::new();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(&mut state, item);
                    if result.is_err() {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    mine.push((at, result));
                }
                done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(&mut mine);
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order() {
        let items: Vec<u32> = (0..1000).collect();
        let doubled: Result<Vec<u32>, ()> = try_map(&items, || (), |(), item| Ok(item * 2));
        assert_eq!(doubled.unwrap(), items.iter().map(|i| i * 2).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_ends_it() {
        let items: Vec<u32> = (0..1000).collect();
        let result = try_map(&items, || (), |(), item| if *item >= 500 { Err(*item) } else { Ok(*item) });
        assert_eq!(result, Err(500));
        assert_eq!(try_map(&[0_u8; 0], || (), |(), _| Ok::<(), ()>(())), Ok(vec![]));
    }
}
