//! The counts and reports of a stream: its account for RTCP, quality, the statistics of senders and receivers, and memory.

use dsp_core::quality::VoipMetricsInput;
use dsp_core::receive::{DelayChoice, Fate};
use dsp_core::rtcp::SendInfo;
use dsp_core::time::{Duration, Instant, Seq, Ssrc};
use dsp_core::wire::rtcp::VoipMetrics;

use super::playing::ReplacedReceivers;
use super::sources::{Counted, SourceStats};
use super::{ReportedReception, Stream, StreamSender, quality};
use crate::session::config::CallSettings;
use crate::session::transport::Account;

/// The longest delay of a device and a capture chain: sound captured longer ago gives no clock for later sound.
const LONGEST_DELAY: Duration = Duration::from_millis(500);

impl Stream {
    /// Returns the source that it sends as, and how many packets it has sent.
    pub(in crate::session) fn own(&self) -> (Ssrc, u32) {
        (self.sender.ssrc(), self.sender.stats().packets)
    }

    /// Returns the account at `now`. The RTP timestamp in it is that of a sample captured at this moment (RFC 3550, 6.4.1), which
    /// leaves later by the delay of device and capture chain.
    pub(in crate::session) fn account(
        &self,
        now: Instant,
        settings: &CallSettings,
        remote: &ReportedReception,
    ) -> Account {
        let ntp = settings.wall_clock.plus(now.since(Instant::ZERO));
        let on_its_way = self.captured.map_or(Duration::ZERO, |until| now.since(until).min(LONGEST_DELAY));
        // Sound captured until then leaves the conversion later, and is ahead by the same time.
        let on_its_way = on_its_way + self.capture.delay();
        let ticks = on_its_way.as_samples(self.sending.rtp_clock_hz()) as u32;
        let told = self.agreed.send_voip_metrics && self.receivers().first().ssrc().is_some();
        let stats = self.sender.stats();
        Account {
            reception: self.receivers().reception(),
            sent: SendInfo {
                ntp,
                rtp: self.sender.timestamp().plus(ticks),
                packets: stats.packets,
                octets: stats.octets,
            },
            voip: told.then(|| self.metrics(settings, remote).block()),
        }
    }

    pub(in crate::session) fn metrics(&self, settings: &CallSettings, remote: &ReportedReception) -> VoipMetricsInput {
        quality::metrics(&quality::HeardStream {
            receiver: self.receivers().first(),
            delay: &settings.delay,
            codec: &self.sending.agreed,
            codec_delay_us: self.sending.delay_us + self.conversion_delay().as_micros() as u32,
            packet_ms: self.adapted.packet_ms,
            round_trip: remote.round_trip,
            peer: remote.voip,
        })
    }

    /// Returns the known quality of our sound at the other side, with the values in its reports.
    pub(in crate::session) fn remote(
        &self,
        round_trip: Option<Duration>,
        voip: Option<VoipMetrics>,
    ) -> ReportedReception {
        ReportedReception { fraction_lost: self.fraction_lost, jitter_ms: self.jitter_ms, round_trip, voip }
    }

    /// Returns the delay of the conversions, from the user's sound to the codec's and from the receivers' to the user's.
    fn conversion_delay(&self) -> Duration {
        self.capture.delay() + self.heard.delay()
    }

    /// Returns the counts of the whole call, in samples of the user's sound.
    pub(in crate::session) fn total(&self) -> Counted {
        self.heard.total().with_earlier(&self.before())
    }

    /// Returns the counts of receivers that were replaced.
    pub(super) fn before(&self) -> Counted {
        let leaving = self.leaving.as_ref().map(|leaving| leaving.playing().total().ended());
        leaving.unwrap_or_default().with_earlier(&self.earlier)
    }

    /// Returns all counts until this stream was closed, for the one that replaces it.
    pub(in crate::session) fn ended(&self, to_hz: u32) -> Counted {
        self.heard.total().ended().with_earlier(&self.before()).at_rate(self.sound().rate_hz, to_hz)
    }

    /// Continues the counts of a closed stream.
    pub(in crate::session) fn set_earlier(&mut self, earlier: Counted) {
        self.earlier = earlier;
    }

    /// Returns the first source's numbers, in samples of the user's sound.
    pub(in crate::session) fn receiver_stats(&self) -> dsp_core::receive::ReceiverStats {
        self.receivers().first().stats().at_rate(self.received_sound().rate_hz, self.sound().rate_hz)
    }

    /// Returns why the first source's sound waits as long as it does.
    pub(in crate::session) fn delay_choice(&self) -> Option<DelayChoice> {
        self.receivers().first().delay_choice()
    }

    pub(in crate::session) fn send_stats(&self) -> dsp_core::send::SendStats {
        self.sender.stats()
    }

    pub(in crate::session) fn sources(&self) -> impl Iterator<Item = SourceStats> + '_ {
        let (from_hz, to_hz) = (self.received_sound().rate_hz, self.sound().rate_hz);
        self.receivers().sources().map(move |source| {
            let told = self.extended.as_ref().and_then(|extended| extended.told(source.ssrc)).unwrap_or_default();
            SourceStats {
                receiver: source.receiver.at_rate(from_hz, to_hz),
                level: told.level,
                contributors: told.contributors,
                ..source
            }
        })
    }

    pub(in crate::session) fn fate(&self, ssrc: Ssrc, seq: Seq) -> Option<Fate> {
        match self.leaving() {
            Some(leaving) if !self.receivers().hears(ssrc) => leaving.playing().receivers().fate(ssrc, seq),
            _ => self.receivers().fate(ssrc, seq),
        }
    }

    /// Bytes on the heap, without the codecs' own.
    pub(in crate::session) fn memory_bytes(&self) -> usize {
        let leaving =
            self.leaving.as_ref().map_or(0, |leaving| size_of::<ReplacedReceivers>() + leaving.memory_bytes());
        let sending = size_of::<StreamSender>()
            + size_of::<i16>() * self.sender.room()
            + self.redundancy.as_deref().map_or(0, size_of_val);
        let tones = self.made.as_ref().map_or(0, |made| made.memory_bytes())
            + self.heard_tones.as_deref().map_or(0, size_of_val);
        let extended = self.extended.as_ref().map_or(0, |extended| extended.memory_bytes());
        extended
            + sending
            + tones
            + self.digits.memory_bytes()
            + self.capture.memory_bytes()
            + self.heard.memory_bytes()
            + leaving
    }
}
