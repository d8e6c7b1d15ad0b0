//! The real program as a child process: started on a database, its worker kept on one core, looked
//! at from outside, and stopped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::cores;

/// The program whose figures these are.
pub const BINARY: &str = env!("CARGO_BIN_EXE_netbird-auth");

/// A running server. As long as there is one, this thread is on the client's core.
///
/// The worker's thread is on a core of its own, and the writer's on that of the client. No request that
/// is measured here uses the pool of blocking threads.
pub struct Program {
    child: Child,
    settings: PathBuf,
    database: PathBuf,
    pub address: SocketAddr,
    worker: i32,
}

impl Program {
    /// A server that is ready, on a database that exists.
    pub fn start(database: &Path) -> Self {
        let mut program = Self::spawn(database, "127.0.0.1:0");
        program.wait_ready();
        program
    }

    /// A server that has just been started, and an address where it will listen.
    pub fn start_unready(database: &Path) -> Self {
        // Free a moment ago.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut program = Self::spawn(database, &address.to_string());
        program.address = address;
        program
    }

    fn spawn(database: &Path, listen: &str) -> Self {
        let settings = database.with_extension("toml");
        let text = format!(
            "[server]\nlisten = '{listen}'\nworkers = 1\n[limits]\nfailure_burst = 1000000\nfailures_per_second = 10000\n[database]\npath = '{}'\n",
            database.display()
        );
        fs::write(&settings, text).unwrap();
        // The child would inherit the client's core.
        cores::free();
        let child = command(&settings)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        cores::pin(cores::CLIENT);
        Self {
            child,
            settings,
            database: database.to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            worker: 0,
        }
    }

    /// Waits for the line of the log with the address, then puts the worker on its core.
    pub fn wait_ready(&mut self) {
        let mut log = BufReader::new(self.child.stderr.take().unwrap()).lines();
        let ready = log
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("ready on http://")?;
                rest.split(' ').next()?.parse().ok()
            })
            .expect("the server is ready");
        self.address = ready;
        // A full pipe would stop the server.
        cores::free();
        std::thread::spawn(move || {
            for line in log.map_while(Result::ok) {
                if line.contains(" ERROR ") || line.contains(" WARN ") {
                    eprintln!("  server: {line}");
                }
            }
        });
        cores::pin(cores::CLIENT);
        // The workers are started behind that line.
        self.worker = loop {
            // The kernel keeps 15 characters of a name.
            let names = ["actix-server wo", "actix-rt|system"];
            if let Some(worker) = names.iter().find_map(|name| self.find_thread(name)) {
                break worker;
            }
            std::hint::spin_loop();
        };
        cores::pin_other(self.worker, cores::SERVER);
        // Else the kernel likes to put it on the core of the worker, which wakes it.
        cores::pin_other(self.find_thread("writer").unwrap(), cores::CLIENT);
    }

    fn find_thread(&self, name: &str) -> Option<i32> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.map_while(Result::ok).find_map(|thread| {
            let found = fs::read_to_string(thread.path().join("comm")).ok()?;
            let is_it = found.starts_with(name);
            is_it.then(|| thread.file_name().to_str()?.parse().ok())?
        })
    }

    /// Runs a command beside the server, with its settings.
    pub fn command(&self) -> Command {
        command(&self.settings)
    }

    /// What is resident now, in bytes.
    pub fn resident(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most that was resident since the start or [`Program::forget_peak`], in bytes.
    pub fn peak(&self) -> f64 {
        self.status("VmHWM:")
    }

    /// Counts the peak anew.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    fn status(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        kibibytes.unwrap().parse::<f64>().unwrap() * 1024.0
    }

    /// The time that the worker has had its core; what others do there is not in it.
    pub fn worker_time(&self) -> Duration {
        let path = format!("/proc/{}/task/{}/schedstat", self.child.id(), self.worker);
        let text = fs::read_to_string(path).unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    }

    /// How long the write-ahead log is, in bytes.
    pub fn log_length(&self) -> f64 {
        let mut path = self.database.clone().into_os_string();
        path.push("-wal");
        fs::metadata(path).map_or(0.0, |file| file.len() as f64)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
        cores::free();
    }
}

/// A command with settings, and nothing of this process's configuration.
fn command(settings: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("--config").arg(settings);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NETBIRD_AUTH_") {
            command.env_remove(name);
        }
    }
    command
}
