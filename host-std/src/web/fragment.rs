//! Bodies of `PATCH`: what `application/trickle-ice-sdpfrag` (RFC 8840) says, and a restart of ICE made of it (RFC
//! 9725, 4.3.2).
//!
//! A fragment with other credentials than those of the last offer is a restart. Attributes that it leaves out stay as they were,
//! so the offer that the call answers is the last one with these credentials and candidates; the response is the same part of the
//! answer.

use std::fmt::Write;

/// The most lines that are read.
const MAX_LINES: usize = 256;
/// The longest credentials (RFC 8839, 5.4).
const MAX_CREDENTIAL: usize = 256;
/// The most candidates of a restart: more than a call takes.
const MAX_CANDIDATES: usize = 64;

/// The content of a fragment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    pub(super) ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
    candidates: Vec<&'a str>,
    is_over: bool,
}

/// Reads a fragment. `None`: it has neither credentials nor candidates, or no such lines at all.
pub(super) fn read(text: &str) -> Option<Fragment<'_>> {
    let mut fragment = Fragment::default();
    for line in text.lines().take(MAX_LINES).map(str::trim) {
        let Some(attribute) = line.strip_prefix("a=") else { continue };
        if let Some(value) = attribute.strip_prefix("ice-ufrag:") {
            fragment.ufrag = fragment.ufrag.or(credential(value, 4));
        } else if let Some(value) = attribute.strip_prefix("ice-pwd:") {
            fragment.pwd = fragment.pwd.or(credential(value, 22));
        } else if attribute.starts_with("candidate:") && fragment.candidates.len() < MAX_CANDIDATES {
            fragment.candidates.push(attribute);
        } else if attribute == "end-of-candidates" {
            fragment.is_over = true;
        }
    }
    (fragment.ufrag.is_some() || !fragment.candidates.is_empty() || fragment.is_over).then_some(fragment)
}

/// One of these is letters, digits, `+` and `/` (RFC 8839, 5.4).
fn credential(value: &str, least: usize) -> Option<&str> {
    let value = value.trim();
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    ((least..=MAX_CREDENTIAL).contains(&value.len()) && value.bytes().all(is_sign)).then_some(value)
}

impl Fragment<'_> {
    /// Returns whether the fragment restarts the ICE session that an offer began.
    pub(super) fn restarts(&self, offer: &str) -> bool {
        self.ufrag.zip(self.pwd).is_some_and(|(ufrag, _)| attribute(offer, "ice-ufrag:") != Some(ufrag))
    }

    /// Returns the offer that results from applying this fragment to the last one.
    pub(super) fn offer(&self, last: &str) -> Option<String> {
        let (ufrag, pwd) = self.ufrag.zip(self.pwd)?;
        let mut offer = String::with_capacity(last.len() + 1_024);
        let mut sections = 0;
        let tell = |offer: &mut String| {
            for candidate in &self.candidates {
                let _ = write!(offer, "a={candidate}\r\n");
            }
            if self.is_over {
                offer.push_str("a=end-of-candidates\r\n");
            }
        };
        for line in last.lines() {
            // The attributes belong at the end of the first section, whose transport all share.
            sections += usize::from(line.starts_with("m="));
            if sections == 2 && line.starts_with("m=") {
                tell(&mut offer);
            }
            let attribute = line.strip_prefix("a=").unwrap_or_default();
            if attribute.starts_with("candidate:") || attribute == "end-of-candidates" {
                continue;
            }
            if attribute.starts_with("ice-ufrag:") {
                let _ = write!(offer, "a=ice-ufrag:{ufrag}\r\n");
            } else if attribute.starts_with("ice-pwd:") {
                let _ = write!(offer, "a=ice-pwd:{pwd}\r\n");
            } else {
                let _ = write!(offer, "{line}\r\n");
            }
        }
        if sections == 1 {
            tell(&mut offer);
        }
        Some(offer)
    }
}

/// Returns the part of an answer that a restart has.
pub(super) fn of_answer(answer: &str) -> String {
    let mut session = String::new();
    let mut media = String::new();
    let mut sections = 0;
    for line in answer.lines() {
        if line.starts_with("m=") {
            sections += 1;
            if sections == 1 {
                let _ = write!(media, "{line}\r\n");
            }
            continue;
        }
        let Some(attribute) = line.strip_prefix("a=") else { continue };
        let name = attribute.split(':').next().unwrap_or_default();
        if matches!(name, "ice-options" | "ice-lite" | "group") && sections == 0 {
            let _ = write!(session, "{line}\r\n");
        } else if matches!(name, "mid" | "ice-ufrag" | "ice-pwd" | "candidate" | "end-of-candidates") && sections < 2 {
            let place = if sections == 0 { &mut session } else { &mut media };
            let _ = write!(place, "{line}\r\n");
        }
    }
    session + &media
}

/// Returns the value of the first attribute of this name, which ends with a colon.
pub(super) fn attribute<'a>(description: &'a str, name: &str) -> Option<&'a str> {
    description.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=ice-ufrag:aaaa\r\n\
        a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa\r\na=mid:0\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:aaaa\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa\r\na=mid:1\r\n";

    #[test]
    fn a_restart_has_the_new_credentials_and_no_old_candidate() {
        let text = "a=ice-ufrag:bbbb\r\na=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
            a=candidate:2 1 udp 1 192.0.2.2 9 typ host\r\na=end-of-candidates\r\n";
        let fragment = read(text).unwrap();
        assert!(fragment.restarts(OFFER));
        let offer = fragment.offer(OFFER).unwrap();
        assert_eq!(offer.matches("a=ice-ufrag:bbbb\r\n").count(), 2);
        assert_eq!(offer.matches("a=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb\r\n").count(), 2);
        assert!(!offer.contains("aaaa") && !offer.contains("192.0.2.1"), "{offer}");
        let first = offer.split("\nm=").nth(1).unwrap();
        assert!(first.contains("192.0.2.2") && first.contains("a=end-of-candidates"), "{offer}");
        assert_eq!(offer.matches("192.0.2.2").count(), 1);
    }

    #[test]
    fn candidates_of_the_same_credentials_are_no_restart() {
        let same = read(
            "a=ice-ufrag:aaaa\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa\r\na=candidate:2 1 udp 1 192.0.2.2 9 typ host\r\n",
        );
        assert!(!same.unwrap().restarts(OFFER));
        assert!(!read("a=candidate:2 1 udp 1 192.0.2.2 9 typ host").unwrap().restarts(OFFER));
    }

    #[test]
    fn what_is_no_fragment_is_none() {
        for text in [
            "",
            "v=0\r\n",
            "a=ice-ufrag:abc\r\n",
            "a=ice-ufrag:a b c d\r\n",
            "candidate:1 1 udp 1 192.0.2.2 9 typ host",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_part_of_an_answer_is_of_its_first_section() {
        let part = of_answer(OFFER);
        assert!(part.starts_with("a=group:BUNDLE 0 1\r\nm=audio"), "{part}");
        assert_eq!((part.matches("a=ice-ufrag:").count(), part.matches("m=").count()), (1, 1));
        assert!(part.contains("a=candidate:1") && part.contains("a=mid:0"), "{part}");
    }
}
