//! What phones and servers of others do: early media of two phones, late offers, refusals, holds in all their
//! spellings, UPDATE, session timers, glare, and a trunk.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::heard::{Heard, While};
use crate::phone::{Phone, Setup, folder, free_port};
use crate::rtp::Rtp;
use crate::sipp::{self, Scenario, Sipp, sdp};

const ALICE: u32 = 360;
const PEER: u32 = 620;
const OTHER: u32 = 880;

const WHILE: Duration = Duration::from_millis(2_500);
/// The same for scenarios: a while of the test's lies within.
const PAUSE: u32 = 3_500;

/// Whom a scenario is played with: a phone, Alice's, and the sound of sipp's side.
struct Scene {
    folder: PathBuf,
    port: u16,
    setup: Setup,
    peers: Vec<Rtp>,
}

/// A scenario that runs.
struct Play {
    folder: PathBuf,
    alice: Phone,
    sipp: Sipp,
    peers: Vec<Rtp>,
    talks: Vec<While>,
    holds: Vec<While>,
}

impl Scene {
    /// With peers who say these tones; none where there is no sipp.
    fn new(test: &str, tones: &[u32]) -> Option<Self> {
        let peers = || tones.iter().map(|hz| Rtp::start(*hz)).collect();
        sipp::is_there().then(|| Self {
            folder: folder(test),
            port: free_port(),
            setup: Setup::default(),
            peers: peers(),
        })
    }

    /// Alice's phone answers by itself.
    fn answering(self) -> Self {
        Self { setup: Setup { phone: "auto_answer = true".into(), ..self.setup }, ..self }
    }

    fn with_sip(self, sip: &str) -> Self {
        Self { setup: Setup { sip: sip.into(), ..self.setup }, ..self }
    }

    /// The description of the first peer.
    fn sdp(&self, version: u32, lines: &[&str]) -> String {
        sdp(version, self.peers[0].port, lines)
    }

    fn phone(&self) -> Phone {
        Phone::start(&self.folder, "alice", ALICE, &self.setup)
    }

    fn play(self, alice: Phone, sipp: Sipp) -> Play {
        let Self { folder, peers, .. } = self;
        Play { folder, alice, sipp, peers, talks: Vec::new(), holds: Vec::new() }
    }

    /// Alice calls, and sipp does this.
    fn calls(self, scenario: &Scenario) -> Play {
        let sipp = scenario.run(&self.folder, self.port, None);
        let mut alice = self.phone();
        alice.type_in(&format!("call sip:peer@127.0.0.1:{}", self.port));
        self.play(alice, sipp)
    }

    /// sipp calls Alice, and does this.
    fn called(self, scenario: &Scenario) -> Play {
        let alice = self.phone();
        let sipp = scenario.run(&self.folder, self.port, Some(("alice", alice.port)));
        self.play(alice, sipp)
    }
}

impl Play {
    /// Alice says this, and then she and the first peer hear each other for a while.
    #[track_caller]
    fn talks(&mut self, said: &str) {
        self.alice.wait(said);
        self.talks.push(While::pass(WHILE));
    }

    /// Alice says this, and then neither hears the other for a while.
    #[track_caller]
    fn holds(&mut self, said: &str) {
        self.alice.wait(said);
        self.holds.push(While::pass(WHILE));
    }

    /// It has ended as it should, and was heard as it was told; what Alice and each peer heard.
    #[track_caller]
    fn ends(mut self) -> (Heard, Vec<Heard>) {
        self.sipp.succeeds();
        let alice = self.alice.leave();
        let peers = self.peers.iter().enumerate();
        let peers: Vec<Heard> = peers.map(|(n, peer)| peer.heard(&self.folder, &format!("peer {n}"))).collect();
        for While { from, to } in &self.talks {
            alice.has(PEER, *from, *to);
            peers[0].has(ALICE, *from, *to);
        }
        for While { from, to } in &self.holds {
            alice.lacks(PEER, *from, *to);
            peers[0].lacks(ALICE, *from, *to);
        }
        fs::remove_dir_all(self.folder).unwrap();
        (alice, peers)
    }

