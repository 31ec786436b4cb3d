//! RTCP feedback in descriptions: the profiles AVPF and SAVPF, `a=rtcp-fb` (RFC 4585, 4; RFC 5124) and `a=rtcp-rsize`
//! (RFC 5506, 5).
//!
//! Of the feedback messages only transport-wide feedback (`transport-cc`) is claimed: for sound alone, messages about lost
//! pictures mean nothing, and nothing is retransmitted. A NACK that comes all the same is counted.

use dsp_core::time::Duration;
use sdp_types::Attribute;

/// The RTCP feedback that we offer and accept. Feedback needs a profile with AVPF or SAVPF (RFC 4585).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedbackOptions {
    /// Whether offers without DTLS have the profile AVPF or SAVPF. Phones that don't know it refuse such an offer. With DTLS it
    /// is always SAVPF.
    pub profile: bool,
    /// Whether each side reports when the packets of the other arrived (`transport-cc`).
    pub transport_wide: bool,
    /// Whether feedback may be sent without a report in front of it (RFC 5506).
    pub reduced_size: bool,
}

impl Default for FeedbackOptions {
    /// Returns the default: all of it with DTLS, and none without.
    fn default() -> Self {
        Self { profile: false, transport_wide: true, reduced_size: true }
    }
}

/// The feedback of a stream that both sides agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatedFeedback {
    /// Whether reports and feedback have the timing of AVPF (RFC 4585, 3).
    pub early: bool,
    /// Whether each side reports when the other's packets arrived.
    pub transport_wide: bool,
    /// The least time between whole reports that was agreed on (`trr-int`).
    pub regular_interval: Option<Duration>,
}

/// The longest `trr-int` that is taken, in ms.
const LONGEST_INTERVAL_MS: u32 = 60_000;

/// The feedback attributes of a section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FeedbackAttributes {
    /// The profile has it.
    early: bool,
    transport_wide: bool,
    interval_ms: Option<u32>,
}

impl FeedbackAttributes {
    /// Reads the values of `a=rtcp-fb`. `has`: whether a payload type is one of the section's.
    pub(super) fn read<'a>(proto: &str, values: impl Iterator<Item = &'a str>, has: impl Fn(u8) -> bool) -> Self {
        let mut read = Self { early: proto.ends_with('F'), ..Self::default() };
        for value in values.filter(|_| proto.ends_with('F')) {
            let mut fields = value.split_whitespace();
            let of = fields.next().unwrap_or_default();
            if of != "*" && !of.parse().is_ok_and(&has) {
                continue;
            }
            match (fields.next(), fields.next()) {
                (Some("transport-cc"), None) => read.transport_wide = true,
                (Some("trr-int"), Some(ms)) => {
                    let interval_ms = ms.parse().ok().filter(|ms| *ms <= LONGEST_INTERVAL_MS);
                    read.interval_ms = read.interval_ms.max(interval_ms);
                }
                _ => {}
            }
        }
        read
    }

    /// Returns the attributes of an offer of ours under this profile; an earlier `trr-int` stays.
    pub(super) fn offered(options: &FeedbackOptions, proto: &str, numbered: bool, before: Option<Self>) -> Self {
        let early = proto.to_ascii_uppercase().ends_with('F');
        let interval_ms = before.and_then(|before| before.interval_ms).filter(|_| early);
        Self { early, transport_wide: early && numbered && options.transport_wide, interval_ms }
    }

    /// Returns the attributes of an answer of ours to this section; `numbered`: both sides number their packets.
    pub(super) fn answered(self, options: &FeedbackOptions, numbered: bool) -> Self {
        Self { transport_wide: self.transport_wide && options.transport_wide && numbered, ..self }
    }

    /// Returns whether the profile has feedback.
    pub(super) fn is_early(self) -> bool {
        self.early
    }

    /// Returns the attributes that both sections have.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            early: self.early && other.early,
            transport_wide: self.transport_wide && other.transport_wide,
            interval_ms: self.interval_ms.max(other.interval_ms),
        }
    }

    pub(super) fn agreed(self, numbered: bool) -> NegotiatedFeedback {
        NegotiatedFeedback {
            early: self.early,
            transport_wide: self.transport_wide && numbered,
            regular_interval: self.interval_ms.map(|ms| Duration::from_millis(ms.into())),
        }
    }

    pub(super) fn lines(self) -> impl Iterator<Item = Attribute> {
        let line = |what: String| Attribute { attribute: "rtcp-fb".into(), value: Some(format!("* {what}")) };
        let wide = self.transport_wide.then(|| line("transport-cc".into()));
        let interval = self.interval_ms.map(|ms| line(format!("trr-int {ms}")));
        wide.into_iter().chain(interval).filter(move |_| self.early)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(proto: &str, lines: &[&str]) -> FeedbackAttributes {
        FeedbackAttributes::read(proto, lines.iter().copied(), |number| number == 111)
    }

    fn written(feedback: FeedbackAttributes) -> Vec<String> {
        feedback.lines().map(|line| line.value.unwrap_or_default()).collect()
    }

    #[test]
    fn only_what_is_known_is_answered() {
        let offered =
            ["111 transport-cc", "* nack", "111 nack pli", "* ccm fir", "* trr-int 2000", "", "*", "* trr-int x"];
        let feedback = read("UDP/TLS/RTP/SAVPF", &offered);
        let answered = feedback.answered(&FeedbackOptions::default(), true);
        assert_eq!(written(answered), ["* transport-cc", "* trr-int 2000"]);
        let agreed = answered.agreed(true);
        assert!(agreed.early && agreed.transport_wide);
        assert_eq!(agreed.regular_interval, Some(Duration::from_secs(2)));
        // Without numbers in the packets it has no meaning, and without the wish none is given.
        assert_eq!(written(feedback.answered(&FeedbackOptions::default(), false)), ["* trr-int 2000"]);
        let no = FeedbackOptions { transport_wide: false, ..FeedbackOptions::default() };
        assert!(!feedback.answered(&no, true).agreed(true).transport_wide);
        assert_eq!(written(read("RTP/AVPF", &["96 transport-cc", "* trr-int 60001"])), [""; 0]);
        assert_eq!(read("RTP/AVP", &offered), FeedbackAttributes::default(), "not in this profile");
    }

    #[test]
    fn offers_have_it_where_the_profile_does() {
        let options = FeedbackOptions::default();
        assert_eq!(written(FeedbackAttributes::offered(&options, "RTP/SAVPF", true, None)), ["* transport-cc"]);
        assert_eq!(written(FeedbackAttributes::offered(&options, "RTP/SAVPF", false, None)), [""; 0]);
        assert_eq!(written(FeedbackAttributes::offered(&options, "RTP/SAVP", true, None)), [""; 0]);
        let before = read("RTP/AVPF", &["* trr-int 500"]);
        let both = FeedbackAttributes::offered(&options, "RTP/AVPF", true, Some(before));
        assert_eq!(written(both), ["* transport-cc", "* trr-int 500"]);
        assert!(!both.and(read("RTP/AVPF", &[])).transport_wide);
        assert!(!both.and(FeedbackAttributes::default()).early);
    }
}
