//! SQLite: how a database is made and opened, what its settings are, and what its errors mean here. All other modules see a `Connection` only.
//!
//! The database file is never opened by any other means in this process: closing such a descriptor would drop SQLite's locks (fcntl locks belong to the
//! process and the file, not to the descriptor).

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, ffi};
use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::files;
use crate::location::{Location, is_read_only};
use crate::schema::{self, MIGRATIONS};

/// How long a lock of another process is waited for: recoveries and the last checkpoint of a closing process are over long before.
const BUSY: Duration = Duration::from_secs(5);

/// Bytes of a page. A commit writes five or more of them: with larger ones it takes longer, with these two records go into one and a list reads a fifth more.
const PAGE_BYTES: i64 = 4096;

const WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Makes a database under another name and gives it its name when it is whole. The caller holds the writer's lock.
pub(crate) fn create(at: &Location, id: Uuid) -> Result<()> {
    let database = at.database();
    let new = beside(&database, ".new");
    create_at(&new, id)?;
    files::sync_file(&new)?;
    rustix::fs::renameat_with(
        rustix::fs::CWD,
        &new,
        rustix::fs::CWD,
        &database,
        rustix::fs::RenameFlags::NOREPLACE,
    )
    .map_err(|e| StoreError::io("name", &database, e.into()))?;
    files::sync_parent(&database)
}

/// Makes an empty database at a path that is only ours, over what an earlier attempt left there. It is not synced yet.
pub(crate) fn create_at(new: &Path, id: Uuid) -> Result<()> {
    for ending in ["", "-wal", "-shm", "-journal"] {
        files::remove_if_there(&beside(new, ending))?;
    }
    drop(files::create_new(new)?);
    let made = (|| {
        let mut conn = Connection::open_with_flags(new, WRITE)?;
        conn.pragma_update(None, "page_size", PAGE_BYTES)?;
        set_up_writer(&conn)?;
        schema::create(&mut conn, id, MIGRATIONS)?;
        conn.close().map_err(|(_, e)| e)
    })();
    made.map_err(|e| sort(new, "making the database", e))
}

/// Opens a database that [`create_at`] made and that nobody else knows of.
pub(crate) fn open_new(new: &Path) -> Result<Connection> {
    let open = || {
        let conn = Connection::open_with_flags(new, WRITE)?;
        set_up_writer(&conn)?;
        // It counts only when it is whole and synced as a file.
        conn.pragma_update(None, "synchronous", "OFF")?;
        Ok(conn)
    };
    open().map_err(|e| sort(new, "opening the new database", e))
}

/// Opens a database that exists for writing; migrates it. The caller holds the writer's lock.
pub(crate) fn open_writer(at: &Location) -> Result<Connection> {
    let database = at.database();
    let failed = |e| sort(&database, "opening the database", e);
    let mut conn = Connection::open_with_flags(&database, WRITE).map_err(failed)?;
    conn.busy_timeout(BUSY).map_err(failed)?;
    // Before anything is set: a file that is not ours is left as it is.
    let found = schema::version(&conn, &database)?;
    let known = schema::newest(MIGRATIONS);
    if found > known {
        return Err(StoreError::Newer { database, found, known });
    }
    set_up_writer(&conn).map_err(failed)?;
    schema::migrate(&mut conn, &database, MIGRATIONS)?;
    Ok(conn)
}

/// Opens a database that exists for reading, beside a writer or without one. Waits for no lock of ours.
pub(crate) fn open_reader(at: &Location) -> Result<Connection> {
    let database = at.database();
    if !files::exists(&database)? {
        return Err(at.missing()?);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let attempt = |name: &Path, flags| {
        let conn = Connection::open_with_flags(name, flags)
            .map_err(|e| sort(&database, "opening the database", e))?;
        set_up_reader(&conn).map_err(|e| sort(&database, "opening the database", e))?;
        let found = schema::version(&conn, &database)?;
        Ok((conn, found))
    };
    let (conn, found) = match attempt(&database, flags) {
        // On a read-only file system SQLite cannot make its index of the log. Without a log nothing can change under us, and it needs none.
        Err(_) if is_read_only(&at.dir) && !has_log(&database)? => {
            attempt(&immutable_uri(&database), flags | OpenFlags::SQLITE_OPEN_URI)?
        }
        other => other?,
    };
    match schema::newest(MIGRATIONS) {
        known if found > known => Err(StoreError::Newer { database, found, known }),
        known if found < known => Err(StoreError::Older { database, found, known }),
        _ => Ok(conn),
    }
}

fn has_log(database: &Path) -> Result<bool> {
    let log = beside(database, "-wal");
    match std::fs::metadata(&log) {
        Ok(meta) => Ok(meta.len() > 0),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StoreError::io("look at", &log, e)),
    }
}

