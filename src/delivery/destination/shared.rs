//! Work that is done once for all who need its outcome: connecting, for example.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// What is under way, if anything is.
#[derive(Debug)]
pub(super) struct Shared<T>(Mutex<Option<watch::Receiver<Option<T>>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone + Send + Sync + 'static> Shared<T> {
    /// Waits for the outcome of what is under way, or of what `begin` begins where nothing is. It goes on in a task of its
    /// own when those who wait for it go away. None if its task is gone.
    pub(super) async fn join<F: Future<Output = T> + Send + 'static>(&self, begin: impl FnOnce() -> F) -> Option<T> {
        let mut outcome = {
            let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // The sender is gone once it is over.
            match under_way.as_ref().filter(|outcome| outcome.has_changed().is_ok()) {
                Some(outcome) => outcome.clone(),
                None => {
                    let (sender, outcome) = watch::channel(None);
                    let work = begin();
                    tokio::spawn(async move { sender.send(Some(work.await)) });
                    under_way.insert(outcome).clone()
                }
            }
        };
        outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_share_one_outcome_also_where_the_first_goes_away() {
        let (shared, begun) = (Shared::default(), Arc::new(AtomicUsize::new(0)));
        let work = || {
            let begun = Arc::clone(&begun);
            async move {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_secs(3)).await;
                number
            }
        };
        assert!(timeout(Duration::from_secs(1), shared.join(work)).await.is_err());
        assert_eq!(tokio::join!(shared.join(work), shared.join(work)), (Some(0), Some(0)));
        assert_eq!(shared.join(work).await, Some(1), "what is over is not shared");
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_task_that_is_gone_is_no_outcome_and_the_next_begins_anew() {
        let shared = Shared::<u8>::default();
        assert_eq!(shared.join(|| async { panic!("a bug") }).await, None);
        assert_eq!(shared.join(|| async { 1 }).await, Some(1));
    }
}
