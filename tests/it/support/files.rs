//! Databases without a server, and backups of them.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::{Command, Output, netbird_auth};
use crate::bad_files;

/// A closed database, and a folder for backups of it.
pub struct Kept {
    pub folder: TempDir,
    pub database: PathBuf,
    pub backup: PathBuf,
}

impl Kept {
    /// With its owner alone; no backup yet.
    pub fn new() -> Self {
        let folder = bad_files::database();
        let backups = folder.path().join("backups");
        fs::create_dir(&backups).unwrap();
        Self {
            database: folder.path().join("test.db"),
            backup: backups.join("copy.db"),
            folder,
        }
    }

    /// Some hundred pages, and a backup.
    pub fn large() -> Self {
        let kept = Self::new();
        kept.fill(5000);
        kept.back_up();
        kept
    }

    /// So many more tokens of the owner, named by their numbers.
    pub fn fill(&self, count: u32) {
        let sql = format!(
            "INSERT INTO tokens (hash, id, user, name, created_at, expires_at)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             SELECT randomblob(32), printf('%019d0', i), 1, i, 1, 2 FROM n"
        );
        bad_files::sql(&self.database, &sql);
    }

    /// Marks the database, so that it is told from its backup.
    pub fn call_owner(&self, name: &str) {
        bad_files::sql(
            &self.database,
            &format!("UPDATE users SET name = '{name}' WHERE role = 'owner'"),
        );
    }

    pub fn back_up(&self) {
        let output = self.run(&["backup", self.backup.to_str().unwrap()]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{errors}");
    }

    pub fn command(&self) -> Command {
        netbird_auth(self.folder.path())
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// What is at the backup is restored.
    pub fn restore(&self, options: &[&str]) -> Output {
        restore(self.command(), &self.backup, options)
    }

    /// The former databases that restores have set aside.
    pub fn former(&self) -> Vec<PathBuf> {
        let names = names_in(self.folder.path());
        let names = names
            .iter()
            .filter(|name| name.starts_with("test.db.before-restore-") && name.ends_with('Z'));
        names.map(|name| self.folder.path().join(name)).collect()
    }

    pub fn digest(&self) -> PathBuf {
        self.backup.with_file_name("copy.db.blake3")
    }

    /// Writes the digest that fits the backup as it is now.
    pub fn write_digest(&self) {
        let hash = blake3::hash(&fs::read(&self.backup).unwrap());
        fs::write(self.digest(), format!("{}  copy.db\n", hash.to_hex())).unwrap();
    }
}

/// Runs `restore` by a command that has the settings.
pub fn restore(mut command: Command, file: &Path, options: &[&str]) -> Output {
    command.arg("restore").args(options).arg(file);
    command.output().unwrap()
}

/// The same command where no file can become larger than so many KiB.
pub fn full_disk(command: &Command, kib: u32) -> Command {
    let mut shell = Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script]).arg(command.get_program());
    shell.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// What is in a folder, sorted.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// A connection that only reads.
pub fn read_only(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// The owner's name in a database.
pub fn owner_of(path: &Path) -> String {
    let sql = "SELECT name FROM users WHERE role = 'owner'";
    Connection::open(path)
        .unwrap()
        .query_row(sql, (), |row| row.get(0))
        .unwrap()
}
