//! The statistics of a call; nothing here allocates.

use std::net::{IpAddr, SocketAddr};

use dsp_core::guard::srtp::KeyAge;
use dsp_core::quality::VoipMetricsInput;
use dsp_core::receive::Fate;
use dsp_core::rtcp::transport::PacketFeedback;
use dsp_core::time::{Duration, Instant, Seq, Ssrc};
use dsp_core::wire::extension::AudioLevel;

use super::Call;
use crate::registry::CodecFormat;
use crate::sdp::{NegotiatedStream, NegotiatedTransport, Refused};
use crate::session::adapter::{Adapter, CongestionControl};
use crate::session::metering::{Finding, Meters, findings};
use crate::session::outcome::{CallStats, Channel, Ending, Protection};
use crate::session::stream::{Counted, ReportedReception, SourceStats, Stream};
use crate::session::transport::{Account, CallTransport};

impl Call {
    /// Returns the addresses and keys that were agreed on; `None` before that.
    pub fn negotiated_transport(&self) -> Option<&NegotiatedTransport> {
        self.transport.as_ref().map(|transport| transport.agreed())
    }

    /// Returns the agreement for the stream with this number, 0 for the first. It is `None` before there is one, and where the
    /// stream is closed or the other side rejected it.
    pub fn negotiated_stream(&self, stream: usize) -> Option<&NegotiatedStream> {
        self.streams.get(stream)?.as_ref().filter(|stream| !stream.is_closed()).map(Stream::agreed)
    }

    /// Returns the current protection of packets; `None` before the call is agreed on.
    pub fn protection(&self) -> Option<Protection> {
        self.transport.as_ref().map(|transport| transport.protection())
    }

    /// The address to which RTP or RTCP goes now. By latching or ICE it may be another one than the other side's description
    /// names. `None` before the call is agreed on.
    pub fn destination(&self, channel: Channel) -> Option<SocketAddr> {
        self.transport.as_ref().map(|transport| transport.destination(channel))
    }

    /// Returns the streams other than the first that the last offer and answer could not agree on, with the reasons.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Returns the number of streams, whether they are only requested or agreed on.
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    fn first(&self) -> Option<&Stream> {
        self.streams.first()?.as_ref()
    }

    /// Returns the codec that the first stream sends, with the parameters that both sides have agreed on; `None` before that.
    pub fn codec(&self) -> Option<&CodecFormat> {
        self.first().map(Stream::codec)
    }

    /// Returns the address at which we receive, as the next offer or answer names it.
    pub fn address(&self) -> IpAddr {
        self.local.address
    }

    /// Returns the port at which we receive RTP, as the next offer or answer names it.
    pub fn rtp_port(&self) -> u16 {
        self.local.rtp_port
    }

    /// Returns the most bytes of an IP packet that we send, unless the codec's shortest packets are longer.
    pub fn mtu(&self) -> u16 {
        self.local.mtu
    }

    /// Returns the rate of the first stream's sound in Hz, which `capture` takes and `play` returns. It is the one of
    /// [`set_sound`](Self::set_sound), or else that of the widest codec that was agreed on; `None` before that.
    pub fn sample_rate_hz(&self) -> Option<u32> {
        self.stream_sound(0).map(|(sample_rate_hz, _)| sample_rate_hz)
    }

    /// Returns the channels, 1 or 2, of the first stream's sound, which `capture` takes and `play` gives interleaved. They are
    /// those of [`set_sound`](Self::set_sound), or else of the codecs that were agreed on; `None` before that.
    pub fn channels(&self) -> Option<u8> {
        self.stream_sound(0).map(|(_, channels)| channels)
    }

    /// The rate in Hz and the channels of the sound of the stream with this number, as [`sample_rate_hz`](Self::sample_rate_hz)
    /// and [`channels`](Self::channels) have them for the first.
    pub fn stream_sound(&self, stream: usize) -> Option<(u32, u8)> {
        let sound = self.streams.get(stream)?.as_ref().map(Stream::sound).or(self.settings.sound)?;
        Some((sound.rate_hz, sound.channels))
    }

    /// Returns the rate in Hz and the channels of the sound that the receivers of the stream with this number play, before it is
    /// converted to the user's sound: those of the widest codec that was agreed on. [`Tap::source`](crate::session::Tap::source)
    /// gets this sound.
    pub fn received_sound(&self, stream: usize) -> Option<(u32, u8)> {
        let sound = self.streams.get(stream)?.as_ref()?.received_sound();
        Some((sound.rate_hz, sound.channels))
    }

