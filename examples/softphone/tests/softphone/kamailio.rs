//! Kamailio as registrar and proxy: registration with a digest, calls through it, two phones under one address, and
//! the end of a registration.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::heard::While;
use crate::phone::{Phone, Setup, folder, free_port, lacks_peer};

const ALICE: u32 = 360;
const BOB: u32 = 620;
const CAROL: u32 = 880;
const PASSWORD: &str = "correct-horse";

const WHILE: Duration = Duration::from_millis(2_500);

const ROUTES: &str = r#"
request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
        sl_send_reply("404", "Not Here");
        exit;
    }
    if (is_method("REGISTER")) {
        if (!pv_www_authenticate("$td", "PASSWORD", "0")) { www_challenge("$td", "1"); exit; }
        save("location");
        exit;
    }
    if (is_method("INVITE")) {
        if (!pv_proxy_authenticate("$fd", "PASSWORD", "0")) { proxy_challenge("$fd", "1"); exit; }
        consume_credentials();
    }
    record_route();
    if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
    t_relay();
}
"#;

struct Kamailio {
    child: Child,
    port: u16,
}

impl Kamailio {
    /// Starts it; `None` where it isn't installed.
    fn start(folder: &Path) -> Option<Self> {
        let Ok(output) = Command::new("kamailio").arg("-v").output() else {
            lacks_peer("kamailio is not installed (apt-get install kamailio)");
            return None;
        };
        assert!(output.status.success());
        let port = free_port();
        let modules = ["kex", "tm", "sl", "rr", "pv", "maxfwd", "textops", "siputils", "usrloc", "registrar", "auth"];
        let load: String = modules.iter().map(|name| format!("loadmodule \"{name}.so\"\n")).collect();
        let config = folder.join("kamailio.cfg");
        fs::write(
            &config,
            format!(
                "#!KAMAILIO\ndebug=1\nlog_stderror=yes\nchildren=2\ntcp_children=2\nauto_aliases=no\n\
                 listen=udp:127.0.0.1:{port}\nlisten=tcp:127.0.0.1:{port}\n{load}\
                 modparam(\"usrloc\", \"db_mode\", 0)\nmodparam(\"rr\", \"enable_full_lr\", 1)\n{}",
                ROUTES.replace("PASSWORD", PASSWORD)
            ),
        )
        .unwrap();
        let log = |end: &str| fs::File::create(folder.join(format!("kamailio.{end}"))).unwrap();
        let mut kamailio = Command::new("kamailio");
        kamailio.arg("-f").arg(&config).args(["-DD", "-E", "-m", "64", "-M", "8"]);
        kamailio.arg("-w").arg(folder).arg("-Y").arg(folder).arg("-P").arg(folder.join("kamailio.pid"));
        let child = kamailio.stdin(Stdio::null()).stdout(log("out")).stderr(log("err")).spawn().unwrap();
        let kamailio = Self { child, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let told = fs::read_to_string(folder.join("kamailio.err")).unwrap_or_default();
            assert!(begin.elapsed() < Duration::from_secs(15), "kamailio does not listen\n{told}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(kamailio)
    }

    /// An account at it.
    fn account(&self, user: &str, password: &str) -> String {
        let port = self.port;
        format!(
            "uri = \"sip:{user}@127.0.0.1:{port}\"\nregistrar = \"sip:127.0.0.1:{port}\"\n\
             password = \"{password}\"\nexpires = 60"
        )
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // It has children: they end with it when it is asked to, and not when it is killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn through(test: &str, transport: &'static str) {
    let folder = folder(test);
    let Some(kamailio) = Kamailio::start(&folder) else { return };
    let setup = |user, phone: &str| Setup {
        transport,
        account: kamailio.account(user, PASSWORD),
        phone: phone.into(),
        ..Setup::default()
    };
    let mut alice = Phone::start(&folder, "alice", ALICE, &setup("alice", ""));
    let mut bob = Phone::start(&folder, "bob", BOB, &setup("bob", ""));
    // The same address once more.
    let mut carol = Phone::start(&folder, "carol", CAROL, &setup("bob", ""));
    for phone in [&mut alice, &mut bob, &mut carol] {
        phone.wait("registered for 60 s");
    }
    alice.type_in("call bob");
    alice.wait("it rings");
    bob.wait("calls");
    carol.wait("calls");
    bob.type_in("answer");
    alice.wait("line 1: up");
    bob.wait("line 1: up");
    carol.wait("ended: they gave up");
    let talk = While::pass(WHILE);
    bob.type_in("hold");
    bob.wait("on hold");
    alice.wait("they hold");
    let held = While::pass(WHILE);
    bob.type_in("resume");
    alice.wait("they talk again");
    let again = While::pass(WHILE);
    alice.type_in("hangup");
    bob.wait("ended: hung up");
    // Who has left is not there any more.
    let (bob, carol) = (bob.leave(), carol.leave());
    alice.type_in("call bob");
    alice.wait("ended: 404");
    let alice = alice.leave();
    drop(kamailio);
    for While { from, to } in [&talk, &again] {
        alice.has(BOB, *from, *to);
        bob.has(ALICE, *from, *to);
        carol.lacks(ALICE, *from, *to);
        alice.lacks(CAROL, *from, *to);
    }
    bob.lacks(ALICE, held.from, held.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_registers_at_kamailio_and_calls_through_it_over_udp() {
    through("kamailio-udp", "udp");
}

#[test]
fn softphone_registers_at_kamailio_and_calls_through_it_over_tcp() {
    through("kamailio-tcp", "tcp");
}

#[test]
fn softphone_says_so_when_kamailio_refuses_its_password() {
    let folder = folder("kamailio-refuses");
    let Some(kamailio) = Kamailio::start(&folder) else { return };
    let account = kamailio.account("alice", "wrong-donkey");
    let mut alice = Phone::start(&folder, "alice", ALICE, &Setup { account, ..Setup::default() });
    alice.wait("not registered: the registrar refuses user or password (401");
    let words = alice.words();
    alice.leave();
    let log = fs::read_to_string(folder.join("alice.log")).unwrap();
    assert!(!words.contains("wrong-donkey") && !log.contains("wrong-donkey"));
    fs::remove_dir_all(folder).unwrap();
}
