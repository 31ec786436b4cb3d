//! The endpoint under what is huge, slow, or too much.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_std::session::driver::Ended;
use host_std::session::{AdaptationConfig, CallConfig, Ending};
use host_std::web::{Caller, Echo, EndError, Opened, ServeConfig, SoundEnd, Web, WebConfig};

use super::server::{Calling, SDP, Server, answer, offer};

#[test]
fn a_body_that_is_too_large_or_too_slow_is_not_waited_for() {
    let config = WebConfig { body_bytes: 8_000, body_time: Duration::from_millis(400), ..WebConfig::default() };
    let server = Server::start(config, Echo);
    let begin = Instant::now();
    // It says so, or it only is.
    assert_eq!(server.post(&"x".repeat(100_000)).problem().0, 413);
    let head =
        format!("POST /whip HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {SDP}\r\n", server.address);
    let mut stream = server.connect();
    stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    for _ in 0..10 {
        let _ = stream.write_all(format!("3e8\r\n{}\r\n", "x".repeat(1_000)).as_bytes());
    }
    assert_eq!(answer(&mut stream).problem().0, 413);
    // Byte by byte.
    let mut stream = server.connect();
    stream.write_all(format!("{head}Content-Length: 1000\r\n\r\nv=0").as_bytes()).unwrap();
    let mut dripping = stream.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        while dripping.write_all(b"x").is_ok() {
            sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(answer(&mut stream).problem().0, 408);
    drop(stream);
    drip.join().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!((server.refused("too_large"), server.refused("slow_body"), server.web.stats().running), (2, 1, 0));
}

#[test]
fn headers_that_never_end_and_connections_without_number_are_bounded() {
    let listen = ServeConfig { connections: 8, header_time: Duration::from_millis(400), ..ServeConfig::default() };
    let server = Server::start_with(WebConfig::default(), listen, Echo);
    let mut slow: Vec<_> = (0..8).map(|_| server.connect()).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(b"POST /whip HTTP/1.1\r\nHost: x\r\nX: ").unwrap());
    sleep(Duration::from_millis(100));
    let mut ninth = server.connect();
    let full = answer(&mut ninth);
    assert_eq!((full.status, full.header("retry-after")), (503, Some("5")));
    // Those that say nothing are closed.
    let begin = Instant::now();
    slow.iter_mut().for_each(|stream| drop(stream.read_to_end(&mut Vec::new())));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(server.post(&offer()).status, 201);
}

#[test]
fn a_flood_of_calls_fills_the_places_and_no_more_and_they_are_free_again() {
    let config = WebConfig { max_calls: 4, setup_time: Duration::from_millis(1_500), ..WebConfig::default() };
    let server = Arc::new(Server::start(config, Echo));
    let offer = offer();
    let floods: Vec<_> = (0..8)
        .map(|_| {
            let (server, offer) = (server.clone(), offer.clone());
            std::thread::spawn(move || (0..25).map(|_| server.post(&offer)).collect::<Vec<_>>())
        })
        .collect();
    let answers: Vec<_> = floods.into_iter().flat_map(|flood| flood.join().unwrap()).collect();
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let full: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!((4..=8).contains(&made) && made + full.len() == 200, "{made} and {}", full.len());
    assert!(full.iter().all(|answer| answer.header("retry-after") == Some("10") && answer.problem().1.contains('4')));
    assert_eq!(server.refused("busy") as usize, full.len());
    // None of them ever sent a packet.
    server.wait_until_running(0, Duration::from_secs(10));
    assert_eq!(server.post(&offer).status, 201);
}

/// An echo that keeps how the last call adapts.
struct Prepared(Arc<Mutex<Option<AdaptationConfig>>>);

impl SoundEnd for Prepared {
    fn open(&self, caller: &Caller) -> Result<Opened, EndError> {
        Echo.open(caller)
    }

    fn prepare(&self, config: &mut CallConfig) {
        *self.0.lock().unwrap() = config.adaptation;
    }
}

