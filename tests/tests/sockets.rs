//! The operator's settings of a call's sockets: port ranges, an advertised address, DSCP and buffers, in the library and
//! on the command line.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dsp_core::time::Instant;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig};
use host_std::sockets::{Dscp, Ports, SocketConfig, SocketError, SocketWarning, Sockets};
use host_std::wav::WavSource;
use media_core_tests::program::{Running, folder, media_core, read_when_there};
use media_core_tests::skipped;
use socket2::SockRef;

const LIMIT: Duration = Duration::from_secs(60);

/// For tests that start a program and those that ask for a port as soon as it is free: until a program that is being started
/// is itself, it has all sockets of this process.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An address of loopback on which all ports are this test's own, where the system has such addresses.
fn own_address(test: u8) -> IpAddr {
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let own = Ipv4Addr::new(127, 100 + test, high, low.clamp(1, 254));
    UdpSocket::bind((own, 0)).map_or(Ipv4Addr::LOCALHOST, |_| own).into()
}

fn range(address: IpAddr, first: u16, last: u16) -> SocketConfig {
    SocketConfig { address, ports: Ports::Range(first..=last), ..SocketConfig::default() }
}

fn ports(sockets: &Sockets) -> (u16, Option<u16>) {
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    (port(&sockets.rtp), sockets.rtcp.as_ref().map(port))
}

fn words(error: &dyn Error) -> String {
    format!("{error}: {}", error.source().map_or_else(String::new, ToString::to_string))
}

/// Fifty calls find the fifty pairs, whatever order they are drawn in, and the next one is told that all are in use.
#[test]
fn a_range_is_used_up_to_its_last_pair_and_then_full() {
    let _alone = alone();
    let config = range(own_address(0), 21_000, 21_099);
    let calls: Vec<_> = (0..50).map(|_| Sockets::open(&config, true).unwrap()).collect();
    let drawn: Vec<_> = calls.iter().map(ports).collect();
    let expected: BTreeSet<_> = (21_000..21_100).step_by(2).map(|port| (port, Some(port + 1))).collect();
    assert_eq!(drawn.iter().copied().collect::<BTreeSet<_>>(), expected);
    // One order of 50 factorial is the ports' own.
    assert!(!drawn.is_sorted(), "{drawn:?}");

    let error = Sockets::open(&config, true).unwrap_err();
    let SocketError::Full { address, first, last, tried, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*address, *first, *last, *tried), (config.address, 21_000, 21_099, 50));
    assert!(words(&error).starts_with("all ports from 21000 to 21099 at 127."), "{error}");
    assert!(words(&error).to_lowercase().contains("in use"), "{}", words(&error));

    // A call that ends gives its pair to the next one; another's odd port keeps a pair from being one.
    let free = drawn[17];
    let mut calls = calls;
    drop(calls.remove(17));
    let other = UdpSocket::bind((config.address, free.1.unwrap())).unwrap();
    assert!(matches!(Sockets::open(&config, true), Err(SocketError::Full { .. })));
    assert_eq!(ports(&Sockets::open(&config, false).unwrap()), (free.0, None));
    drop(other);
    assert_eq!(ports(&Sockets::open(&config, true).unwrap()), free);
}

#[test]
fn rtp_is_even_and_rtcp_next_to_it_unless_they_share_a_port() {
    let _alone = alone();
    let address = own_address(1);
    for _ in 0..20 {
        // From an odd port to an even one: 21002 is the only even one that has the next one.
        assert_eq!(ports(&Sockets::open(&range(address, 21_001, 21_004), true).unwrap()), (21_002, Some(21_003)));
        let (rtp, rtcp) = ports(&Sockets::open(&SocketConfig { address, ..SocketConfig::default() }, true).unwrap());
        assert_eq!((rtp % 2, rtcp), (0, Some(rtp + 1)));
    }
    // Alone, RTP takes any port.
    let shared = range(address, 21_001, 21_004);
    let calls: Vec<_> = (0..4).map(|_| Sockets::open(&shared, false).unwrap()).collect();
    assert_eq!(calls.iter().map(|call| ports(call).0).collect::<BTreeSet<_>>(), (21_001..=21_004).collect());
    assert!(matches!(Sockets::open(&shared, false), Err(SocketError::Full { tried: 4, .. })));
    drop(calls);
    // A port that is asked for may be odd.
    let at = |port| SocketConfig { address, ports: Ports::At(port), ..SocketConfig::default() };
    let odd = Sockets::open(&at(21_005), true).unwrap();
    assert_eq!(ports(&odd), (21_005, Some(21_006)));
    let error = Sockets::open(&at(21_005), true).unwrap_err();
    assert!(words(&error).starts_with(&format!("ports 21005 and 21006 at {address}: ")), "{}", words(&error));
    assert_eq!(ports(&Sockets::open(&range(address, u16::MAX, u16::MAX), false).unwrap()), (u16::MAX, None));
}

