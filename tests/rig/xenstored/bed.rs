//! What a test of both daemons begins with.

use std::time::Duration;

use tempfile::TempDir;
use xensnap::xenstore::{Connection, Options, Watch, WatchEvent};

use super::{Kind, Xenstored};

/// Makes tests, for C xenstored and for oxenstored, of functions `async fn name(bed: Bed)` beside it. The test binary has
/// the rig as `crate::rig`.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod c {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::rig::xenstored::Bed::new($crate::rig::xenstored::Kind::C)).await;
            })*
        }
        mod oxenstored {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::rig::xenstored::Bed::new($crate::rig::xenstored::Kind::Ox)).await;
            })*
        }
    };
}
pub(crate) use on_both;

/// A daemon in a folder of its own; both go with it.
pub(crate) struct Bed {
    pub(crate) daemon: Xenstored,
    pub(crate) dir: TempDir,
}

impl Bed {
    pub(crate) fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { daemon: Xenstored::start(kind, dir.path()), dir }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::connect(&Options::at(self.daemon.socket())).await.unwrap()
    }

    pub(crate) fn is_c(&self) -> bool {
        self.daemon.kind() == Kind::C
    }
}

/// The watch's next event, which is to come soon.
pub(crate) async fn next(watch: &mut Watch) -> WatchEvent {
    let event = tokio::time::timeout(Duration::from_secs(10), watch.next()).await;
    event.expect("a watch event").expect("an open watch")
}

/// No event comes.
pub(crate) async fn quiet(watch: &mut Watch) {
    let event = tokio::time::timeout(Duration::from_millis(150), watch.next()).await;
    assert!(event.is_err(), "an unexpected event: {event:?}");
}

pub(crate) fn changed(path: &str) -> WatchEvent {
    WatchEvent::Changed(path.to_owned())
}
