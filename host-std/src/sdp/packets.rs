//! The length of packets: as the receiver requests it, within the MTU and the codec's limits (RFC 8866, 6.4).

use std::net::IpAddr;

use super::SrtpKeys;
use super::crypto::CryptoLine;
use super::format::NegotiatedCodec;
use super::read::Audio;
use super::{LocalMedia, LocalStream, NegotiatedTransport};
use crate::registry::{CodecFormat, PacketLengths, Terms};

/// The bounds on the packets of a stream.
pub(super) struct PacketLengthBounds {
    /// The smaller `maxptime`, in whole tens of milliseconds.
    pub(super) max_ptime_ms: u32,
    /// The most bytes of a payload.
    pub(super) payload_bytes: usize,
    /// Bytes of headers and tag in an IP packet.
    pub(super) headers: usize,
}

/// The packet length the receiver asks for, within both limits and the MTU, in steps of ten that the first codec has; and
/// what bounds it. `extension_bytes`: what header extensions and contributing sources add.
pub(super) fn packets(
    local: &LocalMedia,
    stream: &LocalStream,
    theirs: &Audio,
    transport: &NegotiatedTransport,
    extension_bytes: usize,
    [send, receive]: [&[NegotiatedCodec]; 2],
) -> (PacketLengthBounds, PacketLengths) {
    let most = theirs.max_ptime_ms.unwrap_or(60).min(stream.max_ptime_ms).max(10) / 10 * 10;
    let wished = theirs.ptime_ms.unwrap_or(stream.ptime_ms).clamp(10, most) / 10 * 10;
    let growth = transport.srtp.as_ref().map_or(0, SrtpKeys::growth_bytes);
    let headers = ip_overhead(transport.remote_rtp.ip()) + RTP_HEADER_BYTES + extension_bytes + growth;
    let room = usize::from(local.mtu).saturating_sub(headers);
    let (Some(send), Some(receive)) = (send.first(), receive.first()) else {
        let bounds = PacketLengthBounds { max_ptime_ms: most, payload_bytes: room, headers };
        return (bounds, PacketLengths { ms: wished, free_ms: wished, least_bytes: 0 });
    };
    let terms = Terms { ours: &receive.format, theirs: &send.format };
    let payload_bytes = payload_bytes(stream, &send.format, room);
    let bounds = PacketLengthBounds { max_ptime_ms: most, payload_bytes, headers };
    (bounds, local.registry.packets(&terms, wished, payload_bytes))
}

/// Bytes of an RTP header without contributing sources or extensions (RFC 3550, 5.1).
const RTP_HEADER_BYTES: usize = 12;

/// Bytes of the IP and UDP headers of a packet to `address`.
pub(crate) fn ip_overhead(address: IpAddr) -> usize {
    if address.is_ipv4() { 20 + 8 } else { 40 + 8 }
}

/// Returns the bytes of one payload, where `room` has to hold it and the copies of those before it (RFC 2198, 3: four bytes of
/// header each, one for the last). A payload that is too long to be copied is sent alone.
fn payload_bytes(stream: &LocalStream, codec: &CodecFormat, room: usize) -> usize {
    let repeats = stream.codecs.iter().any(|own| own.same_encoding(&CodecFormat::redundancy(codec)));
    let copies = if repeats { usize::from(stream.redundancy) } else { 0 };
    if copies == 0 { room } else { room.saturating_sub(4 * copies + 1) / (copies + 1) }
}

/// Returns the packet length to ask for before there is another side: that of the best codec, within the MTU.
pub(crate) fn offered_ptime_ms(local: &LocalMedia, stream: &LocalStream, wished_ms: u32) -> u32 {
    let Some(best) = stream.codecs.first() else { return wished_ms };
    let tag = local.crypto.iter().map(CryptoLine::growth_bytes).max().unwrap_or(0);
    let room = usize::from(local.mtu).saturating_sub(ip_overhead(local.address) + RTP_HEADER_BYTES + tag);
    local.registry.packets(&Terms::alone(best), wished_ms, payload_bytes(stream, best, room)).ms
}
