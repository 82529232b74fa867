//! Trees as text. An only child stands straight below its parent, so that a long line of snapshots does not run off to the right; several children fork.
//!
//! ```text
//!   web
//!   o base
//!   o upgraded
//!   |- o try-a
//!   |  o try-a2
//!   `- o try-b
//! ```

use std::collections::HashMap;

/// One node: its id, that of its parent, and what is shown of it.
#[derive(Clone, Debug)]
pub(crate) struct TreeNode {
    /// Its id.
    pub id: String,
    /// Its parent's id; a node whose parent is not in the tree is a root.
    pub parent: Option<String>,
    /// Its line.
    pub label: String,
}

/// A forest, its siblings in the order given.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<TreeNode>,
    children: Vec<Vec<usize>>,
    roots: Vec<usize>,
}

impl Tree {
    /// From a list of nodes. A cycle (a damaged store) is broken at its first node, which becomes a root: nothing is ever left out.
    pub(crate) fn new(nodes: Vec<TreeNode>) -> Self {
        let places: HashMap<&str, usize> =
            nodes.iter().enumerate().map(|(n, node)| (node.id.as_str(), n)).collect();
        let mut parents: Vec<Option<usize>> =
            nodes.iter().map(|node| node.parent.as_deref().and_then(|id| places.get(id).copied())).collect();
        break_cycles(&mut parents);
        let (mut children, mut roots) = (vec![Vec::new(); nodes.len()], Vec::new());
        for (n, parent) in parents.iter().enumerate() {
            match parent.and_then(|parent| children.get_mut(parent)) {
                Some(siblings) => siblings.push(n),
                None => roots.push(n),
            }
        }
        Self { nodes, children, roots }
    }

    /// Every node with what is drawn before it, parents before children. Not recursive: a line of 100 000 is no deeper than one.
    pub(crate) fn walk(&self) -> impl Iterator<Item = (String, &TreeNode)> {
        let mut stack: Vec<(String, String, usize)> = Vec::new();
        push_children(&mut stack, "", &self.roots);
        std::iter::from_fn(move || {
            let (drawn, below, n) = stack.pop()?;
            push_children(&mut stack, &below, self.children.get(n)?);
            Some((drawn, self.nodes.get(n)?))
        })
    }
}

/// Pushes siblings (the last first, since it is a stack) with what is drawn before them and before what is below them.
fn push_children(stack: &mut Vec<(String, String, usize)>, before: &str, siblings: &[usize]) {
    if let [only] = siblings {
        stack.push((before.to_owned(), before.to_owned(), *only));
        return;
    }
    for (from_end, &n) in siblings.iter().rev().enumerate() {
        let (fork, below) = if from_end == 0 { ("└─", "  ") } else { ("├─", "│ ") };
        stack.push((format!("{before}{fork}"), format!("{before}{below}"), n));
    }
}

/// Cuts each cycle at its first node.
fn break_cycles(parents: &mut [Option<usize>]) {
    // 0: not seen, else the number of the walk that saw it first.
    let mut seen = vec![0usize; parents.len()];
    for start in 0..parents.len() {
        let mut at = Some(start);
        while let Some(n) = at {
            match seen.get_mut(n) {
                Some(walk) if *walk == 0 => *walk = start + 1,
                Some(walk) if *walk == start + 1 => {
                    if let Some(parent) = parents.get_mut(n) {
                        *parent = None;
                    }
                    break;
                }
                _ => break,
            }
            at = parents.get(n).copied().flatten();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(nodes: &[(&str, &str)]) -> String {
        let nodes = nodes.iter().map(|&(id, parent)| TreeNode {
            id: id.to_owned(),
            parent: (!parent.is_empty()).then(|| parent.to_owned()),
            label: id.to_owned(),
        });
        Tree::new(nodes.collect())
            .walk()
            .fold(String::new(), |text, (drawn, node)| text + &drawn + "o " + &node.label + "\n")
    }

    #[test]
    fn only_children_stay_in_line_and_siblings_fork() {
        assert_eq!(
            tree(&[("base", ""), ("up", "base"), ("a", "up"), ("a2", "a"), ("b", "up"), ("b2", "b")]),
            "o base\no up\n├─o a\n│ o a2\n└─o b\n  o b2\n"
        );
    }

    #[test]
    fn several_roots_fork_too() {
        assert_eq!(tree(&[("a", ""), ("b", "gone"), ("b2", "b")]), "├─o a\n└─o b\n  o b2\n");
    }

    #[test]
    fn a_cycle_loses_no_node() {
        assert_eq!(
            tree(&[("a", "c"), ("b", "a"), ("c", "b"), ("self", "self")]),
            "├─o a\n│ o b\n│ o c\n└─o self\n"
        );
    }

    #[test]
    fn a_long_line_is_no_deeper_than_a_short_one() {
        let names: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
        let nodes: Vec<(&str, &str)> = names
            .iter()
            .enumerate()
            .map(|(n, id)| (id.as_str(), if n == 0 { "" } else { names[n - 1].as_str() }))
            .collect();
        assert!(tree(&nodes).lines().all(|line| line.starts_with("o ")));
    }
}