    /// Returns a snapshot of the numbers: sums over all streams, or, for values without a sum, those of the first stream that was
    /// agreed on.
    pub fn stats(&self) -> CallStats {
        let mut streams = self.streams.iter().enumerate().filter_map(|(at, stream)| Some((at, stream.as_ref()?)));
        let Some((index, first)) = streams.next() else { return self.stats };
        let remote = self.remote(index, first);
        let mut total = first.total();
        for (stream, rate_hz) in streams.map(|(_, stream)| (stream, stream.sound().rate_hz)) {
            total = total.with_earlier(&stream.total().at_rate(rate_hz, first.sound().rate_hz));
        }
        self.stats_of(index, first, &remote, total)
    }

    /// The numbers of the stream with this number, and those that all streams share; `None` before it is agreed on.
    pub fn stream_stats(&self, stream: usize) -> Option<CallStats> {
        let (index, stream) = (stream, self.streams.get(stream)?.as_ref()?);
        Some(self.stats_of(index, stream, &self.remote(index, stream), stream.total()))
    }

    /// Returns the faults of the sound of each stream ([`CallStats::findings`]), with the stream's number. A call without faults
    /// has none.
    pub fn findings(&self) -> impl Iterator<Item = (usize, Finding)> + '_ {
        let of = |stream| self.stream_stats(stream).map(move |stats| (stream, stats));
        let found = |(stream, stats): (usize, CallStats)| findings(&stats).map(move |finding| (stream, finding));
        (0..self.streams.len()).filter_map(of).flat_map(found)
    }

    fn stats_of(&self, index: usize, stream: &Stream, remote: &ReportedReception, total: Counted) -> CallStats {
        let heard = VoipMetricsInput { bursts: total.bursts, ..stream.metrics(&self.settings, remote) };
        let quality = heard.quality();
        let conversation = quality.and_then(|quality| quality.conversation);
        CallStats {
            receiver: stream.receiver_stats(),
            total: total.receiver,
            sources: total.sources,
            sender: stream.send_stats(),
            digits: self.digit_stats(),
            delay_choice: stream.delay_choice(),
            adaptation: self
                .network
                .as_ref()
                .filter(|_| index == 0)
                .and_then(|network| network.adapter.as_ref())
                .map(Adapter::stats),
            round_trip: remote.round_trip,
            local_voip: heard,
            remote_voip: remote.voip,
            protection: self.protection(),
            keyed: self.transport.as_ref().map_or(0, CallTransport::keyed),
            handshake: self.transport.as_ref().and_then(CallTransport::handshake_trouble),
            remote_fraction_lost: remote.fraction_lost,
            remote_jitter_ms: remote.jitter_ms,
            bursts: total.bursts,
            mos_lq: quality.map(|quality| quality.mos_lq),
            r_factor: conversation.map(|conversation| conversation.r_factor),
            mos_cq: conversation.map(|conversation| conversation.mos_cq),
            directions: stream.directions(),
            sound: self.meters.get(index).map(Meters::read),
            #[cfg(feature = "ice")]
            ice: self.transport.as_ref().and_then(|transport| transport.ice_stats()),
            feedback: self.transport.as_ref().and_then(|transport| transport.feedback_stats()),
            ..self.stats
        }
    }

    fn remote(&self, index: usize, stream: &Stream) -> ReportedReception {
        let told = self.transport.as_ref().and_then(|transport| transport.told(index));
        stream.remote(told.and_then(|told| told.round_trip()), told.and_then(|told| told.peer_voip()))
    }

    /// Returns the account of the stream with this number for a report.
    pub(super) fn account(&self, now: Instant, index: usize) -> Option<Account> {
        let stream = self.streams.get(index)?.as_ref()?;
        Some(stream.account(now, &self.settings, &self.remote(index, stream)))
    }

    /// Returns the numbers of each source that is heard.
    pub fn sources(&self) -> impl Iterator<Item = SourceStats> + '_ {
        self.streams.iter().flatten().flat_map(Stream::sources)
    }

    /// Returns our packets about which the last transport-wide feedback contained new information: when they were sent, and how
    /// much longer they took than the fastest, or that they did not arrive. They stay here until the next feedback; a
    /// [tap](crate::session::Tap::feedback) receives each of them.
    pub fn told_packets(&self) -> &[PacketFeedback] {
        self.transport.as_ref().map_or(&[], |transport| transport.told_packets())
    }

    /// The source (SSRC) as which the stream with this number sends.
    pub fn sent_source(&self, stream: usize) -> Option<Ssrc> {
        self.streams.get(stream)?.as_ref().map(|stream| stream.own().0)
    }

    /// The first source that is heard in the stream with this number, with the level of its last packet and whether it contained
    /// speech, if packets carry that (RFC 6464). The level is `None` too where packets don't mark speech (`vad=off`);
    /// [`SourceStats::level`] has it then.
    pub fn source_level(&self, stream: usize) -> Option<(Ssrc, Option<AudioLevel>)> {
        self.streams.get(stream)?.as_ref()?.source_level()
    }

    /// Returns whether the other side of the stream with this number accepts the list of contributors to a mix, with their levels
    /// ([`set_contributors`](Self::set_contributors)).
    pub fn takes_contributors(&self, stream: usize) -> bool {
        self.streams.get(stream).and_then(Option::as_ref).is_some_and(Stream::takes_contributors)
    }

    /// Returns the fate of a packet of `ssrc` that was stored (see [`Receiver::fate`](dsp_core::receive::Receiver::fate)).
    pub fn fate(&self, ssrc: Ssrc, seq: Seq) -> Option<Fate> {
        let hears = self.streams.iter().flatten().find(|stream| stream.hears(ssrc));
        hears.or(self.first()).map_or(Some(Fate::Discarded), |stream| stream.fate(ssrc, seq))
    }

    /// Returns for how long neither RTP nor RTCP has come from the other side; `None` before the call is agreed on, and on hold.
    pub fn silence(&self, now: Instant) -> Option<Duration> {
        let transport = self.transport.as_ref()?;
        (!self.is_on_hold()).then(|| transport.silence(now))
    }

    /// Returns whether nothing is to be received in any stream.
    fn is_on_hold(&self) -> bool {
        let receives = |stream: &Stream| !stream.is_closed() && stream.agreed().direction.receives();
        !self.streams.iter().flatten().any(receives)
    }

    /// Returns whether and why the call should end although it wasn't signalled, because of
    /// [`CallConfig::after_goodbye`](crate::session::CallConfig::after_goodbye),
    /// [`CallConfig::after_silence`](crate::session::CallConfig::after_silence) or
    /// [`CallConfig::circuit_breaker`](crate::session::CallConfig::circuit_breaker), because there are no SRTP keys or they are
    /// used up, or because ICE failed. Ask once a tick; the call continues until you end it.
    ///
    /// ```
    /// # use host_std::session::Call;
    /// use dsp_core::time::{Duration, Instant};
    /// use host_std::session::{CallConfig, Ending};
    ///
    /// let config = |port| CallConfig::new(port).map(|config| CallConfig { after_silence: Some(Duration::from_secs(20)), ..config });
    /// let (mut anna, mut bert) = (Call::new(config(4000)?)?, Call::new(config(5000)?)?);
    /// let answer = bert.answer(Instant::ZERO, &anna.offer()?)?;
    /// anna.accept(Instant::ZERO, &answer)?;
    ///
    /// // Bert sends nothing.
    /// assert_eq!(anna.should_end(Instant::from_millis(10_000)), None);
    /// assert!(matches!(anna.should_end(Instant::from_millis(30_000)), Some(Ending::Silence(_))));
    /// # Ok::<(), host_std::session::CallError>(())
    /// ```
    pub fn should_end(&self, now: Instant) -> Option<Ending> {
        let transport = self.transport.as_ref()?;
        if let Some(failure) = transport.handshake_failure() {
            return Some(Ending::Handshake(failure));
        }
        if transport.key_age() == KeyAge::Over {
            return Some(Ending::KeysOver);
        }
        let hopeless = |network: &CongestionControl| network.hopeless(now, transport.silence(now));
        if let Some(hopeless) = self.network.as_deref().and_then(hopeless) {
            return Some(Ending::Hopeless(hopeless));
        }
        #[cfg(feature = "ice")]
        if let Some(ending) = transport.ice_ending(now) {
            return Some(ending);
        }
        let gone = |wait| transport.is_gone(now, wait, self.is_on_hold());
        if self.settings.after_goodbye.is_some_and(gone) {
            return Some(Ending::Goodbye);
        }
        let silence = self.silence(now)?;
        self.settings.after_silence.filter(|&wait| silence >= wait).map(|_| Ending::Silence(silence))
    }

    /// Returns the memory of this call in bytes, its heap included, without the states of codecs and of the resamplers of those
    /// whose rate isn't the call's.
    pub fn memory_bytes(&self) -> usize {
        let transport = self.transport.as_ref().map_or(0, |transport| transport.memory_bytes());
        let streams = self.streams.iter().flatten().map(Stream::memory_bytes).sum::<usize>();
        let meters = size_of_val(self.meters.as_slice());
        let own = size_of::<Self>() + self.streams.len() * size_of::<Option<Stream>>();
        let before = self.before.as_deref().map_or(0, size_of_val);
        own + before + meters + self.digits.memory_bytes() + self.tones.memory_bytes() + transport + streams
    }
}
