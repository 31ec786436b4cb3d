//! Phones over SIP: baresip with the suites of SDES that only it has and by DTLS with a certificate of RSA, and PJSIP
//! with those of AES-256: its wheels have no GCM.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use media_core_tests::program::{Running, folder, free_port_pair, media_core, read_when_there};

use super::{
    LIMIT, OURS, SCRIPTS, THEIRS, is_there, own_address, profile, python, python_with, score, tenths_with, told, tone,
};

/// How the phone is called.
struct Called<'a> {
    peer: &'a str,
    /// Its port of SIP.
    port: u16,
    /// Whether the phone offers, and we answer.
    it_offers: bool,
    /// Whether it takes RTP and RTCP on one port.
    mux: bool,
    /// Where its keys come from.
    keys: &'a str,
    options: &'a [&'a str],
}

/// We talk with the phone for five seconds; what it recorded is found by `its`.
fn call(folder: &Path, called: &Called<'_>, its: impl Fn(&Path) -> usize) {
    let leg_port = free_port_pair();
    let mut leg = Command::new("python3");
    leg.current_dir(folder).arg(format!("{SCRIPTS}/leg.py"));
    leg.args([&leg_port.to_string(), &called.port.to_string(), "ours.sdp", "theirs.sdp"]);
    if called.it_offers {
        leg.arg("late");
    }
    // Its stdin stays open as long as it is to stay in the call.
    let (leg, stdin) = Running::start_with_stdin(&mut leg, folder, "leg");
    let mut ours = Command::new(media_core());
    ours.current_dir(folder);
    if called.it_offers {
        read_when_there(&folder.join("theirs.sdp"), LIMIT);
        ours.args(["answer", "theirs.sdp", "--write", "ours.sdp"]);
    } else {
        ours.args(["offer", "--write", "ours.sdp", "--read", "theirs.sdp"]);
    }
    ours.args(["--address", &own_address()]);
    ours.args(["--codec", "pcmu", "--microphone", "said.wav", "--repeat", "--speaker", "heard.wav", "--seconds", "5"]);
    let ended = Running::start(ours.args(called.options), folder, "media-core").wait(LIMIT);
    println!("{ended:?}\n{}", leg.stderr());
    drop(stdin);
    sleep(Duration::from_millis(500));
    told(&ended, &["protection  SRTP, "]);
    let heard = [tenths_with(&folder.join("heard.wav"), THEIRS), its(folder)];
    score(called.peer, &format!("{}, {}", called.keys, profile(&ended)), "pcmu", heard, 50);
    let suite = called.options.iter().find(|option| option.contains("_HMAC") || option.starts_with("AEAD"));
    if let Some(suite) = suite {
        assert_eq!(&profile(&ended), suite);
    }
}

/// baresip with this module for its keys, and this setting of its account.
fn baresip(name: &str, [module, mediaenc]: [&str; 2], called: Called<'_>) {
    if !is_there("baresip", "baresip-core") {
        return;
    }
    // It may have to be built first, and a phone doesn't wait for that.
    media_core();
    let folder = folder(&format!("secure-baresip-{name}"));
    let [sip, rtp] = [free_port_pair(), free_port_pair()];
    tone(&folder.join("said.wav"), OURS, 8_000, 2);
    tone(&folder.join("peer.wav"), THEIRS, 8_000, 60);
    let (here, mux) = (folder.display(), if called.mux { "yes" } else { "no" });
    let mut config = format!(
        "sip_listen 127.0.0.1:{sip}\naudio_player aubridge,sink\naudio_source aufile,{here}/peer.wav\n\
         audio_alert aubridge,alert\nrtp_ports {rtp}-{}\nrtcp_mux {mux}\nsnd_path {here}\nmodule_path /usr/lib/baresip/modules\n",
        rtp + 1
    );
    for module in ["g711", "aufile", "aubridge", "sndfile", module] {
        config += &format!("module {module}.so\n");
    }
    config += "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\n";
    fs::write(folder.join("config"), config).unwrap();
    let account = format!(
        "<sip:peer@127.0.0.1:{sip}>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1;ptime=20;mediaenc={mediaenc}\n"
    );
    fs::write(folder.join("accounts"), account).unwrap();
    fs::write(folder.join("contacts"), "").unwrap();
    let phone = Running::start(Command::new("/usr/bin/baresip").arg("-f").arg(&folder), &folder, "baresip");
    sleep(Duration::from_secs(1));
    call(&folder, &Called { port: sip, ..called }, |folder| {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let recorded: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).collect();
        recorded.iter().map(|path| tenths_with(path, OURS)).max().unwrap_or(0)
    });
    drop(phone);
    fs::remove_dir_all(folder).unwrap();
}

