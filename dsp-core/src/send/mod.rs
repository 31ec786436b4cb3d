//! Sending: sound in, when the audio device delivers it, and RTP packets out.
//!
//! [`Sender::capture`] takes in ticks of any length. [`Sender::packet`] returns a finished packet as long as there is
//! one: encoded, with header, sequence number and timestamp (RFC 3550, 5.1). The first packet, and the first one after
//! a pause, have the marker bit set (RFC 3551, 4.1). Timestamps count samples whether they are sent or not, so that a
//! pause moves them on. The encoder belongs to the caller, who can therefore change it in mid-stream.
//!
//! Use [`Sender`] for everything between the microphone and the socket. Three things can take the place of encoded
//! sound:
//!
//! - [`Sender::set_comfort_noise`] replaces pauses in speech by descriptions of their noise (RFC 3389), which share
//!   the sequence and the timeline and have no marker.
//! - [`Sender::event`], which is called before [`Sender::packet`], sends the packets of a pressed key (RFC 4733). The
//!   encoder goes on afterwards where it was.
//! - [`Sender::packet_with_redundancy`] adds copies of earlier payloads to each packet (RFC 2198).
//!
//! To encode 20 ms of G.711 and make a packet of it takes 3,784 instructions on a Cortex-M3 and 57 ns on a host
//! (`BENCHMARKS.md`). The delay is the length of a packet. A packet is 5 to 120 ms long, and one sender has one
//! stream.
//!
//! Half a second of sound in ticks of 10 ms, and a packet length that a codec does not have:
//!
//! ```
//! use dsp_core::codec::{g711::Pcmu, ilbc::IlbcEncoder, ilbc::IlbcMode};
//! use dsp_core::send::{NarrowbandSender, SenderConfig};
//! use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
//!
//! let (ssrc, first_seq, first_timestamp, payload_type) = (Ssrc(7), Seq(1), RtpTime(0), PayloadType::PCMU);
//! let config = SenderConfig { ssrc, first_seq, first_timestamp, payload_type, ptime_ms: 20 };
//! let mut sender = NarrowbandSender::new(config, &Pcmu)?;
//! let mut datagram = [0; 172];
//! for _ in 0..50 {
//!     sender.capture(&[1_000; 80])?;
//!     while let Some(len) = sender.packet(&mut Pcmu, &mut datagram) {
//!         assert_eq!(len?, 12 + 160);
//!     }
//! }
//! assert_eq!((sender.stats().packets, sender.seq(), sender.timestamp()), (25, Seq(26), RtpTime(4_000)));
//! assert!(NarrowbandSender::new(SenderConfig { ptime_ms: 25, ..config }, &IlbcEncoder::new(IlbcMode::Ms20)).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::codec::{CodecInfo, EncodeError, Encoder};
use crate::process::activity::{EnergyGate, NoDetector, SpeechDetector};
use crate::storage::Storage;
use crate::time::{PayloadType, RtpTime, Seq, Ssrc};
use crate::wire::extension::AudioLevel;
use crate::wire::rtp::{RtpHeader, WriteError};

mod config;
mod dtx;
mod events;
mod levels;
mod packetizer;
mod redundancy;

pub use config::{PacketLengthError, SendError, SendStats, SenderConfig};
use dtx::{Dtx, Verdict, of};
pub use events::{EventFormat, EventSender, KeyPress, KeysFull};
use levels::AudioLevelMeter;
pub use packetizer::Overflow;
use packetizer::{Ahead, Packetizer};
pub use redundancy::{HostRedundancy, Redundancy};

