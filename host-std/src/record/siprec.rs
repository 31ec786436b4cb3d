//! Metadata of a recording as a SIPREC client sends it (RFC 7865): who took part, what each stream is, and when.
//!
//! Use it beside an [`RtpFork`](super::rtp_fork::RtpFork), where a recording server wants to know whose sound it gets, or beside
//! a file. The SIP dialog with the server (RFC 7866) is the task of the SIP stack.
//!
//! [`RecordingMetadata::to_xml`] is a complete `<recording>` of one communication session. Its streams are named by the labels in
//! the SDP of the recording session ([`RtpFork::sdp`](super::rtp_fork::RtpFork::sdp)). Beside a file a label is the number of a
//! channel. All ids are UUIDs in base64, as RFC 7865, 6 requires, and times are those of RFC 3339 in UTC.
//!
//! The metadata of a call of a minute:
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use host_std::record::siprec::RecordingMetadata;
//!
//! let begins = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
//! let parties = [("Anna", "sip:anna@example.com"), ("Bert", "sip:bert@example.com")];
//! let mut metadata = RecordingMetadata::of_call(parties, begins)?;
//! metadata.end(begins + Duration::from_secs(60));
//! let xml = metadata.to_xml();
//! assert!(xml.contains("sip:bert@example.com") && xml.contains("2023-11-14T22:14:20"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::calendar::date;

/// The id of a session, participant or stream: a UUID (RFC 9562).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordId(pub [u8; 16]);

impl RecordId {
    /// Creates a random UUID, of version 4.
    ///
    /// # Errors
    /// The operating system's error if it has no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Ok(Self(bytes))
    }

    fn text(self) -> String {
        STANDARD.encode(self.0)
    }
}

/// A participant of a recorded call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// The id of the participant.
    pub id: RecordId,
    /// The participant's address of record, a URI.
    pub aor: String,
    /// The participant's name.
    pub name: Option<String>,
    /// The time at which the participant joined.
    pub joined: SystemTime,
    /// The time at which the participant left; `None` while he is there.
    pub left: Option<SystemTime>,
    /// The streams that the participant sends, as indices into [`RecordingMetadata::streams`].
    pub sends: Vec<usize>,
    /// The streams that the participant hears, as indices into [`RecordingMetadata::streams`].
    pub receives: Vec<usize>,
}

/// A recorded stream of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedStream {
    /// The id of the stream.
    pub id: RecordId,
    /// The stream's `a=label` in the description (RFC 4574).
    pub label: String,
}

/// The recorded streams and participants of one call or conference.
///
/// [The module's page](self) has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingMetadata {
    /// The id of the communication session: the call, or the conference.
    pub session: RecordId,
    /// The session's `Session-ID` (RFC 7989) or `Call-ID`, if there is one.
    pub sip_session_id: Option<String>,
    /// The time at which recording began.
    pub begins: SystemTime,
    /// The time at which recording ended; `None` while it continues.
    pub ends: Option<SystemTime>,
    /// All participants.
    pub participants: Vec<Participant>,
    /// The streams.
    pub streams: Vec<RecordedStream>,
}

impl RecordingMetadata {
    /// Metadata of a call between two parties, given by name and address of record, the near side first. The near side sends the stream
    /// with the label 1 and hears the one with the label 2.
    ///
    /// # Errors
    /// The operating system's error if it has no random numbers.
    pub fn of_call(parties: [(&str, &str); 2], begins: SystemTime) -> Result<Self, getrandom::Error> {
        let stream = |label: &str| {
            Ok(RecordedStream { id: RecordId::random()?, label: label.into() }) as Result<_, getrandom::Error>
        };
        let participant = |(name, aor): (&str, &str), sends: usize| -> Result<Participant, getrandom::Error> {
            Ok(Participant {
                id: RecordId::random()?,
                aor: aor.into(),
                name: Some(name.into()),
                joined: begins,
                left: None,
                sends: vec![sends],
                receives: vec![1 - sends],
            })
        };
        Ok(Self {
            session: RecordId::random()?,
            sip_session_id: None,
            begins,
            ends: None,
            participants: vec![participant(parties[0], 0)?, participant(parties[1], 1)?],
            streams: vec![stream("1")?, stream("2")?],
        })
    }

    /// Notes that recording ended at this time, and that all remaining participants left.
    pub fn end(&mut self, at: SystemTime) {
        self.ends = Some(at);
        for participant in &mut self.participants {
            participant.left.get_or_insert(at);
        }
    }