#[test]
fn a_call_adapts_as_the_server_is_configured() {
    for adaptation in [None, Some(AdaptationConfig::with_copies(1))] {
        let prepared = Arc::new(Mutex::new(None));
        let server = Server::start(WebConfig { adaptation, ..WebConfig::default() }, Prepared(prepared.clone()));
        assert_eq!(server.post(&offer()).status, 201);
        assert_eq!(*prepared.lock().unwrap(), adaptation);
    }
}

#[test]
fn an_end_that_is_busy_or_broken_says_so_and_keeps_no_place() {
    let config = WebConfig { max_calls: 1, ..WebConfig::default() };
    let server = Server::start(config.clone(), |_: &Caller| -> Result<Opened, EndError> {
        Err(EndError::Busy("all in use".into()))
    });
    let busy = server.post(&offer());
    assert_eq!(busy.problem(), (503, "all in use".into()));
    assert!(busy.header("retry-after").is_some());
    assert_eq!(server.post(&offer()).problem().1, "all in use");
    let broken = |_: &Caller| -> Result<Opened, EndError> { Err(EndError::Broken("no such card".into())) };
    let server = Server::start(config, broken);
    assert_eq!(server.post(&offer()).problem(), (500, "no such card".into()));
    assert_eq!(server.web.stats().running, 0);
}

#[test]
fn a_call_ends_when_its_time_is_over() {
    let config = WebConfig { call_time: Duration::from_millis(500), ..WebConfig::default() };
    let server = Server::start(config, Echo);
    let made = server.post(&offer());
    server.wait_until_running(0, Duration::from_secs(5));
    let told = server.ask("GET", &format!("{}/stats", made.header("location").unwrap()), &[], "");
    assert!(told.body.contains("longest time"), "{told:?}");
}

/// So many requests for the page at once, whose answers are more than systems hold for a connection.
const PAGES: usize = 1_500;

fn ask_for_pages(server: &Server) -> std::net::TcpStream {
    let mut stream = server.connect();
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    stream.write_all(request.repeat(PAGES).as_bytes()).unwrap();
    stream
}

#[test]
fn whoever_asks_and_reads_nothing_loses_the_connection() {
    let listen = ServeConfig { connections: 1, write_time: Duration::from_millis(400), ..ServeConfig::default() };
    let server = Server::start_with(WebConfig::default(), listen, Echo);
    let deaf = ask_for_pages(&server);
    sleep(Duration::from_millis(200));
    assert_eq!(server.ask("GET", "/", &[], "").status, 503, "it has the one place");
    let begin = Instant::now();
    while server.ask("GET", "/", &[], "").status != 200 {
        assert!(begin.elapsed() < Duration::from_secs(10), "it keeps its place");
        sleep(Duration::from_millis(100));
    }
    drop(deaf);
}

#[test]
fn whoever_reads_slowly_gets_all_of_it() {
    let listen = ServeConfig { write_time: Duration::from_millis(400), ..ServeConfig::default() };
    let server = Server::start_with(WebConfig::default(), listen, Echo);
    let one = server.ask("GET", "/", &[], "");
    let whole = PAGES * one.body.len();
    let mut stream = ask_for_pages(&server);
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let (mut part, mut read, begin) = (vec![0; 1 << 20], 0, Instant::now());
    while read < whole {
        sleep(Duration::from_millis(60));
        let bytes = stream.read(&mut part).unwrap_or_else(|error| panic!("{error} after {read} of {whole}"));
        assert_ne!(bytes, 0, "closed after {read} of {whole}");
        read += bytes;
    }
    assert!(begin.elapsed() > 2 * Duration::from_millis(400), "too fast to show anything");
}