/// Sends one stream: sound in, RTP packets out.
///
/// `S` is the memory for the samples of one packet and one tick, all channels together: an array, or on a host a boxed
/// slice of the size that the codec needs. `D` is the [detector](SpeechDetector) that decides what is speech, where
/// pauses are replaced by comfort noise. With [`NoDetector`] every packet is sent, and no code for comfort noise is
/// linked. [`NarrowbandSender`] and [`HostSender`] are ready-made sizes; [the module's page](self) has an example and
/// the cost.
///
/// A call is put on hold and changes to wideband:
///
/// ```
/// use dsp_core::codec::g711::Pcmu;
/// use dsp_core::codec::g722::{G722Encoder, Mode};
/// use dsp_core::send::{HostSender, SenderConfig};
/// use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
///
/// let (ssrc, first_seq, first_timestamp, payload_type) = (Ssrc(7), Seq(1), RtpTime(0), PayloadType::PCMU);
/// let config = SenderConfig { ssrc, first_seq, first_timestamp, payload_type, ptime_ms: 20 };
/// let mut sender = HostSender::new(config, &Pcmu)?;
/// let mut datagram = [0; 172];
/// sender.capture(&[1_000; 160])?;
/// assert!(sender.packet(&mut Pcmu, &mut datagram).is_some());
/// // Two seconds on hold: nothing is sent, and the timestamps go on.
/// sender.pause(16_000);
/// assert_eq!((sender.seq(), sender.timestamp()), (Seq(2), RtpTime(16_160)));
/// // G.722 has the same RTP clock and 320 samples in 20 ms.
/// let mut g722 = G722Encoder::new(Mode::Kbps64);
/// sender.switch(PayloadType::G722, 20, &g722)?;
/// sender.capture(&[1_000; 320])?;
/// assert!(sender.packet(&mut g722, &mut datagram).is_some());
/// assert_eq!((sender.seq(), sender.timestamp()), (Seq(3), RtpTime(16_320)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sender<S, D> {
    ssrc: Ssrc,
    seq: Seq,
    /// Timestamp of the first sample that waits in the packetizer.
    timestamp: RtpTime,
    payload_type: PayloadType,
    marker: bool,
    /// What the samples that wait were captured for.
    info: CodecInfo,
    packetizer: Packetizer<S>,
    dtx: Option<Dtx<D>>,
    /// Whether what is captured now is speech, where a capture chain tells, and how many of the samples that wait end with
    /// speech.
    speech: Option<bool>,
    spoken: usize,
    levels: Option<AudioLevelMeter<D>>,
    stats: SendStats,
}

/// A sender for any codec: packets of up to 120 ms at 48 kHz in stereo.
pub type HostSender = Sender<[i16; 11_520], EnergyGate>;
/// A sender for G.711, for a desk phone: packets of up to 60 ms from ticks of up to 20 ms, without comfort noise.
pub type NarrowbandSender = Sender<[i16; 640], NoDetector>;

impl<const SAMPLES: usize, D: SpeechDetector> Sender<[i16; SAMPLES], D> {
    /// A sender for the sound that `encoder` encodes, with its memory in an array.
    ///
    /// # Errors
    /// Returns a [`PacketLengthError`] if the length is not between 5 and 120 ms, the encoder has no frames of this
    /// length, or `SAMPLES` has no room for one packet.
    pub fn new(config: SenderConfig, encoder: &dyn Encoder) -> Result<Self, PacketLengthError> {
        Self::with_room(config, encoder, [0; SAMPLES])
    }
}

/// Bounds of [`SenderConfig::ptime_ms`].
const SHORTEST_MS: u32 = 5;
const LONGEST_MS: u32 = 120;

/// Samples of a packet, all channels together.
fn frame_samples(ptime_ms: u32, info: &CodecInfo) -> usize {
    (ptime_ms as usize).saturating_mul(info.sample_rate_hz as usize) / 1_000 * usize::from(info.channels)
}

impl<S: Storage<i16>, D: SpeechDetector> Sender<S, D> {
    /// A sender for the sound that `encoder` encodes, with `room` as memory for one packet and one tick.
    ///
    /// # Errors
    /// Returns a [`PacketLengthError`] for the reasons of [`check`](Self::check).
    #[inline(always)]
    pub fn with_room(config: SenderConfig, encoder: &dyn Encoder, room: S) -> Result<Self, PacketLengthError> {
        let need = Self::check(config.ptime_ms, encoder, room.as_ref().len())?;
        Ok(Self {
            ssrc: config.ssrc,
            seq: config.first_seq,
            timestamp: config.first_timestamp,
            payload_type: config.payload_type,
            marker: true,
            info: encoder.info(),
            packetizer: Packetizer::new(need, room),
            dtx: None,
            speech: None,
            spoken: 0,
            levels: None,
            stats: SendStats::default(),
        })
    }

    /// Changes encoder, payload type or packet length. The sequence numbers go on, and so does the timeline if both
    /// encoders have the same RTP clock rate. Comfort noise and levels are switched off, since they belong to a clock
    /// rate.
    ///
    /// # Errors
    /// Returns a [`PacketLengthError`] for the reasons of [`check`](Self::check). Nothing has changed then.
    pub fn switch(
        &mut self,
        payload_type: PayloadType,
        ptime_ms: u32,
        encoder: &dyn Encoder,
    ) -> Result<(), PacketLengthError> {
        let frame = Self::check(ptime_ms, encoder, self.room())?;
        // What waited is dropped, and was captured for the encoder before.
        self.timestamp = self.timestamp();
        self.packetizer.clear();
        self.spoken = 0;
        self.packetizer.set_frame(frame);
        self.info = encoder.info();
        self.payload_type = payload_type;
        self.dtx = None;
        self.levels = None;
        Ok(())
    }

