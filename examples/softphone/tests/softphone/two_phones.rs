//! Softphones among themselves.

use std::fs;
use std::time::Duration;

use host_std::session::Certificate;

use crate::heard::While;
use crate::phone::{Phone, Setup, folder};

const ALICE: u32 = 360;
const BOB: u32 = 620;
const CAROL: u32 = 880;

const WHILE: Duration = Duration::from_millis(2_500);

/// A call, keys, a hold of each side, and its end; `protection` is what both say of it.
fn call(test: &str, setup: &Setup, protection: &str) {
    let folder = folder(test);
    let mut alice = Phone::start(&folder, "alice", ALICE, setup);
    let mut bob = Phone::start(&folder, "bob", BOB, setup);
    alice.type_in(&format!("call {}", bob.address()));
    bob.wait("calls");
    alice.wait("it rings");
    bob.type_in("answer");
    for phone in [&mut alice, &mut bob] {
        // A handshake may take its time.
        phone.wait_all(&["line 1: up (", "sound arrives"]);
        assert!(phone.words().contains(&format!(", {protection})")), "{}", phone.words());
    }
    let talk = While::pass(WHILE);
    alice.type_in("dtmf 15#");
    for digit in ["1", "5", "#"] {
        bob.wait(&format!("digit {digit}"));
    }
    alice.type_in("hold");
    alice.wait("line 1: on hold");
    bob.wait("they hold");
    let held = While::pass(WHILE);
    alice.type_in("resume");
    alice.wait("resumed");
    bob.wait("they talk again");
    let again = While::pass(WHILE);
    bob.type_in("hold");
    bob.wait("line 1: on hold");
    alice.wait("they hold");
    let held_by_bob = While::pass(WHILE);
    bob.type_in("hangup");
    alice.wait("line 1: ended: hung up");
    let (alice, bob) = (alice.leave(), bob.leave());
    for While { from, to } in [&talk, &again] {
        alice.has(BOB, *from, *to);
        alice.lacks(ALICE, *from, *to);
        bob.has(ALICE, *from, *to);
        bob.lacks(BOB, *from, *to);
    }
    for While { from, to } in [&held, &held_by_bob] {
        alice.lacks(BOB, *from, *to);
        bob.lacks(ALICE, *from, *to);
    }
    fs::remove_dir_all(folder).unwrap();
}

