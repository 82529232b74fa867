//! What the head of an image says, as QEMU (`query-block`) and `qemu-img info` both print it (`ImageInfo` in QEMU's qapi/block-core.json).

use serde_json::Value;

/// An image's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageHead {
    /// Format that it was opened with.
    pub format: String,
    /// The disk's size as the guest sees it, in bytes.
    pub virtual_size: u64,
    /// What the file takes on its file system, in bytes.
    pub allocated: u64,
    /// qcow2's cluster size in bytes; 0 for formats without one.
    pub cluster_size: u64,
    /// Tags of the snapshots inside, in the image's order.
    pub tags: Vec<String>,
    /// The backing file, as the image names it.
    pub backing: Option<String>,
    /// Whether data lies in an external file.
    pub external_data: bool,
}

impl ImageHead {
    /// Reads an `ImageInfo`.
    pub fn read(info: &Value) -> Self {
        let number = |key| info.get(key).and_then(Value::as_u64).unwrap_or(0);
        let text = |key| info.get(key).and_then(Value::as_str).map(str::to_owned);
        let snapshots = info.get("snapshots").and_then(Value::as_array);
        Self {
            format: text("format").unwrap_or_default(),
            virtual_size: number("virtual-size"),
            allocated: number("actual-size"),
            cluster_size: number("cluster-size"),
            tags: snapshots
                .into_iter()
                .flatten()
                .filter_map(|s| s.get("name")?.as_str().map(str::to_owned))
                .collect(),
            backing: text("full-backing-filename").or_else(|| text("backing-filename")),
            external_data: info.pointer("/format-specific/data/data-file").is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_matters_and_lets_the_rest_be() {
        let head = ImageHead::read(&serde_json::json!({
            "format": "qcow2", "virtual-size": 1 << 30, "actual-size": 200_704, "cluster-size": 65536, "new-in-qemu-12": [1],
            "snapshots": [{"id": "1", "name": "2"}, {"id": "2", "name": "xensnap-create-0"}],
            "backing-filename": "base.qcow2", "full-backing-filename": "/images/base.qcow2",
            "format-specific": {"type": "qcow2", "data": {"data-file": "/images/d.raw"}},
        }));
        assert_eq!(head.tags, ["2", "xensnap-create-0"]);
        assert_eq!(head.backing.as_deref(), Some("/images/base.qcow2"));
        assert!(head.external_data);
        assert_eq!((head.virtual_size, head.allocated, head.cluster_size), (1 << 30, 200_704, 65536));
        assert_eq!(ImageHead::read(&serde_json::json!({"format": "raw"})).tags, Vec::<String>::new());
    }
}
