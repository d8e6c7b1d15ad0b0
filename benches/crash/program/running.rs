//! A command of the real program, which comes to its end or is killed.

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that runs; killed when dropped.
pub struct Running {
    child: Child,
    /// All of its output, and all of its errors, once it has closed them.
    said: [Receiver<Vec<u8>>; 2],
    until: Instant,
    what: String,
}

impl Running {
    pub fn spawn(command: &mut Command) -> Result<Self, String> {
        let what = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let spawned = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|error| format!("{what}: {error}"))?;
        let said = [read_all(child.stdout.take()), read_all(child.stderr.take())];
        Ok(Self {
            child,
            said,
            until: Instant::now() + PATIENCE,
            what,
        })
    }

    /// Its end. One that hangs is an error, and killed.
    pub fn end(mut self) -> Result<Output, String> {
        let all = |said: &Receiver<Vec<u8>>| {
            let left = self.until.saturating_duration_since(Instant::now());
            let all = said.recv_timeout(left);
            all.map_err(|_| format!("{} runs on after {PATIENCE:?}", self.what))
        };
        // What it says ends with the process: this is the wait that has an end.
        let (stdout, stderr) = (all(&self.said[0])?, all(&self.said[1])?);
        let status = self.child.wait().map_err(|error| error.to_string())?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads in a thread: a full pipe would stop the command.
fn read_all(from: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut from) = from {
            let _ = from.read_to_end(&mut all);
        }
        let _ = sender.send(all);
    });
    receiver
}
