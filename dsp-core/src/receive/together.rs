//! What a receiver needs from others and tells them: for streams that are played together ([`sync`](crate::sync)), and
//! for sources that take turns at one receiver or share a budget of bytes ([`streams`](crate::streams)).

use super::jitter::CELL_BYTES;
use super::memory::ReceiverMemory;
use super::stats::bump;
use super::{Conversation, DelayChoice, Receiver};
use crate::streams::budget::Buffered;
use crate::time::{Duration, Instant, RtpTime};

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// Keeps the delay at least this long after the fastest packet, within the bounds of the configuration, from now
    /// on. Use it to play this stream together with another one (see [`sync`](crate::sync)). The delay moves there in
    /// pauses and by time stretching. With a value above zero the delay is also held within about 10 ms of its target,
    /// closer than otherwise. Zero, as at the beginning, removes the requirement.
    pub fn set_least_delay(&mut self, least: Duration) {
        let ticks = least.as_samples(self.rates().clock_hz).min(u64::from(self.delay.maximum()));
        self.least_delay = ticks as u32;
    }

    /// Sets what is known of the conversation that this stream belongs to. Call it whenever a report brings another
    /// round trip, or the codec changes. It has no effect unless [`DelayConfig::purpose`](super::DelayConfig::purpose)
    /// is [`Conversation`](super::Purpose::Conversation).
    pub fn set_conversation(&mut self, conversation: &Conversation) {
        self.delay.set_conversation(conversation);
    }

    /// Why a conversation is delayed as much as it is; `None` if the purpose is listening.
    pub fn delay_choice(&self) -> Option<DelayChoice> {
        self.delay.choice()
    }

    /// Target delay after the fastest packet that this stream would have without
    /// [`set_least_delay`](Self::set_least_delay).
    pub fn own_delay(&self) -> Duration {
        self.rates().length(self.delay.target())
    }

    /// RTP timestamp of a packet that arrives at `now` and is as fast as the fastest, on this receiver's clock (see
    /// [`report_time`](Self::report_time)); `None` before the first packet.
    pub fn media_time(&self, now: Instant) -> Option<RtpTime> {
        let ticks = self.rates().at(now);
        // Negative if `now` lies before that of the fastest packet: modulo 2^32 all the same.
        self.delay.relative(ticks, 0).map(|time| self.source.timeline.sent_now(RtpTime(time as u32)))
    }

    /// Converts an RTP timestamp that the source gives for the present, such as that of a sender report, to this
    /// receiver's clock. If all payload types have that clock, the timestamp stays as it is. Otherwise the receiver's
    /// clock counts on through changes of the clock rate, which the source's timestamps do not (RFC 7160).
    pub fn report_time(&self, rtp: RtpTime) -> RtpTime {
        let newest = self.kinds.ratio_of(self.source.clocks.newest());
        self.source.clocks.reported(rtp, newest)
    }
}

impl<M: ReceiverMemory, const CHANNELS: usize> Buffered for Receiver<M, CHANNELS> {
    fn buffered_bytes(&self) -> u32 {
        (self.jitter.cells() * CELL_BYTES) as u32
    }

    fn give_up_oldest(&mut self) -> u32 {
        let before = self.buffered_bytes();
        if before == 0 {
            return 0;
        }
        self.drop_first(self.first());
        bump(&mut self.stats.crowded_out);
        if self.jitter.is_empty() {
            // What comes next follows a loss, not a pause.
            self.made_up.broken = true;
        } else {
            // To wait longer for the beginning would only lose more.
            self.state.crowd();
        }
        before - self.buffered_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::g711::Pcmu;
    use crate::receive::{NarrowbandReceiver, ReceiverConfig};
    use crate::streams::budget::{Budget, Priority};
    use crate::time::{PayloadType, Seq, Ssrc};
    use crate::wire::rtp::RtpHeader;
    use std::vec;

    fn push_payload(receiver: &mut NarrowbandReceiver, seq: u16, payload_type: PayloadType, payload: &[u8]) {
        let (seq, timestamp) = (Seq(seq), RtpTime(u32::from(seq) * 160));
        let header = RtpHeader { payload_type, seq, timestamp, ssrc: Ssrc(1), ..RtpHeader::default() };
        let mut bytes = vec![0; 12 + payload.len()];
        header.write_packet(payload, &mut bytes).unwrap();
        receiver.receive(Instant::from_millis(u64::from(seq.0) * 20), &bytes).unwrap();
    }

    fn push(receiver: &mut NarrowbandReceiver, seq: u16) {
        push_payload(receiver, seq, PayloadType::PCMU, &[0x55; 160]);
    }

    #[test]
    fn a_receiver_gives_up_what_is_next_and_counts_it() {
        let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default()).unwrap();
        assert_eq!((receiver.buffered_bytes(), receiver.give_up_oldest()), (0, 0));
        for seq in [0, 1, 3] {
            push(&mut receiver, seq);
        }
        assert_eq!(receiver.buffered_bytes(), 3 * 192);
        Budget { bytes: 2 * 192 }.enforce(&mut [&mut receiver], |receiver| (Priority::default(), *receiver));
        assert_eq!(receiver.jitter.next_seq(), Some(Seq(1)));
        // Then the one that is missing is lost.
        assert_eq!([192, 192, 0], [(); 3].map(|()| receiver.give_up_oldest()));
        let (stats, bursts) = (receiver.stats(), receiver.bursts());
        assert_eq!((stats.crowded_out, stats.discarded, stats.buffered_packets), (3, 3, 0));
        assert_eq!((bursts.expected, bursts.discarded, bursts.lost), (4, 3, 1));
    }

    #[test]
    fn a_redundant_copy_is_a_packet() {
        let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default()).unwrap();
        let red = PayloadType::from_low_bits(97);
        receiver.set_redundancy(Some(red));
        push(&mut receiver, 0);
        // RFC 2198, 3: PCMU 160 ticks before, 160 bytes; then PCMU.
        let mut payload = vec![0x80, 0x02, 0x80, 0xa0, 0x00];
        payload.extend([0x55; 320]);
        push_payload(&mut receiver, 2, red, &payload);
        assert_eq!(receiver.buffered_bytes(), 3 * 192);
        while receiver.give_up_oldest() > 0 {}
        let (stats, bursts) = (receiver.stats(), receiver.bursts());
        assert_eq!((stats.crowded_out, bursts.expected, bursts.discarded), (3, 3, 3));
    }

    #[test]
    fn what_was_given_up_is_filled_and_not_taken_for_a_pause() {
        let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default()).unwrap();
        let mut decoder = (PayloadType::PCMU, Pcmu);
        let mut pcm = [0; 160];
        let mut silence = 0;
        for seq in 0..40 {
            push(&mut receiver, seq);
            if seq == 30 {
                silence = receiver.stats().silence_samples;
                while receiver.give_up_oldest() > 0 {}
            }
            receiver.play(Instant::from_millis(u64::from(seq) * 20), &mut decoder, &mut pcm);
        }
        let stats = receiver.stats();
        assert!(stats.crowded_out > 0 && stats.concealed_lost_samples > 0, "{stats:?}");
        assert_eq!((stats.silence_samples, stats.pauses), (silence, 0));
    }
}
