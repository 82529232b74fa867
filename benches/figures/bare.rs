//! The rival: a program of a few lines on QEMU's QMP socket, without journal, guard or xenstore.

use std::fs::File;
use std::io::{BufRead as _, BufReader, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};

/// The two disks of the rig's guest, as QEMU names them.
pub(crate) const NODES: [&str; 2] = ["vda-qcow2", "vdb-qcow2"];

#[derive(Debug)]
pub(crate) struct Bare {
    socket: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Bare {
    pub(crate) fn connect(path: &Path) -> Self {
        let socket = UnixStream::connect(path).unwrap();
        let reader = BufReader::new(socket.try_clone().unwrap());
        let mut bare = Self { socket, reader };
        bare.line(); // the greeting
        bare.execute("qmp_capabilities", json!({}));
        bare
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    pub(crate) fn execute(&mut self, command: &str, arguments: Value) -> Value {
        let line = format!("{}\n", json!({"execute": command, "arguments": arguments}));
        self.socket.write_all(line.as_bytes()).unwrap();
        self.answer(command)
    }

    fn answer(&mut self, command: &str) -> Value {
        loop {
            let message = self.line();
            match message.get("return") {
                Some(value) => return value.clone(),
                None => assert!(message.get("event").is_some(), "{command}: {message}"),
            }
        }
    }

    /// Gives QEMU an open file.
    pub(crate) fn getfd(&mut self, name: &str, file: &File) {
        let line = format!("{}\n", json!({"execute": "getfd", "arguments": {"fdname": name}}));
        let files = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&files)));
        let bytes = [IoSlice::new(line.as_bytes())];
        let sent = sendmsg(&self.socket, &bytes, &mut ancillary, SendFlags::empty()).unwrap();
        assert_eq!(sent, line.len());
        self.answer("getfd");
    }

    /// Snapshots of both disks, all or none.
    pub(crate) fn transaction(&mut self, tag: &str) {
        let actions: Vec<Value> = NODES
            .iter()
            .map(|node| json!({"type": "blockdev-snapshot-internal-sync", "data": {"device": node, "name": tag}}))
            .collect();
        self.execute("transaction", json!({"actions": actions}));
    }

    pub(crate) fn delete(&mut self, tag: &str) {
        for node in NODES {
            self.execute("blockdev-snapshot-delete-internal-sync", json!({"device": node, "name": tag}));
        }
    }
}
