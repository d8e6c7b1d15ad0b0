//! The real reverse proxies, with the files of `deploy/`.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use tempfile::TempDir;

use super::{Command, PATIENCE};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
}

/// A running proxy; killed when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

/// What a proxy that is ready says.
const READY: [&str; 2] = [
    "using the \"epoll\" event method",
    "serving initial configuration",
];
const TAKEN: &str = "address already in use";

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
        }
    }

    /// Whether the machine has it. One that has not skips, and says so, unless
    /// `NETBIRD_AUTH_TEST_PROXIES=required`.
    pub fn is_installed(self) -> bool {
        static SAID: Mutex<Vec<&str>> = Mutex::new(Vec::new());
        let name = self.name();
        if program(name).is_some() {
            return true;
        }
        let required = std::env::var("NETBIRD_AUTH_TEST_PROXIES");
        assert_ne!(
            required.as_deref(),
            Ok("required"),
            "{name} is not installed"
        );
        let mut said = SAID.lock().unwrap();
        if !said.contains(&name) {
            said.push(name);
            // Past what the test runner keeps to itself.
            let _ = writeln!(std::io::stderr(), "skipped: {name} is not installed");
        }
        false
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let mut places = folders.map(|folder| folder.join(name));
    places.find(|place| place.is_file())
}

/// A file of `deploy/`, with addresses of the test in the place of its own.
#[track_caller]
fn snippet(name: &str, replacements: &[(&str, String)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    let mut text = std::fs::read_to_string(path).unwrap();
    for (old, new) in replacements {
        // In lines that do something: what a comment says stays.
        let is_live = |line: &&str| line.contains(old) && !line.trim_start().starts_with('#');
        let live = text.lines().filter(is_live).count();
        assert_eq!(
            live, 1,
            "{name} has {old:?} in {live} lines, and not in one"
        );
        let lines = text.lines().map(|line| match is_live(&line) {
            true => line.replace(old, new),
            false => line.to_owned(),
        });
        text = lines.collect::<Vec<_>>().join("\n") + "\n";
    }
    text
}

impl Proxy {
    /// In front of netbird-auth and an app.
    pub fn start(kind: Kind, auth: SocketAddr, app: SocketAddr) -> Self {
        for _ in 0..10 {
            if let Some(proxy) = Self::try_start(kind, auth, app) {
                return proxy;
            }
        }
        panic!("{kind:?} found no free port");
    }

    /// `None` where somebody else took the port in between.
    fn try_start(kind: Kind, auth: SocketAddr, app: SocketAddr) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut command = match kind {
            Kind::Nginx => nginx(folder.path(), address, auth, app),
            Kind::Caddy => caddy(folder.path(), address, auth, app),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        drop(listener);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                // Read on when nobody listens: a proxy waits on a full pipe.
                let _ = sender.send(line);
            }
        });
        let proxy = Self {
            address,
            child,
            _folder: folder,
        };
        proxy.is_ready(kind, &lines).then_some(proxy)
    }

    fn is_ready(&self, kind: Kind, lines: &Receiver<String>) -> bool {
        let mut said = String::new();
        while let Ok(line) = lines.recv_timeout(PATIENCE) {
            if READY.iter().any(|ready| line.contains(ready)) {
                return true;
            }
            if line.to_lowercase().contains(TAKEN) {
                return false;
            }
            writeln!(said, "{line}").unwrap();
        }
        panic!("{kind:?} does not start:\n{said}");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One process, all of whose files are in the folder.
fn nginx(folder: &Path, address: SocketAddr, auth: SocketAddr, app: SocketAddr) -> Command {
    let site = snippet(
        "nginx.conf",
        &[
            ("127.0.0.1:8080", auth.to_string()),
            ("127.0.0.1:3000", app.to_string()),
            ("listen 80;", format!("listen {address};")),
        ],
    );
    let of = |name: &str| folder.join(name).display().to_string();
    let mut text = String::from("daemon off;\nmaster_process off;\nerror_log stderr notice;\n");
    writeln!(
        text,
        "pid {};\nevents {{}}\nhttp {{\naccess_log off;",
        of("pid")
    )
    .unwrap();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "{kind}_temp_path {};", of(kind)).unwrap();
    }
    std::fs::write(folder.join("site.conf"), site).unwrap();
    writeln!(text, "include {};\n}}", of("site.conf")).unwrap();
    std::fs::write(folder.join("nginx.conf"), text).unwrap();
    let mut command = Command::new(program("nginx").unwrap());
    command.args(["-e", "stderr", "-p"]).arg(folder);
    command.arg("-c").arg(folder.join("nginx.conf"));
    command
}

/// Without certificates, and without an interface for its administration.
fn caddy(folder: &Path, address: SocketAddr, auth: SocketAddr, app: SocketAddr) -> Command {
    let site = format!("http://grafana.home.arpa:{} {{", address.port());
    let site = snippet(
        "Caddyfile",
        &[
            ("127.0.0.1:8080", auth.to_string()),
            ("127.0.0.1:3000", app.to_string()),
            ("grafana.home.arpa {", site),
        ],
    );
    let options = "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}\n";
    std::fs::write(folder.join("Caddyfile"), format!("{options}{site}")).unwrap();
    let mut command = Command::new(program("caddy").unwrap());
    command.args(["run", "--adapter", "caddyfile", "--config"]);
    command.arg(folder.join("Caddyfile")).current_dir(folder);
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(name, folder);
    }
    command
}
