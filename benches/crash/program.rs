//! The real program as a child process on a folder of its own: started, killed, stopped, and started
//! again there or on another folder.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use netbird_auth::token::PlainToken;
use rustix::process::{Pid, Signal, kill_process};

use crate::http::Client;
use crate::run::Run;

mod running;

pub use running::Running;

/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// How the program is started. Changing `folder` or `environment` is for the next start.
#[derive(Clone)]
pub struct Settings {
    pub binary: PathBuf,
    pub folder: PathBuf,
    /// The owner's, where the first start is to be given one.
    pub token: Option<String>,
    /// What else its environment has, such as `LD_PRELOAD`.
    pub environment: Vec<(OsString, OsString)>,
}

impl Settings {
    /// For a folder, with a new owner token.
    pub fn new(run: &Run, folder: &Path) -> Result<Self, String> {
        Ok(Self {
            binary: run.binary.clone(),
            folder: folder.to_owned(),
            token: Some(new_token()?),
            environment: Vec::new(),
        })
    }

    /// With one more variable of the environment.
    #[allow(dead_code, reason = "for groups with a library in front of libc")]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The same on another folder.
    #[allow(dead_code, reason = "for groups that copy files")]
    pub fn on(&self, folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            ..self.clone()
        }
    }

    pub fn database(&self) -> PathBuf {
        self.folder.join("test.db")
    }

    /// A command with these settings, and with nothing of this process's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.folder).args(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NETBIRD_AUTH_") {
                command.env_remove(name);
            }
        }
        command
            .env("XDG_CONFIG_HOME", self.folder.join("no-config"))
            .env("NETBIRD_AUTH_DATABASE__PATH", self.database())
            .env("NETBIRD_AUTH_SERVER__LISTEN", "127.0.0.1:0")
            .env("NETBIRD_AUTH_SERVER__WORKERS", "2")
            // Revoked tokens are asked for as fast as it goes.
            .env("NETBIRD_AUTH_LIMITS__FAILURE_BURST", "1000000")
            .env("NETBIRD_AUTH_LIMITS__FAILURES_PER_SECOND", "10000");
        if let Some(token) = &self.token {
            command.env("NETBIRD_AUTH_BOOTSTRAP__TOKEN", token);
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }

    /// A server that may not be ready yet.
    pub fn spawn(&self) -> Result<Program, String> {
        let mut command = self.command(&["serve"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", self.binary.display()))?;
        let log = Arc::new(Log::default());
        if let Some(errors) = child.stderr.take() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || log.read(BufReader::new(errors)));
        }
        Ok(Program {
            settings: self.clone(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            ready_after: Duration::ZERO,
            child,
            log,
            started,
        })
    }

    /// A server that is ready.
    pub fn start(&self) -> Result<Program, String> {
        let mut program = self.spawn()?;
        program.wait_ready()?;
        Ok(program)
    }

    /// A start that must not succeed, and its end. A server that is ready is an error, and killed.
    pub fn start_in_vain(&self) -> Result<Ended, String> {
        let mut program = self.spawn()?;
        match program.wait_ready() {
            Ok(()) => Err(format!("it starts:\n{}", program.log().join("\n"))),
            Err(_) => program.end(),
        }
    }
}

/// A running server; killed when dropped.
pub struct Program {
    pub settings: Settings,
    /// Once it is ready.
    pub address: SocketAddr,
    /// From the start of the process to its "ready".
    pub ready_after: Duration,
    child: Child,
    log: Arc<Log>,
    started: Instant,
}

impl Program {
    /// Waits for "ready"; an error has all that was logged instead.
    pub fn wait_ready(&mut self) -> Result<(), String> {
        let (line, at) = self.log.wait_for("ready on http://")?;
        let address = line
            .split_once("ready on http://")
            .and_then(|(_, rest)| rest.split([' ', '"']).next())
            .and_then(|address| address.parse().ok());
        self.address = address.ok_or_else(|| format!("no address in the log line {line:?}"))?;
        self.ready_after = at.saturating_duration_since(self.started);
        Ok(())
    }

    /// A client with a token.
    pub fn client(&self, token: &str) -> Client {
        Client {
            address: self.address,
            authorization: Some(format!("Token {token}")),
        }
    }

    /// The client with the token that the settings gave to the first start.
    pub fn owner(&self) -> Client {
        self.client(self.settings.token.as_deref().unwrap_or_default())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of the log with a text, and gives it.
    #[allow(dead_code, reason = "for groups that wait for a fault to be told")]
    pub fn log_line(&self, text: &str) -> Result<String, String> {
        self.log.wait_for(text).map(|(line, _)| line)
    }

    /// What was logged until now.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        let sent = kill_process(Pid::from_child(&self.child), signal);
        sent.map_err(|error| format!("no signal to the server: {error}"))
    }

    /// SIGKILL, and the end of the process.
    pub fn kill(mut self) -> Result<Ended, String> {
        self.signal(Signal::KILL)?;
        self.end()
    }

    /// SIGTERM, and the end of the process.
    pub fn stop(mut self) -> Result<Ended, String> {
        self.signal(Signal::TERM)?;
        self.end()
    }

    /// Waits until it ends by itself.
    pub fn end(&mut self) -> Result<Ended, String> {
        // The log ends with the process: this is the wait that has an end.
        let log = self.log.wait_end()?;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        Ok(Ended { status, log })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is known of a server that has ended.
pub struct Ended {
    pub status: ExitStatus,
    /// All lines.
    pub log: Vec<String>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    all: Vec<(String, Instant)>,
    is_ended: bool,
}

impl Log {
    fn read(&self, errors: impl BufRead) {
        // Whatever bytes come: a full pipe would stop the server.
        for line in errors.split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            self.lock().all.push((line, Instant::now()));
            self.more.notify_all();
        }
        self.lock().is_ended = true;
        self.more.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.lock();
        lines.all.iter().map(|(line, _)| line.clone()).collect()
    }

    fn wait_for(&self, text: &str) -> Result<(String, Instant), String> {
        let found = |lines: &Lines| {
            lines
                .all
                .iter()
                .find(|(line, _)| line.contains(text))
                .cloned()
        };
        let (lines, _) = self
            .more
            .wait_timeout_while(self.lock(), PATIENCE, |lines| {
                !lines.is_ended && found(lines).is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        let found = found(&lines);
        drop(lines);
        found.ok_or_else(|| {
            let log = self.lines().join("\n");
            format!("the server never logged {text:?}; its log:\n{log}")
        })
    }

    fn wait_end(&self) -> Result<Vec<String>, String> {
        let (lines, _) = self
            .more
            .wait_timeout_while(self.lock(), PATIENCE, |lines| !lines.is_ended)
            .unwrap_or_else(PoisonError::into_inner);
        let is_ended = lines.is_ended;
        drop(lines);
        match is_ended {
            true => Ok(self.lines()),
            false => Err(format!(
                "the server runs on; its log:\n{}",
                self.lines().join("\n")
            )),
        }
    }
}

/// The plain text of a token that no server knows.
pub fn new_token() -> Result<String, String> {
    let token = PlainToken::generate().map_err(|error| error.to_string())?;
    Ok(token.expose().to_owned())
}
