//! Signalling without a SIP stack: an offer comes as one datagram of SDP, and the answer goes back to its sender.

use core::net::{IpAddr, Ipv4Addr};

use dsp_core::guard::srtp::MasterKey;
use dsp_core::sdp::{Agreed, Direction, Format, Local, Remote};
use dsp_core::time::PayloadType;
use embassy_net::udp::UdpSocket;

use crate::log;

/// The longest description that is read or written, in bytes.
const TEXT: usize = 2_048;

/// Both laws of G.711.
const FORMATS: [Format; 2] = [
    Format { name: "PCMU", clock_hz: 8_000, payload_type: PayloadType::PCMU },
    Format { name: "PCMA", clock_hz: 8_000, payload_type: PayloadType::PCMA },
];

/// Waits for an offer that can be answered, and answers it; `random` are bytes that nobody can guess.
pub(crate) async fn next(
    socket: &mut UdpSocket<'_>,
    address: Ipv4Addr,
    port: u16,
    random: &[u8; MasterKey::LEN],
    session: u64,
) -> Agreed {
    let mut offer = [0; TEXT];
    let mut answer = [0; TEXT];
    let key = MasterKey::from_bytes(random);
    loop {
        let Ok((len, from)) = socket.recv_from(&mut offer).await else { continue };
        let Ok(remote) = Remote::parse(&offer[..len]) else {
            log!("what came is no description");
            continue;
        };
        let local = Local {
            address: IpAddr::V4(address),
            port,
            session,
            version: 1,
            formats: &FORMATS,
            events: PayloadType::new(101),
            ptime_ms: 20,
            direction: Direction::SendRecv,
            key: Some(&key),
        };
        let Ok((text, agreed)) = local.answer(&remote, &mut answer) else {
            log!("the offer can't be answered");
            continue;
        };
        let _sent = socket.send_to(text.as_ref(), from).await;
        return agreed;
    }
}
