//! JSON for people: two spaces, and what is short on one line.

use crate::sample::Node;

/// Most characters of what stands on one line.
const LINE_MAX: usize = 100;

/// The text of a document.
pub(super) fn pretty(node: &Node) -> String {
    let mut out = String::new();
    print(node, 0, &mut out);
    out.push('\n');
    out
}

fn print(node: &Node, depth: usize, out: &mut String) {
    let line = one_line(node);
    if line.chars().count() + 2 * depth <= LINE_MAX {
        out.push_str(&line);
        return;
    }
    let indent = "  ".repeat(depth + 1);
    match node {
        Node::List(list) => {
            out.push('[');
            for (i, one) in list.iter().enumerate() {
                out.push_str(if i == 0 { "\n" } else { ",\n" });
                out.push_str(&indent);
                print(one, depth + 1, out);
            }
            out.push_str(&format!("\n{}]", "  ".repeat(depth)));
        }
        Node::Map(map) => {
            out.push('{');
            for (i, (key, one)) in map.iter().enumerate() {
                out.push_str(if i == 0 { "\n" } else { ",\n" });
                out.push_str(&format!("{indent}{}: ", Node::text(key).contract()));
                print(one, depth + 1, out);
            }
            out.push_str(&format!("\n{}}}", "  ".repeat(depth)));
        }
        _ => out.push_str(&line),
    }
}

fn one_line(node: &Node) -> String {
    match node {
        Node::List(list) => format!("[{}]", list.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        Node::Map(map) if map.is_empty() => "{}".into(),
        Node::Map(map) => {
            let members: Vec<String> =
                map.iter().map(|(k, v)| format!("{}: {}", Node::text(k).contract(), one_line(v))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        other => other.contract(),
    }
}
