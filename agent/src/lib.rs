//! xensnap: xensnapd.
