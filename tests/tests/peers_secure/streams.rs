//! GStreamer's webrtcbin: DTLS and ICE (libnice), as answerer and offerer.

use std::fs;
use std::process::Command;

use media_core_tests::program::{Running, folder, media_core, read_when_there};

use super::{LIMIT, OURS, SCRIPTS, THEIRS, own_address, profile, python_with, score, tenths_with, told, tone};

fn gstreamer(offers: bool) {
    let import = "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstWebRTC', '1.0'); from gi.repository import Gst, GstWebRTC, GstSdp; \
                  Gst.init(None); assert Gst.ElementFactory.find('webrtcbin') and Gst.ElementFactory.find('nicesrc')";
    let packages =
        "apt-get install python3-gst-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-nice";
    // What Debian installs is for its own Python.
    let python = "/usr/bin/python3";
    if !python_with(python, import, packages) {
        return;
    }
    media_core();
    let folder = folder(&format!("secure-gstreamer-{offers}"));
    tone(&folder.join("said.wav"), OURS, 8_000, 2);
    let mut phone = Command::new(python);
    phone.current_dir(&folder).arg(format!("{SCRIPTS}/gstreamer_phone.py"));
    phone.args([if offers { "offer" } else { "answer" }, "theirs.sdp", "ours.sdp", &THEIRS.to_string()]);
    let phone = Running::start(phone.args(["peer-heard.wav", "8"]), &folder, "gstreamer");
    let mut ours = Command::new(media_core());
    ours.current_dir(&folder);
    if offers {
        read_when_there(&folder.join("theirs.sdp"), LIMIT);
        ours.args(["answer", "theirs.sdp", "--write", "ours.sdp"]);
    } else {
        ours.args(["offer", "--write", "ours.sdp", "--read", "theirs.sdp"]);
    }
    ours.args([
        "--address",
        &own_address(),
        "--codec",
        "pcmu",
        "--security",
        "dtls",
        "--ice",
        "full",
        "--seconds",
        "6",
    ]);
    ours.args(["--microphone", "said.wav", "--repeat", "--speaker", "heard.wav"]);
    let ended = Running::start(&mut ours, &folder, "media-core").wait(LIMIT);
    let theirs = phone.wait(LIMIT);
    println!("{ended:?}\n{theirs:?}");
    told(&ended, &["keys by DTLS", "protection  SRTP, ", "ice         connected"]);
    let heard = [("heard.wav", THEIRS), ("peer-heard.wav", OURS)].map(|(file, hz)| tenths_with(&folder.join(file), hz));
    let role = if offers { "offers" } else { "answers" };
    score(&format!("GStreamer {role}"), &format!("DTLS, {}; ICE full", profile(&ended)), "pcmu", heard, 60);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn secure_gstreamer_answers() {
    gstreamer(false);
}

#[test]
fn secure_gstreamer_offers() {
    gstreamer(true);
}
