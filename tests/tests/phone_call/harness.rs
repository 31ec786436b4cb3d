//! A call between the firmware in QEMU and the command line, or between two of the latter: what is planned, and what came of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use host_std::simulate::netsim::NetworkConfig;
use host_std::wav::{WavSink, WavSource};
use media_core_tests::paired::PairedProxy;
use media_core_tests::program::{Ended, Running, folder, free_port_pair, installed, media_core};
use media_core_tests::score::{pesq, score};
use media_core_tests::skipped;
use serde_json::Value;

pub(super) const LIMIT: Duration = Duration::from_secs(90);
pub(super) const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets");

/// What the firmware is built for and runs on.
#[derive(Clone, Copy)]
pub(super) struct Board {
    pub(super) machine: &'static str,
    pub(super) target: &'static str,
    pub(super) features: &'static str,
}

/// Cortex-M4F and Cortex-M33.
pub(super) const AN386: Board = Board { machine: "mps2-an386", target: "thumbv7em-none-eabihf", features: "" };
pub(super) const AN505: Board = Board { machine: "mps2-an505", target: "thumbv8m.main-none-eabihf", features: "an505" };

/// Whether the compiler builds for the phone's processor.
pub(super) fn has_target(target: &str) -> bool {
    let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    let Ok(libraries) = libraries else { return false };
    let files = fs::read_dir(String::from_utf8_lossy(&libraries.stdout).trim());
    files.is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-")))
    })
}

/// Whether the compiler's own libraries are here as sources, of which `core` can be built for any processor.
fn has_library_sources() -> bool {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    sysroot.is_ok_and(|path| {
        Path::new(String::from_utf8_lossy(&path.stdout).trim()).join("lib/rustlib/src/rust/library/core").is_dir()
    })
}

/// The firmware of a board; `None` where QEMU or the compiler's target is missing.
pub(super) fn firmware(Board { target, features, .. }: Board) -> Option<PathBuf> {
    // One build at a time.
    static BUILDS: Mutex<()> = Mutex::new(());
    if !installed("qemu-system-arm", "qemu-system-arm") {
        return None;
    }
    let has_target = has_target(target);
    if !has_target && !has_library_sources() {
        skipped::lacks(format_args!("no {target} for the compiler (rustup target add {target})"));
        return None;
    }
    let _one = BUILDS.lock().unwrap();
    // target/PROFILE/deps/TEST
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.ancestors().nth(3).expect("a test lies in target/PROFILE/deps").join("qemu-phone");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/qemu-phone"));
    cargo.args(["build", "--release", "--locked", "--target", target, "--features", features]);
    if !has_target {
        cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Zbuild-std=core", "-Zbuild-std-features=compiler-builtins-mem"]);
    }
    let built = cargo.env("CARGO_TARGET_DIR", &folder).output().expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(folder.join(target).join("release/media-core-qemu-phone"))
}

/// Who takes part in a call, and by which names its files go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Phone,
    Desktop,
}

/// A call that is to be made.
pub(super) struct Plan<'a> {
    pub(super) board: Board,
    pub(super) codec: &'a str,
    pub(super) srtp: bool,
    pub(super) seconds: u32,
    /// Who begins; the other one is always a desktop.
    pub(super) first: Side,
    /// Whether that one answers, and the desktop begins.
    pub(super) answers: bool,
    /// What else each is asked for: the first, and the desktop.
    pub(super) asked: [&'a [&'a str]; 2],
    pub(super) network: Option<(NetworkConfig, u64)>,
    /// What happens to the phone meanwhile: the test's folder, and the port that leads to the phone.
    pub(super) meanwhile: Option<fn(&Path, u16)>,
    /// What becomes of the desktop's descriptions on their way to the phone; with a network only.
    pub(super) rewrite: fn(String) -> String,
    /// In place of voices the phone, the desktop and a third one have steady tones of so many Hz.
    pub(super) tones: Option<[u32; 3]>,
    /// Whether there is a third one, who is called by the phone.
    pub(super) third: bool,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        let asked: [&[&str]; 2] = [&[], &[]];
        Self {
            board: AN386,
            codec: "pcmu",
            srtp: false,
            seconds: 10,
            first: Side::Phone,
            answers: false,
            asked,
            network: None,
            meanwhile: None,
            rewrite: |text| text,
            tones: None,
            third: false,
        }
    }
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) folder: PathBuf,
    pub(super) rate_hz: u32,
    pub(super) phone: Ended,
    pub(super) desktop: Ended,
    pub(super) third: Option<Ended>,
}

pub(super) fn rate_of(codec: &str) -> u32 {
    if codec == "g722" { 16_000 } else { 8_000 }
}

/// One of the voices that the command line carries, at the phone's rate.
pub(super) fn voice(name: &str, folder: &Path, rate_hz: u32) -> String {
    let source = WavSource::open(format!("{ASSETS}/{name}.wav"), rate_hz).unwrap();
    let pcm = source.read_all(dsp_core::time::Duration::from_secs(60)).unwrap();
    let mut sink = WavSink::create(folder.join(format!("{name}.wav")), rate_hz).unwrap();
    sink.write(&pcm).unwrap();
    sink.finish().unwrap();
    format!("{name}.wav")
}

