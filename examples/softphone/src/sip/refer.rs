//! Transfer: what REFER, Replaces and the NOTIFY of a transfer carry (RFC 3515, 3891, 5589).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rsipstack::sip::Uri;

/// All but what RFC 3986, 2.3 leaves as it is: stricter than RFC 3261 wants it.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A dialog that is to be replaced, as whoever has it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replaces {
    pub(crate) call_id: String,
    /// The tag of whoever is asked.
    pub(crate) to_tag: String,
    pub(crate) from_tag: String,
    /// Only while it isn't answered.
    pub(crate) early_only: bool,
}

impl Replaces {
    /// Reads the header.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let call_id = parts.next().filter(|id| !id.is_empty())?.to_string();
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            match part.split_once('=') {
                Some((name, tag)) if name.trim().eq_ignore_ascii_case("to-tag") => {
                    to_tag = Some(tag.trim().to_string())
                }
                Some((name, tag)) if name.trim().eq_ignore_ascii_case("from-tag") => {
                    from_tag = Some(tag.trim().to_string());
                }
                None if part.eq_ignore_ascii_case("early-only") => early_only = true,
                _ => {}
            }
        }
        Some(Self { call_id, to_tag: to_tag?, from_tag: from_tag?, early_only })
    }
}

impl std::fmt::Display for Replaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}

/// The value of `Refer-To`: whom to call, and which call of theirs that replaces.
pub(crate) fn refer_to(target: &Uri, replaces: Option<&Replaces>) -> String {
    let target = Uri { headers: Vec::new(), ..target.clone() };
    match replaces {
        Some(replaces) => format!("<{target}?Replaces={}>", utf8_percent_encode(&replaces.to_string(), ESCAPED)),
        None => format!("<{target}>"),
    }
}

/// Reads it.
///
/// # Errors
/// Why we can't do what it says, in words.
pub(crate) fn referred(value: &str) -> Result<(Uri, Option<Replaces>), String> {
    let address = match (value.find('<'), value.find('>')) {
        (Some(begin), Some(end)) if begin < end => &value[begin + 1..end],
        _ => value.trim(),
    };
    let (address, fields) = address.split_once('?').unwrap_or((address, ""));
    let uri = crate::config::sip_uri(address)?;
    let mut replaces = None;
    for field in fields.split('&') {
        let Some((name, value)) = field.split_once('=') else { continue };
        if name.eq_ignore_ascii_case("replaces") {
            let text = percent_decode_str(value).decode_utf8().map_err(|error| error.to_string())?;
            replaces = Some(Replaces::parse(&text).ok_or("its Replaces names no dialog")?);
        }
    }
    Ok((uri, replaces))
}

/// The status that the body of a NOTIFY tells (`message/sipfrag`).
pub(crate) fn told_status(body: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(body).ok()?.lines().next()?;
    line.strip_prefix("SIP/2.0 ")?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refer_says_is_read_as_it_was_written() {
        let target = Uri::try_from("sip:carol@192.0.2.3:5060").unwrap();
        let replaces = Replaces {
            call_id: "a=b;c@h".replace(';', "."),
            to_tag: "7".into(),
            from_tag: "9".into(),
            early_only: false,
        };
        let text = refer_to(&target, Some(&replaces));
        assert_eq!(text, "<sip:carol@192.0.2.3:5060?Replaces=a%3Db.c%40h%3Bto-tag%3D7%3Bfrom-tag%3D9>");
        assert_eq!(referred(&text), Ok((target.clone(), Some(replaces))));
        assert_eq!(referred(&refer_to(&target, None)), Ok((target.clone(), None)));
        assert_eq!(referred("sip:carol@192.0.2.3:5060"), Ok((target, None)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in ["", "<>", "<tel:1>", "<sip:c@h?Replaces=x>", "<sip:c@h?Replaces=%ff%3Bto-tag%3D1>"] {
            assert!(referred(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Replaces::parse(";to-tag=1;from-tag=2"), None);
    }

    #[test]
    fn a_status_is_told_by_the_first_line() {
        assert_eq!(told_status(b"SIP/2.0 180 Ringing\r\n"), Some(180));
        assert_eq!(told_status(b"SIP/2.0 200 OK\r\nTo: x\r\n"), Some(200));
        for wrong in [&b""[..], b"HTTP/1.1 200 OK", b"\xff", b"SIP/2.0 x"] {
            assert_eq!(told_status(wrong), None);
        }
    }
}