    /// Changes the packet length of the same encoder. Samples that wait go with the next packet, so that none is lost,
    /// and a pause stays a pause.
    ///
    /// # Errors
    /// Returns a [`PacketLengthError`] for the reasons of [`check`](Self::check). Nothing has changed then.
    pub fn set_packet_ms(&mut self, ptime_ms: u32, encoder: &dyn Encoder) -> Result<(), PacketLengthError> {
        let frame = Self::check(ptime_ms, encoder, self.room())?;
        self.packetizer.set_frame(frame);
        Ok(())
    }

    /// Checks whether `encoder` has packets of this length, and whether memory for `room` samples holds one. Returns
    /// the number of samples of one packet. All channels count together.
    ///
    /// # Errors
    /// Returns a [`PacketLengthError`] if the length is not between 5 and 120 ms, the encoder has no frames of this
    /// length, or `room` is too small for one packet.
    pub fn check(ptime_ms: u32, encoder: &dyn Encoder, room: usize) -> Result<usize, PacketLengthError> {
        if !(SHORTEST_MS..=LONGEST_MS).contains(&ptime_ms) {
            return Err(PacketLengthError::OutOfRange { ms: ptime_ms });
        }
        let frames = encoder.frames();
        if !frames.has(ptime_ms * 1_000) {
            return Err(PacketLengthError::NoFrame { ms: ptime_ms, frames });
        }
        let need = frame_samples(ptime_ms, &encoder.info());
        if (1..=room).contains(&need) { Ok(need) } else { Err(PacketLengthError::NoRoom { need, got: room }) }
    }

    /// Number of samples, all channels together, that the memory has room for.
    pub fn room(&self) -> usize {
        self.packetizer.room()
    }

    /// Moves the sender into other memory, for longer packets or ticks; afterwards [`switch`](Self::switch) finds room
    /// for them. Samples that wait move along. Returns the memory that it had before.
    ///
    /// # Errors
    /// Returns `room` itself, and changes nothing, if it is too small for the samples that wait.
    pub fn set_room(&mut self, room: S) -> Result<S, S> {
        self.packetizer.set_room(room)
    }

    /// Switches discontinuous transmission on or off. It is on with `Some` of the payload type for comfort noise at
    /// the encoder's clock rate (13 at 8 kHz, [`PayloadType::COMFORT_NOISE`]) and a detector that decides what is
    /// speech. It is for mono and for encoders without pauses of their own: stereo sound is all sent.
    pub fn set_comfort_noise(&mut self, noise: Option<(PayloadType, D)>) {
        let rate_hz = self.info.sample_rate_hz;
        self.dtx = noise.map(|(payload_type, detector)| Dtx::new(payload_type, rate_hz, detector));
    }

    /// Changes SSRC, sequence number and timestamp, after a collision of SSRCs (RFC 3550, 8.2).
    pub fn change_source(&mut self, ssrc: Ssrc, seq: Seq, timestamp: RtpTime) {
        self.ssrc = ssrc;
        self.seq = seq;
        self.timestamp = timestamp;
        self.marker = true;
        self.stats = SendStats::default();
    }

    /// SSRC of the stream.
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Sequence number of the packet that is sent next.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Timestamp of the sample that is captured next.
    pub fn timestamp(&self) -> RtpTime {
        self.timestamp.plus(self.info.ticks(self.a_channel(self.packetizer.pending()) as u32))
    }

    /// Samples a channel, of `samples` of all channels together.
    fn a_channel(&self, samples: usize) -> usize {
        samples / usize::from(self.info.channels.max(1))
    }

    /// Counters of packets and payload bytes, as RTCP reports them.
    pub fn stats(&self) -> SendStats {
        self.stats
    }

    /// Tells whether the samples captured from now on contain speech, if a capture chain knows it; the hangover of its
    /// detector is included. A packet with any sample of speech is sent, by comfort noise and by the encoder's own
    /// pauses ([`Encoder::set_speech`]). With `None`, the sender's own detector decides, and the encoder is told
    /// nothing.
    pub fn set_speech(&mut self, speech: Option<bool>) {
        self.speech = speech;
    }

