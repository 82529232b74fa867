//! The same by hand, with Xen's own tools, as the README shows.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use xensnap::contract::{Operation, OperationState};
use xensnap::wire;

use crate::agent::FakeAgent;
use crate::rig::xenstored::{Bed, on_both};

on_both!(the_recipe,);

async fn the_recipe(bed: Bed) {
    let agent = FakeAgent::start(&bed).await;
    tokio::task::spawn_blocking(move || {
        let operation = "/tool/xensnap/operation/by-hand";
        // xenstore-watch prints each changed path; -n 3: the watch itself, and two changes.
        let mut watch = bed
            .daemon
            .tool_command("xenstore-watch", &["-n", "3", operation])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), operation, "the watch is set");

        let request =
            r#"{"contract":1,"op.vm_snapshot_create":{"domain":"quick","description":"a \"\\n\" b"}}"#;
        bed.daemon.tool("xenstore-write", &["-R", "/tool/xensnap/request/by-hand", request]);

        assert_eq!(lines.next().unwrap().unwrap(), operation);
        assert_eq!(lines.next().unwrap().unwrap(), operation);
        assert!(watch.wait().unwrap().success());
        let limit = Instant::now() + Duration::from_secs(20);
        loop {
            let text = bed.daemon.tool("xenstore-read", &["-R", operation]);
            let shown: Operation = wire::from_str(text.trim_end()).unwrap();
            if shown.state == OperationState::Done {
                assert_eq!(agent.begun(&shown.id), 1);
                break;
            }
            assert!(!shown.state.is_end() && Instant::now() < limit, "{text}");
            std::thread::sleep(Duration::from_millis(10));
        }
        bed.daemon.tool("xenstore-rm", &[operation]);
    })
    .await
    .unwrap();
}
