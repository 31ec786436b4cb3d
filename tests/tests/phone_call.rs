//! A desk phone's firmware in QEMU (`examples/qemu-phone`) in calls with the command line: keys and ports by offer and answer, sound
//! both ways, and between two desktops the same call to compare with. All of it is .ci/long's:
//!
//!     cargo test --workspace --test phone_call -- --include-ignored --nocapture --test-threads=1

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
    let core = || {
        let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output().ok()?;
        let libraries = String::from_utf8(libraries.stdout).ok()?;
        let mut files = fs::read_dir(libraries.trim()).ok()?.flatten();
        files.find(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
    };
    let add = || {
        let mut rustup = Command::new("rustup");
        let added = rustup.args(["target", "add", target]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        added.is_ok_and(|status| status.success())
    };
    core().is_some() || add()
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
        }
    }
}

/// What came of it.
struct Outcome {
    folder: PathBuf,
    rate_hz: u32,
    phone: Ended,
    desktop: Ended,
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

/// Carries descriptions from one file to another, each time that one is new, with this port in place of the one in it.
fn carry(from: PathBuf, to: PathBuf, port: u16) {
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
            fs::write(&part, format!("{before}m=audio {port} {behind}")).expect("the test's folder can be written");
            fs::rename(&part, &to).expect("the same");
            carried = text;
        }
    });
}

impl Plan<'_> {
    fn call(&self, test: &str, image: Option<&Path>) -> Outcome {
        let folder = folder(test);
        let rate_hz = rate_of(self.codec);
        let voices = [voice("woman", &folder, rate_hz), voice("man", &folder, rate_hz)];
        let ports = [free_port_pair(), free_port_pair()];
        let _proxy = self.network.map(|(network, seed)| {
            let peers = ports.map(|port| ([127, 0, 0, 1], port).into());
            let proxy = PairedProxy::start(peers, network, seed).unwrap();
            // The second one sends to the proxy's second port, and so to the first one.
            let [near, far] = proxy.ports();
            carry(folder.join("first.sdp"), folder.join("first-there.sdp"), far);
            carry(folder.join("second.sdp"), folder.join("second-there.sdp"), near);
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
            self.asked[0].iter().copied().for_each(&mut add);
            let mut qemu = Command::new("qemu-system-arm");
            qemu.args(["-machine", self.board.machine, "-nographic", "-serial", "none"]);
            qemu.args(["-object", "filter-dump,id=dump,netdev=net0,file=wire.pcap"]);
            qemu.args(["-monitor", "unix:monitor,server=on,wait=off", "-nic"]);
            qemu.arg(format!("user,id=net0,hostfwd=udp:127.0.0.1:{}-10.0.2.15:5004", ports[0]));
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
        let desktop = second.wait(LIMIT).success();
        let phone = first.wait(LIMIT);
        println!("first: {}\nsecond: {}", phone.stdout, desktop.stderr);
        Outcome { folder, rate_hz, phone: phone.success(), desktop }
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
            .map(|(said, heard)| pesq(mode, &self.folder.join(said), &self.folder.join(heard)))
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

#[test]
#[ignore = "the firmware takes a minute to build: .ci/long"]
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

/// The types of service of the IPv4 packets that a capture of Ethernet holds, from this port of UDP.
fn types_of_service(pcap: &[u8], port: u16) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(20)), (0xa1b2_c3d4, 1), "a capture of Ethernet, little-endian");
    let (mut at, mut found) = (24, Vec::new());
    while at + 16 <= pcap.len() {
        let len = word(at + 8) as usize;
        let frame = &pcap[at + 16..at + 16 + len];
        at += 16 + len;
        if len > 36 && frame[12..15] == [0x08, 0x00, 0x45] && frame[23] == 17 && frame[34..36] == port.to_be_bytes() {
            found.push(frame[15]);
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
    let marks = types_of_service(&fs::read(outcome.folder.join("wire.pcap")).unwrap(), 5004);
    assert!(marks.len() > 200 && marks.iter().all(|mark| *mark == 46 << 2), "{} packets", marks.len());
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
        let mut all = Vec::new();
        for seed in 11..11 + pairs() {
            let pair = std::thread::scope(|scope| {
                let phone = scope.spawn(|| call(Side::Phone, seed));
                let desktops = call(Side::Desktop, seed);
                [phone.join().unwrap(), desktops]
            });
            println!("phone-pair | {codec} | {seed} | {pair:.2?} |");
            all.push(pair);
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
