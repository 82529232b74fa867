//! xensnap: xensnap-store.
