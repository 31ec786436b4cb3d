//! Calls with phones that nobody here wrote, over SIP: we hold and resume, the phone holds and resumes, and hangs up; plain
//! and with SDES keys. Sound before, during as agreed, and after.
//!
//! A phone that isn't installed is skipped with a word; with `MEDIA_CORE_REQUIRE=1` or `MEDIA_CORE_PEERS=1` it's a failure.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_std::wav::{WavSink, WavSource};
use media_core_tests::program::{Ended, Running, folder, free_port_pair, media_core};
use media_core_tests::skipped;

const LIMIT: Duration = Duration::from_secs(60);
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");

/// Python with pjsua2: `MEDIA_CORE_PYTHON`, or `python3`.
fn python_with_pjsua2() -> Option<String> {
    let python = std::env::var("MEDIA_CORE_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut import = Command::new(&python);
    import.args(["-c", "import pjsua2"]).stdout(Stdio::null()).stderr(Stdio::null());
    if import.status().is_ok_and(|status| status.success()) {
        return Some(python);
    }
    skipped::lacks_peer("no pjsua2 (pip install pjsua2-python)");
    None
}

/// A tone, 8 kHz.
fn tone(path: &Path, hz: f64, seconds: u32) {
    let pcm =
        (0..8_000 * seconds).map(|n| (8_000.0 * (f64::from(n) * hz * std::f64::consts::TAU / 8_000.0).sin()) as i16);
    let mut sink = WavSink::create(path, 8_000).unwrap();
    sink.write(&pcm.collect::<Vec<_>>()).unwrap();
    sink.finish().unwrap();
}

/// The RMS of each tenth of a second.
fn loudness(path: &Path) -> Vec<f64> {
    let pcm = WavSource::open(path, 8_000).unwrap().read_all(dsp_core::time::Duration::from_secs(60)).unwrap();
    let rms = |part: &[i16]| (part.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / part.len() as f64).sqrt();
    pcm.chunks(800).map(rms).collect()
}

fn loud_tenths(heard: &[f64], from: usize, to: usize) -> usize {
    heard[from.min(heard.len())..to.min(heard.len())].iter().filter(|rms| **rms > 1_000.0).count()
}

fn pjsip(srtp: bool) {
    let Some(python) = python_with_pjsua2() else { return };
    // It may have to be built first, and a phone doesn't wait for that.
    let program = media_core();
    let folder = folder(&format!("pjsip-{srtp}"));
    let (phone_port, leg_port) = (free_port_pair().to_string(), free_port_pair().to_string());
    tone(&folder.join("said.wav"), 440.0, 2);
    tone(&folder.join("peer.wav"), 620.0, 2);
    let mut phone = Command::new(&python);
    phone.current_dir(&folder).arg(format!("{SCRIPTS}/pjsua2_phone.py")).arg(&phone_port);
    phone.args(["--said", "peer.wav", "--heard", "peer-heard.wav", "--hold", "6", "--resume", "8", "--hang-up", "10"]);
    if srtp {
        phone.arg("--sdes");
    }
    let phone = Running::start(&mut phone, &folder, "phone");
    sleep(Duration::from_secs(2));
    // Its stdin stays open as long as it is to stay in the call.
    let mut leg = Command::new(&python);
    leg.current_dir(&folder).arg(format!("{SCRIPTS}/leg.py")).args([&leg_port, &phone_port, "offer.sdp", "answer.sdp"]);
    let log = fs::File::create(folder.join("leg.log")).unwrap();
    let mut leg = leg.stdin(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut ours = Command::new(program);
    ours.current_dir(&folder).args(["offer", "--write", "offer.sdp", "--read", "answer.sdp", "--address", "127.0.0.1"]);
    ours.args(["--codec", "pcmu", "--microphone", "said.wav", "--repeat", "--speaker", "heard.wav"]);
    ours.args(["--seconds", "60", "--hold-at", "2", "--resume-at", "4"]);
    if !srtp {
        ours.arg("--no-srtp");
    }
    let ours = Running::start(&mut ours, &folder, "media-core");
    let ended = ours.wait(LIMIT).success();
    let _ = leg.kill();
    let _ = leg.wait();
    drop(phone);
    let heard = loudness(&folder.join("heard.wav"));
    println!("{heard:.0?}\n{}\n{}", ended.stderr, fs::read_to_string(folder.join("leg.log")).unwrap());
    let its = loudness(&folder.join("peer-heard.wav"));
    println!("the phone heard {its:.0?}");
    // It ends by the phone's goodbye, and not by any of those that PJSIP says at each new offer.
    assert!(ended.stdout.contains("the other side hung up"), "{}", ended.stdout);
    for told in ["hold: agreed, ", "sending only", "resume: agreed, ", "receiving only"] {
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
    assert!(loud_tenths(&heard, 5, 19) >= 12, "before");
    assert_eq!(loud_tenths(&heard, 25, 39), 0, "on our hold");
    assert!(loud_tenths(&heard, 46, 58) >= 10, "after our hold");
    assert_eq!(loud_tenths(&heard, 64, 78), 0, "on the phone's hold");
    assert!(loud_tenths(&heard, 86, 98) >= 10, "after the phone's hold");
    // It records without a gap what it hears: two seconds before our hold, on it, after it, and after its own.
    let sound = loud_tenths(&its, 0, its.len());
    assert!((74..=84).contains(&sound), "the phone heard {sound} tenths: {its:.0?}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_phone_of_pjsip_holds_and_is_held_in_plain_rtp() {
    pjsip(false);
}

#[test]
fn a_phone_of_pjsip_holds_and_is_held_with_sdes_keys() {
    pjsip(true);
}

/// Whether a phone is installed, by the file of its program; see the head of this file.
fn phone_is_there(program: &str, package: &str) -> bool {
    if Path::new(program).exists() && Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok() {
        return true;
    }
    skipped::lacks_peer(format_args!("{program} is not there (apt-get install {package})"));
    false
}

/// What a phone is told to do.
#[derive(Clone, Copy, Debug)]
enum Act {
    Talk,
    Hold,
    Resume,
    HangUp,
}

/// Two seconds of each state of a call, in this order.
#[derive(Debug)]
struct Heard {
    before: f64,
    on_our_hold: f64,
    after_our_hold: f64,
    on_their_hold: f64,
    after_their_hold: f64,
}

/// Calls the phone: we hold and resume, and it holds, resumes and hangs up, as `act` tells it. The shares of sound in what we heard.
fn call(folder: &Path, phone_port: &str, arguments: &[&str], mut act: impl FnMut(Act)) -> (Ended, Heard) {
    let leg_port = free_port_pair().to_string();
    let mut leg = Command::new("python3");
    leg.current_dir(folder).arg(format!("{SCRIPTS}/leg.py")).args([&leg_port, phone_port, "offer.sdp", "answer.sdp"]);
    // Its stdin stays open as long as it is to stay in the call.
    let (leg, _stdin) = Running::start_with_stdin(&mut leg, folder, "leg");
    let mut ours = Command::new(media_core());
    ours.current_dir(folder).args(["offer", "--write", "offer.sdp", "--read", "answer.sdp", "--address", "127.0.0.1"]);
    ours.args(["--codec", "pcmu", "--microphone", "said.wav", "--repeat", "--speaker", "heard.wav"]);
    ours.args(["--seconds", "60", "--hold-at", "3", "--resume-at", "5.5"]).args(arguments);
    let ours = Running::start(&mut ours, folder, "media-core");
    let told = |what: &str, times: usize| {
        let begin = Instant::now();
        while ours.stderr().matches(what).count() < times {
            assert!(begin.elapsed() < LIMIT, "no {what:?}: {}\n{}", ours.stderr(), leg.stderr());
            sleep(Duration::from_millis(10));
        }
        Instant::now()
    };
    let begin = told("talking with", 1);
    act(Act::Talk);
    let mut changes = vec![told("hold: agreed", 1), told("resume: agreed", 1)];
    sleep(Duration::from_millis(2_500));
    act(Act::Hold);
    changes.push(told("they changed the call", 1));
    sleep(Duration::from_millis(2_500));
    act(Act::Resume);
    changes.push(told("they changed the call", 2));
    sleep(Duration::from_millis(2_500));
    act(Act::HangUp);
    let hung_up = Instant::now();
    let ended = ours.wait(LIMIT);
    println!("{ended:?}\n{}", leg.stderr());
    let heard = loudness(&folder.join("heard.wav"));
    println!("{heard:.0?}");
    // The end of a state, a while after its change: what was under way is heard still, and the start takes its time.
    let share = |until: Instant| {
        let until = (until.duration_since(begin).as_secs_f64() * 10.0) as usize - 2;
        loud_tenths(&heard, until - 10, until) as f64 / 10.0
    };
    let heard = Heard {
        before: share(changes[0]),
        on_our_hold: share(changes[1]),
        after_our_hold: share(changes[2]),
        on_their_hold: share(changes[3]),
        after_their_hold: share(hung_up),
    };
    for told in ["hold: agreed, ", "sending only", "resume: agreed, ", "receiving only"] {
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
    (ended, heard)
}

fn assert_heard(heard: &Heard) {
    assert!(heard.before >= 0.9 && heard.after_our_hold >= 0.9 && heard.after_their_hold >= 0.9, "{heard:?}");
    assert!(heard.on_our_hold == 0.0, "{heard:?}");
}

fn plain_or_not(srtp: bool) -> &'static [&'static str] {
    if srtp { &[] } else { &["--no-srtp"] }
}

fn baresip(srtp: bool) {
    if !phone_is_there("/usr/bin/baresip", "baresip-core") {
        return;
    }
    // It may have to be built first, and a phone doesn't wait for that.
    media_core();
    let folder = folder(&format!("baresip-{srtp}"));
    let [sip, control, rtp] = [free_port_pair(), free_port_pair(), free_port_pair()];
    tone(&folder.join("said.wav"), 440.0, 2);
    tone(&folder.join("peer.wav"), 620.0, 60);
    let here = folder.display();
    let mut config = format!(
        "sip_listen 127.0.0.1:{sip}\naudio_player aubridge,sink\naudio_source aufile,{here}/peer.wav\n\
         audio_alert aubridge,alert\nrtp_ports {rtp}-{}\nsnd_path {here}\nctrl_tcp_listen 127.0.0.1:{control}\n\
         module_path /usr/lib/baresip/modules\n",
        rtp + 1
    );
    for module in ["g711", "aufile", "aubridge", "sndfile", "srtp"] {
        config += &format!("module {module}.so\n");
    }
    config += "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n";
    fs::write(folder.join("config"), config).unwrap();
    let keys = if srtp { ";mediaenc=srtp-mand" } else { "" };
    let account =
        format!("<sip:peer@127.0.0.1:{sip}>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1;ptime=20{keys}\n");
    fs::write(folder.join("accounts"), account).unwrap();
    fs::write(folder.join("contacts"), "").unwrap();
    let phone = Running::start(Command::new("/usr/bin/baresip").arg("-f").arg(&folder), &folder, "baresip");
    let begin = Instant::now();
    let mut control = loop {
        match TcpStream::connect(("127.0.0.1", control)) {
            Ok(control) => break control,
            Err(error) => assert!(begin.elapsed() < LIMIT, "{error}: {}", phone.stderr()),
        }
        sleep(Duration::from_millis(50));
    };
    control.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let silence: &[&str] = if srtp { &["--end-after-silence", "3"] } else { &[] };
    let arguments = [plain_or_not(srtp), silence].concat();
    let (ended, heard) = call(&folder, &sip.to_string(), &arguments, |act| {
        let command = match act {
            Act::Talk => return,
            Act::Hold => "hold",
            Act::Resume => "resume",
            Act::HangUp => "hangup",
        };
        // A netstring of JSON; what it says in between has to be read, or it stops.
        let json = format!(r#"{{"command":"{command}"}}"#);
        control.write_all(format!("{}:{json},", json.len()).as_bytes()).unwrap();
        let _ = control.read(&mut [0; 65_536]);
    });
    drop(phone);
    if srtp {
        // It sends its goodbye without protection. That anybody could: it's refused (RFC 3711, 3.4), and silence ends the call.
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains("nothing came from the other side for 3 s"), "{}", ended.stderr);
        assert!(ended.stdout.contains(" 1 refused"), "{}", ended.stdout);
    } else {
        assert!(ended.status.success(), "{ended:?}");
        assert!(ended.stdout.contains("the other side hung up"), "{}", ended.stdout);
    }
    assert_eq!(heard.on_their_hold, 0.0, "{heard:?}");
    assert_heard(&heard);
    // It goes on talking to whom it has put on hold only if it has something for that, which this one hasn't; and it records
    // until the first change of the call.
    let recorded = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let recorded = recorded.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).collect::<Vec<_>>();
    let its = loudness(&recorded[0]);
    assert!(loud_tenths(&its, 5, its.len()) >= 15, "{its:.0?}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn baresip_holds_and_is_held_in_plain_rtp() {
    baresip(false);
}

#[test]
fn baresip_holds_and_is_held_with_sdes_keys() {
    baresip(true);
}

fn linphone(srtp: bool) {
    if !phone_is_there("/usr/bin/linphonec", "linphone-cli") {
        return;
    }
    media_core();
    let folder = folder(&format!("linphone-{srtp}"));
    let [sip, rtp] = [free_port_pair(), free_port_pair()];
    tone(&folder.join("said.wav"), 440.0, 2);
    tone(&folder.join("peer.wav"), 620.0, 60);
    for own in [".local/share/linphone", ".config/linphone"] {
        fs::create_dir_all(folder.join(own)).unwrap();
    }
    let keys = if srtp { "srtp" } else { "none" };
    let config = format!(
        "[sip]\nsip_port={sip}\nsip_tcp_port=0\nsip_tls_port=0\nbind_address=127.0.0.1\nguess_hostname=0\n\
         contact=sip:peer@127.0.0.1:{sip}\nmedia_encryption={keys}\n[rtp]\naudio_rtp_port={rtp}\n\
         [sound]\nechocancellation=0\n"
    );
    fs::write(folder.join("linphonerc"), config).unwrap();
    let mut phone = Command::new("/usr/bin/linphonec");
    phone.env("HOME", &folder).current_dir(&folder).args(["-a", "-c", "linphonerc"]);
    let (phone, mut stdin) = Running::start_with_stdin(&mut phone, &folder, "linphone");
    let here = folder.display();
    let play = format!("play {here}/peer.wav");
    let mut type_in = |lines: &[&str]| lines.iter().for_each(|line| writeln!(stdin, "{line}").unwrap());
    type_in(&[&format!("soundcard use files {here}/peer.wav"), &format!("record {here}/peer-heard.wav")]);
    sleep(Duration::from_secs(2));
    // It hangs up by SIP alone, which this program doesn't see, so that silence ends the call.
    let arguments = [plain_or_not(srtp), &["--end-after-silence", "3"]].concat();
    let (ended, heard) = call(&folder, &sip.to_string(), &arguments, |act| match act {
        Act::Talk => type_in(&[&play]),
        Act::Hold => type_in(&["pause"]),
        Act::Resume => type_in(&["resume", &play]),
        Act::HangUp => type_in(&["terminate"]),
    });
    type_in(&["quit"]);
    phone.wait(LIMIT);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("nothing came from the other side for 3 s"), "{}", ended.stderr);
    assert_heard(&heard);
    // It has music for whom it holds.
    assert!(heard.on_their_hold >= 0.9, "{heard:?}");
    // Before, on our hold, and after both; while it holds, it records nothing.
    let its = loudness(&folder.join("peer-heard.wav"));
    assert!(loud_tenths(&its, 0, its.len()) >= 95, "{its:.0?}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn linphone_holds_and_is_held_in_plain_rtp() {
    linphone(false);
}

#[test]
fn linphone_holds_and_is_held_with_sdes_keys() {
    linphone(true);
}
