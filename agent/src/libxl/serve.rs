//! `serve`: one connection, a request a line, an answer a line; the end with the connection. See [`super::protocol`].
//!
//! ```text
//!   bind (0600) -> accept one, not later than ACCEPT -> remove the socket -> Hello -> { line -> verb -> line }* -> EOF
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use serde::Serialize;

use super::protocol::{Answer, Failure, FailureKind, Hello, PROTOCOL, Request, from_line, to_line};
use super::toolstack::Toolstack;
use super::verbs;
use super::words::say;

/// How long the socket waits for its one client.
const ACCEPT: Duration = Duration::from_secs(60);

/// The longest line taken, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;

fn failed(socket: &Path, why: &str) -> Failure {
    Failure::new(FailureKind::File, format!("{} cannot be served: {why}", socket.display()))
}

/// Waits for the one client.
///
/// # Errors
/// `File`: the socket cannot be made, or nobody has come.
pub fn accept(socket: &Path) -> Result<UnixStream, Failure> {
    let io = |e: std::io::Error| failed(socket, &e.to_string());
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(socket);
    rustix::process::umask(before);
    let listener = listener.map_err(io)?;
    let accepted = (|| {
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
        let wait = Timespec::try_from(ACCEPT).map_err(|e| failed(socket, &e.to_string()))?;
        let ready =
            poll(&mut [PollFd::new(&listener, PollFlags::IN)], Some(&wait)).map_err(|e| io(e.into()))?;
        if ready == 0 {
            return Err(failed(socket, "nobody has connected"));
        }
        Ok(listener.accept().map_err(io)?.0)
    })();
    let _ = std::fs::remove_file(socket); // ours: `bind` refuses an existing one
    accepted
}

/// Greets the client and does what it asks for, until it goes.
pub fn serve(stack: &impl Toolstack, client: &UnixStream) {
    let hello = Hello { protocol: PROTOCOL, pid: std::process::id(), info: stack.info().clone() };
    if !send(client, &Answer::Ok(hello)) {
        return;
    }
    let mut lines = BufReader::new(client);
    loop {
        let mut line = String::new();
        match lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line) {
            Ok(0) => return,
            Ok(_) if line.ends_with('\n') => {}
            Ok(_) => {
                let failure =
                    Failure::new(FailureKind::BadRequest, "a line without an end, or a too long one");
                send(client, &Answer::<()>::Error(failure));
                return;
            }
            Err(e) => {
                say(&format!("the client cannot be read: {e}"));
                return;
            }
        }
        say(&format!("asked: {}", line.trim_end()));
        if !answer(stack, client, &line) {
            return; // the agent has gone; what is to be done with the guest is its guard's to say
        }
    }
}

/// Tells a client that nothing can be done for it.
pub fn refuse(client: &UnixStream, failure: Failure) {
    send(client, &Answer::<()>::Error(failure));
}

fn answer(stack: &impl Toolstack, client: &UnixStream, line: &str) -> bool {
    let request = match from_line(line) {
        Ok(request) => request,
        Err(e) => {
            let failure = Failure::new(FailureKind::BadRequest, format!("this is no request: {e}"));
            return send(client, &Answer::<()>::Error(failure));
        }
    };
    match request {
        Request::State(target) => send(client, &verbs::state(stack, target).into()),
        Request::Config(target) => send(client, &verbs::config(stack, target).into()),
        Request::Pause(target) => send(client, &verbs::pause(stack, target).into()),
        Request::Unpause(target) => send(client, &verbs::unpause(stack, target).into()),
        Request::Resume(target) => send(client, &verbs::resume(stack, target).into()),
        Request::Suspend(suspend) => send(client, &verbs::suspend(stack, &suspend).into()),
    }
}

/// Whether the line went out.
fn send<T: Serialize>(mut client: &UnixStream, answer: &Answer<T>) -> bool {
    let line = match to_line(answer) {
        Ok(line) => line,
        Err(e) => {
            say(&format!("an answer cannot be written: {e}"));
            return false;
        }
    };
    if let Answer::Error(failure) = answer {
        say(&format!("failed: {failure}"));
    }
    match client.write_all(line.as_bytes()) {
        Ok(()) => true,
        Err(e) => {
            say(&format!("the client does not take the answer: {e}"));
            false
        }
    }
}
