//! Programs that a test runs: our own command line and others'. They write to files, end in time, and are ended with
//! the test.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The program `media-core` of this source, in the profile of the tests. Cargo builds it for the tests of its own
/// package only, `host-std/tests/program.rs`; so this asks cargo once for these, which has nothing to do after
/// `cargo test --workspace` has built them.
pub fn media_core() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // target/PROFILE/deps/TEST
        let test = std::env::current_exe().expect("a test has a path");
        let profile = test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        // As `cargo test --workspace` did: another choice of packages has other features, and builds everything anew.
        cargo.args(["test", "--quiet", "--workspace", "--no-run", "--test", "program"]);
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let built = cargo.stdout(Stdio::null()).status().expect("cargo runs");
        assert!(built.success(), "cargo could not build media-core");
        let program = profile.join(format!("media-core{}", std::env::consts::EXE_SUFFIX));
        assert!(program.exists(), "{} is not there", program.display());
        program
    })
}

/// Whether `program`, of the Debian package of this name, is installed; where it isn't, the test says so and skips, or
/// with `MEDIA_CORE_REQUIRE=1` fails.
pub fn installed(program: &str, package: &str) -> bool {
    let there = Command::new(program).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        crate::skipped::lacks(format_args!("{program} is not installed (apt-get install {package})"));
    }
    there
}

/// What tshark prints of `capture`; `None` where it isn't [`installed`].
#[track_caller]
pub fn tshark(capture: &Path, arguments: &[&str]) -> Option<String> {
    if !installed("tshark", "tshark") {
        return None;
    }
    let output = Command::new("tshark").arg("-r").arg(capture).args(arguments).output().expect("tshark runs");
    assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("tshark writes UTF-8"))
}

/// An empty folder for one test.
pub fn folder(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("media-core-{}-{test}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("the temporary folder can be written");
    path
}

/// An even port on loopback that is free together with the next one. It lies below the ports that systems give out by
/// themselves, and is not given twice in a process.
pub fn free_port_pair() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + ((std::process::id() % 100) as u16 * 100 + n * 2) % 10_000;
        let bind = |port| UdpSocket::bind(("127.0.0.1", port));
        if bind(port).is_ok() && bind(port + 1).is_ok() {
            return port;
        }
    }
}

/// A running program. It is killed when it is dropped.
pub struct Running {
    child: Child,
    name: String,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What a program left.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, or the signal.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Ended {
    /// Fails unless the program succeeded.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.status.success(), "{}\nstdout: {}\nstderr: {}", self.status, self.stdout, self.stderr);
        self
    }
}

impl Running {
    /// Starts `command`; what it writes is kept in `folder` under `name`.
    pub fn start(command: &mut Command, folder: &Path, name: &str) -> Self {
        Self::spawn(command.stdin(Stdio::null()), folder, name)
    }

    /// The same with a stdin to write to, which ends when it is dropped.
    pub fn start_with_stdin(command: &mut Command, folder: &Path, name: &str) -> (Self, ChildStdin) {
        let mut running = Self::spawn(command.stdin(Stdio::piped()), folder, name);
        let stdin = running.child.stdin.take().expect("it was asked for");
        (running, stdin)
    }

    fn spawn(command: &mut Command, folder: &Path, name: &str) -> Self {
        let (stdout, stderr) = (folder.join(format!("{name}.stdout")), folder.join(format!("{name}.stderr")));
        let file = |path: &Path| fs::File::create(path).expect("the test's folder can be written");
        let child = command
            .stdout(file(&stdout))
            .stderr(file(&stderr))
            .env_remove("RUST_BACKTRACE")
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { child, name: name.into(), stdout, stderr }
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stdout).unwrap_or_default()).into_owned()
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// A signal by its name, as `TERM`.
    pub fn signal(&self, signal: &str) {
        // The shell has it built in; a program of this name isn't everywhere.
        let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.child.id())]).status();
        assert!(kill.is_ok_and(|status| status.success()), "kill -{signal} {}", self.name);
    }

    /// Waits until it ends; fails after `limit`.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Ended {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                let stdout = String::from_utf8_lossy(&fs::read(&self.stdout).unwrap_or_default()).into_owned();
                return Ended { status, stdout, stderr: self.stderr() };
            }
            assert!(begin.elapsed() < limit, "{} has not ended after {limit:?}: {}", self.name, self.stderr());
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `path` is there and reads it; fails after `limit`.
#[track_caller]
pub fn read_when_there(path: &Path, limit: Duration) -> String {
    let begin = Instant::now();
    while !path.exists() {
        assert!(begin.elapsed() < limit, "{} has not come after {limit:?}", path.display());
        sleep(Duration::from_millis(10));
    }
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
