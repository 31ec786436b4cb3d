//! A softphone that a test runs: its config, its commands, its words and what it has heard.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::heard::{Heard, write_tone};

/// Nothing takes longer that a test waits for.
const LIMIT: Duration = Duration::from_secs(20);

/// An empty folder for one test.
pub(crate) fn folder(test: &str) -> PathBuf {
    // In memory where there is such a place: a phone that writes to a disk waits for it.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let path = place.join(format!("media-core-softphone-{}-{test}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A port that is free for UDP and TCP, and is given once in a process.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap();
    let given = given.get_or_insert_with(HashSet::new);
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            return port;
        }
    }
}

/// The test goes without a program of others.
#[track_caller]
pub(crate) fn lacks_peer(what: impl Display) {
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    let required = is("MEDIA_CORE_PEERS", "1") || (is("MEDIA_CORE_REQUIRE", "1") && !is("MEDIA_CORE_PEERS", "0"));
    assert!(!required, "{what}, and MEDIA_CORE_REQUIRE=1 or MEDIA_CORE_PEERS=1 wants it");
    eprintln!("skipped: {what}");
}

#[derive(Default)]
struct Said {
    lines: Vec<(Instant, String)>,
    ended: bool,
}

type Words = Arc<(Mutex<Said>, Condvar)>;

/// A phone that runs. It is killed when it is dropped.
pub(crate) struct Phone {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Words,
    /// Lines that were waited for, or are before one that was.
    seen: usize,
    name: String,
    speaker: PathBuf,
    begin: Instant,
    pub(crate) port: u16,
}

/// How a phone is set up beyond what all are.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) transport: &'static str,
    pub(crate) account: String,
    pub(crate) sip: String,
    pub(crate) media: String,
    pub(crate) phone: String,
    pub(crate) audio: String,
    /// A section of its own.
    pub(crate) web: String,
    /// Bound here instead of to a port of the phone's own.
    pub(crate) port: Option<u16>,
}

impl Phone {
    /// Starts a phone that says this tone, and waits until it is ready.
    pub(crate) fn start(folder: &Path, name: &str, hz: u32, setup: &Setup) -> Self {
        let port = setup.port.unwrap_or_else(free_port);
        let (microphone, speaker) = (folder.join(format!("{name}-says.wav")), folder.join(format!("{name}-heard.wav")));
        write_tone(&microphone, hz, crate::heard::RATE);
        let transport = if setup.transport.is_empty() { "udp" } else { setup.transport };
        let Setup { account, sip, media, phone, audio, web, .. } = setup;
        let config = format!(
            "[account]\nuri = \"sip:{name}@127.0.0.1:{port}\"\n{account}\n\
             [sip]\nlisten = \"127.0.0.1:{port}\"\ntransport = \"{transport}\"\n{sip}\n\
             [media]\n{media}\n\
             [audio]\nmicrophone = {microphone:?}\nspeaker = {speaker:?}\nrepeat = true\nprocessing = false\n{audio}\n\
             [phone]\n{phone}\n{web}"
        );
        let path = folder.join(format!("{name}.toml"));
        // An account that a server has is not at this machine's port.
        let config = match account.contains("uri = ") {
            true => config.replacen(&format!("uri = \"sip:{name}@127.0.0.1:{port}\"\n"), "", 1),
            false => config,
        };
        fs::write(&path, config).unwrap();
        let log = fs::File::create(folder.join(format!("{name}.log"))).unwrap();
        // Its sound is before what else this machine does, if we may say so: `nice` runs it in any case.
        let mut child = Command::new("nice")
            .args(["-n", "-10", env!("CARGO_BIN_EXE_softphone")])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let said = Words::default();
        let tells = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                tells.0.lock().unwrap().lines.push((Instant::now(), line));
                tells.1.notify_all();
            }
            tells.0.lock().unwrap().ended = true;
            tells.1.notify_all();
        });
        let mut phone = Self { child, stdin, said, seen: 0, name: name.into(), speaker, begin: Instant::now(), port };
        phone.begin = phone.wait("ready");
        phone
    }

    /// How it is called.
    pub(crate) fn address(&self) -> String {
        format!("sip:{}@127.0.0.1:{}", self.name, self.port)
    }

    /// Types a command.
    pub(crate) fn type_in(&mut self, command: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    /// Waits until it says something after what was waited for last; when it did.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str) -> Instant {
        self.wait_line(what).0
    }

    /// The same; what it says.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str) -> String {
        self.wait_line(what).1
    }

    /// Waits until it has said all of these, in whatever order.
    #[track_caller]
    pub(crate) fn wait_all(&mut self, whats: &[&str]) {
        let begin = self.seen;
        let mut last = begin;
        for what in whats {
            self.seen = begin;
            self.wait(what);
            last = last.max(self.seen);
        }
        self.seen = last;
    }

    #[track_caller]
    fn wait_line(&mut self, what: &str) -> (Instant, String) {
        let begin = Instant::now();
        let (words, changed) = &*self.said;
        let mut said = words.lock().unwrap();
        loop {
            if let Some(index) = said.lines[self.seen..].iter().position(|(_, line)| line.contains(what)) {
                let line = said.lines[self.seen + index].clone();
                self.seen += index + 1;
                return line;
            }
            let left = LIMIT.saturating_sub(begin.elapsed());
            if left.is_zero() || said.ended {
                let heard = words_of(&said);
                drop(said);
                panic!("{} does not say {what:?}:\n{heard}", self.name);
            }
            said = changed.wait_timeout(said, left).unwrap().0;
        }
    }

    /// Whether it has said something at any time.
    pub(crate) fn has_said(&self, what: &str) -> bool {
        self.lock().lines.iter().any(|(_, line)| line.contains(what))
    }

    /// All that it has said.
    pub(crate) fn words(&self) -> String {
        words_of(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.0.lock().unwrap()
    }

    /// Lets it leave; what it has heard.
    #[track_caller]
    pub(crate) fn leave(mut self) -> Heard {
        self.type_in("quit");
        self.wait("goodbye");
        self.stdin = None;
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}: {status}\n{}", self.name, self.words());
        println!("{}:\n{}\n", self.name, self.words());
        Heard::read(&self.speaker, self.begin, &self.name)
    }
}

fn words_of(said: &Said) -> String {
    said.lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
