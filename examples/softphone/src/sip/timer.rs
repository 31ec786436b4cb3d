//! Session timers (RFC 4028): rsipstack knows the headers, and leaves the rest to us.

use std::time::Duration;

use rsipstack::sip::{HasHeaders, Header};

use super::headers::{lists, value};

/// What we ask for and take, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    pub(crate) expires: u32,
    pub(crate) min: u32,
}

/// A session that ends unless it is refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    /// The session interval in seconds.
    pub(crate) interval: u32,
    /// Whether we refresh it.
    pub(crate) is_ours: bool,
}

impl SessionTimer {
    /// When something is due after the last refresh: for who refreshes at half of the interval; for who waits at its
    /// end, less the smaller of 32 seconds and a third of it (10).
    pub(crate) fn due(self) -> Duration {
        let seconds = match self.is_ours {
            true => self.interval / 2,
            false => self.interval - 32.min(self.interval / 3),
        };
        Duration::from_secs(u64::from(seconds).max(1))
    }
}

/// What a request of ours asks for. `timer`: what runs already.
pub(crate) fn asked(wishes: Wishes, timer: Option<SessionTimer>) -> Vec<Header> {
    let expires = match timer {
        // Who sends a request is its UAC, whoever called whom.
        Some(SessionTimer { interval, is_ours: true }) => format!("{interval};refresher=uac"),
        Some(SessionTimer { interval, is_ours: false }) => format!("{interval};refresher=uas"),
        None => wishes.expires.to_string(),
    };
    vec![Header::SessionExpires(expires.into()), Header::MinSE(wishes.min.to_string().into())]
}

/// What an answer to our request says.
pub(crate) fn agreed(response: &impl HasHeaders) -> Option<SessionTimer> {
    let (interval, refresher) = session_expires(response)?;
    Some(SessionTimer { interval, is_ours: refresher.as_deref() != Some("uas") })
}

/// The least interval that a 422 names.
pub(crate) fn least(response: &impl HasHeaders) -> Option<u32> {
    let value = value(response, "Min-SE")?;
    value.split(';').next()?.trim().parse().ok()
}

/// The interval is too small: a 422 names the least (RFC 4028, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSmall;

/// What we make of a request of the other side's: the timer that runs from now on, and what the 2xx says of it.
///
/// # Errors
/// [`TooSmall`].
pub(crate) fn answered(
    wishes: Wishes,
    request: &impl HasHeaders,
) -> Result<Option<(SessionTimer, Vec<Header>)>, TooSmall> {
    let knows = lists(request, "Supported", "timer") || lists(request, "Require", "timer");
    let (interval, refresher) = match session_expires(request) {
        Some(asked) => asked,
        // Nobody asked; who knows timers is asked to refresh.
        None if knows => (wishes.expires, None),
        None => return Ok(None),
    };
    if interval < wishes.min && knows {
        return Err(TooSmall);
    }
    // Who doesn't know timers has had the header from a proxy, and refreshes nothing (9, table 2).
    let refresher = match refresher.as_deref() {
        Some("uas") => "uas",
        _ if knows => "uac",
        _ => "uas",
    };
    let interval = interval.max(wishes.min);
    let mut headers = vec![Header::SessionExpires(format!("{interval};refresher={refresher}").into())];
    if refresher == "uac" {
        headers.push(Header::Require("timer".into()));
    }
    Ok(Some((SessionTimer { interval, is_ours: refresher == "uas" }, headers)))
}

fn session_expires(message: &impl HasHeaders) -> Option<(u32, Option<String>)> {
    // `x` is its short form.
    let value = value(message, "Session-Expires").or_else(|| value(message, "x"))?;
    let mut parts = value.split(';').map(str::trim);
    let interval = parts.next()?.parse().ok().filter(|interval| *interval > 0)?;
    let refresher = parts.find_map(|part| {
        let (name, who) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("refresher").then(|| who.trim().to_ascii_lowercase())
    });
    Some((interval, refresher))
}

#[cfg(test)]
mod tests {
    use rsipstack::sip::Request;

    use super::*;

    const WISHES: Wishes = Wishes { expires: 1_800, min: 90 };

    fn request(headers: &str) -> Request {
        let text = format!(
            "INVITE sip:bob@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:bob@h>\r\n\
             Call-ID: c\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        text.as_str().try_into().unwrap()
    }

    fn told(headers: &str) -> (SessionTimer, Vec<String>) {
        let (timer, headers) = answered(WISHES, &request(headers)).unwrap().unwrap();
        (timer, headers.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn who_asks_and_knows_refreshes_unless_it_says_otherwise() {
        let (timer, headers) = told("Supported: timer\r\nSession-Expires: 600\r\n");
        assert_eq!(timer, SessionTimer { interval: 600, is_ours: false });
        assert_eq!(headers, ["Session-Expires: 600;refresher=uac", "Require: timer"]);
        let (timer, headers) = told("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n");
        assert!(timer.is_ours);
        assert_eq!(headers, ["Session-Expires: 600;refresher=uas"]);
    }

    #[test]
    fn who_knows_no_timers_refreshes_nothing() {
        let (timer, headers) = told("Session-Expires: 600\r\n");
        assert!(timer.is_ours);
        assert_eq!(headers, ["Session-Expires: 600;refresher=uas"]);
        assert_eq!(answered(WISHES, &request("")), Ok(None));
    }

    #[test]
    fn what_is_too_short_is_refused_to_who_can_ask_again() {
        assert_eq!(answered(WISHES, &request("Supported: timer\r\nSession-Expires: 60\r\n")), Err(TooSmall));
        assert_eq!(told("Session-Expires: 60\r\n").0.interval, 90);
    }

    #[test]
    fn a_refresh_is_due_in_time() {
        assert_eq!(SessionTimer { interval: 1_800, is_ours: true }.due(), Duration::from_secs(900));
        assert_eq!(SessionTimer { interval: 1_800, is_ours: false }.due(), Duration::from_secs(1_768));
        assert_eq!(SessionTimer { interval: 90, is_ours: false }.due(), Duration::from_secs(60));
        assert_eq!(SessionTimer { interval: 1, is_ours: true }.due(), Duration::from_secs(1));
    }

    #[test]
    fn nonsense_is_no_timer() {
        for nonsense in ["Session-Expires: x\r\n", "Session-Expires: 0\r\n", "Session-Expires: -1;refresher=uac\r\n"] {
            assert_eq!(answered(WISHES, &request(nonsense)), Ok(None), "{nonsense}");
        }
    }
}
