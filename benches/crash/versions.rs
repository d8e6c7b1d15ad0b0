//! Databases of every version up to the newest, and what tells them apart.

use std::collections::BTreeMap;
use std::path::Path;

use netbird_auth::store;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use crate::check;
use crate::each_call::{Files, files, put};

const VERSION_1: &str = include_str!("../../schema.sql");

/// Rows as a first version has them; the owner's token is the only one that anybody knows.
const ROWS: &str = "
    INSERT INTO users (id, origin, name, email, role, is_service, created_at)
    VALUES ('8f3c1a52-1111-4222-8333-000000000001', 'api', 'Owner', 'owner@example.com', 'owner', 0, 1700000000000000);
    WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
    INSERT INTO users (id, origin, name, email, role, is_service, is_blocked, auto_groups, created_at)
    SELECT printf('8f3c1a52-1111-4222-8333-%012d', i), 'api', 'machine ' || i, '', 'user', 1, i % 3 = 0,
           '[\"group-1\"]', 1700000000000000 + i FROM n;
    INSERT INTO users (id, issuer, origin, name, email, role, is_service, created_at, last_login)
    VALUES ('from-a-jwt', 'company', 'jwt', 'Somebody', 'somebody@example.com', 'admin', 0, 1700000000000000, 1710000000000000);
    INSERT INTO tokens (hash, id, user, name, created_at, expires_at)
    VALUES (?1, '00000000000000000010', 1, 'first', 1700000000000000, 4000000000000000);
    INSERT INTO tokens (hash, id, user, name, created_at, expires_at)
    SELECT randomblob(32), printf('%019d0', number), number, 'a token', created_at, 4000000000000000
    FROM users WHERE number > 1;
    INSERT INTO token_usage (token, last_used) SELECT number, 1720000000000000 + number FROM tokens;
    INSERT INTO audit_events (at, activity_code, initiator_id, initiator_name, initiator_email, target_id, meta, user)
    SELECT created_at, 'service.user.create', 'sys', '', '', id, '{\"name\":\"x\"}', number FROM users;";

/// A change that is left in the log.
const LATER: &str = "
    UPDATE users SET name = 'in the log' WHERE number = 2;
    INSERT INTO tokens (hash, id, user, name, created_at, expires_at)
    SELECT randomblob(32), printf('%019d0', 999), 2, 'in the log', 1700000000000000, 4000000000000000;
    UPDATE token_usage SET last_used = last_used + 1;";

/// A database of one version, as its files.
pub struct Older {
    pub version: u32,
    pub has_log: bool,
    pub files: Files,
    pub rows: Vec<String>,
}

/// What every version looks like.
pub struct Versions {
    /// The text of all tables, indices and triggers.
    schemas: BTreeMap<u32, String>,
    /// The columns that a first version has, by tables.
    columns: BTreeMap<String, Vec<String>>,
    pub newest: u32,
}

/// All of a database that can be compared.
#[derive(PartialEq, Eq)]
pub struct Seen {
    pub version: u32,
    pub schema: String,
    /// In the columns of the first version.
    pub rows: Vec<String>,
    /// In all columns.
    pub all: Vec<String>,
}

impl Versions {
    /// Of a database that the program has just made.
    pub fn of(fresh: &Path, folder: &Path, token: &str) -> Result<(Self, Vec<Older>), String> {
        let failed = |error: rusqlite::Error| format!("the older databases: {error}");
        let (newest, schema) =
            version(&Connection::open(fresh).map_err(failed)?).map_err(failed)?;
        let mut versions = Self {
            schemas: BTreeMap::from([(newest, schema)]),
            columns: BTreeMap::new(),
            newest,
        };
        let mut all = Vec::new();
        for wanted in 1..newest {
            for has_log in [false, true] {
                let made = versions.make(folder, wanted, has_log, token);
                all.push(made.map_err(|lost| format!("version {wanted}: {lost}"))?);
            }
        }
        Ok((versions, all))
    }

