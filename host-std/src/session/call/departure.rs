//! The sending of datagrams: packets that the streams have finished, then reports that are due, protected and addressed by the
//! transport.

use dsp_core::time::Instant;
use dsp_core::wire::rtp::RtpPacket;

use super::Call;
use crate::session::outcome::Transmit;
use crate::session::stream::LeavingPacket;
use crate::session::tap::PacketDirection;

impl Call {
    pub(super) fn next_datagram(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        let packet = self.next_packet(now, buffer);
        if packet.is_some() {
            return packet;
        }
        let report = self.next_report(now, buffer);
        if report.is_some() {
            return report;
        }
        let own = self.transport.as_mut().and_then(|transport| transport.send_own(now, buffer));
        #[cfg(feature = "ice")]
        return own.or_else(|| self.next_query(now, buffer));
        #[cfg(not(feature = "ice"))]
        own
    }

    fn next_packet(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        let transport = self.transport.as_mut()?;
        let ntp = self.settings.wall_clock.plus(now.since(Instant::ZERO));
        for (index, stream) in self.streams.iter_mut().enumerate() {
            let Some(stream) = stream else { continue };
            let room = transport.packet_room(buffer.len(), self.local.mtu, stream.agreed().least_packet_bytes);
            let before = room.saturating_sub(stream.extension_bytes());
            let numbered = stream.is_numbered();
            // Each turn takes a frame out of a bounded packetizer.
            while let Some(written) = stream.packet(&mut buffer[..before]) {
                let leaving = LeavingPacket { number: transport.next_number().filter(|_| numbered), ntp };
                let written = written.ok().and_then(|len| stream.extend(&mut buffer[..room], len, leaving).ok());
                if let (Some(tap), Some(len)) = (&mut self.tap, written)
                    && let Ok(packet) = RtpPacket::parse(&buffer[..len])
                {
                    tap.packet(now, PacketDirection::Out, &packet);
                }
                match written.and_then(|len| transport.send_rtp(now, buffer, len, leaving.number.is_some())) {
                    Some(transmit) => {
                        if let (0, Some(network)) = (index, &mut self.network) {
                            network.sent(now, transmit.len, transport.ip_overhead());
                        }
                        return Some(transmit);
                    }
                    None => self.stats.send_errors = self.stats.send_errors.saturating_add(1),
                }
            }
        }
        None
    }

    fn next_report(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        for index in 0..self.streams.len() {
            if !self.transport.as_ref()?.report_is_due(now, index) {
                continue;
            }
            let Some(account) = self.account(now, index) else { continue };
            match self.transport.as_mut()?.send_report(now, index, &account, buffer) {
                None => {}
                Some(Ok(transmit)) => return Some(transmit),
                Some(Err(())) => self.stats.send_errors = self.stats.send_errors.saturating_add(1),
            }
        }
        None
    }
}
