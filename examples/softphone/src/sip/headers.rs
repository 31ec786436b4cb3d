//! Headers and bodies of messages, by name and as text.

use rsipstack::sip::{HasHeaders, Header, HeadersExt, Request, Response};

const SDP: &str = "application/sdp";

/// The extensions that we know, as `Supported` and `Require` name them. 100rel is added where a request asks for it.
pub(crate) const SUPPORTED: &str = "timer, replaces";
const KNOWN: [&str; 5] = ["100rel", "timer", "replaces", "norefersub", "histinfo"];

/// `Content-Type` of a description.
pub(crate) fn sdp() -> Header {
    Header::ContentType(SDP.into())
}

/// The description that a message carries, if it carries one.
pub(crate) trait Description {
    fn description(&self) -> Option<String>;
}

impl Description for Request {
    fn description(&self) -> Option<String> {
        described(self, &self.body)
    }
}

impl Description for Response {
    fn description(&self) -> Option<String> {
        described(self, &self.body)
    }
}

fn described(message: &impl HeadersExt, body: &[u8]) -> Option<String> {
    let is_sdp = value(message, "Content-Type")
        .is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(SDP)));
    let text = std::str::from_utf8(body).ok()?;
    (is_sdp && !text.trim().is_empty()).then(|| text.to_string())
}

/// The value of the first header with this name, in its long form.
pub(crate) fn value(message: &impl HasHeaders, name: &str) -> Option<String> {
    let header = message.headers().iter().find(|header| header.name().eq_ignore_ascii_case(name))?;
    Some(header.value().trim().to_string())
}

/// Whether a list such as `Supported`, `Require` or `Allow` has this word.
pub(crate) fn lists(message: &impl HasHeaders, name: &str, word: &str) -> bool {
    words(message, name).any(|one| one.eq_ignore_ascii_case(word))
}

/// What `Require` asks for and we don't know, for `Unsupported` of a 420 (RFC 3261, 8.2.2.3).
pub(crate) fn unknown_requirements(message: &impl HasHeaders) -> Vec<String> {
    let unknown = |word: &String| !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(word));
    words(message, "Require").filter(unknown).collect()
}

fn words<'a>(message: &'a impl HasHeaders, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let named = message.headers().iter().filter(move |header| header.name().eq_ignore_ascii_case(name));
    named.flat_map(|header| header.value().split(',').map(|word| word.trim().to_string()).collect::<Vec<_>>())
}

/// A header that the library has no type of.
pub(crate) fn other(name: &str, value: impl Into<String>) -> Header {
    Header::Other(name.into(), value.into())
}

/// Why we refuse, in words (RFC 3261, 20.43: 399 is for whoever reads it).
pub(crate) fn warning(host: impl std::fmt::Display, why: impl std::fmt::Display) -> Header {
    let why = why.to_string().replace(['"', '\\', '\r', '\n'], " ");
    Header::Warning(format!("399 {host} \"{why}\"").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &str) -> Request {
        let text = format!(
            "INVITE sip:bob@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:bob@h>\r\n\
             Call-ID: c\r\nCSeq: 1 INVITE\r\n{headers}"
        );
        text.as_str().try_into().unwrap()
    }

    #[test]
    fn what_is_required_and_unknown_is_found() {
        let request = request("Require: 100rel, precondition\r\nRequire: Timer\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(unknown_requirements(&request), ["precondition"]);
        assert!(lists(&request, "Require", "timer") && !lists(&request, "Supported", "timer"));
    }

    #[test]
    fn a_description_is_one_by_its_type() {
        let with = |kind| request(&format!("Content-Type: {kind}\r\nContent-Length: 5\r\n\r\nv=0\r\n")).description();
        assert!(with("application/sdp").is_some() && with("Application/SDP; charset=utf-8").is_some());
        assert_eq!(with("text/plain"), None);
        assert_eq!(request("Content-Length: 0\r\n\r\n").description(), None);
    }

    #[test]
    fn a_warning_stays_one_line() {
        let header = warning("h", "no \"codec\"\r\nVia: x");
        assert_eq!(header.value(), "399 h \"no  codec   Via: x\"");
    }
}
