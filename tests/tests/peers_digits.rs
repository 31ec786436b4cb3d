//! Digits both ways with phones that nobody here wrote, as telephone events (RFC 4733), through a relay that loses a tenth
//! of the packets each way: none lost, none doubled.
//!
//! A phone that isn't installed is skipped with a word; with `MEDIA_CORE_REQUIRE=1` or `MEDIA_CORE_PEERS=1` it's a failure.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use dsp_core::tone::EventCode;
use host_std::wav::WavSink;
use media_core_tests::program::{Running, folder, free_port_pair, media_core, read_when_there};
use media_core_tests::skipped;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");
/// What we press, and what the phone does.
const OURS: &str = "147*2580369#";
const THEIRS: &str = "9#0*5512";

/// Whether something is there; see [`skipped::lacks_peer`].
fn is_there(there: bool, what: &str) -> bool {
    if !there {
        skipped::lacks_peer(what);
    }
    there
}

/// Carries packets between us and the phone under ports of its own, and loses one in ten each way.
struct Relay {
    /// Where the phone is for us, and we are for the phone.
    ports: [u16; 2],
    stop: Arc<AtomicBool>,
    /// What came of each side, us first, and what of that was passed on: the names of events, in their order.
    came: Seen,
    passed: Seen,
}

/// An event by its timestamp and its code.
type Event = (u32, u8);
/// The events of each side.
type Seen = [Arc<Mutex<Vec<Event>>>; 2];

/// Adds the event of a packet, if it is one that was not there yet.
fn note(events: &Mutex<Vec<Event>>, packet: &[u8]) {
    // A header without contributing sources, and one report.
    if packet.len() != 16 || packet[0] != 0x80 || packet[1] & 0x7f < 96 || packet[12] > 16 || packet[13] & 0x40 != 0 {
        return;
    }
    let event = (u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]), packet[12]);
    let mut events = events.lock().unwrap();
    if !events.contains(&event) {
        events.push(event);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Relay {
    /// `ends`: our port, and the phone's once it is known.
    /// `lost`: of ten packets each way.
    fn begin(ours: u16, phone: Arc<Mutex<Option<u16>>>, lost: u64) -> Self {
        let sockets = [(); 2].map(|()| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            socket
        });
        let ports = sockets.each_ref().map(|socket| socket.local_addr().unwrap().port());
        let (came, passed) = (Seen::default(), Seen::default());
        let stop = Arc::new(AtomicBool::new(false));
        for (side, seed) in [(0, 11_u64), (1, 29)] {
            let (from, to) = (sockets[side].try_clone().unwrap(), sockets[1 - side].try_clone().unwrap());
            let (stop, phone) = (stop.clone(), phone.clone());
            let (came, passed) = (came[side].clone(), passed[side].clone());
            thread::spawn(move || {
                let (mut bytes, mut random) = ([0; 2_000], seed);
                while !stop.load(Ordering::Relaxed) {
                    let Ok((len, _)) = from.recv_from(&mut bytes) else { continue };
                    note(&came, &bytes[..len]);
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    // What we sent goes to the phone from where it knows us, and the other way round.
                    let port = if side == 0 { *phone.lock().unwrap() } else { Some(ours) };
                    if let Some(port) = port.filter(|_| (random >> 33) % 10 >= lost) {
                        note(&passed, &bytes[..len]);
                        let _ = to.send_to(&bytes[..len], SocketAddr::from(([127, 0, 0, 1], port)));
                    }
                }
            });
        }
        Self { ports, stop, came, passed }
    }

    /// The events of a side, us first, as the relay saw them: those that came, and those of which a packet was passed on.
    fn seen(&self, side: usize) -> [String; 2] {
        [&self.came, &self.passed].map(|events| {
            let events = events[side].lock().unwrap();
            events.iter().map(|&(_, code)| host_std::session::sign(EventCode(code))).collect()
        })
    }
}

/// The port of the `m=` line, and the description with another.
fn with_port(sdp: &str, port: u16) -> (u16, String) {
    let line = sdp.lines().find(|line| line.starts_with("m=audio ")).unwrap_or_else(|| panic!("{sdp}"));
    let own = line.split(' ').nth(1).unwrap();
    let other = line.replacen(own, &port.to_string(), 1);
    // RTCP would go past the relay.
    let lines = sdp.lines().filter(|line| !line.starts_with("a=rtcp:"));
    let lines: Vec<_> = lines.map(|text| if text == line { other.as_str() } else { text }).collect();
    (own.parse().unwrap(), lines.join("\r\n") + "\r\n")
}

