//! Results that are files.

use std::os::unix::fs::symlink;
use std::path::Path;

use sha2::Digest as _;
use xensnap::client::{Client, Error};
use xensnap::contract::{ResultFile, Sha256};
use xensnap::wire::AbsPath;

use crate::client;
use crate::rig::xenstored::{Bed, on_both};

on_both!(results_are_checked,);

fn named(path: &Path, bytes: &[u8]) -> ResultFile {
    let sum: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = AbsPath::new(path.to_str().unwrap()).unwrap();
    ResultFile::new(path, bytes.len() as u64, Sha256::new(sum).unwrap())
}

async fn wrong(client: &Client, file: &ResultFile) -> &'static str {
    match client.read_result(file).await {
        Err(Error::WrongResult { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "std::fs::write: durability is not what is tested")]
async fn results_are_checked(bed: Bed) {
    let client = client(&bed).await;
    let path = bed.dir.path().join("plan.json");
    let good = "{\"plan\":\"\u{1f40b}\"}".repeat(1000).into_bytes();
    std::fs::write(&path, &good).unwrap();
    let file = named(&path, &good);
    assert_eq!(client.read_result(&file).await.unwrap(), good);

    let mut changed = good.clone();
    *changed.last_mut().unwrap() = b' ';
    std::fs::write(&path, &changed).unwrap();
    assert_eq!(wrong(&client, &file).await, "its SHA-256 is another");
    for other in [good.split_last().unwrap().1, &[&good[..], b"x"].concat()] {
        std::fs::write(&path, other).unwrap();
        assert_eq!(wrong(&client, &file).await, "its size is another");
    }
    let enormous = ResultFile { size: u64::MAX, ..file.clone() };
    assert_eq!(wrong(&client, &enormous).await, "it is larger than any result");

    let missing = named(&bed.dir.path().join("none"), b"");
    assert!(matches!(client.read_result(&missing).await, Err(Error::ReadResult { .. })));
    let link = bed.dir.path().join("link");
    symlink("/dev/zero", &link).unwrap();
    for special in [link.as_path(), Path::new("/dev/zero"), bed.dir.path()] {
        assert!(matches!(client.read_result(&named(special, b"")).await, Err(Error::ReadResult { .. })));
    }
}
