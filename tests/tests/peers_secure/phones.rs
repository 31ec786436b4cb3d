//! Phones over SIP: baresip with the suites of SDES that only it has, and PJSIP with
//! those of AES-256: its wheels have no GCM.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use media_core_tests::program::{Running, folder, free_port_pair, media_core};

use super::{
    LIMIT, OURS, SCRIPTS, THEIRS, is_there, own_address, profile, python, python_with, score, tenths_with, told, tone,
};

/// We call the phone for five seconds; what it recorded is found by `its`.
fn call(folder: &Path, peer: &str, phone_port: u16, options: &[&str], its: impl Fn(&Path) -> usize) {
    let leg_port = free_port_pair();
    let mut leg = Command::new("python3");
    leg.current_dir(folder).arg(format!("{SCRIPTS}/leg.py"));
    leg.args([&leg_port.to_string(), &phone_port.to_string(), "offer.sdp", "answer.sdp"]);
    // Its stdin stays open as long as it is to stay in the call.
    let (leg, stdin) = Running::start_with_stdin(&mut leg, folder, "leg");
    let mut ours = Command::new(media_core());
    ours.current_dir(folder).args(["offer", "--write", "offer.sdp", "--read", "answer.sdp"]);
    ours.args(["--address", &own_address()]);
    ours.args(["--codec", "pcmu", "--microphone", "said.wav", "--repeat", "--speaker", "heard.wav", "--seconds", "5"]);
    let ended = Running::start(ours.args(options), folder, "media-core").wait(LIMIT);
    println!("{ended:?}\n{}", leg.stderr());
    drop(stdin);
    sleep(Duration::from_millis(500));
    told(&ended, &["protection  SRTP, "]);
    let heard = [tenths_with(&folder.join("heard.wav"), THEIRS), its(folder)];
    score(peer, &format!("SDES, {}", profile(&ended)), "pcmu", heard, 50);
    if let Some(suite) = options.iter().find(|option| option.contains("_HMAC") || option.starts_with("AEAD")) {
        assert_eq!(&profile(&ended), suite);
    }
}

fn baresip(suite: &str) {
    if !is_there("baresip", "baresip-core") {
        return;
    }
    // It may have to be built first, and a phone doesn't wait for that.
    media_core();
    let folder = folder(&format!("secure-baresip-{suite}"));
    let [sip, rtp] = [free_port_pair(), free_port_pair()];
    tone(&folder.join("said.wav"), OURS, 8_000, 2);
    tone(&folder.join("peer.wav"), THEIRS, 8_000, 60);
    let here = folder.display();
    let mut config = format!(
        "sip_listen 127.0.0.1:{sip}\naudio_player aubridge,sink\naudio_source aufile,{here}/peer.wav\n\
         audio_alert aubridge,alert\nrtp_ports {rtp}-{}\nsnd_path {here}\nmodule_path /usr/lib/baresip/modules\n",
        rtp + 1
    );
    for module in ["g711", "aufile", "aubridge", "sndfile", "srtp"] {
        config += &format!("module {module}.so\n");
    }
    config += "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\n";
    fs::write(folder.join("config"), config).unwrap();
    let account = format!(
        "<sip:peer@127.0.0.1:{sip}>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1;ptime=20;mediaenc=srtp-mand\n"
    );
    fs::write(folder.join("accounts"), account).unwrap();
    fs::write(folder.join("contacts"), "").unwrap();
    let phone = Running::start(Command::new("/usr/bin/baresip").arg("-f").arg(&folder), &folder, "baresip");
    sleep(Duration::from_secs(1));
    call(&folder, "baresip", sip, &["--srtp-suites", suite], |folder| {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let recorded: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).collect();
        recorded.iter().map(|path| tenths_with(path, OURS)).max().unwrap_or(0)
    });
    drop(phone);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn secure_baresip_with_aes_256_gcm() {
    baresip("AEAD_AES_256_GCM");
}

#[test]
fn secure_baresip_with_aes_128_gcm() {
    baresip("AEAD_AES_128_GCM");
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
    call(&folder, "PJSIP", port, &["--srtp-suites", suite], |folder| {
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
