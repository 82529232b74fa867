//! Frames: `Content-Length: N`, an empty line, N bytes of JSON.

use serde_json::Value;
use std::io::{BufRead, Error, ErrorKind, Write};

/// Most bytes of a message: a larger one is no editor's.
const MESSAGE_MAX: usize = 64 << 20;

/// The next message; `None` when the editor is gone, `Err` inside when it is no JSON.
pub(super) fn read(input: &mut impl BufRead) -> std::io::Result<Option<Result<Value, String>>> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok().filter(|n| *n <= MESSAGE_MAX);
        }
    }
    let Some(length) = length else {
        return Err(Error::new(ErrorKind::InvalidData, "a message without a length that can be"));
    };
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body).map_err(|e| e.to_string())))
}

/// Sends a message.
pub(super) fn write(output: &mut impl Write, message: &Value) -> std::io::Result<()> {
    let mut message = message.clone();
    if let Some(members) = message.as_object_mut() {
        members.insert("jsonrpc".to_owned(), "2.0".into());
    }
    let body = message.to_string();
    write!(output, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    output.flush()
}
