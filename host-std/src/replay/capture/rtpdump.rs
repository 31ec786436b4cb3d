//! rtpdump (`#!rtpplay1.0`, of rtptools): a line with the address it was received at, 16 bytes with the time it began
//! and the address it came from, and records of RTP and RTCP without any header of the network.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::blocks::{Blocks, Order, ReadOutcome};
use super::{CaptureError, Datagram, Found, Sink, broken};

const MAGIC: &[u8] = b"#!rtpplay1.0 ";

/// An rtpdump file after its header.
pub(super) struct RtpDump {
    start_us: u64,
    from: SocketAddr,
    to: SocketAddr,
}

impl RtpDump {
    /// Returns whether a file that begins so is one.
    pub(super) fn begins(head: &[u8]) -> bool {
        head.starts_with(MAGIC)
    }

    pub(super) fn open<R: Read>(blocks: &mut Blocks<R>) -> Result<Self, CaptureError> {
        let line = blocks.line(256)?;
        let ReadOutcome::Whole(head) = blocks.head::<16>()? else { return Err(CaptureError::Header) };
        let text = String::from_utf8_lossy(&line[MAGIC.len().min(line.len())..]).trim().to_owned();
        // ADDRESS/PORT, of IPv6 too.
        let to =
            text.rsplit_once('/').and_then(|(ip, port)| Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?)));
        let word = |at| Order::Big.u32(&head, at).unwrap_or_default();
        let from_port = Order::Big.u16(&head, 12).unwrap_or_default();
        Ok(Self {
            start_us: u64::from(word(0)) * 1_000_000 + u64::from(word(4)),
            from: SocketAddr::new(IpAddr::V4(Ipv4Addr::from(word(8))), from_port),
            to: to.unwrap_or(Datagram::default().to),
        })
    }

    /// One record: its length with these eight bytes, the packet's (0: RTCP) and the milliseconds since the beginning.
    pub(super) fn next<R: Read>(&self, blocks: &mut Blocks<R>, sink: &mut Sink<'_>) -> io::Result<Found> {
        let begin = blocks.at;
        let head = match blocks.head::<8>()? {
            ReadOutcome::Whole(head) => head,
            ReadOutcome::Short => return Ok(broken(sink.counts, begin, "the last packet is not whole")),
            ReadOutcome::End => return Ok(Found::End),
        };
        let [l0, l1, p0, p1, o0, o1, o2, o3] = head;
        let (length, packet) = (u16::from_be_bytes([l0, l1]), u16::from_be_bytes([p0, p1]));
        let Some(stored) = length.checked_sub(8) else {
            return Ok(broken(sink.counts, begin, "what follows is no packet"));
        };
        let bytes = match blocks.body(stored.into())? {
            ReadOutcome::Whole(bytes) => bytes,
            ReadOutcome::End if stored == 0 => &[],
            _ => return Ok(broken(sink.counts, begin, "the last packet is not whole")),
        };
        let offset_ms = u64::from(u32::from_be_bytes([o0, o1, o2, o3]));
        // Zero says RTCP, which has no length of its own here.
        Ok(sink.datagram(self.start_us + offset_ms * 1_000, [self.from, self.to], bytes, stored < packet))
    }
}
