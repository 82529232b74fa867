//! The agent's side of `xensnap-libxl serve`: a connection over which one request after the other is carried out.
//!
//! ```text
//!   Hands (a few, kept between operations) --take--> Hand of one domain's operation --give back--> Hands
//!      \-- none there: started detached, greets with what it works with, or says that there is no libxl
//! ```
//!
//! A hand does one thing at a time. One that was asked for something and has not answered is of no use any more: what it was at is found out by looking, and
//! its process group is killed by who has to.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout_at};

use super::tools::ToolError;
use crate::host::detached;
use crate::host::process::Process;
use crate::host::settings::Settings;
use crate::libxl::protocol::{
    Answer, Failure, FailureKind, Hello, Info, PROTOCOL, Request, from_line, to_line,
};

/// How long a new one may take until it greets: it starts a process, under systemd a unit, and loads a library.
const START_MAX: Duration = Duration::from_secs(30);
/// How many are kept for the next operations.
const KEPT_MAX: usize = 2;

/// A connection, and the process behind it.
#[derive(Debug)]
pub(super) struct Hand {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
    /// The process: what it does goes on when we die.
    pub process: Process,
    /// What it works with.
    pub info: Info,
    busy: bool,
}

/// Hands that nobody uses now.
#[derive(Debug)]
pub(super) struct Hands {
    settings: Settings,
    idle: Mutex<Vec<Hand>>,
    started: AtomicU32,
}

impl Hands {
    /// None yet.
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, idle: Mutex::default(), started: AtomicU32::new(0) }
    }

    /// One that is free: kept, or started.
    ///
    /// # Errors
    /// See [`ToolError`]; [`ToolError::no_libxl`] where this host cannot have one.
    pub(super) async fn take(&self) -> Result<Hand, ToolError> {
        while let Some(hand) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            if hand.process.alive() {
                return Ok(hand);
            }
        }
        self.start().await
    }

    /// Gives one back. It ends when its connection does: one that is busy, or one too many.
    pub(super) fn give_back(&self, hand: Hand) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !hand.busy && idle.len() < KEPT_MAX {
            idle.push(hand);
        }
    }

    async fn start(&self) -> Result<Hand, ToolError> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("libxl-{}-{number}", std::process::id());
        let unusable = |why: String| ToolError::Unusable { program: "xensnap-libxl serve".into(), why };
        let run_dir = &self.settings.run_dir;
        let (socket, log) = (run_dir.join(format!("{name}.sock")), run_dir.join("libxl.log"));
        let text = |path: &PathBuf| path.display().to_string();
        let command = [text(&self.settings.libxl), "serve".into(), text(&socket)];
        let (unit, until) = (format!("xensnap-{name}"), Instant::now() + START_MAX);
        let stream = detached::start_server(&self.settings, &unit, &log, &command, (&socket, START_MAX))
            .await
            .map_err(|e| unusable(e.message))?;
        let (read, write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let hello: Hello = answer(&mut lines, until, "serve").await?;
        if hello.protocol != PROTOCOL {
            let message = format!("it speaks protocol {}, and this agent {PROTOCOL}", hello.protocol);
            return Err(Failure::new(FailureKind::NoLibxl, message).into());
        }
        let process = Process::of(hello.pid).ok_or_else(|| unusable("it has ended".into()))?;
        Ok(Hand { lines, write, process, info: hello.info, busy: false })
    }
}

impl Hand {
    /// Carries out a request.
    ///
    /// # Errors
    /// See [`ToolError`]. After [`ToolError::TooLong`], or when this is dropped before its end, the hand is of no use.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        deadline: Instant,
    ) -> Result<T, ToolError> {
        let lost = |why: String| ToolError::Unusable { program: "xensnap-libxl".into(), why };
        if self.busy {
            return Err(lost("it has not answered the request before".into()));
        }
        let line = to_line(request).map_err(|e| lost(e.to_string()))?;
        self.busy = true;
        self.write.write_all(line.as_bytes()).await.map_err(|e| lost(format!("it has ended: {e}")))?;
        let answered = answer(&mut self.lines, deadline, "request").await;
        self.busy = !matches!(answered, Ok(_) | Err(ToolError::Failure(_)));
        answered
    }

    /// Whether it can be asked.
    pub(super) fn usable(&self) -> bool {
        !self.busy && self.process.alive()
    }
}

async fn answer<T: DeserializeOwned>(
    lines: &mut Lines<BufReader<OwnedReadHalf>>,
    deadline: Instant,
    what: &str,
) -> Result<T, ToolError> {
    let begun = Instant::now();
    let lost = |why: String| ToolError::Unusable { program: "xensnap-libxl".into(), why };
    let Ok(line) = timeout_at(deadline, lines.next_line()).await else {
        return Err(ToolError::TooLong {
            program: format!("xensnap-libxl ({what})"),
            waited: begun.elapsed(),
        });
    };
    let line = line.map_err(|e| lost(e.to_string()))?.ok_or_else(|| lost("it has ended".into()))?;
    let answer: Answer<T> =
        from_line(&line).map_err(|e| lost(format!("its answer is not understood: {e}")))?;
    Ok(answer.into_result()?)
}
