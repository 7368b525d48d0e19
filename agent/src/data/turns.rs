//! Copies give way to retention: nothing is dropped from a repository while it is copied from, and a copy to a slow place
//! takes hours.
//!
//! **Invariants**: who wants to drop something gets its turn at once, since a copy that is cut short goes on where it was;
//! a copy that gave way begins again only when that turn is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedMutexGuard, watch};
use wharf_proto::AppName;

/// Whose turn it is, for each app's repository.
#[derive(Debug, Default)]
pub struct Turns(Mutex<BTreeMap<AppName, Arc<Turn>>>);

#[derive(Debug)]
struct Turn {
    held: Arc<tokio::sync::Mutex<()>>,
    /// How many wait to drop something.
    droppers: watch::Sender<usize>,
}

impl Default for Turn {
    fn default() -> Self {
        Self { held: Arc::default(), droppers: watch::Sender::new(0) }
    }
}

impl Turns {
    /// Carries out a copy in its turn; `None`: it gave way and was dropped half done.
    pub async fn copy<T>(&self, app: &AppName, copy: impl Future<Output = T>) -> Option<T> {
        let turn = self.of(app);
        let mut droppers = turn.droppers.subscribe();
        let _held = Arc::clone(&turn.held).lock_owned().await;
        tokio::select! {
            biased;
            // The sender is ours, so that an error cannot be.
            _ = droppers.wait_for(|waiting| *waiting > 0) => None,
            copied = copy => Some(copied),
        }
    }

    /// Until what is returned is dropped, no copy of the app's backups runs.
    pub async fn drop_backups(&self, app: &AppName) -> OwnedMutexGuard<()> {
        let turn = self.of(app);
        let _waiting = Waiting::new(&turn.droppers);
        Arc::clone(&turn.held).lock_owned().await
    }

    fn of(&self, app: &AppName) -> Arc<Turn> {
        // A map cannot be left half changed.
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(app.clone()).or_default())
    }
}

/// Counted for as long as it is there, also where its task is given up.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(droppers: &'a watch::Sender<usize>) -> Self {
        droppers.send_modify(|waiting| *waiting += 1);
        Self(droppers)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::future::pending;

    fn app(name: &str) -> AppName {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn a_copy_gives_way_and_comes_after() {
        let turns = Arc::new(Turns::default());
        assert_eq!(turns.copy(&app("shop"), async { 7 }).await, Some(7));
        let copying = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.copy(&app("shop"), pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        let dropping = turns.drop_backups(&app("shop")).await;
        assert_eq!(copying.await.unwrap(), None);
        // The next one waits; another app's does not.
        assert_eq!(turns.copy(&app("blog"), async { 1 }).await, Some(1));
        let shop = app("shop");
        let again = turns.copy(&shop, async { 2 });
        tokio::pin!(again);
        assert!(again.as_mut().now_or_never().is_none());
        drop(dropping);
        assert_eq!(again.await, Some(2));
    }

    #[tokio::test]
    async fn who_gives_up_waiting_keeps_no_copy_away() {
        let (turns, shop) = (Turns::default(), app("shop"));
        let first = turns.drop_backups(&shop).await;
        let second = turns.drop_backups(&shop);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), second).await.is_err());
        drop(first);
        assert_eq!(turns.copy(&shop, async { 3 }).await, Some(3));
    }
}
