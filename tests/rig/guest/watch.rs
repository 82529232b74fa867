//! A guest's pauses, seen from outside.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A second QMP connection. It lasts as long as the QEMU: connect again after a revert.
#[derive(Debug)]
pub(crate) struct Spy {
    socket: UnixStream,
    answers: Receiver<Value>,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Spy {
    pub(super) fn connect(path: &Path) -> Self {
        let socket = UnixStream::connect(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (sender, answers) = channel();
        let events = Arc::new(Mutex::new(Vec::new()));
        let (reader, seen) = (socket.try_clone().unwrap(), Arc::clone(&events));
        thread::spawn(move || read(reader, &sender, &seen));
        let mut spy = Self { socket, answers, events };
        spy.answers.recv_timeout(ANSWER_MAX).expect("QMP's greeting");
        spy.execute("qmp_capabilities", &json!({}));
        spy
    }

    /// Runs a command, as an admin would beside the agent; QEMU's `return`.
    pub(crate) fn execute(&mut self, command: &str, arguments: &Value) -> Value {
        let line = json!({"execute": command, "arguments": arguments});
        writeln!(self.socket, "{line}").unwrap();
        let answer = self.answers.recv_timeout(ANSWER_MAX).expect("QMP's answer");
        answer.get("return").unwrap_or_else(|| panic!("{command}: {answer}")).clone()
    }

    /// The names of the events so far.
    pub(crate) fn events(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().map(|e| e["event"].as_str().unwrap().to_owned()).collect()
    }

    /// How long each pause was that has ended: from STOP to RESUME, by QEMU's own timestamps.
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        let mut pauses = Vec::new();
        let mut stopped = None;
        for event in self.events.lock().unwrap().iter() {
            let at = &event["timestamp"];
            let at = Duration::from_secs(at["seconds"].as_u64().unwrap())
                + Duration::from_micros(at["microseconds"].as_u64().unwrap());
            match event["event"].as_str() {
                Some("STOP") => stopped = Some(at),
                Some("RESUME") => pauses.extend(stopped.take().map(|from| at.saturating_sub(from))),
                _ => {}
            }
        }
        pauses
    }
}

impl Drop for Spy {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both); // ends the reader
    }
}

fn read(socket: UnixStream, answers: &Sender<Value>, events: &Mutex<Vec<Value>>) {
    for line in BufReader::new(socket).lines().map_while(Result::ok) {
        let value: Value = serde_json::from_str(&line).expect("QMP's JSON");
        if value.get("event").is_some() {
            events.lock().unwrap().push(value);
        } else if answers.send(value).is_err() {
            return;
        }
    }
}

/// The guest's rounds, each one byte on a debug port: what it does not do while QEMU is stopped or its main loop is blocked. Exact to one round
/// (1-5 ms) and to the load of the host.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    socket: UnixStream,
    beats: Arc<Mutex<Beats>>,
}

#[derive(Debug)]
struct Beats {
    last: Option<Instant>,
    longest: Duration,
    n: u64,
}

impl Heartbeat {
    pub(super) fn connect(path: &Path) -> Self {
        let socket = UnixStream::connect(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let beats = Arc::new(Mutex::new(Beats { last: None, longest: Duration::ZERO, n: 0 }));
        let (mut reader, shared) = (socket.try_clone().unwrap(), Arc::clone(&beats));
        // Always drained: a full socket would block the guest itself.
        thread::spawn(move || {
            let mut bytes = [0; 256];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                let now = Instant::now();
                let mut beats = shared.lock().unwrap();
                let gap = beats.last.map_or(Duration::ZERO, |last| now - last);
                beats.longest = beats.longest.max(gap);
                beats.last = Some(now);
                beats.n += n as u64;
            }
        });
        Self { socket, beats }
    }

    /// The longest gap between two rounds since the last call (a gap that has not ended yet counts), and the number of rounds.
    pub(crate) fn take(&self) -> (Duration, u64) {
        let mut beats = self.beats.lock().unwrap();
        let open = beats.last.map_or(Duration::ZERO, |last| last.elapsed());
        let taken = (beats.longest.max(open), beats.n);
        (beats.longest, beats.n) = (Duration::ZERO, 0);
        taken
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
