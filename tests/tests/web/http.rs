//! The endpoint under requests that are right, wrong, huge, slow, many, or somebody else's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_std::device::FileIo;
use host_std::sdp::SrtpPolicy;
use host_std::session::driver::{Clock, Command, Driver, Ended, Status};
use host_std::session::{Call, CallConfig, IceConfig, IceMode, Keying};
use host_std::web::{Caller, Echo, EndError, Opened, ServeConfig, SoundEnd, Web, WebConfig, WebStats, serve};
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// A server that ends with the test.
struct Server {
    web: Web,
    address: SocketAddr,
    runtime: Runtime,
}

/// An answer of HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// The value of a header, by its name in small letters.
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// It's a refusal in words: its status, and what its details say.
    #[track_caller]
    fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"].as_u64(), Some(self.status.into()), "{self:?}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{self:?}");
        (self.status, problem["detail"].as_str().unwrap().to_owned())
    }
}

impl Server {
    fn start(config: WebConfig, end: impl SoundEnd + 'static) -> Self {
        Self::start_with(config, ServeConfig::default(), end)
    }

    fn start_with(config: WebConfig, listen: ServeConfig, end: impl SoundEnd + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let web = Web::new(config, end);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, web.router(), listen));
        Self { web, address, runtime }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends a request, its headers a line each, and gives the answer.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = self.connect();
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            request += &format!("Host: {}\r\n", self.address);
        }
        for header in headers {
            request += &format!("{header}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        // It may be refused before all of it is read.
        let _ = stream.write_all(request.as_bytes());
        answer(&mut stream)
    }

    #[track_caller]
    fn post(&self, offer: &str) -> Answer {
        self.ask("POST", "/whip", &["Content-Type: application/sdp"], offer)
    }

    fn refused(&self, why: &str) -> u32 {
        let WebStats { refused, .. } = self.web.stats();
        refused.iter().find(|(name, _)| *name == why).map_or(0, |(_, count)| *count)
    }

    #[track_caller]
    fn wait_until_running(&self, calls: usize, limit: Duration) {
        let begin = Instant::now();
        while self.web.stats().running != calls {
            assert!(begin.elapsed() < limit, "{:?}", self.web.stats());
            sleep(Duration::from_millis(20));
        }
    }
}

#[track_caller]
fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // Where the other side has closed with bytes unread, the system tells an error behind the answer.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Answer { status, head: head.into(), body: body.into() }
}

/// A call of ours as a browser's.
fn client(port: u16) -> Call {
    Call::new(CallConfig {
        srtp: SrtpPolicy::Required,
        keying: Keying::Dtls,
        ice: IceConfig { mode: IceMode::Full, required: true, ..IceConfig::default() },
        ..CallConfig::new(port).unwrap()
    })
    .unwrap()
}

fn offer() -> String {
    client(9_999).offer().unwrap()
}

#[test]
fn an_offer_makes_a_call_with_a_place_of_its_own_and_delete_ends_it() {
    let server = Server::start(WebConfig::default(), Echo);
    let made = server.post(&offer());
    assert_eq!((made.status, made.header("content-type")), (201, Some(SDP)), "{made:?}");
    assert!(made.body.starts_with("v=0\r\n") && made.body.contains("a=fingerprint:sha-256 "), "{made:?}");
    let place = made.header("location").unwrap().to_owned();
    assert!(place.starts_with("/whip/") && place.len() == 6 + 32, "{place}");
    assert!(made.header("etag").is_some_and(|tag| tag.starts_with('"') && tag.len() > 5), "{made:?}");
    assert!(made.header("accept-patch").unwrap().contains(FRAGMENT), "{made:?}");
    let told = server.ask("GET", &format!("{place}/stats"), &[], "");
    let told: serde_json::Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(told["state"], "connecting", "{told}");
    assert_eq!(server.web.stats().running, 1);
    assert_eq!(server.ask("DELETE", &place, &[], "").status, 200);
    server.wait_until_running(0, Duration::from_secs(2));
    // What is left of it is still told.
    let told = server.ask("GET", &format!("{place}/stats"), &[], "");
    assert!(told.body.contains("\"ended\"") && told.body.contains("you hung up"), "{told:?}");
    let report = server.ask("GET", &format!("{place}/report.html"), &[], "");
    assert!(
        report.body.contains("browser call of") && report.header("content-security-policy").is_some(),
        "{report:?}"
    );
    let late = server.ask("PATCH", &place, &["Content-Type: application/sdp", "If-Match: *"], &offer());
    assert_eq!(late.problem().0, 410);
}