    /// Measures the level of each packet from now on, for an [`AudioLevel`] in its header extension (RFC 6464).
    /// `detector` decides what is speech where no capture chain tells it ([`set_speech`](Self::set_speech)). `None`
    /// switches it off. It takes a multiplication for each sample and a logarithm for each packet, and the time of the
    /// detector.
    pub fn set_levels(&mut self, detector: Option<D>) {
        self.levels = detector.map(AudioLevelMeter::new);
    }

    /// Level of the packet that was written last; `None` if levels are not measured. The level of a telephone event is
    /// that of silence.
    pub fn level(&self) -> Option<AudioLevel> {
        self.levels.as_ref().map(AudioLevelMeter::last)
    }

    /// Takes in the interleaved samples of one tick.
    ///
    /// # Errors
    /// Returns [`Overflow`] if there is no room for all of them; none is taken then. This happens for example if
    /// [`packet`](Self::packet) is not called until it returns `None`.
    pub fn capture(&mut self, pcm: &[i16]) -> Result<(), Overflow> {
        self.packetizer.push(pcm)?;
        if self.speech == Some(true) {
            self.spoken = self.packetizer.pending();
        }
        Ok(())
    }

    /// Sends nothing for this many samples of each channel: the timestamps move on, and the next packet has the marker
    /// bit set. Samples that wait for a full packet are dropped.
    pub fn pause(&mut self, samples: usize) {
        let dropped = self.packetizer.clear();
        self.spoken = 0;
        self.timestamp = self.timestamp.plus(self.info.ticks((samples + self.a_channel(dropped)) as u32));
        self.marker = true;
        if let Some(dtx) = of::<D, _>(&mut self.dtx) {
            dtx.interrupt();
        }
    }

    /// Writes the next full packet into `datagram` and returns its length; `None` if not enough samples were captured
    /// for one. After an error the samples of the packet are gone.
    #[inline]
    pub fn packet(&mut self, encoder: &mut dyn Encoder, datagram: &mut [u8]) -> Option<Result<usize, SendError>> {
        // In line: most ticks have none.
        self.packetizer.front()?;
        self.next_packet(datagram, |header, (frame, ahead), told, datagram| {
            encoder.set_speech(told);
            write_packet(header, datagram, |payload| ahead.encode(encoder, frame, payload))
        })
    }

    /// Encodes what waits for the end of its packet, so that no tick has a whole packet's work: call it once a tick, after
    /// [`packet`](Self::packet) has returned `None`. The packets have the same bits. It does nothing with an encoder that
    /// has no [divisor](Encoder::divisor), and where comfort noise or levels need the samples. If packets become shorter
    /// afterwards, the next one may still be as long as what was encoded of it. Samples that are dropped once they are
    /// encoded, by [`pause`](Self::pause) or an event, are in the encoder's memory all the same: do not call it while
    /// [events](EventSender::is_quiet) are sent.
    pub fn encode_ahead(&mut self, encoder: &mut dyn Encoder) {
        if self.dtx.is_none() && self.levels.is_none() {
            self.packetizer.encode_ahead(encoder);
        }
    }

    /// As [`packet`](Self::packet), with copies of earlier payloads (RFC 2198).
    pub fn packet_with_redundancy<const BLOCKS: usize, const BYTES: usize>(
        &mut self,
        encoder: &mut dyn Encoder,
        redundancy: &mut Redundancy<BLOCKS, BYTES>,
        datagram: &mut [u8],
    ) -> Option<Result<usize, SendError>> {
        self.next_packet(datagram, |header, (frame, ahead), told, datagram| {
            encoder.set_speech(told);
            redundancy.write(header, datagram, |payload| ahead.encode(encoder, frame, payload))
        })
    }

    /// Writes a packet of the present telephone event into `datagram` and returns its length. The packet takes the
    /// place of the next full packet of sound, whose samples are dropped. Returns `None` if there is no event, none of
    /// its packets is due, or not enough samples were captured. Call it before [`packet`](Self::packet), until it
    /// returns `None`.
    #[inline]
    pub fn event<const KEYS: usize>(
        &mut self,
        events: &mut EventSender<KEYS>,
        datagram: &mut [u8],
    ) -> Option<Result<usize, SendError>> {
        if events.is_quiet() {
            return None;
        }
        self.next_event(events, datagram)
    }