    /// Alice hangs up, and it ends.
    #[track_caller]
    fn hangs_up(mut self) -> (Heard, Vec<Heard>) {
        self.alice.type_in("hangup");
        self.ends()
    }

    /// The other side hangs up, and it ends.
    #[track_caller]
    fn they_hang_up(mut self) -> (Heard, Vec<Heard>) {
        self.alice.wait("ended: hung up");
        self.ends()
    }
}

#[test]
fn softphone_hears_early_media_of_two_phones_and_then_the_one_that_is_picked_up() {
    let Some(scene) = Scene::new("forks", &[PEER, OTHER]) else { return };
    let [first, second] = [0, 1].map(|n| sdp(1, scene.peers[n].port, &[]));
    let mut scenario = Scenario::called();
    scenario.answer("183 Session Progress", "first", &first, &[]).pause(PAUSE);
    scenario.answer("183 Session Progress", "second", &second, &[]).pause(PAUSE);
    scenario.answer("200 OK", "second", &second, &[]).expect("ACK").pause(PAUSE).hangs_up();
    let mut play = scene.calls(&scenario);
    play.alice.wait("early media");
    let early = While::pass(WHILE);
    play.alice.wait("early media");
    let both = While::pass(WHILE);
    play.alice.wait("1 other phones had answered early");
    play.alice.wait("line 1: up (PCMU/8000");
    let up = While::pass(WHILE);
    let (alice, peers) = play.they_hang_up();
    for While { from, to } in [&early, &both] {
        alice.has(PEER, *from, *to);
        alice.lacks(OTHER, *from, *to);
    }
    alice.has(OTHER, up.from, up.to);
    alice.lacks(PEER, up.from, up.to);
    peers[1].has(ALICE, up.from, up.to);
    // A phone that isn't picked up has no business with what is said to another one.
    peers[1].lacks(ALICE, both.from, both.to);
    peers[0].lacks(ALICE, up.from, up.to);
}

#[test]
fn softphone_offers_in_its_answer_to_an_invite_without_an_offer() {
    let Some(scene) = Scene::new("late-offer", &[PEER]) else { return };
    let mut scenario = Scenario::calls("", &[]);
    scenario.comes(200, &[100, 180]).request("ACK", &scene.sdp(1, &[]), &[]).pause(PAUSE);
    // The same once more while it runs.
    scenario.request("INVITE", "", &[]).comes(200, &[100]).request("ACK", &scene.sdp(2, &[]), &[]).pause(PAUSE);
    scenario.hangs_up();
    let mut play = scene.answering().called(&scenario);
    play.talks("line 1: up (PCMU/8000");
    std::thread::sleep(Duration::from_millis(u64::from(PAUSE) - WHILE.as_millis() as u64));
    play.talks.push(While::pass(WHILE));
    play.they_hang_up();
}

#[test]
fn softphone_goes_on_when_its_reinvite_is_refused() {
    let Some(scene) = Scene::new("refused", &[PEER]) else { return };
    let mut scenario = Scenario::called();
    scenario.answer("180 Ringing", "sipp", "", &[]).answer("200 OK", "sipp", &scene.sdp(1, &[]), &[]).expect("ACK");
    scenario.expect("INVITE").reply("488 Not Acceptable Here", "", &[]).expect("ACK");
    scenario.expect("INVITE").reply("200 OK", &scene.sdp(2, &["a=recvonly"]), &[]).expect("ACK").is_hung_up();
    let mut play = scene.calls(&scenario);
    play.talks("line 1: up");
    play.alice.type_in("hold");
    play.talks("hold refused (488");
    play.alice.type_in("hold");
    play.holds("line 1: on hold");
    play.hangs_up();
}