#[test]
fn one_address_begins_only_so_many_calls_at_once() {
    let setup_time = Duration::from_millis(1_500);
    let config = WebConfig { max_unconnected: 3, setup_time, ..WebConfig::default() };
    let server = Server::start(config, Echo);
    assert!((0..3).all(|_| server.post(&offer()).status == 201));
    let fourth = server.post(&offer());
    assert_eq!((fourth.problem().0, fourth.header("retry-after")), (429, Some("5")), "{fourth:?}");
    assert_eq!((server.web.stats().running, server.refused("too_many")), (3, 1));
    // One that is hung up gives its place back, and so do all that nothing comes of.
    let ended = server.post(&offer());
    assert_eq!(ended.status, 429);
    server.wait_until_running(0, Duration::from_secs(10));
    let made = server.post(&offer());
    assert_eq!(made.status, 201);
    assert_eq!(server.ask("DELETE", made.header("location").unwrap(), &[], "").status, 200);
    server.wait_until_running(0, Duration::from_secs(10));
    assert!((0..3).all(|_| server.post(&offer()).status == 201));
}

#[test]
fn a_call_that_has_connected_is_none_that_begins() {
    let server = Server::start(WebConfig { max_unconnected: 1, ..WebConfig::default() }, Echo);
    server.runtime.block_on(async {
        let mut talking = Vec::new();
        for _ in 0..3 {
            let mut calling = Calling::begin(&server).await;
            calling.hears(10).await;
            talking.push(calling);
        }
        assert_eq!(server.web.stats().running, 3);
        for calling in talking {
            calling.end().await;
        }
    });
}

/// 50 calls, five at a time, that come and go.
#[test]
fn calls_that_come_and_go_all_come_about() {
    let server = Arc::new(Server::start(WebConfig::default(), Echo));
    let round = |server: Arc<Server>| async move {
        for n in 0..10 {
            let mut calling = Calling::begin(&server).await;
            calling.hears(20 + n).await;
            let place = calling.made.header("location").unwrap().to_owned();
            let told = tokio::task::block_in_place(|| server.ask("GET", &format!("{place}/stats"), &[], ""));
            assert!(told.body.contains("\"talking\""), "call {n}: {told:?}");
            let ended = tokio::task::block_in_place(|| server.ask("DELETE", &place, &[], ""));
            assert_eq!(ended.status, 200);
            let finished = calling.end().await;
            assert!(
                matches!(finished.ended, Ended::HungUp | Ended::Call(Ending::Goodbye)),
                "call {n}: {:?}",
                finished.ended
            );
        }
    };
    let rounds: Vec<_> = (0..5).map(|_| server.runtime.spawn(round(server.clone()))).collect();
    rounds.into_iter().for_each(|round| server.runtime.block_on(round).unwrap());
    server.wait_until_running(0, Duration::from_secs(5));
    let stats = server.web.stats();
    assert!(stats.begun == 50 && stats.refused.iter().all(|(_, count)| *count == 0), "{stats:?}");
}

#[test]
fn what_is_left_of_a_call_goes_by_itself() {
    let server = Server::start(WebConfig { kept_time: Duration::from_millis(600), ..WebConfig::default() }, Echo);
    let made = server.post(&offer());
    let place = made.header("location").unwrap();
    assert_eq!(server.ask("DELETE", place, &[], "").status, 200);
    server.wait_until_running(0, Duration::from_secs(2));
    assert_eq!((server.web.stats().kept, server.ask("GET", &format!("{place}/stats"), &[], "").status), (1, 200));
    wait_until_kept(&server.web, 0);
    assert_eq!(server.ask("GET", &format!("{place}/stats"), &[], "").status, 404);
}

#[test]
fn what_is_left_of_calls_takes_only_so_many_bytes() {
    // Three quarters of a second of sound at 8 kHz are 12,000 bytes, or less where the machine stood still in between.
    let server = Server::start(WebConfig { kept_bytes: 20_000, ..WebConfig::default() }, Echo);
    let mut places = Vec::new();
    for _ in 0..5 {
        let made = server.post(&offer());
        places.push(made.header("location").unwrap().to_owned());
        let stats = format!("{}/stats", places.last().unwrap());
        let played = || {
            let told: serde_json::Value = serde_json::from_str(&server.ask("GET", &stats, &[], "").body).unwrap();
            told["received"]["played_samples"].as_u64().unwrap()
        };
        while played() < 36_000 {
            sleep(Duration::from_millis(20));
        }
        assert_eq!(server.ask("DELETE", places.last().unwrap(), &[], "").status, 200);
        server.wait_until_running(0, Duration::from_secs(2));
    }
    let stats = server.web.stats();
    assert!((1..=2).contains(&stats.kept), "{stats:?}");
    // The last one is there, the first isn't.
    let status = |place: &str| server.ask("GET", &format!("{place}/stats"), &[], "").status;
    assert_eq!((status(&places[4]), status(&places[0])), (200, 404));
}

