//! Keys of a running call, and what is pasted into it, on a terminal that util-linux's `script` makes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use media_core_tests::program::{Running, folder, installed, media_core, read_when_there};
use media_core_tests::skipped;

use crate::cli::{LIMIT, asset, json};

/// Whether this machine can make a terminal.
fn there_is_one() -> bool {
    let possible = Path::new("/dev/pts/ptmx").exists();
    if !possible {
        skipped::skip("this machine has no pseudo-terminals (/dev/pts)");
    }
    possible && installed("script", "bsdutils")
}

/// What a terminal has shown so far.
#[derive(Clone)]
struct Screen(PathBuf);

impl Screen {
    fn read(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.0).unwrap_or_default()).into_owned()
    }
}

/// A program on a terminal.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    screen: Screen,
}

impl Terminal {
    fn start(folder: &Path, line: &str) -> Self {
        let screen = Screen(folder.join("screen"));
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command", line])
            .arg(&screen.0)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let keys = script.stdin.take().unwrap();
        Self { script, keys, screen }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// How it ended, and all that it showed.
    fn wait(mut self) -> (ExitStatus, String) {
        (self.script.wait().unwrap(), self.screen.read())
    }
}

#[test]
fn keys_mute_and_turn_and_hang_up() {
    if !there_is_one() {
        return;
    }
    let folder = folder("keys");
    let [offerer] = {
        let woman = asset("woman.wav");
        let mut command = Command::new(media_core());
        command.current_dir(&folder).args(["offer", "--address", "127.0.0.1", "--json", "--microphone", &woman]);
        command.args(["--write", "offer.sdp", "--read", "answer.sdp", "--speaker", "null"]);
        command.args(["--end-after-goodbye", "0.5"]);
        [Running::start(&mut command, &folder, "offer")]
    };
    read_when_there(&folder.join("offer.sdp"), LIMIT);
    let line = format!(
        "{} answer offer.sdp --write answer.sdp --address 127.0.0.1 --microphone {} --speaker null --gain -6",
        media_core().display(),
        asset("man.wav")
    );
    let mut terminal = Terminal::start(&folder, &line);
    // Each is looked for behind what was found before it, however late this test looks.
    let mut seen = 0;
    let mut shows = |press: &str, wanted: &str| {
        terminal.press(press);
        let begin = Instant::now();
        loop {
            if let Some(at) = terminal.screen.read().get(seen..).and_then(|new| new.find(wanted)) {
                seen += at + wanted.len();
                break;
            }
            assert!(begin.elapsed() < LIMIT, "after {press:?} there is no {wanted:?} in {}", terminal.screen.read());
            sleep(Duration::from_millis(20));
        }
    };
    shows("", "keys: up/down volume");
    shows("", "(-6 dB");
    shows("m", "(muted");
    shows("m", "(-6 dB");
    shows("\x1b[C", "(-3 dB");
    shows("\x1b[A\x1b[A", "(+6 dB");
    shows("h", "hold: offered");
    shows("", "hold: agreed, ");
    shows("h", "resume: agreed, ");
    shows("c", "change to ");
    shows("", "agreed, talking");
    shows("q", "call ended after");
    let (status, screen) = terminal.wait();
    assert!(status.success() && screen.contains("hung up"), "{screen}");
    let other = json(&offerer.wait(LIMIT).success().stdout);
    assert_eq!(other["ended"], "the other side hung up");
    fs::remove_dir_all(folder).unwrap();
}

/// A later offer, pasted into the terminal after the key p.
#[test]
fn a_later_offer_is_pasted() {
    if !there_is_one() {
        return;
    }
    let folder = folder("paste");
    let mut offer = Command::new(media_core());
    offer.current_dir(&folder).args(["offer", "--address", "127.0.0.1", "--null", "--codec", "pcmu", "--hold-at", "2"]);
    offer.args(["--write", "offer.sdp", "--read", "answer.sdp", "--end-after-goodbye", "0.5"]);
    let offerer = Running::start(&mut offer, &folder, "offer");
    let first = read_when_there(&folder.join("offer.sdp"), LIMIT);
    let line = format!("{} answer --write answer.sdp --address 127.0.0.1 --null", media_core().display());
    let mut terminal = Terminal::start(&folder, &line);
    let screen = terminal.screen.clone();
    let until = |told: &dyn Fn() -> bool| {
        let begin = Instant::now();
        while !told() {
            assert!(begin.elapsed() < LIMIT, "{}\n{}", screen.read(), offerer.stderr());
            sleep(Duration::from_millis(20));
        }
    };
    let shows = |what: &str| screen.read().matches(what).count();
    until(&|| shows("Paste the offer") == 1);
    terminal.press(&format!("{}\n", first.replace('\r', "")));
    until(&|| shows("p paste") == 1 && offerer.stderr().contains("hold: offered"));
    terminal.press("p");
    until(&|| shows("Paste the offer or answer") == 1);
    let second = fs::read_to_string(folder.join("offer.sdp")).unwrap();
    terminal.press(&format!("{}\n", second.replace('\r', "")));
    until(&|| shows("they changed the call") == 1 && offerer.stderr().contains("hold: agreed, "));
    assert_eq!(shows("receiving only"), 1);
    // The keys are keys again.
    terminal.press("q");
    assert!(terminal.wait().0.success());
    // After a goodbye on hold it would wait for half a minute.
    offerer.interrupt();
    assert!(offerer.wait(LIMIT).success().stdout.contains("hung up"));
    fs::remove_dir_all(folder).unwrap();
}
