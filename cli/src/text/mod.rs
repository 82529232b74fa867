//! Text for people: units, tables, trees. Pure: text in, text out; nothing here knows what a snapshot is.

mod plain;
mod table;
mod tree;
mod units;

pub(crate) use plain::{plain, width};
pub(crate) use table::{Align, Column, Table};
pub(crate) use tree::{Tree, TreeNode};
pub(crate) use units::{duration, parse_duration, size, time};
