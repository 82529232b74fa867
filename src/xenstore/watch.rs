//! A watch, and the feed through which the task hands over what changed.
//!
//! ```text
//! task --changed(path)--> feed: [resync] or [up to CHANGES_MAX different paths] --next()--> reader
//! ```
//! The feed is the only state that two sides touch; the task never waits for the reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::connection::Inner;
use super::task::Command;

/// Paths that a feed keeps apart for a reader who is behind; beyond, it keeps [`WatchEvent::Resync`] instead.
pub const CHANGES_MAX: usize = 256;

/// Something changed at or below the watched path. Both are hints to look again: what changed, and how often, is not said,
/// and a change may be reported twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// This path was written, made, removed, or had its permissions changed.
    Changed(String),
    /// Anything may have changed: the watch was just set, the connection was lost and is back (the daemon may have lost
    /// everything), or there were too many changes to keep apart. Look at all of it again.
    Resync,
}

/// A watch on a path and everything below. It outlives the daemon; dropping it removes it.
#[derive(Debug)]
pub struct Watch {
    pub(super) path: String,
    pub(super) token: u64,
    pub(super) feed: Arc<Feed>,
    pub(super) inner: Arc<Inner>,
}

impl Watch {
    /// The path as given.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The next change; the first is [`WatchEvent::Resync`]. `None` after [`Connection::close`](super::Connection::close),
    /// and only then. Can be dropped and called again without losing anything.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`Watch::next`] for a hand-written future.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.feed.poll(cx)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.inner.send(Command::Unwatch { token: self.token });
    }
}

/// Changes on their way from the task to a watch's reader.
#[derive(Debug, Default)]
pub(super) struct Feed {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    resync: bool,
    changed: VecDeque<String>,
    closed: bool,
    reader: Option<Waker>,
}

impl Feed {
    pub(super) fn changed(&self, path: &str) {
        let mut state = self.lock();
        if state.resync || state.changed.iter().any(|known| known == path) {
            return; // the reader is told already, and has not looked since
        }
        if state.changed.len() < CHANGES_MAX {
            state.changed.push_back(path.to_owned());
            state.wake();
        } else {
            drop(state);
            self.resync();
        }
    }

    pub(super) fn resync(&self) {
        let mut state = self.lock();
        state.changed.clear();
        state.resync = true;
        state.wake();
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.wake();
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        let mut state = self.lock();
        if state.closed {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut state.resync) {
            return Poll::Ready(Some(WatchEvent::Resync));
        }
        if let Some(path) = state.changed.pop_front() {
            return Poll::Ready(Some(WatchEvent::Changed(path)));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(feed: &Feed) -> Vec<WatchEvent> {
        let mut cx = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| match feed.poll(&mut cx) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        })
        .collect()
    }

    #[test]
    fn changes_merge_until_they_are_taken() {
        let feed = Feed::default();
        for path in ["/b", "/a", "/b", "/a"] {
            feed.changed(path);
        }
        assert_eq!(take(&feed), [WatchEvent::Changed("/b".into()), WatchEvent::Changed("/a".into())]);
        feed.changed("/a");
        assert_eq!(take(&feed), [WatchEvent::Changed("/a".into())]);
    }

    #[test]
    fn too_many_changes_become_look_again() {
        let feed = Feed::default();
        for n in 0..CHANGES_MAX {
            feed.changed(&format!("/{n}"));
        }
        assert_eq!(take(&feed).len(), CHANGES_MAX);
        for n in 0..=CHANGES_MAX {
            feed.changed(&format!("/{n}"));
        }
        feed.changed("/late");
        assert_eq!(take(&feed), [WatchEvent::Resync]);
    }

    #[test]
    fn resync_covers_what_was_waiting() {
        let feed = Feed::default();
        feed.changed("/a");
        feed.resync();
        feed.changed("/b");
        assert_eq!(take(&feed), [WatchEvent::Resync]);
        feed.changed("/b");
        feed.close();
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(feed.poll(&mut cx), Poll::Ready(None));
    }
}
