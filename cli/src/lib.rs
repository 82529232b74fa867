//! xensnap: xensnap-cli.
