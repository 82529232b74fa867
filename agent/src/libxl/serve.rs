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

/// Greets the client and does what it asks for, until it goes. `open` makes another toolstack of the same host: one whose verb has failed may have lost xenstored, which
/// libxl never finds again by itself.
pub fn serve<T: Toolstack>(mut stack: T, open: impl Fn() -> Result<T, Failure>, client: &UnixStream) {
    let hello = Hello { protocol: PROTOCOL, pid: std::process::id(), info: stack.info().clone() };
    if send(client, &Answer::Ok(hello)) != Sent::Done {
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
        match answer(&stack, client, &line) {
            Sent::Done => {}
            Sent::LibxlFailed => match open() {
                Ok(another) => stack = another,
                Err(e) => say(&format!("libxl could not be opened anew: {e}")),
            },
            Sent::ClientGone => return, // the agent has gone; what is to be done with the guest is its guard's to say
        }
    }
}

/// Tells a client that nothing can be done for it.
pub fn refuse(client: &UnixStream, failure: Failure) {
    send(client, &Answer::<()>::Error(failure));
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Done,
    LibxlFailed,
    ClientGone,
}

fn answer(stack: &impl Toolstack, client: &UnixStream, line: &str) -> Sent {
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
        Request::Destroy(target) => send(client, &verbs::destroy(stack, target).into()),
        Request::Suspend(suspend) => send(client, &verbs::suspend(stack, &suspend).into()),
    }
}

fn send<T: Serialize>(mut client: &UnixStream, answer: &Answer<T>) -> Sent {
    let line = match to_line(answer) {
        Ok(line) => line,
        Err(e) => {
            say(&format!("an answer cannot be written: {e}"));
            return Sent::ClientGone;
        }
    };
    if let Answer::Error(failure) = answer {
        say(&format!("failed: {failure}"));
    }
    match (client.write_all(line.as_bytes()), answer) {
        (Ok(()), Answer::Error(Failure { kind: FailureKind::Libxl, .. })) => Sent::LibxlFailed,
        (Ok(()), _) => Sent::Done,
        (Err(e), _) => {
            say(&format!("the client does not take the answer: {e}"));
            Sent::ClientGone
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use uuid::Uuid;

    use super::super::fake::Fake;
    use super::super::protocol::{Resumed, RunState, Status, Suspended, Target};
    use super::*;

    /// Serves these lines; the answers' lines.
    fn served(fake: Fake, lines: &str) -> (Vec<String>, u32) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(lines.as_bytes()).unwrap();
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        let opened = Cell::new(0);
        let again = || {
            opened.set(opened.get() + 1);
            let another = Fake::new();
            another.add(5, Uuid::from_u128(7), "web", "");
            Ok(another)
        };
        serve(fake, again, &theirs);
        drop(theirs);
        let answers = BufReader::new(ours).lines().map(Result::unwrap).collect();
        (answers, opened.get())
    }

    #[test]
    fn a_save_by_lines_and_the_end_with_the_client() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("m.save");
        std::fs::File::create(&file).unwrap().set_permissions(PermissionsExt::from_mode(0o600)).unwrap();
        let fake = Fake::new();
        let target = fake.add(5, Uuid::from_u128(7), "web", "\"on_reboot\": \"restart\"");
        let request = |verb: &str, more: &str| {
            format!("{{\"do\":\"{verb}\",\"domid\":5,\"uuid\":\"{}\"{more}}}\n", target.uuid)
        };
        let suspend = request("suspend", &format!(",\"file\":\"{}\",\"live\":false", file.display()));
        let lines = [
            suspend.as_str(),
            &request("pause", ""),
            &request("resume", ""),
            "no request\n",
            &request("state", ""),
        ]
        .concat();
        let (answers, opened) = served(fake, &lines);
        assert_eq!(opened, 0);
        let hello: Answer<Hello> = from_line(&answers[0]).unwrap();
        assert_eq!(hello.into_result().unwrap().pid, std::process::id());
        let saved = from_line::<Answer<Suspended>>(&answers[1]).unwrap().into_result().unwrap();
        assert_eq!(saved.status.state, RunState::Suspended);
        let head = super::super::savefile::read(std::fs::File::open(&file).unwrap()).unwrap();
        assert_eq!(saved.bytes, head.bytes + "stream".len() as u64);
        assert!(head.config.contains("on_reboot"));
        let kind = |line: &str| from_line::<Answer<Status>>(line).unwrap().into_result().map_err(|f| f.kind);
        assert_eq!(kind(&answers[2]), Err(FailureKind::WrongState));
        assert!(from_line::<Answer<Resumed>>(&answers[3]).unwrap().into_result().unwrap().was_suspended);
        assert_eq!(kind(&answers[4]), Err(FailureKind::BadRequest));
        assert_eq!(kind(&answers[5]).unwrap().state, RunState::Running);
        assert_eq!(answers.len(), 6);
    }

    #[test]
    fn libxl_is_opened_anew_after_it_has_failed() {
        let fake = Fake::new();
        let target = fake.add(5, Uuid::from_u128(7), "web", "");
        fake.fails.borrow_mut().push("pause");
        let pause = to_line(&Request::Pause(target)).unwrap();
        let state = to_line(&Request::State(Target { domid: 6, ..target })).unwrap();
        let (answers, opened) = served(fake, &[pause.as_str(), &pause, &state].concat());
        assert_eq!(opened, 1, "not after other failures");
        let results = answers.iter().skip(1).map(|l| from_line::<Answer<Status>>(l).unwrap().into_result());
        let kinds: Vec<_> = results.map(|r| r.map(|s| s.state).map_err(|f| f.kind)).collect();
        assert_eq!(kinds, [Err(FailureKind::Libxl), Ok(RunState::Paused), Err(FailureKind::Gone)]);
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let (answers, _) = served(Fake::new(), "{\"do\":");
        assert_eq!(answers.len(), 2);
        assert!(answers[1].contains("bad_request"));
    }
}
