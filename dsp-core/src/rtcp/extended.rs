//! The extended report of a compound packet: metrics of voice, a reference time, and the answer to the peer's (RFC 3611, 4.4, 4.5
//! and 4.7). Times are NTP and 1/65536 s. Cost: a few copies a report.

use core::slice;

use super::{RtcpReporter, SendInfo, delay_since};
use crate::time::{Instant, NtpTime};
use crate::wire::rtcp::xr::{Dlrr, DlrrItem};
use crate::wire::rtcp::{CompoundWriter, WriteError, XrBlock};

impl<const SOURCES: usize, const EXTENDED: bool> RtcpReporter<SOURCES, EXTENDED> {
    /// Writes the extended report of a compound packet, if there is anything to be told; the reference time in it.
    pub(super) fn write_extended(
        &self,
        now: Instant,
        send: Option<&SendInfo>,
        writer: &mut CompoundWriter<'_>,
    ) -> Result<Option<NtpTime>, WriteError> {
        // An end without a wall clock may use the time since it joined (RFC 3611, 4.4).
        let reference = (self.config.receiver_round_trip && self.active_send(send).is_none())
            .then(|| send.map_or(NtpTime::default().plus(now.since(Instant::ZERO)), |send| send.ntp));
        let answer = self.answer(now).map(DlrrItem::to_bytes);
        let extended = [
            self.voip.map(XrBlock::VoipMetrics),
            reference.map(XrBlock::ReceiverReferenceTime),
            answer.as_ref().map(|answer| XrBlock::Dlrr(Dlrr::new(slice::from_ref(answer)))),
        ];
        let mut blocks = [XrBlock::ReceiverReferenceTime(NtpTime::default()); 3];
        let mut count = 0;
        for (place, block) in blocks.iter_mut().zip(extended.into_iter().flatten()) {
            *place = block;
            count += 1;
        }
        if count > 0 {
            writer.extended_report(self.config.ssrc, &blocks[..count])?;
        }
        Ok(reference)
    }

    /// The answer to the peer's reference time (RFC 3611, 4.5).
    fn answer(&self, now: Instant) -> Option<DlrrItem> {
        let (ssrc, last_rr, arrived) = self.peer_reference.filter(|_| self.config.receiver_round_trip)?;
        Some(DlrrItem { ssrc, last_rr, delay_since_last_rr: delay_since(now, arrived) })
    }
}
