//! The real binary: as a server with its own folder, and as a command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Client, PATIENCE, fresh_token};

pub use std::process::{Command, Output};

/// The binary under test, with nothing of this process's configuration.
pub fn netbird_auth(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netbird-auth"));
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NETBIRD_AUTH_") {
            command.env_remove(name);
        }
    }
    command
        .stdin(Stdio::null())
        .env("XDG_CONFIG_HOME", folder.join("no-config"))
        .env("NETBIRD_AUTH_DATABASE__PATH", folder.join("test.db"))
        .env("NETBIRD_AUTH_SERVER__LISTEN", "127.0.0.1:0")
        .env("NETBIRD_AUTH_SERVER__WORKERS", "2")
        // Waiting here is asking again and again.
        .env("NETBIRD_AUTH_LIMITS__FAILURE_BURST", "1000000");
    command
}

/// A running server; killed when dropped.
pub struct Server {
    pub folder: Arc<TempDir>,
    pub address: SocketAddr,
    pub owner: Client,
    pub owner_id: String,
    child: Child,
    log: Arc<Log>,
    settings: Vec<(String, String)>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

impl Server {
    /// A new database with a known owner token, and a server on it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Server::start`], with settings such as `("CORS__ORIGINS", "https://a.example")`.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let token = fresh_token();
        let mut settings: Vec<(String, String)> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        settings.push(("BOOTSTRAP__TOKEN".to_owned(), token.clone()));
        Self::run(folder, settings, &[], token)
    }

    /// A new database in a folder that a test prepared, with settings that stay over a restart.
    pub fn start_prepared(folder: Arc<TempDir>, settings: &[(&str, &str)], token: String) -> Self {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self::run(folder, settings, &[], token)
    }

    /// A server on a folder that a test prepared; `token` is the owner's, if the test knows it.
    pub fn start_in(folder: Arc<TempDir>, arguments: &[&str], token: String) -> Self {
        Self::run(folder, Vec::new(), arguments, token)
    }

    fn run(
        folder: Arc<TempDir>,
        settings: Vec<(String, String)>,
        arguments: &[&str],
        token: String,
    ) -> Self {
        let mut command = netbird_auth(folder.path());
        command.arg("serve").args(arguments);
        for (name, value) in &settings {
            command.env(format!("NETBIRD_AUTH_{name}"), value);
        }
        let mut server = Self::start_by(command, folder, token);
        server.settings = settings;
        server
    }

