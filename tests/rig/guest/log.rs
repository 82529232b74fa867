//! The guest's serial log. Every line of the guest's own ends with a sum: a QEMU that is killed tears its last line, and the next one appends.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// One `count` line: what RAM holds, and what was read back from each disk at the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) ram: u64,
    /// By `vdev`, in the order of the disks.
    pub(crate) disks: Vec<(String, u64)>,
    /// The longest round since the line before, by the guest's clock (which stands still while QEMU is stopped).
    pub(crate) gap_us: u64,
    /// How often the whole RAM pattern has been verified.
    pub(crate) passes: u64,
}

impl Count {
    /// Whether RAM and all disks show the same.
    pub(crate) fn agrees(&self) -> bool {
        self.disks.iter().all(|(_, n)| *n == self.ram)
    }

    pub(crate) fn disk(&self, vdev: &str) -> Option<u64> {
        self.disks.iter().find(|(name, _)| name == vdev).map(|(_, n)| *n)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut count = Self { ram: 0, disks: Vec::new(), gap_us: 0, passes: 0 };
        for word in line.strip_prefix("count ")?.split(' ') {
            let (name, n) = word.split_once('=')?;
            let n = n.parse().ok()?;
            match name {
                "ram" => count.ram = n,
                "gap_us" => count.gap_us = n,
                "passes" => count.passes = n,
                vdev => count.disks.push((vdev.to_owned(), n)),
            }
        }
        Some(count)
    }
}

pub(super) fn read(path: &Path, from: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path) {
        file.seek(SeekFrom::Start(from)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The lines that are whole, without their sums.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (said, sum) = line.trim_end_matches('\r').rsplit_once(" #")?;
        let fletcher = said.bytes().fold((0, 0), |(a, b), byte| {
            let a = (a + u32::from(byte)) % 255;
            (a, (b + a) % 255)
        });
        (sum == format!("{:02x}{:02x}", fletcher.1, fletcher.0)).then_some(said)
    })
}

pub(super) fn counts(text: &str) -> Vec<Count> {
    lines(text).filter_map(Count::parse).collect()
}

pub(super) fn bad_lines(text: &str) -> Vec<String> {
    const BAD: [&str; 5] = ["MISMATCH ", "RAMBAD ", "IOERR ", "NOFILL ", "MODULE "];
    let own = lines(text).filter(|line| BAD.iter().any(|bad| line.starts_with(bad)));
    let kernel = text.lines().filter(|line| line.contains("Kernel panic") || line.contains("BUG: "));
    own.chain(kernel).map(str::to_owned).collect()
}
