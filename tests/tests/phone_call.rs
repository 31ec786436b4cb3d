//! A desk phone's firmware in QEMU (`examples/qemu-phone`) in calls with the command line: keys and ports by offer and answer, sound
//! both ways, and between two desktops the same call to compare with. `phone_call_smoke` runs with all tests, the others are .ci/long's:
//!
//!     cargo test --workspace --test phone_call -- --include-ignored --nocapture --test-threads=1

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

const LIMIT: Duration = Duration::from_secs(90);
const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets");

/// What the firmware is built for and runs on.
#[derive(Clone, Copy)]
struct Board {
    machine: &'static str,
    target: &'static str,
    features: &'static str,
}

/// Cortex-M4F and Cortex-M33.
const AN386: Board = Board { machine: "mps2-an386", target: "thumbv7em-none-eabihf", features: "" };
const AN505: Board = Board { machine: "mps2-an505", target: "thumbv8m.main-none-eabihf", features: "an505" };

/// Whether the compiler builds for the phone's processor.
fn has_target(target: &str) -> bool {
    let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    let Ok(libraries) = libraries else { return false };
    let files = fs::read_dir(String::from_utf8_lossy(&libraries.stdout).trim());
    files.is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-")))
    })
}

/// The firmware of a board; `None` where QEMU or the compiler's target is missing.
fn firmware(Board { target, features, .. }: Board) -> Option<PathBuf> {
    // One build at a time.
    static BUILDS: Mutex<()> = Mutex::new(());
    if !installed("qemu-system-arm", "qemu-system-arm") {
        return None;
    }
    if !has_target(target) {
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
    let built = cargo.env("CARGO_TARGET_DIR", &folder).output().expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(folder.join(target).join("release/media-core-qemu-phone"))
}

/// Who takes part in a call, and by which names its files go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Phone,
    Desktop,
}

/// A call that is to be made.
struct Plan<'a> {
    board: Board,
    codec: &'a str,
    srtp: bool,
    seconds: u32,
    /// Who begins; the other one is always a desktop.
    first: Side,
    /// Whether that one answers, and the desktop begins.
    answers: bool,
    /// What else each is asked for: the first, and the desktop.
    asked: [&'a [&'a str]; 2],
    network: Option<(NetworkConfig, u64)>,
    /// What happens to the phone meanwhile: the test's folder, and the port that leads to the phone.
    meanwhile: Option<fn(&Path, u16)>,
    /// What becomes of the desktop's descriptions on their way to the phone; with a network only.
    rewrite: fn(String) -> String,
    /// In place of voices the phone, the desktop and a third one have steady tones of so many Hz.
    tones: Option<[u32; 3]>,
    /// Whether there is a third one, who is called by the phone.
    third: bool,
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
struct Outcome {
    folder: PathBuf,
    rate_hz: u32,
    phone: Ended,
    desktop: Ended,
    third: Option<Ended>,
}

fn rate_of(codec: &str) -> u32 {
    if codec == "g722" { 16_000 } else { 8_000 }
}

/// One of the voices that the command line carries, at the phone's rate.
fn voice(name: &str, folder: &Path, rate_hz: u32) -> String {
    let source = WavSource::open(format!("{ASSETS}/{name}.wav"), rate_hz).unwrap();
    let pcm = source.read_all(dsp_core::time::Duration::from_secs(60)).unwrap();
    let mut sink = WavSink::create(folder.join(format!("{name}.wav")), rate_hz).unwrap();
    sink.write(&pcm).unwrap();
    sink.finish().unwrap();
    format!("{name}.wav")
}

/// A tone of 2 s, at a level of speech.
fn tone(name: &str, folder: &Path, rate_hz: u32, hz: u32) -> String {
    let turn = |n: u32| f64::from(n) * f64::from(hz) * std::f64::consts::TAU / f64::from(rate_hz);
    let pcm: Vec<i16> = (0..2 * rate_hz).map(|n| (4_000.0 * turn(n).sin()) as i16).collect();
    let mut sink = WavSink::create(folder.join(format!("{name}.wav")), rate_hz).unwrap();
    sink.write(&pcm).unwrap();
    sink.finish().unwrap();
    format!("{name}.wav")
}

