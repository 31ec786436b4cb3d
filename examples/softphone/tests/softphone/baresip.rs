//! baresip, which is called, calls, holds, and is given away.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::heard::{Heard, While, write_tone_for};
use crate::phone::{Phone, Setup, folder, free_port, lacks_peer};

const ALICE: u32 = 360;
const BARESIP: u32 = 620;
const CAROL: u32 = 880;
const MODULES: &str = "/usr/lib/baresip/modules";

const WHILE: Duration = Duration::from_millis(3_000);

/// baresip names an address of this machine in its descriptions, and not loopback's: so do we, that packets have one
/// way.
fn own_address() -> String {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent to this address of the documentation's (RFC 5737).
    let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    own.map_or_else(|_| "127.0.0.1".into(), |own| own.ip().to_string())
}

fn is_there() -> bool {
    let there = Path::new("/usr/bin/baresip").exists() && Path::new(MODULES).exists();
    if !there {
        lacks_peer("baresip is not installed (apt-get install baresip-core)");
    }
    there
}

struct Baresip {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Baresip {
    /// Answers what calls it; `encryption` as its accounts name it; `dials` somebody at once.
    fn start(folder: &Path, encryption: &str, dials: Option<&str>) -> Self {
        let port = free_port();
        let own = folder.join("baresip");
        fs::create_dir_all(own.join("rec")).unwrap();
        // It plays it once.
        write_tone_for(&own.join("says.wav"), BARESIP, 8_000, 60);
        let modules = ["g711", "aufile", "aubridge", "sndfile", "srtp", "dtls_srtp"];
        let modules: String = modules.iter().map(|name| format!("module {name}.so\n")).collect();
        fs::write(
            own.join("config"),
            format!(
                "sip_listen 127.0.0.1:{port}\naudio_player aubridge,sink\naudio_source aufile,{says}\n\
                 audio_alert aubridge,alert\n\
                 rtp_ports 36000-38000\nsnd_path {rec}\nmodule_path {MODULES}\n{modules}module_tmp uuid.so\n\
                 module_tmp account.so\nmodule_app menu.so\n",
                says = own.join("says.wav").display(),
                rec = own.join("rec").display(),
            ),
        )
        .unwrap();
        let encryption = if encryption.is_empty() { String::new() } else { format!(";mediaenc={encryption}") };
        let account = format!(
            "<sip:baresip@127.0.0.1:{port}>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1;ptime=20{encryption}\n"
        );
        fs::write(own.join("accounts"), account).unwrap();
        fs::write(own.join("contacts"), "").unwrap();
        let mut command = Command::new("/usr/bin/baresip");
        command.arg("-f").arg(&own);
        if let Some(who) = dials {
            command.args(["-e", &format!("/dial {who}")]);
        }
        let log = |end| fs::File::create(own.join(end)).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log("out")).stderr(log("err")).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(1_500));
        Self { child, folder: own, port }
    }

    /// For how many tenths of a second it has heard this tone: a file for each time that its sound began.
    fn tenths_with(&self, hz: u32) -> usize {
        let files = fs::read_dir(self.folder.join("rec")).unwrap().flatten().map(|entry| entry.path());
        let files = files.filter(|path| path.to_string_lossy().contains("-dec"));
        files.map(|path| Heard::read(&path, Instant::now(), "baresip").tenths_with(hz)).sum()
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn call(test: &str, encryption: &str, media: &str, protection: &str) {
    if !is_there() {
        return;
    }
    let folder = folder(test);
    let baresip = Baresip::start(&folder, encryption, None);
    let mut alice = Phone::start(
        &folder,
        "alice",
        ALICE,
        &Setup { media: format!("address = \"{}\"\n{media}", own_address()), ..Setup::default() },
    );
    alice.type_in(&format!("call sip:baresip@127.0.0.1:{}", baresip.port));
    // A handshake may take its time.
    alice.wait_all(&["line 1: up (", "sound arrives"]);
    assert!(alice.has_said(&format!("PCMU/8000, {protection})")), "{}", alice.words());
    let talk = While::pass(WHILE);
    alice.type_in("hold");
    alice.wait("line 1: on hold");
    let held = While::pass(WHILE);
    alice.type_in("resume");
    alice.wait("resumed");
    let again = While::pass(WHILE);
    alice.type_in("hangup");
    alice.wait("line 1: ended");
    std::thread::sleep(Duration::from_millis(500));
    let alice = alice.leave();
    let tenths = baresip.tenths_with(ALICE);
    drop(baresip);
    for While { from, to } in [&talk, &again] {
        alice.has(BARESIP, *from, *to);
    }
    alice.lacks(BARESIP, held.from, held.to);
    // Its recording ends at our hold: version 1.0.0 doesn't start its player again.
    let least = WHILE.as_millis() as usize / 100 - 6;
    assert!(tenths >= least, "baresip heard {tenths} tenths of a second, of {least}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_calls_baresip_in_plain_rtp() {
    call("baresip-plain", "", "", "not protected");
}

#[test]
fn softphone_calls_baresip_with_sdes_keys() {
    call("baresip-sdes", "srtp-mand", "srtp = \"sdes\"", "SRTP");
}

#[test]
fn softphone_calls_baresip_with_keys_of_a_dtls_handshake() {
    call("baresip-dtls", "dtls_srtp", "srtp = \"dtls\"", "DTLS-SRTP");
}

#[test]
fn softphone_is_called_by_baresip_and_gives_it_away() {
    if !is_there() {
        return;
    }
    let folder = folder("baresip-calls");
    let setup = Setup { media: format!("address = \"{}\"", own_address()), ..Setup::default() };
    let mut alice = Phone::start(&folder, "alice", ALICE, &setup);
    let mut carol = Phone::start(&folder, "carol", CAROL, &Setup { phone: "auto_answer = true".into(), ..setup });
    let baresip = Baresip::start(&folder, "", Some(&alice.address()));
    alice.wait("calls");
    alice.type_in("answer");
    alice.wait("line 1: up (PCMU/8000");
    let talk = While::pass(WHILE);
    alice.type_in(&format!("transfer {}", carol.address()));
    alice.wait("line 1: ended");
    carol.wait("line 1: up");
    let given = While::pass(WHILE);
    carol.type_in("hangup");
    carol.wait("line 1: ended");
    let (alice, carol) = (alice.leave(), carol.leave());
    drop(baresip);
    alice.has(BARESIP, talk.from, talk.to);
    carol.lacks(BARESIP, talk.from, talk.to);
    carol.has(BARESIP, given.from, given.to);
    alice.lacks(BARESIP, given.from, given.to);
    fs::remove_dir_all(folder).unwrap();
}