#[track_caller]
fn wait_until_kept(web: &Web, calls: usize) {
    let begin = Instant::now();
    while web.stats().kept != calls {
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", web.stats());
        sleep(Duration::from_millis(20));
    }
}

/// Descriptions as large as they may be, of one line too many times or one that is too long.
#[test]
fn descriptions_of_hostile_sizes_are_answered_or_refused_soon() {
    let server = Server::start(WebConfig::default(), Echo);
    let offer = offer();
    let filled = |line: &dyn Fn(usize) -> String| {
        let mut text = offer.clone();
        let mut n = 0;
        while text.len() + line(n).len() < 65_000 {
            text += &line(n);
            n += 1;
        }
        text
    };
    let lines: [(&str, &dyn Fn(usize) -> String); 14] = [
        ("candidates", &|n| format!("a=candidate:{n} 1 udp {} 192.0.2.{} {} typ host\r\n", n + 1, n % 250, 1_024 + n)),
        ("names that mean nothing", &|n| format!("a=x{n}\r\n")),
        ("formats", &|n| format!("a=rtpmap:{} opus/48000/2\r\na=fmtp:{0} useinbandfec=1\r\n", n % 128)),
        ("parameters", &|n| format!("a=fmtp:{} {}\r\n", n % 128, "useinbandfec=1;".repeat(200))),
        ("sources", &|n| format!("a=ssrc:{n} cname:{n}\r\n")),
        ("extensions", &|n| format!("a=extmap:{} urn:ietf:params:rtp-hdrext:sdes:mid\r\n", n % 300)),
        ("fingerprints", &|_| format!("a=fingerprint:sha-256 {}\r\n", ["AA"; 32].join(":"))),
        ("keys", &|n| format!("a=crypto:{n} AES_CM_128_HMAC_SHA1_80 inline:{}\r\n", "A".repeat(40))),
        ("feedback", &|n| format!("a=rtcp-fb:{} transport-cc\r\na=rtcp-fb:* trr-int {n}\r\n", n % 128)),
        ("pictures", &|n| format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v{n}\r\n")),
        ("sounds", &|n| format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:a{n}\r\n")),
        ("data", &|n| format!("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d{n}\r\n")),
        ("one long line", &|_| format!("a=x:{}\r\n", "x".repeat(60_000 - offer.len()))),
        ("one long list", &|_| format!("m=audio 9 UDP/TLS/RTP/SAVPF{}\r\n", " 111".repeat(14_000))),
    ];
    for (what, line) in lines {
        let body = filled(line);
        assert!((55_000..65_536).contains(&body.len()), "{what}: {}", body.len());
        let begin = Instant::now();
        let told = server.post(&body);
        let took = begin.elapsed();
        println!("{what}: {} in {took:?}, {} bytes", told.status, told.body.len());
        assert!(matches!(told.status, 201 | 422), "{what}: {told:?}");
        assert!(took < Duration::from_secs(2) && told.body.len() < 2 * body.len(), "{what}: {took:?}");
        if let Some(place) = told.header("location") {
            // A call with so much in its description runs and ends as any other.
            assert_eq!(server.ask("DELETE", place, &[], "").status, 200, "{what}");
        }
    }
    // With many of one group, all of it twice.
    let mids: Vec<_> = (0..4_000).map(|n| n.to_string()).collect();
    let group = format!("a=group:BUNDLE {}\r\n", mids.join(" "));
    let told = server.post(&offer.replacen("t=0 0\r\n", &format!("t=0 0\r\n{group}"), 1));
    assert!(matches!(told.status, 201 | 422), "{told:?}");
    server.wait_until_running(usize::from(told.status == 201), Duration::from_secs(5));
}