    fn next_event<const KEYS: usize>(
        &mut self,
        events: &mut EventSender<KEYS>,
        datagram: &mut [u8],
    ) -> Option<Result<usize, SendError>> {
        let frame = self.packetizer.front()?.0.len();
        let ticks = self.info.ticks(self.a_channel(frame) as u32);
        let event = events.turn(self.timestamp, ticks, self.info.rtp_clock_hz)?;
        let header = RtpHeader {
            marker: event.marker,
            payload_type: event.payload_type,
            seq: self.seq,
            timestamp: event.timestamp,
            ssrc: self.ssrc,
            ..RtpHeader::default()
        };
        self.spoken = self.spoken.saturating_sub(frame);
        self.packetizer.pop();
        self.timestamp = self.timestamp.plus(ticks);
        if let Some(levels) = of::<D, _>(&mut self.levels) {
            levels.hear_nothing();
        }
        if let Some(dtx) = of::<D, _>(&mut self.dtx) {
            dtx.interrupt();
        }
        let written = header.write(datagram).and_then(|header| {
            let got = datagram.len();
            let payload = event.report.write(&mut datagram[header..]);
            let too_small = |need: usize| WriteError::OutputTooSmall { need: header + need, got };
            payload.map(|payload| (header, payload)).map_err(|error| too_small(error.need))
        });
        let (header, payload) = match written {
            Ok(written) => written,
            Err(error) => return Some(Err(SendError::Write(error))),
        };
        self.seq = self.seq.plus(1);
        // The marker of a talk spurt that an event begins is the event's.
        self.marker = false;
        self.stats.packets = self.stats.packets.wrapping_add(1);
        self.stats.octets = self.stats.octets.wrapping_add(payload as u32);
        self.stats.event_packets = self.stats.event_packets.wrapping_add(1);
        Some(Ok(header + payload))
    }