#[test]
fn softphone_is_held_in_every_spelling() {
    let Some(scene) = Scene::new("holds", &[PEER]) else { return };
    let spellings: [&[&str]; 3] = [&["c=0"], &["a=inactive"], &["a=sendonly"]];
    let mut scenario = Scenario::calls(&scene.sdp(1, &[]), &[]);
    scenario.comes(200, &[100, 180]).request("ACK", "", &[]).pause(PAUSE);
    for (version, spelling) in (2..).step_by(2).zip(spellings) {
        scenario.reinvite(&scene.sdp(version, spelling)).pause(PAUSE);
        scenario.reinvite(&scene.sdp(version + 1, &["a=sendrecv"])).pause(PAUSE);
    }
    scenario.hangs_up();
    let mut play = scene.answering().called(&scenario);
    play.talks("line 1: up");
    let mut holds = Vec::new();
    for _ in spellings {
        play.alice.wait("they hold");
        holds.push(While::pass(WHILE));
        play.talks("they talk again");
    }
    let (alice, peers) = play.they_hang_up();
    for While { from, to } in &holds {
        peers[0].lacks(ALICE, *from, *to);
    }
    // `inactive` is for both directions.
    alice.lacks(PEER, holds[1].from, holds[1].to);
}

#[test]
fn softphone_is_held_and_refreshed_by_update() {
    let Some(scene) = Scene::new("update", &[PEER]) else { return };
    let mut scenario = Scenario::calls(&scene.sdp(1, &[]), &[]);
    scenario.comes(200, &[100, 180]).request("ACK", "", &[]).pause(PAUSE);
    scenario.request("UPDATE", "", &[]).comes(200, &[]);
    scenario.request("UPDATE", &scene.sdp(2, &["a=sendonly"]), &[]).comes(200, &[]).pause(PAUSE);
    scenario.request("UPDATE", &scene.sdp(3, &["a=sendrecv"]), &[]).comes(200, &[]).pause(PAUSE);
    // What can't be had is refused, and nothing changes.
    let video = scene.sdp(4, &[]).replace("m=audio", "m=video").replace("RTP/AVP", "RTP/SAVP");
    scenario.request("UPDATE", &video, &[]).comes(488, &[]).pause(PAUSE).hangs_up();
    let mut play = scene.answering().called(&scenario);
    play.talks("line 1: up");
    play.alice.wait("they hold");
    let held = While::pass(WHILE);
    play.talks("they talk again");
    play.talks("can't be had, and the call goes on");
    let (_, peers) = play.they_hang_up();
    peers[0].lacks(ALICE, held.from, held.to);
}

#[test]
fn softphone_refreshes_its_session() {
    let Some(scene) = Scene::new("refresh", &[PEER]) else { return };
    let timer = "Session-Expires: 4;refresher=uac";
    let timed = ["Require: timer", timer];
    let mut scenario = Scenario::called();
    scenario.answer("200 OK", "sipp", &scene.sdp(1, &[]), &timed).expect("ACK");
    for _ in 0..2 {
        scenario.expect_with("UPDATE", "Session-Expires", "4;refresher=uac").reply("200 OK", "", &timed);
    }
    // From now on it is refreshed by nobody: the phone waits, and ends the call.
    scenario.expect("UPDATE").reply("200 OK", "", &["Require: timer", "Session-Expires: 4;refresher=uas"]).is_hung_up();
    let mut play = scene.with_sip("session_expires = 4\nmin_session_expires = 2").calls(&scenario);
    play.alice.wait("line 1: up");
    play.talks("session refreshed");
    play.alice.wait("session refreshed");
    play.alice.wait("session refreshed");
    play.alice.wait("ended: the other side has not refreshed the session");
    play.ends();
}

