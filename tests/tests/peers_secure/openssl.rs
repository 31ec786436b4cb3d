//! OpenSSL's own programs, in both roles of the handshake and with certificates of each kind that phones have: both
//! sides must come to the same keys, which OpenSSL prints. There is no sound, so none of these is a row of the table.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant as StdInstant};

use dsp_core::time::Instant;
use host_std::registry::CodecFormat;
use host_std::session::{Call, CallConfig, Channel, HandshakeFailure, Keying, Protection};
use media_core_tests::program::{Running, folder, free_port_pair};

use super::is_there;

/// So long both may take.
const PATIENCE: Duration = Duration::from_secs(10);
const PROFILES: &str = "SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80";

/// A certificate in `cert.pem` by these words of `openssl req`, and its fingerprint as descriptions have it.
fn certificate(folder: &Path, kind: &[&str]) -> String {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let common = ["-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=phone", "-days", "30"];
    openssl(&[&["req", "-x509", "-newkey"], kind, &common].concat());
    let text = openssl(&["x509", "-in", "cert.pem", "-noout", "-fingerprint", "-sha256"]);
    text.trim().split_once('=').unwrap().1.to_owned()
}

/// A call with OpenSSL, which is the server or the client.
struct Other {
    call: Call,
    socket: UdpSocket,
    begin: StdInstant,
    program: Running,
    folder: std::path::PathBuf,
}

impl Other {
    fn new(name: &str, kind: &[&str], serves: bool, options: &[&str]) -> Option<Self> {
        if !is_there("openssl", "openssl") {
            return None;
        }
        let folder = folder(&format!("secure-openssl-{name}"));
        let fingerprint = certificate(&folder, kind);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let (our_port, port) = (socket.local_addr().unwrap().port(), free_port_pair());
        let codecs = vec![CodecFormat::pcmu()];
        let config = CallConfig { codecs, keying: Keying::Dtls, ..CallConfig::new(our_port).unwrap() };
        let mut call = Call::new(CallConfig { address: [127, 0, 0, 1].into(), ..config }).unwrap();
        let role = if serves { "passive" } else { "active" };
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} UDP/TLS/RTP/SAVP 0\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtcp-mux\r\na=setup:{role}\r\na=fingerprint:sha-256 {fingerprint}\r\n"
        );
        let mut program = Command::new("openssl");
        program.current_dir(&folder).arg(if serves { "s_server" } else { "s_client" });
        program.args(["-dtls1_2", "-cert", "cert.pem", "-key", "key.pem", "-use_srtp", PROFILES]);
        program.args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "88"]).args(options);
        if serves {
            program.args(["-accept", &format!("127.0.0.1:{port}"), "-Verify", "1"]);
        } else {
            let (here, there) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{our_port}"));
            program.args(["-bind", &here, "-connect", &there]);
        }
        let (program, stdin) = Running::start_with_stdin(&mut program, &folder, "openssl");
        // As long as it's open the program goes on; it is killed when the test is over.
        std::mem::forget(stdin);
        std::thread::sleep(Duration::from_millis(300));
        let begin = StdInstant::now();
        call.answer(Instant::ZERO, &offer).unwrap();
        Some(Self { call, socket, begin, program, folder })
    }

    /// Until there are keys, or this is so.
    fn run(&mut self, until: impl Fn(&Call) -> bool) {
        let mut buffer = [0; 2_048];
        while self.begin.elapsed() < PATIENCE && !until(&self.call) {
            let now = || Instant::from_micros(self.begin.elapsed().as_micros() as u64);
            while let Some(transmit) = self.call.transmit(now(), &mut buffer) {
                self.socket.send_to(&buffer[..transmit.len], transmit.to).unwrap();
            }
            if let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
                let from: SocketAddr = from;
                self.call.receive(now(), Channel::Rtp, from, &mut buffer[..len]);
            }
        }
        // What answers the last message.
        let now = Instant::from_micros(self.begin.elapsed().as_micros() as u64);
        while let Some(transmit) = self.call.transmit(now, &mut buffer) {
            self.socket.send_to(&buffer[..transmit.len], transmit.to).unwrap();
        }
    }

    /// Both have the same keys. `serves`: whether OpenSSL is the server.
    fn assert_keyed(mut self, serves: bool) {
        self.run(|call| matches!(call.protection(), Some(Protection::Srtp(_))));
        let said = || fs::read_to_string(self.folder.join("openssl.stdout")).unwrap();
        let waits = StdInstant::now();
        let exported = loop {
            let text = said();
            let hex = text.lines().find_map(|line| line.trim().strip_prefix("Keying material: "));
            if let Some(hex) = hex.filter(|hex| hex.len() >= 176) {
                break hex.to_owned();
            }
            let words = || format!("{text}\n{}\n{:?}", self.program.stderr(), self.call.stats().handshake);
            assert!(waits.elapsed() < Duration::from_secs(3), "OpenSSL exports nothing: {}", words());
            std::thread::sleep(Duration::from_millis(20));
        };
        let bytes: Vec<u8> = (0..88).map(|at| u8::from_str_radix(&exported[2 * at..2 * at + 2], 16).unwrap()).collect();
        let key = |side: usize| [&bytes[32 * side..][..32], &bytes[64 + 12 * side..][..12]].concat();
        let keys = self.call.srtp_keys(Channel::Rtp).expect("keys");
        assert_eq!(keys.suite.name(), "AEAD_AES_256_GCM");
        // We are the other one of client and server.
        let (ours, theirs) = if serves { (key(0), key(1)) } else { (key(1), key(0)) };
        assert_eq!((keys.outgoing.as_bytes(), keys.incoming.as_bytes()), (&ours[..], &theirs[..]));
        drop(self.program);
        fs::remove_dir_all(self.folder).unwrap();
    }
}

const KINDS: [(&str, &[&str]); 4] = [
    ("rsa-2048", &["rsa:2048"]),
    ("rsa-4096", &["rsa:4096"]),
    ("p256", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("p384", &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
];

#[test]
fn secure_openssl_is_a_server_with_each_kind_of_certificate() {
    for (name, kind) in KINDS {
        let Some(other) = Other::new(&format!("server-{name}"), kind, true, &[]) else { return };
        other.assert_keyed(true);
    }
}

#[test]
fn secure_openssl_is_a_server_that_wants_its_cookie_and_short_datagrams() {
    let Some(other) = Other::new("listen", &["rsa:2048"], true, &["-listen", "-mtu", "300"]) else { return };
    other.assert_keyed(true);
}

#[test]
fn secure_openssl_is_a_client_with_each_kind_of_certificate() {
    for (name, kind) in KINDS {
        let Some(other) = Other::new(&format!("client-{name}"), kind, false, &[]) else { return };
        other.assert_keyed(false);
    }
}

#[test]
fn secure_openssl_with_too_short_a_key_is_refused_in_words() {
    for (name, serves, why) in
        [("short-client", false, HandshakeFailure::Certificate), ("short-server", true, HandshakeFailure::Certificate)]
    {
        let Some(mut other) = Other::new(name, &["rsa:1024"], serves, &["-cipher", "DEFAULT@SECLEVEL=0"]) else {
            return;
        };
        other.run(|call| call.stats().handshake == Some(why));
        assert_eq!(other.call.stats().handshake, Some(why), "{}", other.program.stderr());
        assert_eq!(other.call.protection(), Some(Protection::Waiting));
        assert!(other.call.srtp_keys(Channel::Rtp).is_none());
        fs::remove_dir_all(other.folder).unwrap();
    }
}
