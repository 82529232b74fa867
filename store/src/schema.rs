//! The database's schema and its migrations. Private to this crate: other programs read through [`crate::Reader`] or `xensnap ... --json`.
//!
//! `PRAGMA application_id` says that a file is ours, `PRAGMA user_version` which schema it has. An older file is copied (`xensnap.db.schema-N`), then migrated
//! in one transaction; a newer one is refused. A migration once released is never edited: a change is a new one at the end.
//!
//! A record is the contract's JSON. The other columns are drawn from it for look-ups, in the same statement; `xensnap store check` compares them. Beyond
//! the JSON go a domain's `current` and `diverged`, an operation's plan, and an open operation's `state`, `done` and `facts`, which are what `advance` wrote last.

use std::path::Path;

use rusqlite::Connection;
use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::{engine, files};

/// "Xsnp".
pub(crate) const APPLICATION_ID: i64 = 0x5873_6e70;

/// One step from a schema to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    /// The schema it leads to; the one before is one less.
    pub(crate) to: i64,
    /// What it does.
    pub(crate) sql: &'static str,
}

/// All of them, from nothing to the present schema.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration { to: 1, sql: V1 }];

const V1: &str = "
CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL
) STRICT;
CREATE TABLE domain (
    uuid TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- The store's own, and not in the JSON: an outcome changes them, and seeing the domain does not.
    current TEXT,
    diverged INTEGER NOT NULL DEFAULT 0,
    json TEXT NOT NULL
) STRICT;
CREATE TABLE snapshot (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    domain TEXT NOT NULL REFERENCES domain(uuid),
    name TEXT NOT NULL,
    parent TEXT,
    taken_at TEXT NOT NULL,
    kind TEXT NOT NULL,
    consistency TEXT NOT NULL,
    deleting INTEGER NOT NULL,
    disks INTEGER NOT NULL,
    disk_bytes INTEGER NOT NULL,
    memory_bytes INTEGER NOT NULL,
    -- Last, and in the same tree: a list reads one stretch of the file, and a table for people only the beginnings of the rows.
    json TEXT NOT NULL,
    UNIQUE (domain, name)
) STRICT;
-- Without an index of what is open: that is asked for at start and before a domain is adopted, and an index would be written with every operation. What is
-- to be cleaned is rare.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    -- The snapshot that the plan drops, marked `deleting` meanwhile.
    drops TEXT,
    ended_at TEXT,
    -- Where an open operation stands, once it has advanced; else nothing.
    state TEXT,
    done INTEGER,
    facts TEXT,
    -- 1 as long as the disks may hold tags that its outcome made obsolete.
    uncleaned INTEGER,
    -- The entry but for its plan, which is beside it: an end need not write it again.
    json TEXT NOT NULL,
    plan TEXT
) STRICT;
CREATE INDEX journal_uncleaned ON journal (seq) WHERE uncleaned = 1;
-- Sidecars of snapshots that are gone (from there), until the files are gone too: told from those that somebody put there to be taken in.
CREATE TABLE sidecar (
    domain TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (domain, id)
) STRICT, WITHOUT ROWID;
";

/// The newest schema of a list.
pub(crate) fn newest(migrations: &[Migration]) -> i64 {
    migrations.last().map_or(0, |m| m.to)
}

/// Which schema an open database has. Reads only; says so when the file is none of ours.
pub(crate) fn version(conn: &Connection, database: &Path) -> Result<i64> {
    let read = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let failed = |e| engine::sort(database, "reading the database's head", e);
    let application = read("application_id").map_err(failed)?;
    let version = read("user_version").map_err(failed)?;
    if application != APPLICATION_ID {
        let detail = if application == 0 && version == 0 {
            "an SQLite database without our mark"
        } else {
            "another program's database"
        };
        return Err(StoreError::Foreign { database: database.to_path_buf(), detail: detail.into() });
    }
    Ok(version)
}

/// Fills an empty database with the newest schema.
pub(crate) fn create(conn: &mut Connection, id: Uuid, migrations: &[Migration]) -> rusqlite::Result<()> {
    let tx = conn.transaction()?;
    for migration in migrations {
        tx.execute_batch(migration.sql)?;
    }
    tx.execute("INSERT INTO store (one, id) VALUES (1, ?1)", [id.to_string()])?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", newest(migrations))?;
    tx.commit()
}

/// Brings a database to the newest schema: a copy first, then all steps in one transaction. Does nothing when it is there.
pub(crate) fn migrate(conn: &mut Connection, database: &Path, migrations: &[Migration]) -> Result<()> {
    let (found, known) = (version(conn, database)?, newest(migrations));
    if found == known {
        return Ok(());
    }
    if found > known {
        return Err(StoreError::Newer { database: database.to_path_buf(), found, known });
    }
    copy(conn, database, found)?;
    let failed = |e| engine::sort(database, "migrating the database", e);
    let tx = conn.transaction().map_err(failed)?;
    for migration in migrations.iter().filter(|m| m.to > found) {
        tx.execute_batch(migration.sql).map_err(failed)?;
    }
    tx.pragma_update(None, "user_version", known).map_err(failed)?;
    tx.commit().map_err(failed)
}