/// What rings is one device, what is talked by another, and a third one in the midst of the call.
#[test]
fn softphone_rings_on_one_device_talks_on_another_and_moves_to_a_third() {
    let folder = folder("devices");
    let (ringer, other, says) = (folder.join("ringer.wav"), folder.join("other.wav"), folder.join("says.wav"));
    crate::heard::write_tone(&says, CAROL, crate::heard::RATE);
    let mut alice = Phone::start(&folder, "alice", ALICE, &Setup::default());
    let setup = Setup { audio: format!("ringer = {ringer:?}"), ..Setup::default() };
    let mut bob = Phone::start(&folder, "bob", BOB, &setup);
    alice.type_in(&format!("call {}", bob.address()));
    bob.wait("calls");
    let rings = While::pass(WHILE);
    bob.type_in("answer");
    bob.wait("line 1: up");
    let talk = While::pass(WHILE);
    bob.type_in("device none-such.wav/nor-this null");
    bob.wait("device: ");
    bob.type_in(&format!("device {} {}", other.display(), says.display()));
    let begin = bob.wait("sound by");
    let moved = While::pass(WHILE);
    bob.type_in("hangup");
    alice.wait("ended: hung up");
    let (alice, bob) = (alice.leave(), bob.leave());
    // The ringer's file begins when it does: within a second of the call.
    let rung = crate::heard::Heard::read(&ringer, rings.from, "ringer");
    assert!(rung.tenths_with(900) >= 8, "{} tenths of a second rung", rung.tenths_with(900));
    assert!(rung.tenths_with(ALICE) == 0 && bob.tenths_with(900) == 0);
    bob.has(ALICE, talk.from, talk.to);
    alice.has(BOB, talk.from, talk.to);
    let other = crate::heard::Heard::read(&other, begin, "other");
    other.has(ALICE, moved.from, moved.to);
    alice.has(CAROL, moved.from, moved.to);
    alice.lacks(BOB, moved.from, moved.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_calls_over_udp_in_plain_rtp() {
    call("plain", &Setup::default(), "not protected");
}

#[test]
fn softphone_calls_over_tcp_with_sdes_keys() {
    let setup = Setup { transport: "tcp", media: "srtp = \"sdes\"".into(), ..Setup::default() };
    call("sdes", &setup, "SRTP");
}

#[test]
fn softphone_calls_with_keys_of_a_dtls_handshake() {
    let setup = Setup { media: "srtp = \"dtls\"".into(), ..Setup::default() };
    call("dtls", &setup, "DTLS-SRTP");
}

#[test]
fn softphone_calls_over_tls_when_the_certificate_is_trusted() {
    let folder = folder("certificate");
    let certificate = Certificate::for_names(&["127.0.0.1".into()]).unwrap().to_pem();
    let path = folder.join("phones.pem");
    fs::write(&path, &*certificate).unwrap();
    let setup = Setup {
        transport: "tls",
        sip: format!("certificate = {path:?}\ntrust = {path:?}"),
        media: "srtp = \"sdes\"".into(),
        ..Setup::default()
    };
    call("tls", &setup, "SRTP");
    // Without trust there is no call.
    let mut alice = Phone::start(&folder, "alice", ALICE, &Setup { transport: "tls", ..Setup::default() });
    let mut bob = Phone::start(&folder, "bob", BOB, &setup);
    alice.type_in(&format!("call {}", bob.address()));
    alice.wait("line 1: ended: no way there");
    assert!(!bob.has_said("calls"));
    bob.type_in("lines");
    bob.wait("no calls");
    fs::remove_dir_all(folder).unwrap();
}

/// Three phones, and calls of the first one to both others.
fn three(test: &str) -> (std::path::PathBuf, [Phone; 3]) {
    let folder = folder(test);
    let answers = Setup { phone: "auto_answer = true".into(), ..Setup::default() };
    let mut alice = Phone::start(&folder, "alice", ALICE, &Setup::default());
    let mut bob = Phone::start(&folder, "bob", BOB, &answers);
    let mut carol = Phone::start(&folder, "carol", CAROL, &answers);
    alice.type_in(&format!("call {}", bob.address()));
    alice.wait("line 1: up");
    bob.wait("line 1: up");
    alice.type_in(&format!("call {}", carol.address()));
    alice.wait_all(&["line 1: on hold", "line 2: up"]);
    carol.wait("line 1: up");
    (folder, [alice, bob, carol])
}

#[test]
fn softphone_holds_a_conference_of_three() {
    let (folder, [mut alice, mut bob, mut carol]) = three("conference");
    let second = While::pass(WHILE);
    alice.type_in("conference");
    alice.wait("line 1: resumed");
    bob.wait("they talk again");
    let conference = While::pass(WHILE);
    alice.type_in("split");
    alice.wait("line 2: on hold");
    carol.wait("they hold");
    let first = While::pass(WHILE);
    let recorded = folder.join("recorded.wav");
    alice.type_in(&format!("record {}", recorded.display()));
    alice.wait("recording to");
    let begin = std::time::Instant::now();
    let record = While::pass(WHILE);
    alice.type_in("record off");
    alice.wait("recorded");
    let (alice, bob, carol) = (alice.leave(), bob.leave(), carol.leave());
    let While { from, to } = second;
    alice.has(CAROL, from, to);
    alice.lacks(BOB, from, to);
    carol.has(ALICE, from, to);
    carol.lacks(BOB, from, to);
    bob.lacks(ALICE, from, to);
    let While { from, to } = conference;
    for (phone, hears, own) in
        [(&alice, [BOB, CAROL], ALICE), (&bob, [ALICE, CAROL], BOB), (&carol, [ALICE, BOB], CAROL)]
    {
        hears.iter().for_each(|hz| phone.has(*hz, from, to));
        phone.lacks(own, from, to);
    }
    let While { from, to } = first;
    alice.has(BOB, from, to);
    alice.lacks(CAROL, from, to);
    carol.lacks(ALICE, from, to);
    let recorded = crate::heard::Heard::read(&recorded, begin, "the recording");
    for hz in [ALICE, BOB] {
        recorded.has(hz, record.from, record.to);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_gives_a_call_to_somebody_who_was_asked() {
    let (folder, [mut alice, mut bob, mut carol]) = three("attended");
    alice.type_in("transfer 2");
    alice.wait("transferred");
    bob.wait("transferred to");
    carol.wait("another call takes its place");
    let after = While::pass(WHILE);
    assert!(alice.has_said("line 1: ended") && alice.has_said("line 2: ended"), "{}", alice.words());
    let (alice, bob, carol) = (alice.leave(), bob.leave(), carol.leave());
    let While { from, to } = after;
    bob.has(CAROL, from, to);
    carol.has(BOB, from, to);
    for phone in [&bob, &carol] {
        phone.lacks(ALICE, from, to);
    }
    for hz in [BOB, CAROL] {
        alice.lacks(hz, from, to);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_gives_a_call_to_somebody_who_was_not_asked() {
    let folder = folder("blind");
    let answers = Setup { phone: "auto_answer = true".into(), ..Setup::default() };
    let mut alice = Phone::start(&folder, "alice", ALICE, &Setup::default());
    let mut bob = Phone::start(&folder, "bob", BOB, &answers);
    let mut carol = Phone::start(&folder, "carol", CAROL, &answers);
    alice.type_in(&format!("call {}", bob.address()));
    alice.wait("line 1: up");
    // To where nobody takes it first: the call goes on.
    let full = Phone::start(&folder, "dave", 1_000, &Setup { media: "codecs = [\"l16\"]".into(), ..Setup::default() });
    alice.type_in(&format!("transfer {}", full.address()));
    alice.wait("transfer failed (488");
    bob.wait("the transfer has failed; the call goes on");
    alice.wait("they talk again");
    let before = While::pass(WHILE);
    full.leave();
    alice.type_in(&format!("transfer {}", carol.address()));
    alice.wait("transferred");
    alice.wait("line 1: ended");
    carol.wait("line 1: up");
    let after = While::pass(WHILE);
    let (alice, bob, carol) = (alice.leave(), bob.leave(), carol.leave());
    alice.has(BOB, before.from, before.to);
    bob.has(ALICE, before.from, before.to);
    let While { from, to } = after;
    bob.has(CAROL, from, to);
    carol.has(BOB, from, to);
    alice.lacks(BOB, from, to);
    bob.lacks(ALICE, from, to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_lets_a_second_call_wait_and_refuses_a_third() {
    let folder = folder("waiting");
    let mut alice = Phone::start(&folder, "alice", ALICE, &Setup::default());
    let mut bob = Phone::start(&folder, "bob", BOB, &Setup::default());
    let mut carol = Phone::start(&folder, "carol", CAROL, &Setup::default());
    let mut dave = Phone::start(&folder, "dave", 1_000, &Setup::default());
    bob.type_in(&format!("call {}", alice.address()));
    alice.wait("calls");
    alice.type_in("answer");
    alice.wait("line 1: up");
    carol.type_in(&format!("call {}", alice.address()));
    alice.wait("calls, waiting");
    dave.type_in(&format!("call {}", alice.address()));
    dave.wait("ended: busy");
    let waiting = While::pass(WHILE);
    alice.type_in("answer");
    alice.wait_all(&["line 1: on hold", "line 2: up"]);
    bob.wait("they hold");
    let second = While::pass(WHILE);
    alice.type_in("resume 1");
    alice.wait_all(&["line 2: on hold", "line 1: resumed"]);
    let first = While::pass(WHILE);
    carol.type_in("hangup");
    alice.wait("line 2: ended: hung up");
    let (alice, bob, carol) = (alice.leave(), bob.leave(), carol.leave());
    drop(dave);
    for (part, talks, waits) in [
        (&waiting, (&bob, BOB), (&carol, CAROL)),
        (&second, (&carol, CAROL), (&bob, BOB)),
        (&first, (&bob, BOB), (&carol, CAROL)),
    ] {
        let While { from, to } = *part;
        alice.has(talks.1, from, to);
        alice.lacks(waits.1, from, to);
        talks.0.has(ALICE, from, to);
        waits.0.lacks(ALICE, from, to);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_plays_music_to_whoever_is_held() {
    const MUSIC: u32 = 1_200;
    let folder = folder("music");
    let music = folder.join("music.wav");
    crate::heard::write_tone(&music, MUSIC, 44_100);
    let plays = Setup { phone: format!("hold_music = {music:?}"), ..Setup::default() };
    let answers = Setup { phone: "auto_answer = true".into(), ..Setup::default() };
    let mut alice = Phone::start(&folder, "alice", ALICE, &plays);
    let bob = Phone::start(&folder, "bob", BOB, &answers);
    alice.type_in(&format!("call {}", bob.address()));
    alice.wait("line 1: up");
    let talk = While::pass(WHILE);
    alice.type_in("hold");
    alice.wait("line 1: on hold");
    let held = While::pass(WHILE);
    alice.type_in("resume");
    alice.wait("resumed");
    let again = While::pass(WHILE);
    let (alice, bob) = (alice.leave(), bob.leave());
    bob.has(MUSIC, held.from, held.to);
    bob.lacks(ALICE, held.from, held.to);
    for While { from, to } in [&talk, &again] {
        bob.has(ALICE, *from, *to);
        bob.lacks(MUSIC, *from, *to);
        alice.has(BOB, *from, *to);
    }
    alice.lacks(BOB, held.from, held.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_says_what_is_wrong_with_its_config() {
    let folder = folder("config");
    let path = folder.join("phone.toml");
    let port = crate::phone::free_port();
    let account = format!("[account]\nuri = \"sip:alice@127.0.0.1:{port}\"\npassword = \"wer9k2\"\n");
    let sound = "[audio]\nmicrophone = \"null\"\nspeaker = \"null\"\n";
    for (config, why) in [
        (format!("{account}[media]\ncodecs = [\"mp3\"]\n{sound}"), "media.codecs \"mp3\": there is no such codec"),
        (format!("{account}[audio]\nmicrophone = \"none.wav\"\nspeaker = \"null\"\n"), "none.wav"),
        (format!("{account}{sound}[sip]\nlisten = \"198.51.100.1:5060\"\n"), "sip.listen 198.51.100.1:5060"),
        (
            format!(
                "{account}{sound}[sip]\nlisten = \"127.0.0.1:{port}\"\ntransport = \"tls\"\ntrust = \"none.pem\"\n"
            ),
            "none.pem",
        ),
        (format!("{account}{sound}[phone]\ncountry = \"xx\"\n"), "phone.country \"xx\""),
        (format!("{account}{sound}[phone]\nhold_music = \"none.wav\"\n"), "phone.hold_music"),
    ] {
        fs::write(&path, config).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_softphone")).arg(&path).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(why) && !told.contains("wer9k2") && !told.contains("panicked"), "{told}");
    }
    fs::remove_dir_all(folder).unwrap();
}