    fn make(
        &mut self,
        folder: &Path,
        wanted: u32,
        has_log: bool,
        token: &str,
    ) -> Result<Older, String> {
        let text = |error: rusqlite::Error| error.to_string();
        put(folder, &Files::new());
        let path = folder.join("test.db");
        let mut database = Connection::open(&path).map_err(text)?;
        database.execute_batch(VERSION_1).map_err(text)?;
        let hash = blake3::hash(token.as_bytes());
        let rows = ROWS.replace("?1", &format!("x'{}'", hash.to_hex()));
        database.execute_batch(&rows).map_err(text)?;
        if self.columns.is_empty() {
            self.columns = columns(&database).map_err(text)?;
        }
        // So many steps, each of which is one transaction.
        let mut steps = 0;
        let hook = move || {
            steps += 1;
            steps >= wanted
        };
        database.commit_hook(Some(hook)).map_err(text)?;
        let migrated = store::migrate(&mut database, &path);
        database.commit_hook(None::<fn() -> bool>).map_err(text)?;
        if migrated.is_ok() {
            return Err("its steps are no transactions of their own".to_owned());
        }
        let (found, schema) = version(&database).map_err(text)?;
        if found != wanted {
            return Err(format!("after so many transactions it is version {found}"));
        }
        self.schemas.insert(wanted, schema);
        let mode = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;";
        database.execute_batch(mode).map_err(text)?;
        if has_log {
            database.execute_batch(LATER).map_err(text)?;
        }
        // While it is open: as a kill leaves it.
        let mut files = files(folder);
        files.retain(|name, _| name == "test.db" || (has_log && name == "test.db-wal"));
        drop(database);
        Ok(Older {
            version: wanted,
            has_log,
            rows: self.look(&path)?.rows,
            files,
        })
    }

    /// Looks at a database, which is of exactly one version.
    pub fn look(&self, path: &Path) -> Result<Seen, String> {
        let text = |error: rusqlite::Error| format!("{}: {error}", path.display());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let database = Connection::open_with_flags(path, flags).map_err(text)?;
        check::whole(&database)?;
        let (version, schema) = version(&database).map_err(text)?;
        match self.schemas.get(&version) {
            Some(known) if *known == schema => {}
            known => {
                return Err(format!(
                    "it says that it is version {version} and has the schema\n{schema}\nbut that has\n{known:?}"
                ));
            }
        }
        let all = columns(&database).map_err(text)?;
        Ok(Seen {
            version,
            schema,
            rows: rows(&database, &self.columns).map_err(text)?,
            all: rows(&database, &all).map_err(text)?,
        })
    }
}

fn version(database: &Connection) -> rusqlite::Result<(u32, String)> {
    let number = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let sql =
        "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1";
    let mut statement = database.prepare(sql)?;
    let lines = statement.query_map((), |row| row.get::<_, String>(0))?;
    Ok((number, lines.collect::<Result<Vec<_>, _>>()?.join("\n")))
}

fn columns(database: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<String>>> {
    let sql = "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
               WHERE tables.type = 'table' ORDER BY tables.name, columns.cid";
    let mut statement = database.prepare(sql)?;
    let mut found = statement.query(())?;
    let mut all = BTreeMap::<String, Vec<String>>::new();
    while let Some(row) = found.next()? {
        all.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(all)
}

fn rows(
    database: &Connection,
    columns: &BTreeMap<String, Vec<String>>,
) -> rusqlite::Result<Vec<String>> {
    let mut all = Vec::new();
    for (table, columns) in columns {
        let sql = format!("SELECT {} FROM {table} ORDER BY 1", columns.join(", "));
        let mut statement = database.prepare(&sql)?;
        let mut found = statement.query(())?;
        while let Some(row) = found.next()? {
            let values = (0..columns.len()).map(|column| row.get::<_, Value>(column));
            all.push(format!(
                "{table}: {:?}",
                values.collect::<Result<Vec<_>, _>>()?
            ));
        }
    }
    Ok(all)
}