    /// `speech` writes the packet of a frame that isn't noise and returns the lengths of header and payload; it is told
    /// whether somebody speaks in it, where that is known.
    fn next_packet(
        &mut self,
        datagram: &mut [u8],
        mut speech: impl FnMut(
            &RtpHeader<'_>,
            (&[i16], Ahead),
            Option<bool>,
            &mut [u8],
        ) -> Result<(usize, usize), SendError>,
    ) -> Option<Result<usize, SendError>> {
        loop {
            let (frame, ahead) = self.packetizer.front()?;
            let ticks = self.info.ticks(self.a_channel(frame.len()) as u32);
            let mut header = RtpHeader {
                marker: self.marker,
                payload_type: self.payload_type,
                seq: self.seq,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
                ..RtpHeader::default()
            };
            let told = self.speech.map(|_| self.spoken > 0);
            let mut dtx = of::<D, _>(&mut self.dtx);
            let verdict = match &mut dtx {
                Some(dtx) if self.info.channels == 1 && ahead.samples() == 0 => dtx.judge(frame, told),
                _ => Verdict::Speech,
            };
            let noise = matches!(verdict, Verdict::Noise(_));
            if let Some(levels) = of::<D, _>(&mut self.levels) {
                let samples = frame.get(ahead.samples()..).unwrap_or_default();
                levels.hear(samples, self.info.channels, told.or(noise.then_some(false)));
            }
            let result = match (verdict, dtx) {
                (Verdict::Noise(description), Some(dtx)) => {
                    (header.marker, header.payload_type) = (false, dtx.payload_type);
                    write_packet(&header, datagram, |payload| description.write(payload))
                }
                (Verdict::Nothing, _) => Ok((0, 0)),
                _ => speech(&header, (frame, ahead), told, datagram),
            };
            self.spoken = self.spoken.saturating_sub(frame.len());
            self.packetizer.pop();
            self.timestamp = self.timestamp.plus(ticks);
            match result {
                // Nothing to send, by the encoder's own word or for a pause: on to the next frame.
                Ok((_, 0)) => self.marker = true,
                Ok((header, payload)) => {
                    self.seq = self.seq.plus(1);
                    self.marker = noise;
                    self.stats.packets = self.stats.packets.wrapping_add(1);
                    self.stats.octets = self.stats.octets.wrapping_add(payload as u32);
                    self.stats.noise_packets = self.stats.noise_packets.wrapping_add(u32::from(noise));
                    return Some(Ok(header + payload));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Header and payload of one packet; returns the length of each.
fn write_packet(
    header: &RtpHeader<'_>,
    datagram: &mut [u8],
    write: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(usize, usize), SendError> {
    let written = header.write(datagram).map_err(SendError::Write)?;
    let payload = write(&mut datagram[written..]).map_err(SendError::Encode)?;
    Ok((written, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Frames;
    use crate::codec::g711::Pcmu;
    use crate::codec::g722::{G722Encoder, Mode};
    use crate::codec::ilbc::{IlbcEncoder, IlbcMode};
    use crate::wire::rtp::RtpPacket;

    #[test]
    fn what_waits_at_a_switch_counts_by_the_encoder_before() {
        let (mut narrow, mut wide, mut datagram) = (Pcmu, G722Encoder::new(Mode::Kbps64), [0; 300]);
        let config = SenderConfig {
            ssrc: Ssrc(1),
            first_seq: Seq(0),
            first_timestamp: RtpTime(1_000),
            payload_type: PayloadType::PCMU,
            ptime_ms: 20,
        };
        let mut sender = NarrowbandSender::new(config, &narrow).unwrap();
        let mut next = |sender: &mut NarrowbandSender, encoder: &mut dyn Encoder| {
            let len = sender.packet(encoder, &mut datagram).unwrap().unwrap();
            RtpPacket::parse(&datagram[..len]).unwrap().timestamp()
        };
        // 20 ms and 10 more, which last 80 ticks of 8 kHz in either codec.
        sender.capture(&[0; 240]).unwrap();
        assert_eq!(next(&mut sender, &mut narrow), RtpTime(1_000));
        sender.switch(PayloadType::from_low_bits(9), 20, &wide).unwrap();
        sender.capture(&[0; 320 + 160]).unwrap();
        assert_eq!(next(&mut sender, &mut wide), RtpTime(1_240));
        sender.switch(PayloadType::PCMU, 20, &narrow).unwrap();
        sender.capture(&[0; 160]).unwrap();
        assert_eq!(next(&mut sender, &mut narrow), RtpTime(1_480));
        // What waits stays where only the length changes, longer or shorter, and lasts what it lasted.
        sender.capture(&[0; 80]).unwrap();
        sender.set_packet_ms(30, &narrow).unwrap();
        sender.capture(&[0; 160]).unwrap();
        assert_eq!(next(&mut sender, &mut narrow), RtpTime(1_640));
        sender.capture(&[0; 160]).unwrap();
        sender.set_packet_ms(10, &narrow).unwrap();
        assert_eq!([(); 2].map(|()| next(&mut sender, &mut narrow)), [RtpTime(1_880), RtpTime(1_960)]);
        sender.set_packet_ms(20, &narrow).unwrap();
        // A switch that fails changes nothing.
        assert!(sender.switch(PayloadType::from_low_bits(9), 120, &wide).is_err());
        sender.capture(&[0; 160]).unwrap();
        assert_eq!(next(&mut sender, &mut narrow), RtpTime(2_040));
        assert_eq!(sender.set_packet_ms(120, &narrow), Err(PacketLengthError::NoRoom { need: 960, got: 640 }));
        sender.capture(&[0; 160]).unwrap();
        assert_eq!(next(&mut sender, &mut narrow), RtpTime(2_200));
    }

    #[test]
    fn a_wrong_packet_length_is_refused_with_its_numbers() {
        let check = |ms, encoder: &dyn Encoder| HostSender::check(ms, encoder, 11_520);
        for ms in [0, 1, 4, 121, u32::MAX] {
            assert_eq!(check(ms, &Pcmu), Err(PacketLengthError::OutOfRange { ms }));
        }
        assert_eq!([5, 25, 120].map(|ms| check(ms, &Pcmu)), [Ok(40), Ok(200), Ok(960)]);
        assert_eq!(check(5, &G722Encoder::new(Mode::Kbps64)), Ok(80));
        for (mode, frame_ms) in [(IlbcMode::Ms20, 20), (IlbcMode::Ms30, 30)] {
            let encoder = IlbcEncoder::new(mode);
            let frames = Frames::Of(frame_ms * 1_000);
            assert_eq!(check(2 * frame_ms, &encoder), Ok(2 * mode.samples()));
            for ms in [10, 25, 50] {
                assert_eq!(check(ms, &encoder), Err(PacketLengthError::NoFrame { ms, frames }), "{mode:?}");
            }
        }
        let error = PacketLengthError::NoFrame { ms: 25, frames: Frames::Of(20_000) };
        assert_eq!(
            std::string::ToString::to_string(&error),
            "packets of 25 ms; this codec has packets of any multiple of 20000 us"
        );
    }
}