/// Copies the database beside itself as of now, the log included.
fn copy(conn: &Connection, database: &Path, version: i64) -> Result<()> {
    let named = |ending: String| {
        let mut name = database.file_name().unwrap_or_default().to_os_string();
        name.push(ending);
        database.with_file_name(name)
    };
    let (temporary, path) = (named(format!(".schema-{version}.tmp")), named(format!(".schema-{version}")));
    files::remove_if_there(&temporary)?;
    let file = files::create_new(&temporary)?;
    let text = temporary
        .to_str()
        .ok_or_else(|| StoreError::io("name", &temporary, std::io::ErrorKind::InvalidFilename.into()))?;
    conn.execute("VACUUM INTO ?1", [text]).map_err(|e| {
        let _ = files::remove_if_there(&temporary);
        engine::sort(database, "copying the database before its migration", e)
    })?;
    file.sync_all()
        .and_then(|()| std::fs::rename(&temporary, &path))
        .map_err(|e| StoreError::io("write", &path, e))?;
    files::sync_parent(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;

    const V2: Migration =
        Migration { to: 2, sql: "ALTER TABLE domain ADD COLUMN note TEXT; UPDATE domain SET note = 'seen';" };
    const V3: Migration = Migration { to: 3, sql: "CREATE INDEX domain_note ON domain (note);" };
    const BAD: Migration = Migration { to: 3, sql: "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);" };

    /// A database of schema 1 with one domain, its log not written back.
    fn of_schema_1() -> (tempfile::TempDir, Connection, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let at = Location::under(dir.path());
        at.prepare().unwrap();
        engine::create(&at, Uuid::nil()).unwrap();
        let conn = engine::open_writer(&at).unwrap();
        conn.execute("INSERT INTO domain (uuid, name, json) VALUES ('u', 'n', '{}')", []).unwrap();
        (dir, conn, at.database())
    }

    fn with(more: &[Migration]) -> Vec<Migration> {
        MIGRATIONS.iter().chain(more).copied().collect()
    }

    fn tables(conn: &Connection) -> String {
        conn.query_row("SELECT group_concat(name, ' ') FROM sqlite_schema", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn steps_follow_each_other_without_a_gap() {
        for (n, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.to, i64::try_from(n).unwrap() + 1);
        }
    }

    #[test]
    fn an_older_database_is_copied_and_then_migrated_by_all_steps() {
        let (_dir, mut conn, database) = of_schema_1();
        migrate(&mut conn, &database, &with(&[V2, V3])).unwrap();
        assert_eq!(version(&conn, &database).unwrap(), 3);
        assert_eq!(
            conn.query_row("SELECT note FROM domain", [], |row| row.get::<_, String>(0)).unwrap(),
            "seen"
        );
        // The copy is the old database, its log included, and ours.
        let copy = Connection::open(database.with_file_name("xensnap.db.schema-1")).unwrap();
        assert_eq!(version(&copy, &database).unwrap(), 1);
        assert_eq!(copy.query_row("SELECT count(*) FROM domain", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        use std::os::unix::fs::MetadataExt;
        assert_eq!(
            std::fs::metadata(database.with_file_name("xensnap.db.schema-1")).unwrap().mode() & 0o777,
            0o600
        );
        // Once more: nothing to do, no other copy.
        migrate(&mut conn, &database, &with(&[V2, V3])).unwrap();
        assert!(!database.with_file_name("xensnap.db.schema-3").exists());
    }

    #[test]
    fn a_migration_that_fails_leaves_the_old_schema() {
        let (_dir, mut conn, database) = of_schema_1();
        let before = tables(&conn);
        let error = migrate(&mut conn, &database, &with(&[V2, BAD])).unwrap_err();
        assert!(error.to_string().contains("migrating"), "{error}");
        assert_eq!(
            (version(&conn, &database).unwrap(), tables(&conn)),
            (1, before),
            "the first step is undone too"
        );
        // Mended, it goes through, over the copy of the first attempt.
        migrate(&mut conn, &database, &with(&[V2, V3])).unwrap();
        assert_eq!(version(&conn, &database).unwrap(), 3);
    }

    #[test]
    fn a_newer_database_is_refused_by_its_number() {
        let (_dir, mut conn, database) = of_schema_1();
        migrate(&mut conn, &database, &with(&[V2, V3])).unwrap();
        let error = migrate(&mut conn, &database, MIGRATIONS).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 3, known: 1, .. }), "{error}");
    }
}