fn put(path: &Path, text: &str) {
    let part = path.with_extension("part");
    fs::write(&part, text).unwrap();
    fs::rename(part, path).unwrap();
}

/// Calls the phone at this SIP port with this codec, through a relay; we press [`OURS`] 2 s after the beginning. `act` runs
/// once both sides talk. What we heard, and the clock of the events that were agreed on in Hz.
fn call(folder: &Path, phone_port: u16, codec: &[&str], act: impl FnOnce()) -> (String, u32) {
    call_through(folder, phone_port, codec, 1, "event", act)
}

/// The same with so many of ten packets lost, and with digits that all come from this source.
fn call_through(
    folder: &Path,
    phone_port: u16,
    codec: &[&str],
    lost: u64,
    source: &str,
    act: impl FnOnce(),
) -> (String, u32) {
    let mut sink = WavSink::create(folder.join("said.wav"), 8_000).unwrap();
    let pcm: Vec<_> = (0..16_000).map(|n| (3_000.0 * (f64::from(n) * 0.35).sin()) as i16).collect();
    sink.write(&pcm).unwrap();
    sink.finish().unwrap();
    let mut ours = Command::new(media_core());
    ours.current_dir(folder).args(["offer", "--write", "ours.sdp", "--read", "answer.sdp", "--address", "127.0.0.1"]);
    ours.args(["--microphone", "said.wav", "--repeat", "--speaker", "null", "--no-srtp", "--seconds", "11", "--json"]);
    ours.args(["--dtmf", &format!("{OURS}@2"), "--codec"]).args(codec);
    let ours = Running::start(&mut ours, folder, "media-core");
    let offer = read_when_there(&folder.join("ours.sdp"), LIMIT);
    let (own, _) = with_port(&offer, 0);
    let phone = Arc::new(Mutex::new(None));
    let relay = Relay::begin(own, phone.clone(), lost);
    put(&folder.join("offer.sdp"), &with_port(&offer, relay.ports[1]).1);
    let mut leg = Command::new("python3");
    leg.current_dir(folder).arg(format!("{SCRIPTS}/leg.py"));
    leg.args([&free_port_pair().to_string(), &phone_port.to_string(), "offer.sdp", "theirs.sdp"]);
    let (leg, _stdin) = Running::start_with_stdin(&mut leg, folder, "leg");
    let answer = read_when_there(&folder.join("theirs.sdp"), LIMIT);
    let (their_port, answer) = with_port(&answer, relay.ports[0]);
    *phone.lock().unwrap() = Some(their_port);
    put(&folder.join("answer.sdp"), &answer);
    println!("{answer}");
    let begin = Instant::now();
    while !ours.stderr().contains("talking with") {
        assert!(begin.elapsed() < LIMIT, "{}\n{}", ours.stderr(), leg.stderr());
        sleep(Duration::from_millis(10));
    }
    act();
    let ended = ours.wait(LIMIT).success();
    println!("{}", ended.stderr);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    println!("{}", json["digits"]);
    // What it never sent, or what the relay lost all packets of, is nobody's fault who hears.
    for (side, name) in ["we", "the phone"].into_iter().enumerate() {
        let [came, passed] = relay.seen(side);
        println!("{name} sent {came}, of which {passed} were passed on");
    }
    assert!(lost == 0 || json["packets_lost"].as_u64().unwrap() > 10, "the relay loses: {json}");
    let digits = json["digits"].as_array().unwrap();
    assert!(digits.iter().all(|digit| digit["source"] == source), "{json}");
    let clock = answer.lines().find_map(|line| line.split("telephone-event/").nth(1)).map(|hz| hz.trim().parse());
    (digits.iter().map(|digit| digit["digit"].as_str().unwrap()).collect(), clock.unwrap().unwrap())
}