#[test]
fn a_range_without_a_pair_is_refused_before_anything_is_bound() {
    for (first, last) in [(21_000, 21_000), (21_001, 21_001), (21_001, 21_002), (u16::MAX, u16::MAX), (0, 1), (9, 3)] {
        let error = Sockets::open(&range(own_address(2), first, last), true).unwrap_err();
        assert!(matches!(error, SocketError::NoPort { with_rtcp: true, .. }), "{error:?}");
        let said = format!("from {first} to {last} there is no even port for RTP with the next one for RTCP");
        assert_eq!(error.to_string(), said);
    }
    let one = Sockets::open(&range(own_address(2), 21_000, 21_000), false).unwrap();
    assert_eq!(ports(&one), (21_000, None));
    let last = SocketConfig { ports: Ports::At(u16::MAX), ..SocketConfig::default() };
    assert!(matches!(Sockets::open(&last, true), Err(SocketError::NoPort { first: u16::MAX, .. })));
}

/// An address that isn't ours is told at once, and not as a full range (RFC 5737: the address is nobody's).
#[test]
fn an_address_of_another_machine_is_told_as_such() {
    let address = "192.0.2.77".parse().unwrap();
    for config in [range(address, 21_000, 21_999), SocketConfig { address, ..SocketConfig::default() }] {
        let error = Sockets::open(&config, true).unwrap_err();
        assert!(matches!(error, SocketError::Bind { .. }) && error.to_string().contains("192.0.2.77"), "{error:?}");
    }
}

/// The octet of type of service or traffic class of the next datagram, as the system saw it in the IP header.
#[cfg(target_os = "linux")]
fn octet_received(socket: &UdpSocket) -> Option<u8> {
    use std::mem::MaybeUninit;

    use socket2::{MaybeUninitSlice, MsgHdrMut};

    let (mut bytes, mut control) = ([MaybeUninit::new(0); 2_048], [MaybeUninit::new(0); 64]);
    let mut buffers = [MaybeUninitSlice::new(&mut bytes)];
    let mut message = MsgHdrMut::new().with_buffers(&mut buffers).with_control(&mut control);
    SockRef::from(socket).recvmsg(&mut message, 0).ok()?;
    let len = message.control_len();
    // SAFETY: the array was initialised, and what the system writes into it is initialised too.
    let control = control.map(|byte| unsafe { byte.assume_init() });
    // struct cmsghdr: its length, its level and its type, before the data. IPv4 gives an octet, IPv6 an int.
    const HEADER: usize = size_of::<usize>() + 2 * size_of::<i32>();
    (len > HEADER).then(|| {
        if cfg!(target_endian = "little") || len == HEADER + 1 { control[HEADER] } else { control[HEADER + 3] }
    })
}