/// A tone of 2 s, at a level of speech.
pub(super) fn tone(name: &str, folder: &Path, rate_hz: u32, hz: u32) -> String {
    let turn = |n: u32| f64::from(n) * f64::from(hz) * std::f64::consts::TAU / f64::from(rate_hz);
    let pcm: Vec<i16> = (0..2 * rate_hz).map(|n| (4_000.0 * turn(n).sin()) as i16).collect();
    let mut sink = WavSink::create(folder.join(format!("{name}.wav")), rate_hz).unwrap();
    sink.write(&pcm).unwrap();
    sink.finish().unwrap();
    format!("{name}.wav")
}

/// Carries descriptions from one file to another, each time that one is new, with this port in place of the one in it.
pub(super) fn carry(from: PathBuf, to: PathBuf, port: u16, rewrite: fn(String) -> String) {
    std::thread::spawn(move || {
        let mut carried = String::new();
        // Until the test has ended and its folder is gone.
        while from.parent().is_some_and(Path::exists) {
            sleep(Duration::from_millis(10));
            let Ok(text) = fs::read_to_string(&from) else { continue };
            if text == carried {
                continue;
            }
            let (before, behind) = text.split_once("m=audio ").expect("a stream of audio");
            let (_, behind) = behind.split_once(' ').expect("a port");
            let part = to.with_extension("part");
            fs::write(&part, rewrite(format!("{before}m=audio {port} {behind}")))
                .expect("the test's folder can be written");
            fs::rename(&part, &to).expect("the same");
            carried = text;
        }
    });
}

impl Plan<'_> {
    pub(super) fn call(&self, test: &str, image: Option<&Path>) -> Outcome {
        // Built before anybody waits for it.
        media_core();
        let folder = folder(test);
        let rate_hz = rate_of(self.codec);
        let voices = match self.tones {
            None => [voice("woman", &folder, rate_hz), voice("man", &folder, rate_hz), String::new()],
            Some(tones) => [0, 1, 2].map(|n| tone(["woman", "man", "child"][n], &folder, rate_hz, tones[n])),
        };
        let ports = [free_port_pair(), free_port_pair()];
        let third_ports = [free_port_pair(), free_port_pair()];
        let _proxy = self.network.map(|(network, seed)| {
            let peers = ports.map(|port| ([127, 0, 0, 1], port).into());
            let proxy = PairedProxy::start(peers, network, seed).unwrap();
            // The second one sends to the proxy's second port, and so to the first one.
            let [near, far] = proxy.ports();
            carry(folder.join("first.sdp"), folder.join("first-there.sdp"), far, |text| text);
            carry(folder.join("second.sdp"), folder.join("second-there.sdp"), near, self.rewrite);
            proxy
        });
        let read =
            |name: &str| if self.network.is_some() { format!("{name}-there.sdp") } else { format!("{name}.sdp") };
        let desktop = |side: usize, own: &str, other: &str| {
            let mut program = Command::new(media_core());
            let answers = (side == 0) == self.answers;
            if answers {
                read_when_there(&folder.join(read(other)));
                program.args(["answer", &read(other), "--write", &format!("{own}.sdp")]);
            } else {
                program.args(["offer", "--write", &format!("{own}.sdp"), "--read", &read(other)]);
            }
            program.args(["--address", "127.0.0.1", "--port", &ports[side].to_string(), "--codec", self.codec]);
            program.args(["--repeat", "--microphone", &voices[side], "--speaker", &format!("{own}.wav"), "--json"]);
            program.args(["--seconds", &self.seconds.to_string()]).args(self.asked[side]);
            if !self.srtp {
                program.arg("--no-srtp");
            }
            Running::start(program.current_dir(&folder), &folder, own)
        };
        let phone = || {
            let mut arguments = String::from("enable=on,target=native,arg=phone");
            let mut add = |argument: &str| arguments += &format!(",arg={argument}");
            add(if self.answers { "role=answer" } else { "role=offer" });
            add(&format!("codec={}", self.codec));
            add(if self.srtp { "srtp=yes" } else { "srtp=no" });
            add(&format!("advertise=127.0.0.1:{}", ports[0]));
            add(&format!("seconds={}", self.seconds));
            add(&format!("write=first.sdp,arg=read={},arg=said={},arg=heard=first.wav", read("second"), voices[0]));
            if self.third {
                let port = third_ports[0];
                add(&format!("third-write=third.sdp,arg=third-read=child.sdp,arg=third-advertise=127.0.0.1:{port}"));
            }
            self.asked[0].iter().copied().for_each(&mut add);
            let mut qemu = Command::new("qemu-system-arm");
            qemu.args(["-machine", self.board.machine, "-nographic", "-serial", "none"]);
            qemu.args(["-object", "filter-dump,id=dump,netdev=net0,file=wire.pcap"]);
            qemu.args(["-monitor", "unix:monitor,server=on,wait=off", "-nic"]);
            let [near, third] =
                [ports[0], third_ports[0]].map(|port| format!("hostfwd=udp:127.0.0.1:{port}-10.0.2.15"));
            qemu.arg(format!("user,id=net0,{near}:5004,{third}:5006"));
            qemu.args(["-semihosting-config", &arguments, "-kernel"]).arg(image.expect("a phone's firmware"));
            Running::start(qemu.current_dir(&folder), &folder, "first")
        };
        let (first, second);
        if self.answers {
            second = desktop(1, "second", "first");
            first = if self.first == Side::Phone { phone() } else { desktop(0, "first", "second") };
        } else {
            first = if self.first == Side::Phone { phone() } else { desktop(0, "first", "second") };
            second = desktop(1, "second", "first");
        }
        if let Some(meanwhile) = self.meanwhile {
            meanwhile(&folder, ports[0]);
        }
        let third = self.third.then(|| {
            read_when_there(&folder.join("third.sdp"));
            let mut program = Command::new(media_core());
            program.args([
                "answer",
                "third.sdp",
                "--write",
                "child.sdp",
                "--address",
                "127.0.0.1",
                "--codec",
                self.codec,
            ]);
            program.args(["--port", &third_ports[1].to_string(), "--repeat", "--microphone", &voices[2], "--json"]);
            program.args(["--speaker", "third.wav", "--seconds", &self.seconds.to_string()]);
            if !self.srtp {
                program.arg("--no-srtp");
            }
            Running::start(program.current_dir(&folder), &folder, "third")
        });
        let desktop = second.wait(LIMIT).success();
        let third = third.map(|third| third.wait(LIMIT).success());
        let phone = first.wait(LIMIT);
        println!("first: {}\nsecond: {}", phone.stdout, desktop.stderr);
        Outcome { folder, rate_hz, phone: phone.success(), desktop, third }
    }
}