/// The other phone takes no UPDATE, finds the interval too short, and then long enough.
#[test]
fn softphone_refreshes_by_an_invite_and_for_as_long_as_the_other_side_wants() {
    let Some(scene) = Scene::new("refresh-invite", &[PEER]) else { return };
    let timed = |seconds: u32| format!("Session-Expires: {seconds};refresher=uac");
    let mut scenario = Scenario::called();
    scenario.answer_without_update("200 OK", "sipp", &scene.sdp(1, &[]), &["Require: timer", &timed(4)]).expect("ACK");
    // The refresh is an INVITE with the offer of before, word for word.
    scenario.expect_with("INVITE", "Session-Expires", "4;refresher=uac");
    scenario.reply("422 Session Interval Too Small", "", &["Min-SE: 20"]).expect("ACK");
    scenario.expect_with("INVITE", "Session-Expires", "20;refresher=uac");
    scenario.reply("200 OK", &scene.sdp(1, &[]), &["Require: timer", &timed(20)]).expect("ACK").is_hung_up();
    let mut play = scene.with_sip("session_expires = 4\nmin_session_expires = 2").calls(&scenario);
    play.alice.wait("line 1: up");
    play.talks("session refreshed");
    let versions = play.sipp.offers();
    assert!(versions.len() >= 3 && versions.iter().all(|version| *version == versions[0]), "{versions:?}");
    play.hangs_up();
}

#[test]
fn softphone_asks_again_when_both_offer_at_once() {
    let Some(scene) = Scene::new("glare", &[PEER]) else { return };
    let mut scenario = Scenario::called();
    scenario.answer("200 OK", "sipp", &scene.sdp(1, &[]), &[]).expect("ACK").expect("INVITE");
    // While the phone's is not answered, one of ours.
    scenario.reply("491 Request Pending", "", &[]).expect("ACK").pause(500);
    scenario.reinvite(&scene.sdp(2, &[]));
    scenario.expect("INVITE").reply("200 OK", &scene.sdp(3, &["a=recvonly"]), &[]).expect("ACK").is_hung_up();
    let mut play = scene.calls(&scenario);
    play.talks("line 1: up");
    play.alice.type_in("hold");
    play.alice.wait("both asked at once");
    play.holds("line 1: on hold");
    play.hangs_up();
}

#[test]
fn softphone_refuses_an_offer_that_comes_while_its_own_waits() {
    let Some(scene) = Scene::new("pending", &[PEER]) else { return };
    let mut scenario = Scenario::called();
    scenario.answer("200 OK", "sipp", &scene.sdp(1, &[]), &[]).expect("ACK").expect_kept("INVITE");
    scenario.request("UPDATE", &scene.sdp(2, &[]), &[]).comes(491, &[]);
    scenario.answer_kept("200 OK", &scene.sdp(3, &["a=recvonly"])).expect("ACK").is_hung_up();
    let mut play = scene.calls(&scenario);
    play.talks("line 1: up");
    play.alice.type_in("hold");
    play.holds("line 1: on hold");
    play.hangs_up();
}

#[test]
fn softphone_talks_through_a_trunk() {
    let Some(scene) = Scene::new("trunk", &[PEER, OTHER]) else { return };
    scene.peers[0].set_ptime(10);
    scene.peers[1].set_ptime(40);
    let reliable = ["Require: 100rel", "RSeq: 17"];
    let mut scenario = Scenario::called();
    scenario.answer("183 Session Progress", "sipp", &scene.sdp(1, &["a=ptime:10"]), &reliable);
    scenario.expect_with("PRACK", "RAck", "17 [0-9]+ INVITE").reply("200 OK", "", &[]).pause(PAUSE);
    // It is the INVITE that is answered now, and not the PRACK.
    scenario.answer_invite("200 OK", "sipp", "", &["Require: timer", "Session-Expires: 1800;refresher=uac"]);
    scenario.expect("ACK").pause(PAUSE).pause(PAUSE);
    scenario.reinvite(&sdp(2, scene.peers[1].port, &["a=ptime:40"])).pause(PAUSE).hangs_up();
    let mut play = scene.calls(&scenario);
    play.alice.wait("early media");
    let early = While::pass(WHILE);
    play.talks("line 1: up (PCMU/8000");
    assert_eq!(play.peers[0].heard_ptime(), 10);
    play.alice.type_in("dtmf 19*");
    play.peers[1].wait_for_packets();
    let packets = play.peers[0].packets();
    let away = While::pass(WHILE);
    assert_eq!(play.peers[1].heard_ptime(), 40);
    let late = play.peers[0].packets() - packets;
    assert!(late <= 50, "{late} packets to where nobody listens any more");
    assert_eq!(play.peers[0].keys(), [1, 9, 10]);
    let (alice, peers) = play.they_hang_up();
    alice.has(PEER, early.from, early.to);
    alice.has(OTHER, away.from, away.to);
    peers[1].has(ALICE, away.from, away.to);
}