fn baresip_by_sdes(suite: &str) {
    let options = ["--srtp-suites", suite];
    let called = Called { peer: "baresip", port: 0, it_offers: false, mux: true, keys: "SDES", options: &options };
    baresip(suite, ["srtp", "srtp-mand"], called);
}

#[test]
fn secure_baresip_with_aes_256_gcm() {
    baresip_by_sdes("AEAD_AES_256_GCM");
}

#[test]
fn secure_baresip_with_aes_128_gcm() {
    baresip_by_sdes("AEAD_AES_128_GCM");
}

/// Its certificate is of RSA. Whoever answers begins the handshake.
fn baresip_by_dtls(name: &str, peer: &str, it_offers: bool, mux: bool) {
    let keys = if mux { "DTLS (RSA)" } else { "DTLS (RSA) on each of two ports" };
    let called = Called { peer, port: 0, it_offers, mux, keys, options: &["--security", "dtls"] };
    baresip(name, ["dtls_srtp", "dtls_srtp"], called);
}

#[test]
fn secure_baresip_begins_a_handshake_with_its_certificate_of_rsa() {
    baresip_by_dtls("dtls-answers", "baresip answers", false, true);
}

#[test]
fn secure_baresip_is_shaken_hands_with_and_has_a_certificate_of_rsa() {
    baresip_by_dtls("dtls-offers", "baresip offers", true, true);
}

#[test]
fn secure_baresip_has_a_port_and_a_handshake_for_rtcp() {
    baresip_by_dtls("dtls-apart", "baresip answers", false, false);
}

fn pjsip(suite: &str) {
    let python = python();
    if !python_with(&python, "import pjsua2", "pip install pjsua2-python") {
        return;
    }
    media_core();
    let folder = folder(&format!("secure-pjsip-{suite}"));
    let port = free_port_pair();
    tone(&folder.join("said.wav"), OURS, 8_000, 2);
    tone(&folder.join("peer.wav"), THEIRS, 8_000, 2);
    let mut phone = Command::new(&python);
    phone.current_dir(&folder).arg(format!("{SCRIPTS}/pjsua2_phone.py")).arg(port.to_string());
    phone.args(["--said", "peer.wav", "--heard", "peer-heard.wav", "--hang-up", "8", "--sdes"]);
    let phone = Running::start(&mut phone, &folder, "phone");
    sleep(Duration::from_secs(2));
    let options = ["--srtp-suites", suite];
    let called = Called { peer: "PJSIP", port, it_offers: false, mux: true, keys: "SDES", options: &options };
    call(&folder, &called, |folder| {
        // It writes its file when the call is over.
        sleep(Duration::from_secs(4));
        tenths_with(&folder.join("peer-heard.wav"), OURS)
    });
    drop(phone);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn secure_pjsip_with_aes_256() {
    pjsip("AES_256_CM_HMAC_SHA1_80");
}

#[test]
fn secure_pjsip_with_aes_256_and_a_short_tag() {
    pjsip("AES_256_CM_HMAC_SHA1_32");
}
