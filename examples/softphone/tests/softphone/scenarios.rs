//! What phones and servers of others do: early media of two phones, late offers, refusals, holds in all their
//! spellings, UPDATE, session timers, glare, and a trunk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::heard::While;
use crate::phone::{Phone, Setup, folder, free_port};
use crate::rtp::Rtp;
use crate::sipp::{self, Scenario, sdp};

const ALICE: u32 = 360;
const PEER: u32 = 620;
const OTHER: u32 = 880;

const WHILE: Duration = Duration::from_millis(2_500);
/// The same for scenarios: a while of the test's lies within.
const PAUSE: u32 = 3_500;

fn alice(folder: &Path, setup: &Setup) -> Phone {
    Phone::start(folder, "alice", ALICE, setup)
}

fn call(phone: &mut Phone, port: u16) {
    phone.type_in(&format!("call sip:peer@127.0.0.1:{port}"));
}

fn start(test: &str) -> Option<(PathBuf, u16)> {
    sipp::is_there().then(|| (folder(test), free_port()))
}

#[test]
fn softphone_hears_early_media_of_two_phones_and_then_the_one_that_is_picked_up() {
    let Some((folder, port)) = start("forks") else { return };
    let (first, second) = (Rtp::start(PEER), Rtp::start(OTHER));
    let mut scenario = Scenario::called();
    scenario.answer("183 Session Progress", "first", &sdp(1, first.port, &[]), &[]).pause(PAUSE);
    scenario.answer("183 Session Progress", "second", &sdp(1, second.port, &[]), &[]).pause(PAUSE);
    scenario.answer("200 OK", "second", &sdp(1, second.port, &[]), &[]).expect("ACK").pause(PAUSE).hangs_up();
    let mut sipp = scenario.run(&folder, port, None);
    let mut alice = alice(&folder, &Setup::default());
    call(&mut alice, port);
    alice.wait("early media");
    let early = While::pass(WHILE);
    alice.wait("early media");
    let both = While::pass(WHILE);
    alice.wait("1 other phones had answered early");
    alice.wait("line 1: up (PCMU/8000");
    let up = While::pass(WHILE);
    alice.wait("ended: hung up");
    sipp.succeeds();
    let alice = alice.leave();
    let (first, second) = (first.heard(&folder, "first"), second.heard(&folder, "second"));
    for While { from, to } in [&early, &both] {
        alice.has(PEER, *from, *to);
        alice.lacks(OTHER, *from, *to);
    }
    alice.has(OTHER, up.from, up.to);
    alice.lacks(PEER, up.from, up.to);
    second.has(ALICE, up.from, up.to);
    // A phone that isn't picked up has no business with what is said to another one.
    second.lacks(ALICE, both.from, both.to);
    first.lacks(ALICE, up.from, up.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_offers_in_its_answer_to_an_invite_without_an_offer() {
    let Some((folder, port)) = start("late-offer") else { return };
    let peer = Rtp::start(PEER);
    let mut alice = alice(&folder, &Setup { phone: "auto_answer = true".into(), ..Setup::default() });
    let mut scenario = Scenario::calls("", &[]);
    scenario.comes(200, &[100, 180]).request("ACK", &sdp(1, peer.port, &[]), &[]).pause(PAUSE);
    // The same once more while it runs.
    scenario.request("INVITE", "", &[]).comes(200, &[100]).request("ACK", &sdp(2, peer.port, &[]), &[]).pause(PAUSE);
    scenario.hangs_up();
    let mut sipp = scenario.run(&folder, port, Some(("alice", alice.port)));
    alice.wait("line 1: up (PCMU/8000");
    let up = While::pass(WHILE);
    std::thread::sleep(Duration::from_millis(u64::from(PAUSE) - WHILE.as_millis() as u64));
    let again = While::pass(WHILE);
    alice.wait("ended: hung up");
    sipp.succeeds();
    let (alice, peer) = (alice.leave(), peer.heard(&folder, "peer"));
    for While { from, to } in [&up, &again] {
        alice.has(PEER, *from, *to);
        peer.has(ALICE, *from, *to);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_goes_on_when_its_reinvite_is_refused() {
    let Some((folder, port)) = start("refused") else { return };
    let peer = Rtp::start(PEER);
    let mut scenario = Scenario::called();
    scenario
        .answer("180 Ringing", "sipp", "", &[])
        .answer("200 OK", "sipp", &sdp(1, peer.port, &[]), &[])
        .expect("ACK");
    scenario.expect("INVITE").reply("488 Not Acceptable Here", "", &[]).expect("ACK");
    scenario.expect("INVITE").reply("200 OK", &sdp(2, peer.port, &["a=recvonly"]), &[]).expect("ACK").is_hung_up();
    let mut sipp = scenario.run(&folder, port, None);
    let mut alice = alice(&folder, &Setup::default());
    call(&mut alice, port);
    alice.wait("line 1: up");
    let before = While::pass(WHILE);
    alice.type_in("hold");
    alice.wait("hold refused (488");
    let after = While::pass(WHILE);
    alice.type_in("hold");
    alice.wait("line 1: on hold");
    let held = While::pass(WHILE);
    alice.type_in("hangup");
    sipp.succeeds();
    let (alice, peer) = (alice.leave(), peer.heard(&folder, "peer"));
    for While { from, to } in [&before, &after] {
        alice.has(PEER, *from, *to);
        peer.has(ALICE, *from, *to);
    }
    alice.lacks(PEER, held.from, held.to);
    peer.lacks(ALICE, held.from, held.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_is_held_in_every_spelling() {
    let Some((folder, port)) = start("holds") else { return };
    let peer = Rtp::start(PEER);
    let mut alice = alice(&folder, &Setup { phone: "auto_answer = true".into(), ..Setup::default() });
    let spellings: [&[&str]; 3] = [&["c=0"], &["a=inactive"], &["a=sendonly"]];
    let mut scenario = Scenario::calls(&sdp(1, peer.port, &[]), &[]);
    scenario.comes(200, &[100, 180]).request("ACK", "", &[]).pause(PAUSE);
    for (version, spelling) in (2..).step_by(2).zip(spellings) {
        scenario.reinvite(&sdp(version, peer.port, spelling)).pause(PAUSE);
        scenario.reinvite(&sdp(version + 1, peer.port, &["a=sendrecv"])).pause(PAUSE);
    }
    scenario.hangs_up();
    let mut sipp = scenario.run(&folder, port, Some(("alice", alice.port)));
    alice.wait("line 1: up");
    let (mut talks, mut holds) = (vec![While::pass(WHILE)], Vec::new());
    for _ in spellings {
        alice.wait("they hold");
        holds.push(While::pass(WHILE));
        alice.wait("they talk again");
        talks.push(While::pass(WHILE));
    }
    alice.wait("ended: hung up");
    sipp.succeeds();
    let (alice, peer) = (alice.leave(), peer.heard(&folder, "peer"));
    for While { from, to } in &talks {
        alice.has(PEER, *from, *to);
        peer.has(ALICE, *from, *to);
    }
    for While { from, to } in &holds {
        peer.lacks(ALICE, *from, *to);
    }
    // `inactive` is for both directions.
    alice.lacks(PEER, holds[1].from, holds[1].to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_is_held_and_refreshed_by_update() {
    let Some((folder, port)) = start("update") else { return };
    let peer = Rtp::start(PEER);
    let mut alice = alice(&folder, &Setup { phone: "auto_answer = true".into(), ..Setup::default() });
    let mut scenario = Scenario::calls(&sdp(1, peer.port, &[]), &[]);
    scenario.comes(200, &[100, 180]).request("ACK", "", &[]).pause(PAUSE);
    scenario.request("UPDATE", "", &[]).comes(200, &[]);
    scenario.request("UPDATE", &sdp(2, peer.port, &["a=sendonly"]), &[]).comes(200, &[]).pause(PAUSE);
    scenario.request("UPDATE", &sdp(3, peer.port, &["a=sendrecv"]), &[]).comes(200, &[]).pause(PAUSE);
    // What can't be had is refused, and nothing changes.
    let video = sdp(4, peer.port, &[]).replace("m=audio", "m=video").replace("RTP/AVP", "RTP/SAVP");
    scenario.request("UPDATE", &video, &[]).comes(488, &[]).pause(PAUSE).hangs_up();
    let mut sipp = scenario.run(&folder, port, Some(("alice", alice.port)));
    alice.wait("line 1: up");
    let before = While::pass(WHILE);
    alice.wait("they hold");
    let held = While::pass(WHILE);
    alice.wait("they talk again");
    let after = While::pass(WHILE);
    alice.wait("can't be had, and the call goes on");
    let refused = While::pass(WHILE);
    alice.wait("ended: hung up");
    sipp.succeeds();
    let (alice, peer) = (alice.leave(), peer.heard(&folder, "peer"));
    for While { from, to } in [&before, &after, &refused] {
        alice.has(PEER, *from, *to);
        peer.has(ALICE, *from, *to);
    }
    peer.lacks(ALICE, held.from, held.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_refreshes_its_session() {
    let Some((folder, port)) = start("refresh") else { return };
    let peer = Rtp::start(PEER);
    let timer = "Session-Expires: 4;refresher=uac";
    let mut scenario = Scenario::called();
    scenario.answer("200 OK", "sipp", &sdp(1, peer.port, &[]), &["Require: timer", timer]).expect("ACK");
    scenario.expect_with("UPDATE", "Session-Expires", "4;refresher=uac").reply(
        "200 OK",
        "",
        &["Require: timer", timer],
    );
    // The other phone takes no UPDATE any more, which the answer to this one says: it has said so in its INVITE.
    scenario.expect_with("UPDATE", "Session-Expires", "4;refresher=uac").reply(
        "200 OK",
        "",
        &["Require: timer", timer],
    );
    // From now on it is refreshed by nobody: the phone waits, and ends the call.
    scenario.expect("UPDATE").reply("200 OK", "", &["Require: timer", "Session-Expires: 4;refresher=uas"]).is_hung_up();
    let mut sipp = scenario.run(&folder, port, None);
    let mut alice =
        alice(&folder, &Setup { sip: "session_expires = 4\nmin_session_expires = 2".into(), ..Setup::default() });
    call(&mut alice, port);
    alice.wait("line 1: up");
    alice.wait("session refreshed");
    let refreshed = While::pass(WHILE);
    alice.wait("session refreshed");
    alice.wait("session refreshed");
    alice.wait("ended: the other side has not refreshed the session");
    sipp.succeeds();
    let (alice, peer) = (alice.leave(), peer.heard(&folder, "peer"));
    alice.has(PEER, refreshed.from, refreshed.to);
    peer.has(ALICE, refreshed.from, refreshed.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_asks_again_when_both_offer_at_once() {
    let Some((folder, port)) = start("glare") else { return };
    let peer = Rtp::start(PEER);
    let mut scenario = Scenario::called();
    scenario.answer("200 OK", "sipp", &sdp(1, peer.port, &[]), &[]).expect("ACK").expect("INVITE");
    // While the phone's is not answered, one of ours.
    scenario.reply("491 Request Pending", "", &[]).expect("ACK").pause(500);
    scenario.reinvite(&sdp(2, peer.port, &[]));
    scenario.expect("INVITE").reply("200 OK", &sdp(3, peer.port, &["a=recvonly"]), &[]).expect("ACK").is_hung_up();
    let mut sipp = scenario.run(&folder, port, None);
    let mut alice = alice(&folder, &Setup::default());
    call(&mut alice, port);
    alice.wait("line 1: up");
    let before = While::pass(WHILE);
    alice.type_in("hold");
    alice.wait("both asked at once");
    alice.wait("line 1: on hold");
    let held = While::pass(WHILE);
    alice.type_in("hangup");
    sipp.succeeds();
    let (alice, peer) = (alice.leave(), peer.heard(&folder, "peer"));
    alice.has(PEER, before.from, before.to);
    peer.has(ALICE, before.from, before.to);
    peer.lacks(ALICE, held.from, held.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_refuses_an_offer_that_comes_while_its_own_waits() {
    let Some((folder, port)) = start("pending") else { return };
    let peer = Rtp::start(PEER);
    let mut scenario = Scenario::called();
    scenario.answer("200 OK", "sipp", &sdp(1, peer.port, &[]), &[]).expect("ACK").expect_kept("INVITE");
    scenario.request("UPDATE", &sdp(2, peer.port, &[]), &[]).comes(491, &[]);
    scenario.answer_kept("200 OK", &sdp(3, peer.port, &["a=recvonly"])).expect("ACK").is_hung_up();
    let mut sipp = scenario.run(&folder, port, None);
    let mut alice = alice(&folder, &Setup::default());
    call(&mut alice, port);
    alice.wait("line 1: up");
    let before = While::pass(WHILE);
    alice.type_in("hold");
    alice.wait("line 1: on hold");
    let held = While::pass(WHILE);
    alice.type_in("hangup");
    sipp.succeeds();
    let (alice, peer) = (alice.leave(), peer.heard(&folder, "peer"));
    alice.has(PEER, before.from, before.to);
    peer.has(ALICE, before.from, before.to);
    peer.lacks(ALICE, held.from, held.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_talks_through_a_trunk() {
    let Some((folder, port)) = start("trunk") else { return };
    let (peer, moved) = (Rtp::start(PEER), Rtp::start(OTHER));
    peer.set_ptime(10);
    moved.set_ptime(40);
    let reliable = ["Require: 100rel", "RSeq: 17"];
    let mut scenario = Scenario::called();
    scenario.answer("183 Session Progress", "sipp", &sdp(1, peer.port, &["a=ptime:10"]), &reliable);
    scenario.expect_with("PRACK", "RAck", "17 [0-9]+ INVITE").reply("200 OK", "", &[]).pause(PAUSE);
    // It is the INVITE that is answered now, and not the PRACK.
    scenario.answer_invite("200 OK", "sipp", "", &["Require: timer", "Session-Expires: 1800;refresher=uac"]);
    scenario.expect("ACK").pause(PAUSE).pause(PAUSE);
    scenario.reinvite(&sdp(2, moved.port, &["a=ptime:40"])).pause(PAUSE).hangs_up();
    let mut sipp = scenario.run(&folder, port, None);
    let mut alice = alice(&folder, &Setup::default());
    call(&mut alice, port);
    alice.wait("early media");
    let early = While::pass(WHILE);
    alice.wait("line 1: up (PCMU/8000");
    let up = While::pass(WHILE);
    assert_eq!(peer.heard_ptime(), 10);
    alice.type_in("dtmf 19*");
    moved.wait_for_packets();
    let packets = peer.packets();
    let away = While::pass(WHILE);
    assert_eq!(moved.heard_ptime(), 40);
    assert!(peer.packets() <= packets + 50, "{} packets to where nobody listens any more", peer.packets() - packets);
    alice.wait("ended: hung up");
    sipp.succeeds();
    assert_eq!(peer.keys(), [1, 9, 10]);
    let alice = alice.leave();
    let (peer, moved) = (peer.heard(&folder, "peer"), moved.heard(&folder, "moved"));
    alice.has(PEER, early.from, early.to);
    alice.has(PEER, up.from, up.to);
    peer.has(ALICE, up.from, up.to);
    alice.has(OTHER, away.from, away.to);
    moved.has(ALICE, away.from, away.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_rings_reliably_for_who_requires_it() {
    let Some((folder, port)) = start("reliable") else { return };
    let peer = Rtp::start(PEER);
    let mut alice = alice(&folder, &Setup::default());
    let mut scenario = Scenario::calls(&sdp(1, peer.port, &[]), &["Require: 100rel"]);
    // It isn't acknowledged at once, so it comes again: sipp takes no notice, but writes it down.
    scenario.comes(180, &[100]).pause(900).request("PRACK", "", &["RAck: 1 1 INVITE"]).comes(200, &[180]);
    scenario.comes(200, &[180]).request_numbered("ACK", 1).pause(PAUSE).hangs_up();
    let mut sipp = scenario.run(&folder, port, Some(("alice", alice.port)));
    alice.wait("calls");
    std::thread::sleep(Duration::from_millis(2_000));
    alice.type_in("answer");
    alice.wait("line 1: up");
    let up = While::pass(WHILE);
    alice.wait("ended: hung up");
    sipp.succeeds();
    assert_eq!(sipp.count("RSeq: 1"), 2);
    let (alice, peer) = (alice.leave(), peer.heard(&folder, "peer"));
    alice.has(PEER, up.from, up.to);
    peer.has(ALICE, up.from, up.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_refuses_what_it_cannot_do() {
    let Some((folder, port)) = start("refuses") else { return };
    let alice = alice(&folder, &Setup { sip: "min_session_expires = 90".into(), ..Setup::default() });
    let audio = sdp(1, 4_000, &[]);
    let other_codec = audio.replace("RTP/AVP 0 101", "RTP/AVP 18").replace("rtpmap:0 PCMU", "rtpmap:18 G729");
    for (body, header, status) in [
        (other_codec.as_str(), "Supported: timer", 488),
        (&audio, "Require: precondition", 420),
        (&audio, "Supported: timer\nSession-Expires: 60", 422),
        (&audio, "Replaces: nobody;to-tag=1;from-tag=2", 481),
        ("v=nonsense\n", "Supported: timer", 488),
    ] {
        let mut scenario = Scenario::calls(body, &[header]);
        scenario.comes(status, &[100]).request("ACK", "", &[]);
        scenario.run(&folder, port, Some(("alice", alice.port))).succeeds();
    }
    assert!(!alice.has_said("calls"), "{}", alice.words());
    alice.leave();
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_follows_an_update_before_the_call_is_answered() {
    let Some((folder, port)) = start("early-update") else { return };
    let (peer, other) = (Rtp::start(PEER), Rtp::start(OTHER));
    let mut scenario = Scenario::called();
    scenario.answer("183 Session Progress", "sipp", &sdp(1, peer.port, &[]), &[]).pause(PAUSE);
    scenario.request("UPDATE", &sdp(2, other.port, &[]), &[]).comes(200, &[]).pause(PAUSE);
    scenario.answer_invite("200 OK", "sipp", "", &[]).expect("ACK").pause(PAUSE).hangs_up();
    let mut sipp = scenario.run(&folder, port, None);
    let mut alice = alice(&folder, &Setup::default());
    call(&mut alice, port);
    alice.wait("early media");
    let early = While::pass(WHILE);
    other.wait_for_packets();
    // What was on its way of the one before is still played.
    std::thread::sleep(Duration::from_millis(400));
    let updated = While::pass(WHILE);
    alice.wait("line 1: up (PCMU/8000");
    let up = While::pass(WHILE);
    alice.wait("ended: hung up");
    sipp.succeeds();
    let (alice, other) = (alice.leave(), other.heard(&folder, "other"));
    alice.has(PEER, early.from, early.to);
    for While { from, to } in [&updated, &up] {
        alice.has(OTHER, *from, *to);
        alice.lacks(PEER, *from, *to);
        other.has(ALICE, *from, *to);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_lets_an_update_wait_that_comes_before_it_has_answered() {
    let Some((folder, port)) = start("update-waits") else { return };
    let peer = Rtp::start(PEER);
    let mut alice = alice(&folder, &Setup::default());
    let mut scenario = Scenario::calls(&sdp(1, peer.port, &[]), &[]);
    scenario.comes(180, &[100]).request("UPDATE", &sdp(2, peer.port, &[]), &[]).comes(500, &[]);
    scenario.comes(200, &[180]).request_numbered("ACK", 1).pause(PAUSE).hangs_up();
    let mut sipp = scenario.run(&folder, port, Some(("alice", alice.port)));
    alice.wait("calls");
    std::thread::sleep(Duration::from_millis(500));
    alice.type_in("answer");
    alice.wait("line 1: up");
    let up = While::pass(WHILE);
    alice.wait("ended: hung up");
    sipp.succeeds();
    let (alice, peer) = (alice.leave(), peer.heard(&folder, "peer"));
    alice.has(PEER, up.from, up.to);
    peer.has(ALICE, up.from, up.to);
    fs::remove_dir_all(folder).unwrap();
}
