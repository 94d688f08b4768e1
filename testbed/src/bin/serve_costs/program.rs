//! A server as a process of its own: its address, its memory, what it started, and its end.

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::BoxError;

/// A server that ends when it is dropped.
pub(crate) struct Program {
    child: Child,
    home: PathBuf,
    pub(crate) address: SocketAddr,
    /// From its start to when it could be asked.
    pub(crate) started_in: Duration,
}

impl Program {
    /// Starts `openai-agents serve` with a configuration and a home of its own, at the model server of this URL.
    pub(crate) fn start(config: &str, model_url: &str) -> Result<Self, BoxError> {
        let mut command = Command::new(beside_this("openai-agents")?);
        command.args(["serve", "--bind", "127.0.0.1:0"]);
        command
            .env("OPENAI_BASE_URL", model_url)
            .env("OPENAI_MODEL", "m");
        Self::spawn(command, config)
    }

    fn spawn(mut command: Command, config: &str) -> Result<Self, BoxError> {
        let name = format!("serve-costs-{}-{}", std::process::id(), n_started());
        let home = env::temp_dir().join(name);
        fs::create_dir_all(&home)?;
        fs::write(home.join("config.yaml"), config)?;
        command
            .env("HOME", &home)
            .current_dir(&home)
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn()?;
        let mut stderr = BufReader::new(child.stderr.take().ok_or("no stderr")?);
        let mut line = String::new();
        stderr.read_line(&mut line)?;
        let address = line
            .strip_prefix("serving on http://")
            .and_then(|rest| rest.split_once(": ")?.0.parse().ok());
        // It must not wait for a reader.
        thread::spawn(move || io::copy(&mut stderr, &mut io::sink()));
        Ok(Self {
            child,
            home,
            address: address.ok_or(line)?,
            started_in: started.elapsed(),
        })
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn resident_kb(&self) -> Result<usize, BoxError> {
        status_of(self.child.id(), "VmRSS:")
    }

    /// The most that it ever had.
    pub(crate) fn peak_kb(&self) -> Result<usize, BoxError> {
        status_of(self.child.id(), "VmHWM:")
    }

    /// How many files, sockets and pipes it has open.
    pub(crate) fn n_files(&self) -> Result<usize, BoxError> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// The processes that it started.
    pub(crate) fn children(&self) -> Result<Vec<u32>, BoxError> {
        let mut children = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let id = entry?.file_name();
            let Some(id) = id.to_str().and_then(|id| id.parse().ok()) else {
                continue;
            };
            // It may be gone by now.
            if status_of(id, "PPid:").is_ok_and(|parent| parent == self.child.id() as usize) {
                children.push(id);
            }
        }
        Ok(children)
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) -> Result<(), BoxError> {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status()?;
        if status.success() {
            return Ok(());
        }
        Err("it cannot be told to end".into())
    }

    /// Waits for its end; none if it takes longer.
    pub(crate) async fn ended(&mut self, limit: Duration) -> Result<Option<ExitStatus>, BoxError> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(None)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        fs::remove_dir_all(&self.home).ok();
    }
}

/// A program of the same build.
pub(crate) fn beside_this(name: &str) -> Result<PathBuf, BoxError> {
    let path = env::current_exe()?.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("there is no {}", path.display()).into())
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"));
    // The state is behind the name, which is in parentheses.
    stat.is_ok_and(|stat| {
        !stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'))
    })
}

/// A number that the kernel tells of a process.
fn status_of(id: u32, field: &str) -> Result<usize, BoxError> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("a field of /proc is missing")?.parse()?)
}

fn n_started() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static N: AtomicUsize = AtomicUsize::new(0);
    N.fetch_add(1, Ordering::Relaxed)
}