#[test]
fn softphone_rings_reliably_for_who_requires_it() {
    let Some(scene) = Scene::new("reliable", &[PEER]) else { return };
    let mut scenario = Scenario::calls(&scene.sdp(1, &[]), &["Require: 100rel"]);
    // It isn't acknowledged at once, so it comes again: sipp takes no notice, but writes it down.
    scenario.comes(180, &[100]).pause(900).request("PRACK", "", &["RAck: 1 1 INVITE"]).comes(200, &[180]);
    scenario.comes(200, &[180]).request_numbered("ACK", 1).pause(PAUSE).hangs_up();
    let mut play = scene.called(&scenario);
    play.alice.wait("calls");
    // Once it is acknowledged.
    play.sipp.waits_for("RAck: 1 1 INVITE");
    std::thread::sleep(Duration::from_millis(500));
    play.alice.type_in("answer");
    play.talks("line 1: up");
    play.alice.wait("ended: hung up");
    play.sipp.succeeds();
    assert_eq!(play.sipp.count("RSeq: 1"), 2);
    play.ends();
}

#[test]
fn softphone_refuses_what_it_cannot_do() {
    let Some(scene) = Scene::new("refuses", &[]) else { return };
    let scene = scene.with_sip("min_session_expires = 90");
    let alice = scene.phone();
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
        scenario.run(&scene.folder, scene.port, Some(("alice", alice.port))).succeeds();
    }
    assert!(!alice.has_said("calls"), "{}", alice.words());
    alice.leave();
    fs::remove_dir_all(scene.folder).unwrap();
}

#[test]
fn softphone_follows_an_update_before_the_call_is_answered() {
    let Some(scene) = Scene::new("early-update", &[PEER, OTHER]) else { return };
    let mut scenario = Scenario::called();
    scenario.answer("183 Session Progress", "sipp", &scene.sdp(1, &[]), &[]).pause(PAUSE);
    scenario.request("UPDATE", &sdp(2, scene.peers[1].port, &[]), &[]).comes(200, &[]).pause(PAUSE);
    scenario.answer_invite("200 OK", "sipp", "", &[]).expect("ACK").pause(PAUSE).hangs_up();
    let mut play = scene.calls(&scenario);
    play.alice.wait("early media");
    let early = While::pass(WHILE);
    play.peers[1].wait_for_packets();
    // What was on its way of the one before is still played.
    std::thread::sleep(Duration::from_millis(400));
    let updated = While::pass(WHILE);
    play.alice.wait("line 1: up (PCMU/8000");
    let up = While::pass(WHILE);
    let (alice, peers) = play.they_hang_up();
    alice.has(PEER, early.from, early.to);
    for While { from, to } in [&updated, &up] {
        alice.has(OTHER, *from, *to);
        alice.lacks(PEER, *from, *to);
        peers[1].has(ALICE, *from, *to);
    }
}

#[test]
fn softphone_lets_an_update_wait_that_comes_before_it_has_answered() {
    let Some(scene) = Scene::new("update-waits", &[PEER]) else { return };
    let mut scenario = Scenario::calls(&scene.sdp(1, &[]), &[]);
    scenario.comes(180, &[100]).request("UPDATE", &scene.sdp(2, &[]), &[]).comes(500, &[]);
    scenario.comes(200, &[180]).request_numbered("ACK", 1).pause(PAUSE).hangs_up();
    let mut play = scene.called(&scenario);
    play.alice.wait("calls");
    play.sipp.waits_for("SIP/2.0 500");
    play.alice.type_in("answer");
    play.talks("line 1: up");
    play.they_hang_up();
}
