//! Connectivity checks on the command line: two processes over sockets find each other by ICE, full and lite, with a STUN
//! server beside them, or say why they go without it.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use media_core_tests::program::{Ended, Running, folder, media_core, read_when_there};

const LIMIT: Duration = Duration::from_secs(40);

/// A STUN server: who asks is told that it is seen at 192.0.2.77, at its own port.
fn stun_server() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0; 1_500];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let cookie = [0x21, 0x12, 0xa4, 0x42];
            let mut answer = [&[1, 1, 0, 12][..], &cookie, &buffer[8..len.min(20)], &[0, 0x20, 0, 8, 0, 1]].concat();
            answer.extend((from.port() ^ 0x2112).to_be_bytes());
            answer.extend([192, 0, 2, 77].iter().zip(cookie).map(|(octet, mask)| octet ^ mask));
            let _ = socket.send_to(&answer, from);
        }
    });
    port
}

/// Both sides with their options; what they left, and the offer.
fn call(test: &str, sides: [&[&str]; 2]) -> ([Ended; 2], String) {
    let folder = folder(&format!("ice-{test}"));
    let start = |side: usize, words: &[&str]| {
        let mut command = Command::new(media_core());
        command.current_dir(&folder).args(words).args(["--address", "127.0.0.1", "--null", "--codec", "pcmu"]);
        command.args(["--seconds", "3", "--json"]).args(sides[side]);
        Running::start(&mut command, &folder, words[0])
    };
    let offerer = start(0, &["offer", "--write", "offer.sdp", "--read", "answer.sdp"]);
    let offer = read_when_there(&folder.join("offer.sdp"), LIMIT);
    let answerer = start(1, &["answer", "offer.sdp", "--write", "answer.sdp"]);
    let ended = [offerer, answerer].map(|side| side.wait(LIMIT));
    fs::remove_dir_all(folder).unwrap();
    (ended, offer)
}

fn summaries(ended: [Ended; 2]) -> [serde_json::Value; 2] {
    ended.map(|ended| serde_json::from_str(&ended.success().stdout).unwrap())
}

#[test]
fn two_processes_find_each_other() {
    let server = format!("127.0.0.1:{}", stun_server());
    let full = std::thread::spawn(move || {
        let (ended, offer) = call("full", [&["--ice", "full", "--stun", &server], &["--ice", "full"]]);
        assert!(offer.contains(" 192.0.2.77 ") && offer.contains("typ srflx raddr 127.0.0.1"), "{offer}");
        assert!(ended[0].stderr.contains("ICE with the other side: 1 addresses of it"), "{}", ended[0].stderr);
        assert!(ended[1].stderr.contains("ICE: host 127.0.0.1:"), "{}", ended[1].stderr);
        summaries(ended)
    });
    let lite = std::thread::spawn(|| summaries(call("lite", [&["--ice", "lite"], &["--ice", "full"]]).0));
    let [full, lite] = [full, lite].map(|call| call.join().unwrap());
    for (n, side) in full.iter().chain(&lite).enumerate() {
        println!("{side}");
        let ice = &side["ice"];
        assert_eq!((&ice["state"], &ice["remote_kind"]), (&"connected".into(), &"host".into()), "{ice}");
        assert!(side["packets_received"].as_u64().unwrap() >= 100, "{side}");
        assert_eq!(ice["messages_of_strangers"], 0);
        assert_eq!(ice["checks_sent"] == 0, n == 2, "only the lite side asks nothing");
    }
}

#[test]
fn addresses_are_looked_for_anew_in_a_running_call() {
    let (ended, offer) = call("restart", [&["--ice", "full", "--ice-restart-at", "1"], &["--ice", "full"]]);
    assert!(ended[0].stderr.contains("ICE restart: agreed, "), "{}", ended[0].stderr);
    assert!(offer.contains("a=end-of-candidates"), "all that can be told is told at once: {offer}");
    for side in summaries(ended) {
        assert_eq!((&side["ice"]["restarts"], &side["ice"]["state"]), (&1.into(), &"connected".into()), "{side}");
        assert!(
            side["packets_received"].as_u64().unwrap() >= 100 && side["concealed_ms"].as_f64().unwrap() < 100.0,
            "{side}"
        );
    }
}

#[test]
fn without_ice_on_the_other_side_it_is_said() {
    let (ended, _) = call("half", [&["--ice", "full"], &[]]);
    assert!(ended[0].stderr.contains("no ICE: the other side doesn't speak ICE; packets go to 127.0.0.1"), "{ended:?}");
    assert!(!ended[1].stderr.contains("ICE"), "{}", ended[1].stderr);
    assert!(
        summaries(ended).iter().all(|side| side["packets_received"].as_u64().unwrap() >= 100 && side["ice"].is_null())
    );
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    for (words, why) in [
        (&["--ice", "full", "--no-mux"][..], "--no-mux"),
        (&["--stun", "127.0.0.1:9"], "--stun is for --ice full"),
        (&["--ice", "lite", "--stun", "127.0.0.1:9"], "--stun is for --ice full"),
        (&["--ice-required"], "--ice-required is for --ice full or lite"),
        (&["--ice", "full", "--stun", "127.0.0.1"], "--stun 127.0.0.1:"),
        (&["--ice", "full", "--stun", "[::1]:3478"], "no address of our family"),
        (&["--ice", "some"], "off, full, lite"),
        (&["--turn", "me:secret@127.0.0.1"], "--turn is for --ice full"),
        (&["--ice-relay-only"], "--ice-relay-only needs a --turn server"),
        (&["--ice", "full", "--turn", "127.0.0.1:9"], "it must be USER[:PASSWORD]@HOST[:PORT]"),
        (&["--ice", "full", "--turn", "me@127.0.0.1:9"], "no password, and no MEDIA_CORE_TURN_PASSWORD"),
        (&["--ice", "full", "--turn", ":secret@127.0.0.1"], "user and password have 1 to 508 bytes"),
        (&["--ice", "full", "--turn", "me:se%cret@127.0.0.1"], "%XX in user or password"),
        (&["--ice", "full", "--turn", "me:secret@127.0.0.1?transport=tls"], "transport=udp or transport=tcp"),
        (&["--ice", "full", "--turn", "turns:me:secret@127.0.0.1"], "TURN over TLS (turns:) is not spoken here"),
        (&["--ice", "full", "--turn", "me:secret@[::1]"], "no address of our family"),
        (&["--ice", "full", "--turn", "me:secret@127.0.0.1:9?transport=tcp"], "--turn 127.0.0.1:9 by TCP:"),
        (&["--ice", "full", "--turn", "a:b@127.0.0.1:9", "--turn", "c:d@127.0.0.1:9"], "two servers have one address"),
        (
            &["--ice", "full", "--ice-relay-only", "--turn", "a:b@127.0.0.1:9", "--stun", "127.0.0.1:9"],
            "what --stun and --ice-address are for",
        ),
        (&["--ice-restart-at", "1"], "--ice-restart-at is for --ice full or lite"),
    ] {
        let mut command = Command::new(media_core());
        let output = command.args(["offer", "--address", "127.0.0.1", "--null"]).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{words:?}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}