fn immutable_uri(database: &Path) -> PathBuf {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for byte in database.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte))
            }
            // Writing to a String cannot fail.
            _ => drop(write!(uri, "%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    PathBuf::from(uri)
}

/// The file of that name with something appended.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    path.with_file_name(name)
}

fn set_up_common(conn: &Connection) -> rusqlite::Result<()> {
    // A damaged or doctored file must not do more than fail.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    // Plans do not hang on the values that are bound: else some statements are compiled again each time they run.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // No mapping: a read error is then an error and not a signal, and a long scan stays out of our resident size.
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn set_up_reader(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    set_up_common(conn)
}

fn set_up_writer(conn: &Connection) -> rusqlite::Result<()> {
    set_up_common(conn)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CANTOPEN),
            Some(format!("the file system does not take a write-ahead log (journal mode {mode})")),
        ));
    }
    // Every commit is synced before it is reported.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // A log that a long reader made large is cut back.
    conn.pragma_update_and_check(None, "journal_size_limit", 16 << 20, |_| Ok(()))?;
    Ok(())
}

/// What an error of SQLite means for a store.
pub(crate) fn sort(database: &Path, what: &'static str, error: Error) -> StoreError {
    let dir = || database.parent().unwrap_or(database).to_path_buf();
    let path = || database.to_path_buf();
    let Error::SqliteFailure(code, ref message) = error else {
        return StoreError::Engine { what, source: error };
    };
    let detail = || message.clone().unwrap_or_else(|| code.to_string());
    match code.code {
        ErrorCode::DiskFull => StoreError::NoSpace { dir: dir(), what: "the database" },
        // SQLite allocates its index of the log beforehand.
        ErrorCode::SystemIoFailure if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
            StoreError::NoSpace { dir: dir(), what: "the database" }
        }
        ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen if is_read_only(&dir()) => {
            StoreError::ReadOnly { dir: dir() }
        }
        ErrorCode::PermissionDenied => StoreError::Denied { path: path() },
        ErrorCode::CannotOpen | ErrorCode::ReadOnly
            if std::fs::File::open(dir())
                .is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied) =>
        {
            StoreError::Denied { path: dir() }
        }
        ErrorCode::DatabaseCorrupt => StoreError::Damaged { database: path(), detail: detail() },
        ErrorCode::NotADatabase => StoreError::Foreign { database: path(), detail: detail() },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy { database: path() },
        _ => StoreError::Engine { what, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_syncs_every_commit_and_keeps_its_references() {
        let dir = tempfile::tempdir().unwrap();
        let at = Location::under(dir.path());
        at.prepare().unwrap();
        create(&at, Uuid::new_v4()).unwrap();
        let conn = open_writer(&at).unwrap();
        let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        // 2 is FULL (sqlite.org/pragma.html#pragma_synchronous).
        assert_eq!((pragma("synchronous"), pragma("foreign_keys"), pragma("mmap_size")), (2, 1, 0));
        assert_eq!(
            conn.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)).unwrap(),
            "wal"
        );
    }

    #[test]
    fn names_of_files_are_escaped_in_an_address() {
        let uri = immutable_uri(Path::new("/a b/100%?x#y/é.db"));
        assert_eq!(uri, Path::new("file:/a%20b/100%25%3fx%23y/%c3%a9.db?immutable=1"));
    }

    #[test]
    fn errors_are_sorted_by_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("x.db");
        let sorted = |code| sort(&database, "testing", Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(matches!(sorted(ffi::SQLITE_FULL), StoreError::NoSpace { .. }));
        assert!(matches!(sorted(ffi::SQLITE_IOERR_SHMSIZE), StoreError::NoSpace { .. }));
        assert!(matches!(sorted(ffi::SQLITE_CORRUPT), StoreError::Damaged { .. }));
        assert!(matches!(sorted(ffi::SQLITE_NOTADB), StoreError::Foreign { .. }));
        assert!(matches!(sorted(ffi::SQLITE_BUSY), StoreError::Busy { .. }));
        for latching in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_CORRUPT] {
            assert!(sorted(latching).latches(), "{latching}");
        }
        for passing in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY] {
            assert!(!sorted(passing).latches(), "{passing}");
        }
    }
}
