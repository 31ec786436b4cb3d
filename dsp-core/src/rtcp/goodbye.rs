//! Leaving a session, under the present SSRC and under one that was left before (RFC 3550, 6.3.7 and 8.2).

use super::{Contents, RtcpReporter, SendInfo};
use crate::quality::ReceptionStats;
use crate::time::{Instant, Ssrc};
use crate::wire::rtcp::{CompoundWriter, SdesItem, WriteError};

impl<const SOURCES: usize, const EXTENDED: bool> RtcpReporter<SOURCES, EXTENDED> {
    /// Whether the goodbye was written. Nothing is sent afterwards.
    pub const fn has_left(&self) -> bool {
        self.left
    }

    /// Leaves the session: writes a last report with a goodbye (BYE) and returns its length. Returns `None` if this
    /// side never sent anything, which rules out a goodbye (RFC 3550, 6.3.7), or has left already. `reason` has at
    /// most 255 bytes. If the SSRC has changed and the goodbye of the old one was not written yet, that is written
    /// too.
    ///
    /// # Errors
    /// Returns [`WriteError::OutputTooSmall`] if the packet does not fit into `out`, and [`WriteError::Length`] if
    /// `reason` is longer than 255 bytes. This side has not left then.
    pub fn bye(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        reason: Option<&str>,
        out: &mut [u8],
    ) -> Result<Option<usize>, WriteError> {
        let silent = self.initial && send.is_none_or(|send| send.packets == 0);
        let len = match self.former {
            _ if self.left => None,
            Some(former) if silent => Some(self.write_goodbye(former, out)?),
            None if silent => None,
            _ => {
                Some(self.write(now, receive, send, Contents { leaving: Some(reason), ..Contents::default() }, out)?)
            }
        };
        self.left = true;
        Ok(len)
    }

    /// The goodbye of a source that this end was: a report about nobody, the name, and the goodbye.
    pub(super) fn write_goodbye(&mut self, former: Ssrc, out: &mut [u8]) -> Result<usize, WriteError> {
        let mut writer = CompoundWriter::new(out);
        writer.receiver_report(former, &[])?;
        writer.sdes(&[(former, &[SdesItem { kind: SdesItem::CNAME, value: self.cname.as_bytes() }])])?;
        writer.bye(&[former], None)?;
        let len = writer.finish();
        self.interval.average_in(len);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{START, next_report, reporter};
    use super::*;
    use crate::time::Duration;
    use crate::wire::rtcp::{Compound, CompoundRule, Packet};

    #[test]
    fn bye_only_after_something_was_sent_and_once() {
        let (mut out, mut silent) = ([0; 200], reporter());
        assert_eq!(silent.bye(START, &[], None, None, &mut out), Ok(None));
        assert_eq!(silent.next_deadline(), Instant::from_micros(u64::MAX));

        let mut reporter = reporter();
        let send = SendInfo { packets: 1, ..SendInfo::default() };
        assert!(reporter.bye(START, &[], Some(&send), Some("hang up"), &mut out[..30]).is_err());
        let len = reporter.bye(START, &[], Some(&send), Some("hang up"), &mut out).unwrap().unwrap();
        let last = Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap().packets().last();
        assert!(matches!(last, Some(Ok(Packet::Bye(bye))) if bye.reason() == Some(b"hang up")));
        assert_eq!(reporter.bye(START, &[], Some(&send), None, &mut out), Ok(None));
        assert_eq!(reporter.poll(Instant::from_micros(u64::MAX), &[], None, &mut out), Ok(None));
    }

    /// Whoever leaves before the goodbye of the source before was due leaves as both.
    #[test]
    fn the_goodbye_of_the_source_before_is_not_forgotten() {
        let goodbye = |packets| {
            let (mut out, mut reporter) = ([0; 200], reporter());
            reporter.change_source(START, Ssrc(6), 3);
            let send = SendInfo { packets, ..SendInfo::default() };
            let len = reporter.bye(START, &[], Some(&send), None, &mut out).unwrap().unwrap();
            assert_eq!(reporter.bye(START, &[], Some(&send), None, &mut out), Ok(None));
            match Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap().packets().last() {
                Some(Ok(Packet::Bye(bye))) => bye.ssrcs().collect::<std::vec::Vec<_>>(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((goodbye(0), goodbye(1)), (std::vec![Ssrc(1)], std::vec![Ssrc(6), Ssrc(1)]));
    }

    #[test]
    fn another_source_begins_with_the_goodbye_of_the_one_before() {
        let (mut out, mut reporter) = ([0; 200], reporter());
        // Nothing was sent: there is nobody to say goodbye (6.3.7).
        reporter.change_source(START, Ssrc(5), 0);
        assert!(reporter.next_deadline() > START);
        reporter.change_source(START, Ssrc(6), 3);
        assert_eq!(reporter.next_deadline(), START);
        let len = reporter.poll(START, &[], None, &mut out).unwrap().unwrap();
        let mut packets = Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap().packets();
        assert!(matches!(packets.next(), Some(Ok(Packet::ReceiverReport(rr))) if rr.ssrc() == Ssrc(5)));
        assert!(matches!(packets.next(), Some(Ok(Packet::Sdes(s))) if s.cname(Ssrc(5)) == Some(b"one@example")));
        assert!(matches!(packets.next(), Some(Ok(Packet::Bye(bye))) if bye.ssrcs().eq([Ssrc(5)])));
        let (later, len) = next_report(&mut reporter, None, &mut out);
        assert!(later.since(START) >= Duration::from_millis(1_026));
        let first = Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap().packets().next();
        assert!(matches!(first, Some(Ok(Packet::ReceiverReport(rr))) if rr.ssrc() == Ssrc(6)));
    }

    #[test]
    fn a_goodbye_that_no_report_leads_is_one() {
        let (mut reporter, mut bytes) = (reporter(), [0; 200]);
        let mut writer = CompoundWriter::new(&mut bytes);
        writer.receiver_report(Ssrc(2), &[]).unwrap();
        let len = writer.finish();
        reporter.receive(START, &bytes[..len]).unwrap();
        let goodbye = [0x81, 203, 0, 1, 0, 0, 0, 2];
        assert!(reporter.receive(START, &goodbye).unwrap().bye);
        assert!(reporter.receive(START, &[0x80, 202, 0, 0]).is_err());
    }
}
