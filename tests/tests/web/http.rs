//! The endpoint under requests that are right, wrong, or somebody else's.

use std::io::Write;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use host_std::device::FileIo;
use host_std::session::driver::{Command, Ended};
use host_std::web::{Caller, Echo, EndError, Opened, WebConfig};

use super::server::{Calling, SDP, Server, answer, offer};

const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

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
        let Calling { made, commands, mut status, run } = {
            let mut calling = Calling::begin(&server).await;
            calling.hears(50).await;
            calling
        };
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
