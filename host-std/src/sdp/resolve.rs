//! Host names in a description (RFC 8866, 5.7): only the host can resolve a name.

use std::borrow::Cow;
use std::net::IpAddr;

use super::read::host_name;

/// The most names of a description that are looked up.
const MAX_NAMES: usize = 8;

/// Returns the description with addresses in place of host names (RFC 8866, 5.7), in its `c=` and `a=rtcp` lines. `look_up` is
/// asked once for each name, and for 8 names at most. A name that it doesn't find stays in the text, and is then the error
/// [`SdpError::HostName`](super::SdpError::HostName).
///
/// ```
/// use host_std::sdp::resolved;
///
/// let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 phone.example.com\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n";
/// // A real program asks the system's resolver here, off the audio path.
/// let offer = resolved(offer, |name| (name == "phone.example.com").then(|| [192, 0, 2, 7].into()));
/// assert!(String::from_utf8_lossy(&offer).contains("c=IN IP4 192.0.2.7"));
/// ```
pub fn resolved<'a>(
    description: &'a (impl AsRef<[u8]> + ?Sized),
    mut look_up: impl FnMut(&str) -> Option<IpAddr>,
) -> Cow<'a, [u8]> {
    let description = description.as_ref();
    let mut known: Vec<(&str, Option<IpAddr>)> = Vec::new();
    let mut text = Cow::Borrowed(description);
    let mut read = 0;
    for line in description.split_inclusive(|byte| *byte == b'\n') {
        let begin = read;
        read += line.len();
        let Some((name, place)) = name_in(line) else { continue };
        let address = match known.iter().find(|(seen, _)| *seen == name) {
            Some((_, address)) => *address,
            None => {
                let address = if known.len() < MAX_NAMES { look_up(name) } else { None };
                known.push((name, address));
                address
            }
        };
        let Some(address) = address else { continue };
        // Earlier insertions have moved the text that follows.
        let at = text.len() - (description.len() - begin - place);
        text.to_mut().splice(at..at + name.len(), address.to_string().into_bytes());
    }
    text
}

/// Returns the name in `c=IN IP4 name` or `a=rtcp:port IN IP4 name`, and where it begins.
fn name_in(line: &[u8]) -> Option<(&str, usize)> {
    let line = std::str::from_utf8(line).ok()?;
    let types = line.strip_prefix("c=").or_else(|| Some(line.strip_prefix("a=rtcp:")?.split_once(' ')?.1))?;
    let mut fields = types.split_whitespace();
    if fields.next() != Some("IN") || !matches!(fields.next(), Some("IP4" | "IP6")) {
        return None;
    }
    let name = fields.next().and_then(host_name).filter(|name| name.parse::<IpAddr>().is_err())?;
    Some((name, line.rfind(name)?))
}