#[cfg(target_os = "linux")]
fn listener(address: IpAddr) -> Option<UdpSocket> {
    let socket = UdpSocket::bind((address, 0)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    match address {
        IpAddr::V4(_) => SockRef::from(&socket).set_recv_tos_v4(true).unwrap(),
        IpAddr::V6(_) => SockRef::from(&socket).set_recv_tclass_v6(true).unwrap(),
    }
    Some(socket)
}

/// RTP and RTCP of both families bear the mark in their IP headers: the code point in the upper 6 bits, none of
/// congestion; without a setting they have none.
#[cfg(target_os = "linux")]
#[test]
fn datagrams_bear_their_dscp_on_the_wire() {
    let families = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
    // From `::`, IPv4 is marked as IPv6 is.
    let pairs = [(families[0], families[0]), (families[1], families[1]), (Ipv6Addr::UNSPECIFIED.into(), families[0])];
    for (from, to) in pairs {
        let Some(listener) = listener(to) else {
            skipped::skip("this machine has no IPv6");
            continue;
        };
        let (own, mut to) = (from, listener.local_addr().unwrap());
        if let (true, IpAddr::V4(v4)) = (own.is_ipv6(), to.ip()) {
            to.set_ip(v4.to_ipv6_mapped().into());
        }
        for (dscp, octet) in [(None, 0), (Some(Dscp::EF), 46 << 2), (Some("AF41".parse().unwrap()), 34 << 2)] {
            let config = SocketConfig { address: own, dscp, ..SocketConfig::default() };
            let sockets = match Sockets::open(&config, true) {
                Ok(sockets) => sockets,
                Err(_) if own.is_ipv6() => continue,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(sockets.warnings, []);
            for socket in [&sockets.rtp, sockets.rtcp.as_ref().unwrap()] {
                socket.send_to(b"marked", to).unwrap();
                assert_eq!(octet_received(&listener), Some(octet), "{own} to {to}, {dscp:?}");
            }
        }
    }
}

#[test]
fn buffers_are_as_asked_for_or_a_warning_says_how_many_bytes_they_are() {
    let sized =
        |bytes| SocketConfig { receive_buffer: Some(bytes), send_buffer: Some(bytes), ..SocketConfig::default() };
    let small = Sockets::open(&sized(65_536), true).unwrap();
    assert_eq!(small.warnings, []);
    for socket in [&small.rtp, small.rtcp.as_ref().unwrap()] {
        let socket = SockRef::from(socket);
        assert!(socket.recv_buffer_size().unwrap() >= 65_536 && socket.send_buffer_size().unwrap() >= 65_536);
    }
    // More than any int says: what is granted is less, and told once for both sockets.
    let asked = 5_000_000_000;
    match Sockets::open(&sized(asked), true) {
        Ok(large) => {
            let (mut receive, mut send) = (0, 0);
            for warning in &large.warnings {
                match *warning {
                    SocketWarning::ReceiveBuffer { asked: wanted, granted } if wanted == asked => receive = granted,
                    SocketWarning::SendBuffer { asked: wanted, granted } if wanted == asked => send = granted,
                    ref other => panic!("{other:?}"),
                }
                assert!(warning.to_string().contains(" bytes, not 5000000000"), "{warning}");
            }
            assert_eq!(large.warnings.len(), 2);
            assert!(receive >= 65_536 && send >= 65_536, "{receive} and {send} bytes");
            if cfg!(target_os = "linux") {
                let most = |name: &str| fs::read_to_string(format!("/proc/sys/net/core/{name}_max")).ok();
                for (granted, name) in [(receive, "rmem"), (send, "wmem")] {
                    let most = most(name).and_then(|text| text.trim().parse().ok());
                    assert_eq!(granted, most.unwrap_or(granted));
                }
            }
        }
        // BSD refuses what Linux cuts.
        Err(error) => assert!(matches!(error, SocketError::Buffer { bytes, .. } if bytes == asked), "{error:?}"),
    }
}

fn talk(folder: &Path, command: &str, arguments: &[&str]) -> Running {
    let woman = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets/woman.wav");
    let mut program = Command::new(media_core());
    program.current_dir(folder).arg(command);
    if command == "offer" {
        program.args(["--write", "offer.sdp", "--read", "answer.sdp"]);
    } else {
        program.args(["offer.sdp", "--write", "answer.sdp"]);
    }
    program.args(["--codec", "pcmu", "--repeat", "--microphone", woman, "--speaker", &format!("heard-{command}.wav")]);
    Running::start(program.args(arguments), folder, command)
}

/// The place that a description names for RTP.
fn place(sdp: &str) -> (&str, u16) {
    let value = |name: &str| sdp.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{sdp}"));
    (value("c=IN IP4 "), value("m=audio ").split(' ').next().unwrap().parse().unwrap())
}

fn rms(path: &Path) -> f64 {
    let pcm = WavSource::open(path, 8_000).unwrap().read_all(dsp_core::time::Duration::from_secs(60)).unwrap();
    (pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / pcm.len().max(1) as f64).sqrt()
}

/// As behind a one-to-one NAT: one side is bound to all its addresses, is told of by 127.0.0.2 alone and speaks from
/// another one. Both hear each other, on ports of the range.
#[cfg(target_os = "linux")]
#[test]
fn a_side_that_advertises_another_address_is_heard_and_hears() {
    let _alone = alone();
    let folder = folder("advertise");
    let own = ["--address", "0.0.0.0", "--advertise", "127.0.0.2", "--ports", "22100-22199", "--seconds", "5"];
    let settings = ["--dscp", "ef", "--socket-buffer", "65536"];
    let offer = talk(&folder, "offer", &[&own[..], &settings].concat());
    let sdp = read_when_there(&folder.join("offer.sdp"), LIMIT);
    let (address, port) = place(&sdp);
    assert!(address == "127.0.0.2" && (22_100..22_199).contains(&port) && port % 2 == 0, "{sdp}");
    assert!(sdp.contains("\r\no=") && sdp.contains(" IN IP4 127.0.0.2\r\n") && !sdp.contains("0.0.0.0"), "{sdp}");
    let answer = talk(&folder, "answer", &["--address", "127.0.0.1", "--seconds", "4"]);
    let [first, second] = [offer, answer].map(|side| side.wait(LIMIT).success());
    assert!(second.stderr.contains(&format!("talking with 127.0.0.2:{port}")), "{}", second.stderr);
    assert!(!first.stderr.contains("mind") && !second.stderr.contains("mind"), "{}", first.stderr);
    let heard = ["offer", "answer"].map(|side| rms(&folder.join(format!("heard-{side}.wav"))));
    let said = rms(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets/woman.wav")));
    assert!(heard.iter().all(|heard| *heard > said / 2.0), "{heard:?} of {said}");
    fs::remove_dir_all(folder).unwrap();
}

/// What the options say is on the wire: the program's packets come from its range with the mark.
#[cfg(target_os = "linux")]
#[test]
fn the_program_marks_its_packets() {
    let _alone = alone();
    let folder = folder("marks");
    let socket = listener(Ipv4Addr::LOCALHOST.into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let arguments = ["--address", "127.0.0.1", "--no-srtp", "--seconds", "3", "--dscp", "EF", "--ports", "22200-22203"];
    let offer = talk(&folder, "offer", &arguments);
    let sdp = read_when_there(&folder.join("offer.sdp"), LIMIT);
    let config = CallConfig { srtp: SrtpPolicy::Off, ..CallConfig::new(port).unwrap() };
    let answer = Call::new(config).unwrap().answer(Instant::ZERO, &sdp).unwrap();
    fs::write(folder.join("answer.tmp"), answer).unwrap();
    fs::rename(folder.join("answer.tmp"), folder.join("answer.sdp")).unwrap();
    assert_eq!([(); 5].map(|()| octet_received(&socket)), [Some(46 << 2); 5]);
    offer.wait(LIMIT).success();
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn ports_that_are_used_up_end_the_program_with_words() {
    let _alone = alone();
    let folder = folder("used-up");
    let address = own_address(3);
    let taken: Vec<_> = [21_000, 21_002].map(|port| UdpSocket::bind((address, port)).unwrap()).into_iter().collect();
    let address = address.to_string();
    let full = talk(&folder, "offer", &["--address", &address, "--ports", "21000-21003"]).wait(LIMIT);
    assert_eq!(full.status.code(), Some(1), "{full:?}");
    let line = format!("media-core: all ports from 21000 to 21003 at {address} are in use (2 tried): ");
    assert!(full.stderr.starts_with(&line) && full.stderr.lines().count() == 1, "{}", full.stderr);
    assert!(!folder.join("offer.sdp").exists());
    drop(taken);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn settings_that_cannot_be_are_told_in_words() {
    let _alone = alone();
    let folder = folder("settings");
    let cases: [(&[&str], i32, &str); 11] = [
        (&["--ports", "6-5"], 2, "6 is above 5"),
        (&["--ports", "20000"], 1, "from 20000 to 20000 there is no even port for RTP with the next one for RTCP"),
        (&["--ports", "many"], 2, "must be the first and the last port, each from 1 to 65535, as 20000-20999"),
        (&["--ports", "0-9"], 2, "must be the first and the last port"),
        (&["--ports", "5000-5009", "--port", "5000"], 2, "cannot be used with '--port"),
        (&["--dscp", "loud"], 2, "must be a number from 0 to 63, or EF, VA"),
        (&["--dscp", "64"], 2, "64 is not in 0..=63"),
        (&["--dscp", "-1"], 2, "must be a number from 0 to 63"),
        (&["--socket-buffer", "0"], 2, "0 is not in 1..=2147483647"),
        (&["--advertise", "0.0.0.0"], 1, "--advertise 0.0.0.0: the other side can't send there"),
        (&["--advertise", "2001:db8::7"], 1, "--advertise 2001:db8::7: our sockets are at 127.0.0.1"),
    ];
    for (arguments, code, why) in cases {
        let ended = talk(&folder, "offer", &[&["--address", "127.0.0.1"], arguments].concat()).wait(LIMIT);
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        assert!(ended.stderr.lines().next().is_some_and(|line| line.contains(why)), "{why}: {}", ended.stderr);
        assert!(ended.stdout.is_empty() && !folder.join("offer.sdp").exists());
    }
    fs::remove_dir_all(folder).unwrap();
}