/// A Python that has pjsua2, if there is one.
fn python_with_pjsua2() -> Option<String> {
    let python = std::env::var("MEDIA_CORE_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut import = Command::new(&python);
    import.args(["-c", "import pjsua2"]).stdout(Stdio::null()).stderr(Stdio::null());
    let there = import.status().is_ok_and(|status| status.success());
    is_there(there, "no pjsua2 (pip install pjsua2-python)").then_some(python)
}

fn pjsip(codec: &str, ours: &[&str], clock_hz: u32) {
    let Some(python) = python_with_pjsua2() else { return };
    media_core();
    let folder = folder(&format!("pjsip-digits-{}", ours[0]));
    let port = free_port_pair();
    let mut phone = Command::new(&python);
    phone.current_dir(&folder).arg(format!("{SCRIPTS}/pjsua2_phone.py"));
    phone.args([&port.to_string(), "--codec", codec, "--digits", THEIRS, "--digits-at", "2", "--hang-up", "8"]);
    let phone = Running::start(&mut phone, &folder, "phone");
    sleep(Duration::from_secs(2));
    let (heard, clock) = call(&folder, port, ours, || {});
    let ended = phone.wait(LIMIT);
    let its: String = ended.stdout.lines().filter_map(|line| line.strip_prefix("digit ")).collect();
    assert_eq!((heard.as_str(), its.as_str(), clock), (THEIRS, OURS, clock_hz), "{ended:?}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn digits_with_a_phone_of_pjsip_at_8_khz() {
    pjsip("PCMU", &["pcmu"], 8_000);
}

#[test]
fn digits_with_a_phone_of_pjsip_beside_g722() {
    pjsip("G722", &["g722"], 8_000);
}

/// Its wheel has no other codec of a faster clock that we have too.
#[test]
fn digits_with_a_phone_of_pjsip_at_44_khz() {
    pjsip("L16/44100/1", &["l16", "--rate", "44100", "--ptime", "10"], 44_100);
}

/// Its own tones in the sound, without losses: what it sends is heard, beside events that were agreed on.
#[test]
fn tones_of_a_phone_of_pjsip_are_digits() {
    let Some(python) = python_with_pjsua2() else { return };
    media_core();
    let folder = folder("pjsip-tones");
    let port = free_port_pair();
    let mut phone = Command::new(&python);
    phone.current_dir(&folder).arg(format!("{SCRIPTS}/pjsua2_phone.py")).arg(port.to_string());
    phone.args(["--codec", "PCMU", "--digits", THEIRS, "--in-band", "--digits-at", "2", "--hang-up", "8"]);
    let phone = Running::start(&mut phone, &folder, "phone");
    sleep(Duration::from_secs(2));
    let (heard, _) = call_through(&folder, port, &["pcmu", "--hear-tones", "us"], 0, "in-band", || {});
    let ended = phone.wait(LIMIT);
    assert_eq!(heard, THEIRS, "{ended:?}");
    fs::remove_dir_all(folder).unwrap();
}

fn baresip(codec: &str, account: &str, ours: &[&str], clock_hz: u32) {
    let program = "/usr/bin/baresip";
    if !is_there(Path::new(program).exists(), "no baresip (apt-get install baresip-core)") {
        return;
    }
    media_core();
    let folder = folder(&format!("baresip-digits-{codec}"));
    let [sip, control, rtp] = [free_port_pair(), free_port_pair(), free_port_pair()];
    let here: PathBuf = folder.clone();
    // It converts nothing without its module for that, which Debian has in another package.
    let (rate_hz, channels) = if codec == "opus" { (48_000, 2) } else { (8_000, 1) };
    let mut sink = WavSink::create_with(here.join("peer.wav"), rate_hz, channels).unwrap();
    sink.write(&vec![0; 10 * rate_hz as usize * usize::from(channels)]).unwrap();
    sink.finish().unwrap();
    let mut config = format!(
        "sip_listen 127.0.0.1:{sip}\naudio_player aubridge,sink\naudio_source aufile,{}/peer.wav\n\
         audio_alert aubridge,alert\nrtp_ports {rtp}-{}\nctrl_tcp_listen 127.0.0.1:{control}\n\
         module_path /usr/lib/baresip/modules\n",
        here.display(),
        rtp + 1
    );
    for module in ["g711", "opus", "aufile", "aubridge"] {
        config += &format!("module {module}.so\n");
    }
    config += "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n";
    fs::write(folder.join("config"), config).unwrap();
    let account = format!("<sip:peer@127.0.0.1:{sip}>;regint=0;answermode=auto;audio_codecs={account};ptime=20\n");
    fs::write(folder.join("accounts"), account).unwrap();
    fs::write(folder.join("contacts"), "").unwrap();
    let phone = Running::start(Command::new(program).arg("-f").arg(&folder), &folder, "baresip");
    let begin = Instant::now();
    let control = loop {
        match TcpStream::connect(("127.0.0.1", control)) {
            Ok(control) => break control,
            Err(error) => assert!(begin.elapsed() < LIMIT, "{error}: {}", phone.stderr()),
        }
        sleep(Duration::from_millis(50));
    };
    // What it says has to be read all the time, or it stops.
    let mut told = control.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let (mut all, mut part) = (String::new(), [0; 65_536]);
        while let Ok(len @ 1..) = told.read(&mut part) {
            all += &String::from_utf8_lossy(&part[..len]);
        }
        all
    });
    let mut keys = control.try_clone().unwrap();
    let (heard, clock) = call(&folder, sip, ours, || {
        sleep(Duration::from_secs(2));
        for sign in THEIRS.chars() {
            let json = format!(r#"{{"command":"sndcode","params":"{sign}"}}"#);
            keys.write_all(format!("{}:{json},", json.len()).as_bytes()).unwrap();
            sleep(Duration::from_millis(400));
        }
    });
    drop(phone);
    drop(control);
    drop(keys);
    let said = reader.join().unwrap();
    println!("{said}");
    let starts = said.split("\"type\":\"CALL_DTMF_START\"").skip(1);
    let its: String = starts
        .filter_map(|rest| rest.split("\"param\":\"").nth(1)?.chars().next())
        .filter(|sign| *sign != '"')
        .collect();
    assert_eq!((heard.as_str(), its.as_str(), clock), (THEIRS, OURS, clock_hz), "{said}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn digits_with_baresip_at_8_khz() {
    baresip("pcmu", "PCMU/8000/1", &["pcmu"], 8_000);
}

#[test]
fn digits_with_baresip_beside_opus() {
    // It has events at 8 kHz alone, which we offer for the sake of G.711.
    baresip("opus", "opus/48000/2", &["opus,pcmu"], 8_000);
}

fn linphone(codec: &str, ours: &[&str], clock_hz: u32) {
    let program = "/usr/bin/linphonec";
    if !is_there(Path::new(program).exists(), "no linphonec (apt-get install linphone-cli)") {
        return;
    }
    media_core();
    let folder = folder(&format!("linphone-digits-{codec}"));
    let [sip, rtp] = [free_port_pair(), free_port_pair()];
    for own in [".local/share/linphone", ".config/linphone"] {
        fs::create_dir_all(folder.join(own)).unwrap();
    }
    let mut sink = WavSink::create(folder.join("peer.wav"), 8_000).unwrap();
    sink.write(&vec![0; 80_000]).unwrap();
    sink.finish().unwrap();
    let config = format!(
        "[sip]\nsip_port={sip}\nsip_tcp_port=0\nsip_tls_port=0\nbind_address=127.0.0.1\nguess_hostname=0\n\
         contact=sip:peer@127.0.0.1:{sip}\nmedia_encryption=none\nuse_rfc2833=1\nuse_info=0\n[rtp]\naudio_rtp_port={rtp}\n\
         [sound]\nechocancellation=0\n"
    );
    fs::write(folder.join("linphonerc"), config).unwrap();
    let mut phone = Command::new(program);
    phone.env("HOME", &folder).current_dir(&folder).args(["-a", "-c", "linphonerc"]);
    let (phone, mut stdin) = Running::start_with_stdin(&mut phone, &folder, "linphone");
    let here = folder.display();
    let mut type_in = |line: &str| writeln!(stdin, "{line}").unwrap();
    type_in(&format!("soundcard use files {here}/peer.wav"));
    let begin = Instant::now();
    while UdpSocket::bind(("127.0.0.1", sip)).is_ok() {
        assert!(begin.elapsed() < LIMIT, "linphonec doesn't listen: {}", phone.stderr());
        sleep(Duration::from_millis(50));
    }
    sleep(Duration::from_secs(2));
    let (heard, clock) = call(&folder, sip, ours, || {
        type_in(&format!("play {here}/peer.wav"));
        sleep(Duration::from_secs(2));
        // It takes a second for each.
        for sign in THEIRS.chars() {
            type_in(&sign.to_string());
            sleep(Duration::from_millis(400));
        }
    });
    type_in("terminate");
    type_in("quit");
    let ended = phone.wait(LIMIT);
    let its: String =
        ended.stdout.lines().filter_map(|line| line.split("Receiving tone ").nth(1)?.chars().next()).collect();
    assert_eq!((heard.as_str(), its.as_str(), clock), (THEIRS, OURS, clock_hz), "{ended:?}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn digits_with_linphone_at_8_khz() {
    linphone("pcmu", &["pcmu"], 8_000);
}

#[test]
fn digits_with_linphone_at_48_khz() {
    linphone("opus", &["opus"], 48_000);
}