/// Waits for a file.
#[track_caller]
pub(super) fn read_when_there(path: &Path) -> String {
    media_core_tests::program::read_when_there(path, LIMIT)
}

impl Outcome {
    /// A number that the phone printed.
    #[track_caller]
    pub(super) fn told(&self, name: &str) -> u64 {
        let line = self.phone.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let line = line.unwrap_or_else(|| panic!("no {name} in {}", self.phone.stdout));
        line.parse().unwrap_or_else(|_| panic!("{name}={line}"))
    }

    /// All lines of this name, in their order.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.phone.stdout.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
    }

    pub(super) fn desktop_json(&self) -> Value {
        serde_json::from_str(&self.desktop.stdout).unwrap_or_else(|_| panic!("{}", self.desktop.stdout))
    }

    pub(super) fn sound(&self, name: &str) -> Vec<i16> {
        let source = WavSource::open(self.folder.join(name), self.rate_hz).unwrap();
        assert_eq!(source.spec().sample_rate, self.rate_hz, "{name}");
        source.read_all(dsp_core::time::Duration::from_secs(600)).unwrap()
    }

    /// How much of what was said is in what was heard: of the phone's voice at the desktop, and the other way round.
    pub(super) fn scores(&self) -> [f64; 2] {
        [("woman.wav", "second.wav"), ("man.wav", "first.wav")].map(|(said, heard)| {
            let said = self.sound(said);
            let found = score(&[&said[..], &said[..]].concat(), &self.sound(heard), self.rate_hz);
            println!("{heard}: {found:?}");
            assert!(found.segments >= 10, "{heard}: {found:?}");
            found.median
        })
    }

    /// The same by PESQ.
    pub(super) fn pesq(&self) -> [f64; 2] {
        let mode = if self.rate_hz == 16_000 { "wb" } else { "nb" };
        [("woman.wav", "second.wav"), ("man.wav", "first.wav")]
            .map(|(said, heard)| pesq(mode, &self.folder.join(said), &self.folder.join(heard), true))
    }

    pub(super) fn end(self) {
        fs::remove_dir_all(self.folder).unwrap();
    }
}

/// What holds of every call: what was sent came, and nothing was odd.
#[track_caller]
pub(super) fn assert_whole(outcome: &Outcome, seconds: u64) {
    let [sent, received] = ["sent", "received"].map(|name| outcome.told(name));
    // At a rate of 50 a second, unless this machine was busy.
    assert!(sent >= 25 * seconds && received >= 25 * seconds, "{sent} packets sent, {received} received");
    for name in ["unencoded", "foreign", "refused packets", "undecodable"] {
        assert_eq!(outcome.told(name), 0, "{name}");
    }
    assert!(outcome.told("reports") >= 1 && outcome.told("reports sent") >= 1);
    let desktop = outcome.desktop_json();
    assert_eq!((&desktop["packets_refused"], &desktop["packets_foreign"]), (&0.into(), &0.into()));
    assert!(desktop["round_trip_ms"].is_number(), "{desktop}");
}

/// Each side hears the other, by a waveform that is this like what was said.
pub(super) fn assert_heard(outcome: &Outcome, least: f64) {
    let scores = outcome.scores();
    assert!(scores.iter().all(|score| *score > least), "{scores:?}");
}