/// The amplitude of a tone in this.
fn amplitude(pcm: &[i16], hz: u32, rate_hz: u32) -> f64 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, sample) in pcm.iter().enumerate() {
        let turn = n as f64 * f64::from(hz) * std::f64::consts::TAU / f64::from(rate_hz);
        real += f64::from(*sample) * turn.cos();
        imaginary += f64::from(*sample) * turn.sin();
    }
    2.0 * real.hypot(imaginary) / pcm.len() as f64
}

/// Carries descriptions from one file to another, each time that one is new, with this port in place of the one in it.
fn carry(from: PathBuf, to: PathBuf, port: u16, rewrite: fn(String) -> String) {
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
    fn call(&self, test: &str, image: Option<&Path>) -> Outcome {
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
fn read_when_there(path: &Path) -> String {
    media_core_tests::program::read_when_there(path, LIMIT)
}

impl Outcome {
    /// A number that the phone printed.
    #[track_caller]
    fn told(&self, name: &str) -> u64 {
        let line = self.phone.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let line = line.unwrap_or_else(|| panic!("no {name} in {}", self.phone.stdout));
        line.parse().unwrap_or_else(|_| panic!("{name}={line}"))
    }

    /// All lines of this name, in their order.
    fn all(&self, name: &str) -> Vec<&str> {
        self.phone.stdout.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
    }

    fn desktop_json(&self) -> Value {
        serde_json::from_str(&self.desktop.stdout).unwrap_or_else(|_| panic!("{}", self.desktop.stdout))
    }

    fn sound(&self, name: &str) -> Vec<i16> {
        let source = WavSource::open(self.folder.join(name), self.rate_hz).unwrap();
        assert_eq!(source.spec().sample_rate, self.rate_hz, "{name}");
        source.read_all(dsp_core::time::Duration::from_secs(600)).unwrap()
    }

    /// How much of what was said is in what was heard: of the phone's voice at the desktop, and the other way round.
    fn scores(&self) -> [f64; 2] {
        [("woman.wav", "second.wav"), ("man.wav", "first.wav")].map(|(said, heard)| {
            let said = self.sound(said);
            let found = score(&[&said[..], &said[..]].concat(), &self.sound(heard), self.rate_hz);
            println!("{heard}: {found:?}");
            assert!(found.segments >= 10, "{heard}: {found:?}");
            found.median
        })
    }

    /// The same by PESQ.
    fn pesq(&self) -> [f64; 2] {
        let mode = if self.rate_hz == 16_000 { "wb" } else { "nb" };
        [("woman.wav", "second.wav"), ("man.wav", "first.wav")]
            .map(|(said, heard)| pesq(mode, &self.folder.join(said), &self.folder.join(heard), true))
    }

    fn end(self) {
        fs::remove_dir_all(self.folder).unwrap();
    }
}

/// What holds of every call: what was sent came, and nothing was odd.
#[track_caller]
fn assert_whole(outcome: &Outcome, seconds: u64) {
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

/// Ten seconds of a call. It builds the firmware, which takes a minute the first time.
#[test]
fn phone_call_smoke() {
    let Some(image) = firmware(AN386) else { return };
    let outcome = Plan::default().call("phone-smoke", Some(&image));
    assert_whole(&outcome, 10);
    let scores = outcome.scores();
    assert!(scores.iter().all(|score| *score > 0.9), "{scores:?}");
    outcome.end();
}

/// The same on a Cortex-M33.
#[test]
#[ignore = "the firmware takes a minute to build: .ci/long"]
fn phone_call_on_a_cortex_m33() {
    let Some(image) = firmware(AN505) else { return };
    for codec in ["pcmu", "g722"] {
        let plan = Plan { board: AN505, codec, srtp: true, ..Plan::default() };
        let outcome = plan.call(&format!("phone-m33-{codec}"), Some(&image));
        assert_whole(&outcome, 10);
        let scores = outcome.scores();
        assert!(scores.iter().all(|score| *score > 0.9), "{scores:?}");
        outcome.end();
    }
}

/// The IPv4 packets that a capture of Ethernet holds, from this port of UDP.
fn packets_from(pcap: &[u8], port: u16) -> Vec<&[u8]> {
    let word = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(20)), (0xa1b2_c3d4, 1), "a capture of Ethernet, little-endian");
    let (mut at, mut found) = (24, Vec::new());
    while at + 16 <= pcap.len() {
        let len = word(at + 8) as usize;
        let frame = &pcap[at + 16..at + 16 + len];
        at += 16 + len;
        if len > 43 && frame[12..15] == [0x08, 0x00, 0x45] && frame[23] == 17 && frame[34..36] == port.to_be_bytes() {
            found.push(&frame[14..]);
        }
    }
    found
}

/// The desktop begins, the phone rings for two seconds before it answers, and ends when the desktop says goodbye. What it sends is marked.
#[test]
#[ignore = "the firmware takes a minute to build: .ci/long"]
fn phone_call_rings_is_marked_and_ends_with_the_other_side() {
    let Some(image) = firmware(AN386) else { return };
    let asked: [&[&str]; 2] = [&["ring=2", "seconds=40"], &[]];
    let plan = Plan { srtp: true, seconds: 6, answers: true, asked, ..Plan::default() };
    let outcome = plan.call("phone-rings", Some(&image));
    assert_eq!(outcome.all("goodbye"), ["theirs"]);
    let milliseconds = outcome.told("milliseconds");
    assert!((5_000..12_000).contains(&milliseconds), "{milliseconds} ms");
    // The bell: a second, and 2 s of silence.
    let heard = outcome.sound("first.wav");
    let loudest = |from_ms: usize, to_ms: usize| heard[8 * from_ms..8 * to_ms].iter().map(|x| x.unsigned_abs()).max();
    assert!(loudest(100, 900) > Some(3_000) && loudest(1_150, 1_900) == Some(0), "{:?}", loudest(1_150, 1_900));
    let wire = fs::read(outcome.folder.join("wire.pcap")).unwrap();
    let packets = packets_from(&wire, 5004);
    assert!(packets.len() > 200 && packets.iter().all(|packet| packet[1] == 46 << 2), "{} packets", packets.len());
    outcome.end();
}

/// Seconds of what was heard.
fn seconds(heard: &[i16], rate_hz: u32, from: f64, to: f64) -> &[i16] {
    let at = |seconds: f64| ((seconds * f64::from(rate_hz)) as usize).min(heard.len());
    &heard[at(from)..at(to)]
}

fn loudest(pcm: &[i16]) -> u16 {
    pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
}

/// The longest silence, in seconds.
fn longest_silence(pcm: &[i16], rate_hz: u32) -> f64 {
    let mut longest = 0;
    let mut silent = 0;
    for sample in pcm {
        silent = if sample.unsigned_abs() < 30 { silent + 1 } else { 0 };
        longest = longest.max(silent);
    }
    f64::from(longest) / f64::from(rate_hz)
}

/// The user lifts the receiver when it rings, goes on over the loudspeaker and puts it down, mutes the microphone for 3 s, takes the
/// receiver again, and hangs up by it.
#[test]
#[ignore = "a call of 15 s in real time: .ci/long"]
fn phone_call_by_hook_switch_and_keys() {
    let Some(image) = firmware(AN386) else { return };
    let phone: &[&str] = &[
        "user=lift@2",
        "user=speaker@5",
        "user=put-down@7",
        "user=mute@8",
        "user=mute@11",
        "user=lift@13",
        "user=put-down@16",
        "loud=loud.wav",
        "seconds=40",
    ];
    let tones = Some([400, 700, 1_100]);
    let plan = Plan { seconds: 18, answers: true, asked: [phone, &[]], tones, ..Plan::default() };
    let outcome = plan.call("phone-hook", Some(&image));
    // It rings over the loudspeaker, too.
    assert_eq!(outcome.all("path"), ["speaker", "handset", "speaker", "handset"]);
    // Not when the receiver was put down beside the loudspeaker, but at 16 s and the time of a flash.
    assert_eq!(outcome.all("goodbye"), ["ours"]);
    let milliseconds = outcome.told("milliseconds");
    assert!((14_000..20_000).contains(&milliseconds), "{milliseconds} ms");
    let (handset, speaker) = (outcome.sound("first.wav"), outcome.sound("loud.wav"));
    assert_eq!(handset.len(), speaker.len());
    let voiced = |heard: &[i16], from, to| loudest(seconds(heard, outcome.rate_hz, from, to));
    assert!(voiced(&speaker, 0.1, 0.9) > 3_000 && voiced(&handset, 0.0, 1.9) == 0, "the bell");
    assert!(voiced(&handset, 2.5, 4.9) > 3_000 && voiced(&speaker, 2.2, 4.9) == 0, "by the receiver");
    assert!(voiced(&speaker, 5.3, 12.8) > 3_000 && voiced(&handset, 5.3, 12.8) == 0, "over the loudspeaker");
    assert!(voiced(&handset, 13.5, 16.0) > 3_000 && voiced(&speaker, 13.3, 16.0) == 0, "by the receiver again");
    // What the microphone hears is sent but for 3 s.
    let there = outcome.sound("second.wav");
    let silent = longest_silence(seconds(&there, outcome.rate_hz, 2.0, 14.0), outcome.rate_hz);
    assert!((2.7..3.3).contains(&silent), "{silent} s of silence");
    outcome.end();
}

/// A codec chip whose clock is slow by 500 ppm: both ways are resampled, and its drift is found.
#[test]
#[ignore = "a call of 40 s in real time: .ci/long"]
fn phone_call_follows_a_codec_chip_whose_clock_is_its_own() {
    let Some(image) = firmware(AN386) else { return };
    for codec in ["pcmu", "g722"] {
        let plan = Plan { codec, seconds: 40, asked: [&["drift=500"], &[]], ..Plan::default() };
        let outcome = plan.call(&format!("phone-drift-{codec}"), Some(&image));
        assert_whole(&outcome, 40);
        // It's followed with a time constant of 50 s.
        let drift = outcome.told("drift, ppb");
        assert!((100_000..=500_000).contains(&drift), "{drift} ppb");
        let scores = outcome.scores();
        assert!(scores.iter().all(|score| *score > 0.9), "{scores:?}");
        outcome.end();
    }
}

/// The phone calls a third one and takes them into the call: each hears the two others, and afterwards it goes on between two.
#[test]
#[ignore = "calls of 16 s in real time: .ci/long"]
fn phone_call_of_three() {
    let Some(image) = firmware(AN386) else { return };
    for codec in ["pcmu", "g722"] {
        let asked: [&[&str]; 2] = [&["user=join@3", "user=join@12"], &[]];
        let tones = [400, 700, 1_100];
        let plan = Plan { codec, srtp: true, seconds: 16, asked, tones: Some(tones), third: true, ..Plan::default() };
        let outcome = plan.call(&format!("phone-three-{codec}"), Some(&image));
        assert_eq!(outcome.all("third"), ["joined", "left"]);
        assert!(outcome.told("third sent") > 200 && outcome.told("third received") > 200);
        assert!(outcome.third.is_some());
        // Theirs begins when they are called.
        let heard = [("first.wav", 6.0, 11.0), ("second.wav", 6.0, 11.0), ("third.wav", 2.0, 7.0)];
        for (own, (name, from, to)) in heard.into_iter().enumerate() {
            let heard = outcome.sound(name);
            let part = seconds(&heard, outcome.rate_hz, from, to);
            for (who, hz) in tones.into_iter().enumerate() {
                let level = amplitude(part, hz, outcome.rate_hz);
                println!("{name}: {hz} Hz at {level:.0}");
                assert!(if who == own { level < 200.0 } else { level > 2_000.0 }, "{name}: {hz} Hz at {level}");
            }
        }
        let heard = outcome.sound("first.wav");
        let alone = tones.map(|hz| amplitude(seconds(&heard, outcome.rate_hz, 13.0, 15.0), hz, outcome.rate_hz));
        assert!(alone[0] < 200.0 && alone[1] > 2_000.0 && alone[2] < 200.0, "{alone:?}");
        outcome.end();
    }
}

/// The desktop's later offer asks for packets of 40 ms.
#[test]
#[ignore = "a call of 10 s in real time: .ci/long"]
fn phone_call_takes_another_packet_length_from_a_later_offer() {
    let Some(image) = firmware(AN386) else { return };
    let longer = |text: String| {
        let later = text.contains("x-media-core:offer") && text.contains("a=sendrecv");
        if later { text.replace("a=ptime:20", "a=ptime:40") } else { text }
    };
    let desktop: &[&str] = &["--hold-at", "3", "--resume-at", "5"];
    let network = Some((NetworkConfig::default(), 1));
    let plan = Plan { asked: [&[], desktop], network, rewrite: longer, ..Plan::default() };
    let outcome = plan.call("phone-ptime", Some(&image));
    assert!(outcome.all("refused").is_empty());
    let wire = fs::read(outcome.folder.join("wire.pcap")).unwrap();
    // UDP's payload, of sound: reports are no such lengths.
    let lengths = packets_from(&wire, 5004).into_iter().map(|packet| u16::from_be_bytes([packet[24], packet[25]]) - 8);
    let lengths: Vec<_> = lengths.filter(|length| [12 + 160, 12 + 320].contains(length)).collect();
    let first_long = lengths.iter().position(|length| *length == 332).expect("packets of 40 ms");
    let (short, long) = lengths.split_at(first_long);
    assert!(short.len() > 75 && short.iter().all(|length| *length == 172), "{short:?}");
    assert!(long.len() > 50 && long.iter().all(|length| *length == 332), "{long:?}");
    let scores = outcome.scores();
    assert!(scores.iter().all(|score| *score > 0.9), "{scores:?}");
    outcome.end();
}

/// The desktop begins, both press keys, each puts the other on hold, and the phone takes another SSRC: over a network that loses 3 %
/// and delays each packet by a mean of 30 ms more or less.
#[test]
#[ignore = "two minutes of calls in real time: .ci/long"]
fn phone_call_with_all_that_happens_in_one() {
    let Some(image) = firmware(AN386) else { return };
    let bad = NetworkConfig { loss_percent: 3.0, jitter_ms: 30.0, ..NetworkConfig::default() };
    for (codec, answers) in [("pcmu", true), ("g722", false)] {
        let phone: &[&str] = &["keys=147#@3", "source-at=18", "hold-at=21", "resume-at=24"];
        let desktop: &[&str] = &["--dtmf", "2589*@5", "--hold-at", "10", "--resume-at", "14"];
        let plan = Plan {
            codec,
            srtp: true,
            seconds: 30,
            answers,
            asked: [phone, desktop],
            network: Some((bad, 7)),
            ..Plan::default()
        };
        let outcome = plan.call(&format!("phone-all-{codec}"), Some(&image));
        let [sent, received] = ["sent", "received"].map(|name| outcome.told(name));
        assert!(sent > 600 && received > 500, "{sent} sent, {received} received");
        assert_eq!(outcome.all("key"), ["2", "5", "8", "9", "*"]);
        let changes: Vec<Vec<&str>> = outcome.all("direction").iter().map(|line| line.split(' ').collect()).collect();
        let names: Vec<_> = changes.iter().map(|words| words[0]).collect();
        assert_eq!(names, ["recvonly", "sendrecv", "sendonly", "sendrecv"]);
        // Who is on hold sends nothing but a report, whichever side it is.
        let between = |word: usize, change: usize| {
            let [before, behind] = [change, change + 1].map(|at| changes[at][word].parse::<u64>().unwrap());
            behind - before
        };
        assert!(between(1, 0) <= 3, "{changes:?}");
        assert!(between(2, 2) <= 20, "{changes:?}");
        for name in ["unencoded", "foreign", "refused packets", "undecodable"] {
            assert_eq!(outcome.told(name), 0, "{name}");
        }
        assert!(outcome.told("lost") > 10, "the network has lost something");
        let desktop = outcome.desktop_json();
        let digits: Vec<_> = desktop["digits"].as_array().unwrap().iter().map(|digit| &digit["digit"]).collect();
        assert_eq!(digits, ["1", "4", "7", "#"]);
        assert_eq!((&desktop["ssrc_changes"], &desktop["packets_refused"]), (&1.into(), &0.into()));
        assert!(desktop["protection"].as_str().is_some_and(|words| words.contains("AES_CM_128_HMAC_SHA1_80")));
        for words in ["hold: agreed, ", "resume: agreed, ", "they changed the call: "] {
            assert!(outcome.desktop.stderr.contains(words), "{words}: {}", outcome.desktop.stderr);
        }
        let scores = outcome.scores();
        assert!(scores.iter().all(|score| *score > 0.8), "{scores:?}");
        outcome.end();
    }
}

/// Mean of these, and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// How many pairs of calls are compared, for each codec: `MEDIA_CORE_PHONE_PAIRS`, or as many as tell a tenth.
fn pairs() -> u64 {
    std::env::var("MEDIA_CORE_PHONE_PAIRS").map_or(12, |pairs| pairs.parse().expect("a number of pairs"))
}

/// What both sides hear of 30 s over a bad network, by PESQ, beside the same call between two desktops: no more than 0.1 worse.
///
/// Both calls of a pair run at the same time, and the same packets of the same speech are lost and late in both. What is compared is the
/// difference within the pairs: from pair to pair the scores differ by some tenths, by what of the speech is lost.
#[test]
#[ignore = "24 pairs of calls of 30 s in real time, and PESQ: .ci/long"]
fn phone_call_sounds_as_between_two_desktops() {
    let Some(image) = firmware(AN386) else { return };
    let bad = NetworkConfig { loss_percent: 3.0, jitter_ms: 30.0, ..NetworkConfig::default() };
    for codec in ["pcmu", "g722"] {
        let call = |side: Side, seed: u64| {
            let who = if side == Side::Phone { "phone" } else { "desktop" };
            let network = Some((bad, seed));
            let plan = Plan { codec, srtp: true, seconds: 30, first: side, network, ..Plan::default() };
            let outcome = plan.call(&format!("phone-pesq-{codec}-{who}-{seed}"), Some(&image));
            let heard = outcome.pesq();
            outcome.end();
            heard
        };
        let pair = |seed: u64| {
            std::thread::scope(|scope| {
                let phone = scope.spawn(|| call(Side::Phone, seed));
                let desktops = call(Side::Desktop, seed);
                [phone.join().unwrap(), desktops]
            })
        };
        let seeds: Vec<u64> = (11..11 + pairs()).collect();
        let mut all = Vec::new();
        // Two pairs at once: more would be a test of this machine.
        for seeds in seeds.chunks(2) {
            let pairs: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = seeds.iter().map(|seed| scope.spawn(|| pair(*seed))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for (seed, pair) in seeds.iter().zip(pairs) {
                println!("phone-pair | {codec} | {seed} | {pair:.2?} |");
                all.push(pair);
            }
        }
        // What the other side hears of the phone, what the phone hears, and both.
        let differences = |side: usize| all.iter().map(move |[phone, desktops]| phone[side] - desktops[side]);
        let [there, here] = [0, 1].map(|side| mean(&differences(side).collect::<Vec<_>>()));
        let (difference, error) =
            mean(&differences(0).zip(differences(1)).map(|(a, b)| (a + b) / 2.0).collect::<Vec<_>>());
        let [phone, desktops] =
            [0, 1].map(|which| mean(all.iter().flat_map(|pair| pair[which]).collect::<Vec<_>>().as_slice()).0);
        println!(
            "phone-row | {codec} | {} | {phone:.2} | {desktops:.2} | {difference:+.2} ({error:.2}) | {:+.2} ({:.2}) | {:+.2} ({:.2}) |",
            all.len(),
            there.0,
            there.1,
            here.0,
            here.1
        );
        assert!(difference + 2.0 * error > -0.1, "{codec}: {difference:.3}, standard error {error:.3}");
    }
}

/// A command to the emulator.
#[cfg(unix)]
fn tell_emulator(folder: &Path, command: &str) {
    use std::io::Write;
    let mut monitor = std::os::unix::net::UnixStream::connect(folder.join("monitor")).unwrap();
    writeln!(monitor, "{command}").unwrap();
    // It is read, and carried out, before the next one of ours.
    sleep(Duration::from_millis(200));
}

/// Garbage at ten times the rate of a call and then as fast as can be, packets of another call, a link that is gone for 3 s: the phone
/// goes on, says each once, and is heard and hears afterwards as before.
#[cfg(unix)]
#[test]
#[ignore = "a call of 30 s in real time: .ci/long"]
fn phone_call_outlives_garbage_floods_and_a_link_that_is_lost() {
    let Some(image) = firmware(AN386) else { return };
    let meanwhile = |folder: &Path, port: u16| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut state = 7u32;
        let mut send = |packets: u32, a_second: u32| {
            let begin = std::time::Instant::now();
            for n in 0..packets {
                let mut bytes = [0; 172];
                bytes.fill_with(|| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                });
                // Half of them look like packets of sound.
                if n % 2 == 0 {
                    bytes[..2].copy_from_slice(&[0x80, 0]);
                }
                socket.send_to(&bytes, ("127.0.0.1", port)).unwrap();
                let due = Duration::from_secs(1) * (n + 1) / a_second;
                sleep(due.saturating_sub(begin.elapsed()));
            }
        };
        sleep(Duration::from_secs(5));
        send(2_000, 500);
        sleep(Duration::from_secs(2));
        send(10_000, 5_000);
        sleep(Duration::from_secs(3));
        tell_emulator(folder, "set_link net0 off");
        sleep(Duration::from_secs(3));
        tell_emulator(folder, "set_link net0 on");
    };
    let plan = Plan { srtp: true, seconds: 30, meanwhile: Some(meanwhile), ..Plan::default() };
    let outcome = plan.call("phone-faults", Some(&image));
    assert_eq!(outcome.all("link down"), ["begins", "over"]);
    let strangers = outcome.all("strangers");
    assert!(strangers.len() >= 2 && strangers.chunks(2).all(|one| one == ["begins", "over"]), "{strangers:?}");
    let silences = outcome.all("silence");
    assert!(silences.len() >= 2 && silences.chunks(2).all(|one| one == ["begins", "over"]), "{silences:?}");
    // Once for each flood: where this machine is busy a flood may come in pieces.
    let floods = outcome.all("flood");
    assert!(floods.len() >= 2 && floods.chunks(2).all(|flood| flood == ["begins", "over"]), "{floods:?}");
    assert_eq!(outcome.told("undecodable"), 0);
    let [foreign, refused] = ["foreign", "refused packets"].map(|name| outcome.told(name));
    assert!(foreign > 1_000 && refused > 1_000, "{foreign} foreign, {refused} refused");
    // 3 s of 30 are missing, and what the flood has pushed out of the queues.
    let received = outcome.told("received");
    assert!(received > 700, "{received} packets came");
    let [there, here] = [outcome.sound("second.wav"), outcome.sound("first.wav")];
    for (name, heard) in [("desktop", there), ("phone", here)] {
        let last = &heard[22 * outcome.rate_hz as usize..];
        let voice = if name == "desktop" { "woman.wav" } else { "man.wav" };
        let said = outcome.sound(voice);
        let found = score(&[&said[..], &said[..]].concat(), last, outcome.rate_hz);
        println!("{name} afterwards: {found:?}");
        assert!(found.median > 0.9 && found.segments >= 5, "{name}: {found:?}");
    }
    outcome.end();
}
