//! xensnap: xenidl.