/// As a browser does: the whole way, sound both ways, a restart of ICE by a fragment, and hold by a later offer.
#[test]
fn a_whole_call_with_hold_and_a_restart() {
    let server = Server::start(WebConfig::default(), Echo);
    let (begun, ended, stats) = server.runtime.block_on(async {
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut call = client(rtp.local_addr().unwrap().port());
        let offered = call.offer().unwrap();
        let made = tokio::task::block_in_place(|| server.post(&offered));
        let clock = Clock::start();
        call.accept(clock.now(), &made.body).unwrap();
        let driver = Driver::new(call, rtp, Box::new(FileIo::null(48_000)), clock);
        let (commands, from_user) = mpsc::channel(16);
        let (told, mut status) = watch::channel(Status::default());
        let run = tokio::spawn(driver.run(from_user, told));
        status.wait_for(|status| status.stats.total.decoded_packets > 50).await.unwrap();
        let place = made.header("location").unwrap().to_owned();
        let mut tag = made.header("etag").unwrap().to_owned();

        // A restart: our new credentials as a fragment, and the answer's put into the answer that there was.
        let (send, offered_again) = tokio::sync::oneshot::channel();
        let restart = Command::Change(Box::new(move |call, _| {
            call.restart_ice();
            send.send(call.offer().unwrap()).unwrap();
        }));
        assert!(commands.send(restart).await.is_ok());
        let again = offered_again.await.unwrap();
        let fragment: String = again
            .lines()
            .filter(|line| line.starts_with("a=ice-") || line.starts_with("a=cand"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        let patched = tokio::task::block_in_place(|| {
            let headers = [&*format!("Content-Type: {FRAGMENT}"), "If-Match: *"];
            server.ask("PATCH", &place, &headers, &fragment)
        });
        assert_eq!((patched.status, patched.header("content-type")), (200, Some(FRAGMENT)), "{patched:?}");
        assert_ne!(patched.header("etag"), Some(&*tag));
        tag = patched.header("etag").unwrap().to_owned();
        let value = |name: &str| patched.body.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        let answer: String = (made.body.lines())
            .map(|line| match line {
                _ if line.starts_with("a=ice-ufrag:") => value("a=ice-ufrag:") + "\r\n",
                _ if line.starts_with("a=ice-pwd:") => value("a=ice-pwd:") + "\r\n",
                _ => format!("{line}\r\n"),
            })
            .collect();
        let accept = Command::Change(Box::new(move |call, now| call.accept(now, &answer).unwrap()));
        assert!(commands.send(accept).await.is_ok());
        status.wait_for(|status| status.stats.ice.is_some_and(|ice| ice.restarts == 1)).await.unwrap();
        let before = status.borrow().stats.total.decoded_packets;
        status.wait_for(|status| status.stats.total.decoded_packets > before + 50).await.unwrap();

        // Hold: a later offer, with the tag of the restart.
        let (send, offered_again) = tokio::sync::oneshot::channel();
        let hold = Command::Change(Box::new(move |call, _| {
            call.set_direction(host_std::sdp::Direction::Inactive);
            send.send(call.offer().unwrap()).unwrap();
        }));
        assert!(commands.send(hold).await.is_ok());
        let held = offered_again.await.unwrap();
        let stale = tokio::task::block_in_place(|| {
            server.ask("PATCH", &place, &["Content-Type: application/sdp", "If-Match: \"stale\""], &held)
        });
        assert_eq!(stale.problem().0, 412);
        let held = tokio::task::block_in_place(|| {
            server.ask("PATCH", &place, &["Content-Type: application/sdp", &format!("If-Match: {tag}")], &held)
        });
        assert!(held.status == 200 && held.body.contains("a=inactive"), "{held:?}");
        let told = tokio::task::block_in_place(|| {
            sleep(Duration::from_millis(300));
            server.ask("GET", &format!("{place}/stats"), &[], "")
        });
        assert!(told.body.contains("\"held\"") && told.body.contains("\"restarts\":1"), "{told:?}");
        assert!(commands.send(Command::HangUp).await.is_ok());
        let finished = run.await.unwrap();
        (made, finished.ended, finished.call.stats())
    });
    assert!(matches!(ended, Ended::HungUp), "{ended:?}");
    assert!(begun.body.contains("a=candidate:") && stats.refused == 0, "{stats:?}");
}

#[test]
fn candidates_come_one_by_one_and_only_for_the_present_state() {
    let server = Server::start(WebConfig::default(), Echo);
    let made = server.post(&offer());
    let place = made.header("location").unwrap();
    let kind = format!("Content-Type: {FRAGMENT}");
    let tag = format!("If-Match: {}", made.header("etag").unwrap());
    let candidate = "a=mid:0\r\na=candidate:7 1 udp 2122260223 127.0.0.1 9 typ host\r\n";
    let patch = |headers: &[&str], body: &str| server.ask("PATCH", place, headers, body);
    assert_eq!(patch(&[&kind, &tag], candidate).status, 204);
    assert_eq!(patch(&[&kind], candidate).problem().0, 428);
    assert_eq!(patch(&[&kind, "If-Match: \"other\""], candidate).problem().0, 412);
    assert_eq!(patch(&[&kind, &tag], "").problem().0, 400);
    assert_eq!(patch(&[&kind, &tag], "no fragment").problem().0, 400);
    let other = patch(&["Content-Type: text/plain", &tag], candidate);
    assert_eq!((other.problem().0, other.header("accept-patch").is_some()), (415, true));
    // A restart names no state.
    let restart = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n";
    assert_eq!(patch(&[&kind, &tag], restart).problem().0, 412);
    assert_eq!(patch(&[&kind, "If-Match: *"], restart).status, 200);
}

#[test]
fn what_is_no_offer_is_refused_in_words_and_leaves_nothing_behind() {
    let server = Server::start(WebConfig::default(), Echo);
    for (body, status) in [
        (String::new(), 422),
        ("v=0".into(), 422),
        ("\u{0}\u{1}\u{2}".into(), 422),
        (offer().replace("m=audio", "m=video"), 422),
        (offer().replace("a=fingerprint", "a=no-print"), 422),
    ] {
        let (told, detail) = server.post(&body).problem();
        assert!(told == status && !detail.is_empty(), "{body}: {told} {detail}");
    }
    let mut stream = server.connect();
    let head =
        format!("POST /whip HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {SDP}\r\n", server.address);
    stream.write_all(format!("{head}Content-Length: 4\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(&[0xff, 0xfe, 0xfd, 0xfc]).unwrap();
    assert_eq!(answer(&mut stream).problem().0, 400);
    let typed = server.ask("POST", "/whip", &["Content-Type: application/json"], "{}");
    assert_eq!((typed.problem().0, typed.header("accept-post")), (415, Some(SDP)));
    assert_eq!(server.ask("POST", "/whip", &[], &offer()).problem().0, 415);
    let sdp = "Content-Type: application/sdp";
    assert_eq!(server.ask("POST", "/whip", &[sdp, "Accept: text/html"], &offer()).problem().0, 406);
    let wrong = server.ask("GET", "/whip", &[], "");
    assert_eq!((wrong.problem().0, wrong.header("allow")), (405, Some("POST, OPTIONS")));
    assert_eq!(server.ask("PUT", "/whip/0123", &[], "").problem().0, 405);
    assert_eq!(server.web.stats().running, 0);
    assert_eq!((server.refused("impossible"), server.refused("media_type"), server.refused("method")), (5, 2, 2));
}

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
fn whoever_has_no_token_does_nothing() {
    let server = Server::start(WebConfig { token: Some("s3cret".into()), ..WebConfig::default() }, Echo);
    let sdp = "Content-Type: application/sdp";
    let none = server.post(&offer());
    assert_eq!((none.problem().0, none.header("www-authenticate")), (401, Some("Bearer")));
    for wrong in ["Bearer s3cre", "Bearer s3crets", "Basic s3cret", "s3cret"] {
        let refused = server.ask("POST", "/whip", &[sdp, &format!("Authorization: {wrong}")], &offer());
        assert_eq!(refused.problem().0, 401, "{wrong}");
    }
    let right = "Authorization: Bearer s3cret";
    let made = server.ask("POST", "/whip", &[sdp, right], &offer());
    assert_eq!(made.status, 201);
    // Knowing the call isn't enough.
    let place = made.header("location").unwrap();
    assert_eq!(server.ask("DELETE", place, &[], "").problem().0, 401);
    assert_eq!(server.web.stats().running, 1);
    assert_eq!(server.ask("DELETE", place, &[right], "").status, 200);
    assert_eq!(server.refused("unauthorized"), 6);
}

#[test]
fn nobody_ends_anothers_call() {
    let server = Server::start(WebConfig::default(), Echo);
    let mine = server.post(&offer());
    let place = mine.header("location").unwrap();
    let guess = format!("{}0", &place[..place.len() - 1]);
    let guess = if guess == place { format!("{}1", &place[..place.len() - 1]) } else { guess };
    for wrong in [&*guess, "/whip/1", "/whip/..%2f", "/whip/%00", &format!("/whip/{}", "a".repeat(5_000))] {
        let status = server.ask("DELETE", wrong, &[], "").problem().0;
        assert_eq!(status, 404, "{wrong}");
    }
    assert_eq!((server.web.stats().running, server.refused("unknown_call")), (1, 5));
}

#[test]
fn pages_of_other_sites_may_call_if_they_are_allowed() {
    let config = WebConfig { origins: vec!["https://good.example".into()], ..WebConfig::default() };
    let server = Server::start(config, Echo);
    let sdp = "Content-Type: application/sdp";
    let own = format!("Origin: http://{}", server.address);
    assert_eq!(server.ask("POST", "/whip", &[sdp, &own], &offer()).status, 201);
    let evil = server.ask("POST", "/whip", &[sdp, "Origin: https://evil.example"], &offer());
    assert!(evil.problem().0 == 403 && evil.header("access-control-allow-origin").is_none(), "{evil:?}");
    let asked = server.ask("OPTIONS", "/whip", &["Origin: https://evil.example"], "");
    assert!(asked.problem().0 == 403 && asked.header("access-control-allow-origin").is_none(), "{asked:?}");
    let good = "Origin: https://good.example";
    let asked = server.ask("OPTIONS", "/whip", &[good, "Access-Control-Request-Method: POST"], "");
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, Some("https://good.example")));
    assert!(asked.header("access-control-allow-headers").unwrap().contains("If-Match"), "{asked:?}");
    assert!(
        asked.header("access-control-allow-methods").unwrap().contains("POST")
            && asked.header("accept-post") == Some(SDP)
    );
    let made = server.ask("POST", "/whip", &[sdp, good], &offer());
    assert!(
        made.status == 201 && made.header("access-control-expose-headers").unwrap().contains("Location"),
        "{made:?}"
    );
    // A refusal can be read there too.
    let refused = server.ask("POST", "/whip", &[sdp, good], "");
    assert_eq!(
        (refused.problem().0, refused.header("access-control-allow-origin")),
        (422, Some("https://good.example"))
    );
    assert_eq!((server.refused("foreign_origin"), server.web.stats().running), (2, 2));
}

#[test]
fn a_name_that_leads_here_by_a_trick_is_refused() {
    let server = Server::start(WebConfig { names: Some(Vec::new()), ..WebConfig::default() }, Echo);
    let sdp = "Content-Type: application/sdp";
    let rebound = ["Host: evil.example", "Origin: http://evil.example", sdp];
    assert_eq!(server.ask("POST", "/whip", &rebound, &offer()).problem().0, 421);
    assert_eq!(server.ask("GET", "/", &["Host: evil.example"], "").problem().0, 421);
    assert_eq!(server.ask("GET", "/", &[], "").status, 200);
    assert_eq!(server.web.stats().running, 0);
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
fn a_name_is_what_was_typed_and_no_header_of_ours() {
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let names = heard.clone();
    let server = Server::start(WebConfig::default(), move |caller: &Caller| -> Result<Opened, EndError> {
        names.lock().unwrap().push(caller.name.clone());
        Ok(FileIo::null(48_000).into())
    });
    let sdp = ["Content-Type: application/sdp"];
    let made = server.ask("POST", "/whip?name=%3Cb%3EAnn%0D%0AX%3A%201", &sdp, &offer());
    assert!(made.status == 201 && made.header("x").is_none(), "{made:?}");
    assert_eq!(*heard.lock().unwrap(), [Some("<b>AnnX: 1".into())]);
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

#[test]
fn the_page_lets_nothing_else_in() {
    let server = Server::start(WebConfig::default(), Echo);
    let page = server.ask("GET", "/", &[], "");
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-") && !policy.contains("unsafe")
    );
    assert!(policy.contains("frame-ancestors 'none'") && page.header("x-content-type-options") == Some("nosniff"));
    assert!(page.body.contains("an echo of yourself") && !page.body.contains("SETTINGS"), "{page:?}");
    assert_eq!(server.ask("POST", "/", &[], "").problem().0, 405);
}
