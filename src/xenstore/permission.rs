//! A node's permissions. The first of a list names the owner, who may do anything, and what every domain not listed may do;
//! the others each name a domain. dom0 may do anything everywhere.

use std::fmt;

/// What a domain may do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing.
    None,
    /// Read its value, permissions and children's names.
    Read,
    /// Write and create children.
    Write,
    /// Both.
    ReadWrite,
}

/// One entry of a node's permissions, `n0` or `r5` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Permission {
    /// The domain.
    pub domid: u32,
    /// What it may do; in a list's first entry, what everybody else may do.
    pub access: Access,
}

impl Permission {
    /// `domid` may do what `access` says.
    #[must_use]
    pub fn new(domid: u32, access: Access) -> Self {
        Self { domid, access }
    }

    /// As a list's first entry: owned by `domid`, for nobody else.
    #[must_use]
    pub fn owner(domid: u32) -> Self {
        Self::new(domid, Access::None)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let access = match text.get(..1)? {
            "n" => Access::None,
            "r" => Access::Read,
            "w" => Access::Write,
            "b" => Access::ReadWrite,
            _ => return None,
        };
        let domid = text.get(1..)?.parse().ok()?;
        Some(Self { domid, access })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.access {
            Access::None => 'n',
            Access::Read => 'r',
            Access::Write => 'w',
            Access::ReadWrite => 'b',
        };
        write!(f, "{letter}{}", self.domid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_on_the_wire() {
        for text in ["n0", "r5", "w32751", "b1"] {
            assert_eq!(Permission::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "n", "x0", "n-1", "n4294967296", "é1", "r5 "] {
            assert_eq!(Permission::parse(text), None, "{text:?}");
        }
    }
}