    /// A server that a test's own command starts, such as [`netbird_auth`] by way of a shell.
    pub fn start_by(mut command: Command, folder: Arc<TempDir>, token: String) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        let errors = BufReader::new(child.stderr.take().unwrap());
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                writer.lines.lock().unwrap().0.push(line);
                writer.more.notify_all();
            }
            writer.lines.lock().unwrap().1 = true;
            writer.more.notify_all();
        });
        let ready = log.wait_for("ready on ");
        let place = ready
            .split_once("ready on ")
            .and_then(|(_, rest)| rest.split([' ', '"']).next())
            .unwrap_or_else(|| panic!("no address in {ready}"));
        let address = match place.split_once("://") {
            Some((_, address)) => address.parse().unwrap(),
            // Nobody answers there, and nobody shall be asked.
            None => SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let owner = Client {
            address,
            authorization: Some(format!("Token {token}")),
        };
        let mut server = Self {
            folder,
            address,
            owner,
            owner_id: String::new(),
            child,
            log,
            settings: Vec::new(),
        };
        server.owner_id = server.find_owner_id();
        server
    }

    fn find_owner_id(&self) -> String {
        let connection = self.database();
        connection
            .query_row("SELECT id FROM users WHERE role = 'owner'", (), |row| {
                row.get(0)
            })
            .unwrap_or_default()
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection of the test's own to the database file.
    pub fn database(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
            .pragma_update(None, "foreign_keys", true)
            .unwrap();
        connection
    }

    /// A client without a credential.
    pub fn anonymous(&self) -> Client {
        Client {
            address: self.address,
            authorization: None,
        }
    }

    /// A client with a token.
    pub fn client(&self, token: &str) -> Client {
        Client {
            address: self.address,
            authorization: Some(format!("Token {token}")),
        }
    }

    /// A command on this server's database, such as `server.command(&["user", "list"])`.
    pub fn command(&self, arguments: &[&str]) -> Output {
        netbird_auth(self.folder.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The exit code of `healthcheck` for a server at an address.
    pub fn healthcheck(&self, address: &str, arguments: &[&str]) -> Option<i32> {
        let output = netbird_auth(self.folder.path())
            .env("NETBIRD_AUTH_SERVER__LISTEN", address)
            .arg("healthcheck")
            .args(arguments)
            .output()
            .unwrap();
        output.status.code()
    }

    /// What a command prints, which must succeed.
    #[track_caller]
    pub fn run_command(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A service user with a role; its id.
    pub fn service_user(&self, role: &str) -> String {
        let body =
            json!({"name": "machine", "role": role, "is_service_user": true, "auto_groups": []});
        id_of(&self.owner.post("/api/users", body).ok())
    }

    /// An active human with a role, made at the command line; its id.
    pub fn human(&self, role: &str) -> String {
        let name = format!("human-{}", fresh_token());
        let email = format!("{name}@home.arpa");
        let arguments = [
            "user", "create", "--name", &name, "--email", &email, "--role", role,
        ];
        self.run_command(&arguments).trim().to_owned()
    }

    /// A token of any user, made at the command line and in force when this returns.
    pub fn token_of(&self, user: &str) -> String {
        let token = self.run_command(&["token", "create", "--user", user]);
        let token = token.trim().to_owned();
        super::eventually("the new token is known", || {
            let answer = self.client(&token).get("/api/users");
            (answer.status != 401).then_some(())
        });
        token
    }

    /// A client of a new human or service user with a role, and the user's id.
    pub fn member(&self, role: &str, is_service: bool) -> (Client, String) {
        let user = match is_service {
            true => self.service_user(role),
            false => self.human(role),
        };
        (self.client(&self.token_of(&user)), user)
    }

    /// Waits for a log line that contains a text, and gives it.
    pub fn log_line(&self, text: &str) -> String {
        self.log.wait_for(text)
    }

    /// All log lines until now.
    pub fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().0.clone()
    }

    /// SIGTERM, then the end: the exit code and what was logged.
    pub fn stop(mut self) -> (Option<i32>, Vec<String>) {
        self.signal(Signal::TERM);
        let code = self.child.wait().unwrap().code();
        (code, self.log.all())
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGKILL, and a new server on the same file.
    pub fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.started_again()
    }

    /// SIGTERM, and a new server on the same file.
    pub fn restart(mut self) -> Self {
        self.signal(Signal::TERM);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.started_again()
    }

    fn started_again(self) -> Self {
        let authorization = self.owner.authorization.clone().unwrap();
        let token = authorization.trim_start_matches("Token ").to_owned();
        Self::run(Arc::clone(&self.folder), self.settings.clone(), &[], token)
    }

    /// What the server wrote to standard output; the server is stopped.
    pub fn standard_output(mut self) -> String {
        let mut out = self.child.stdout.take().unwrap();
        self.signal(Signal::TERM);
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "{}", self.log.all().join("\n"));
        }
    }
}

impl Log {
    fn wait_for(&self, text: &str) -> String {
        let mut guard = self.lines.lock().unwrap();
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let (lines, ended) = &*guard;
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = until.saturating_duration_since(std::time::Instant::now());
            if *ended || left.is_zero() {
                // Not while the lock is held: a poisoned one would abort the other tests.
                drop(guard);
                panic!("no log line has {text:?}");
            }
            guard = self.more.wait_timeout(guard, left).unwrap().0;
        }
    }

    /// Every line, once the server has closed its log.
    fn all(&self) -> Vec<String> {
        let guard = self.lines.lock().unwrap();
        let (guard, _) = self
            .more
            .wait_timeout_while(guard, PATIENCE, |(_, ended)| !*ended)
            .unwrap();
        guard.0.clone()
    }
}

/// The `id` of an object.
pub fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}