    /// Returns the document, `application/rs-metadata+xml`.
    pub fn to_xml(&self) -> String {
        let session = self.session.text();
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        xml += "<recording xmlns=\"urn:ietf:params:xml:ns:recording:1\">\n  <datamode>complete</datamode>\n";
        xml += &format!("  <session session_id=\"{session}\">\n");
        if let Some(id) = &self.sip_session_id {
            xml += &format!("    <sipSessionID>{}</sipSessionID>\n", escaped(id));
        }
        xml += &format!("    <start-time>{}</start-time>\n", rfc3339(self.begins));
        if let Some(ends) = self.ends {
            xml += &format!("    <stop-time>{}</stop-time>\n", rfc3339(ends));
        }
        xml += "  </session>\n";
        for participant in &self.participants {
            xml += &format!("  <participant participant_id=\"{}\">\n", participant.id.text());
            xml += &format!("    <nameID aor=\"{}\">\n", escaped(&participant.aor));
            if let Some(name) = &participant.name {
                xml += &format!("      <name xml:lang=\"en\">{}</name>\n", escaped(name));
            }
            xml += "    </nameID>\n  </participant>\n";
        }
        for stream in &self.streams {
            let id = stream.id.text();
            xml += &format!("  <stream stream_id=\"{id}\" session_id=\"{session}\">\n");
            xml += &format!("    <label>{}</label>\n  </stream>\n", escaped(&stream.label));
        }
        xml += &format!("  <sessionrecordingassoc session_id=\"{session}\">\n");
        xml += &times("associate", "disassociate", self.begins, self.ends);
        xml += "  </sessionrecordingassoc>\n";
        for participant in &self.participants {
            let id = participant.id.text();
            xml += &format!("  <participantsessionassoc participant_id=\"{id}\" session_id=\"{session}\">\n");
            xml += &times("associate", "disassociate", participant.joined, participant.left);
            xml += "  </participantsessionassoc>\n";
        }
        for participant in &self.participants {
            xml += &format!("  <participantstreamassoc participant_id=\"{}\">\n", participant.id.text());
            for (element, streams) in [("send", &participant.sends), ("recv", &participant.receives)] {
                for stream in streams.iter().filter_map(|&stream| self.streams.get(stream)) {
                    xml += &format!("    <{element}>{}</{element}>\n", stream.id.text());
                }
            }
            xml += &times("associate", "disassociate", participant.joined, participant.left);
            xml += "  </participantstreamassoc>\n";
        }
        xml + "</recording>\n"
    }
}

fn times(from: &str, until: &str, begin: SystemTime, end: Option<SystemTime>) -> String {
    let end = end.map_or(String::new(), |end| format!("    <{until}-time>{}</{until}-time>\n", rfc3339(end)));
    format!("    <{from}-time>{}</{from}-time>\n{end}", rfc3339(begin))
}

/// Text as XML 1.0 may have it: its own characters escaped, those that no document may contain left out.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => xml += "&amp;",
            '<' => xml += "&lt;",
            '>' => xml += "&gt;",
            '"' => xml += "&quot;",
            '\t' | '\n' | '\r' => xml += &format!("&#{};", u32::from(character)),
            '\u{fffe}' | '\u{ffff}' => {}
            character if character.is_control() && u32::from(character) < 0x20 => {}
            character => xml.push(character),
        }
    }
    xml
}

/// Formats a time to the millisecond, in UTC. Times before 1970 become 1970.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    let second = since.as_secs() % 86_400;
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{}T{hour:02}:{minute:02}:{:02}.{:03}Z", date(unix_us), second % 60, since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.250Z"),
            (951_782_400, "2000-02-29T00:00:00.250Z"),
            (1_709_251_199, "2024-02-29T23:59:59.250Z"),
            (1_767_225_600, "2026-01-01T00:00:00.250Z"),
            (4_107_542_400, "2100-03-01T00:00:00.250Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(1_000 * seconds + 250)), text);
        }
    }

    #[test]
    fn a_call_names_its_parties_and_streams_and_what_joins_them() {
        let begins = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let parties = [("Anna <\"&\">", "sip:anna@example.org"), ("Ben\u{1}", "sip:ben@example.org?a=1&b=2")];
        let mut metadata = RecordingMetadata::of_call(parties, begins).unwrap();
        for (id, bytes) in metadata.streams.iter_mut().map(|stream| &mut stream.id).zip(1..) {
            *id = RecordId([bytes; 16]);
        }
        let xml = metadata.to_xml();
        assert!(xml.contains("Anna &lt;&quot;&amp;&quot;&gt;</name>") && xml.contains(">Ben</name>"), "{xml}");
        assert!(xml.contains("b=2\">") && xml.contains("a=1&amp;b=2"), "{xml}");
        assert!(!xml.contains("stop-time") && !xml.contains("disassociate"), "{xml}");
        // Who sends the one hears the other.
        let first = STANDARD.encode([1; 16]);
        assert_eq!(xml.matches(&format!("<send>{first}</send>")).count(), 1);
        assert_eq!(xml.matches(&format!("<recv>{first}</recv>")).count(), 1);
        metadata.end(begins + Duration::from_secs(61));
        let xml = metadata.to_xml();
        assert!(xml.contains("<stop-time>2026-01-01T00:01:01.000Z</stop-time>"), "{xml}");
        assert_eq!(xml.matches("<disassociate-time>").count(), 5);
    }

    #[test]
    fn ids_are_of_version_four() {
        let id = RecordId::random().unwrap();
        assert_eq!((id.0[6] >> 4, id.0[8] >> 6), (4, 2));
        assert_ne!(id, RecordId::random().unwrap());
        assert_eq!(id.text().len(), 24);
    }
}
