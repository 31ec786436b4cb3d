//! Gives a call a path of your own, which never follows packets to another address, and which keeps a NAT's binding
//! open while nothing is said.
//!
//! You learn what a path decides: from whom packets are believed, where packets are sent, and what the path itself
//! sends. This one sends a STUN binding indication every 15 s (RFC 8445, 11), which asks for no answer.

use std::error::Error;
use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use host_std::sdp::Direction;
use host_std::session::{Call, CallConfig, Channel, Claim, Incoming, OwnPath, Path};

const EVERY: Duration = Duration::from_secs(15);
/// Binding indication without attributes: type, length, magic cookie (RFC 8489, 5), and a transaction that nobody answers.
const INDICATION: [u8; 20] = [0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

struct KeepsOpen {
    named: SocketAddr,
    next: Instant,
}

impl Path for KeepsOpen {
    fn remote(&self) -> SocketAddr {
        self.named
    }

    fn may_hear(&self, from: SocketAddr) -> bool {
        from == self.named
    }

    fn believes(&self, _: Instant, from: SocketAddr) -> bool {
        from == self.named
    }

    fn hear(&mut self, _: Instant, from: SocketAddr, _: Claim) -> bool {
        from == self.named
    }

    fn renegotiated(&mut self, _: Instant, named: SocketAddr) {
        self.named = named;
    }

    fn handshake(&mut self, _: Instant, _: SocketAddr, datagram: &[u8]) -> bool {
        datagram == INDICATION
    }

    fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        buffer.get_mut(..INDICATION.len())?.copy_from_slice(&INDICATION);
        Some((INDICATION.len(), self.named))
    }

    fn next_deadline(&self) -> Option<Instant> {
        Some(self.next)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = OwnPath::new(|_, named| Box::new(KeepsOpen { named, next: Instant::ZERO + EVERY }));
    let mut calls = [
        Call::new(CallConfig { path: Some(path.clone()), ..CallConfig::new(4_000)? })?,
        Call::new(CallConfig { path: Some(path), ..CallConfig::new(5_000)? })?,
    ];
    // Neither sends sound: all that passes are reports and what keeps the way open.
    calls[0].set_direction(Direction::RecvOnly);
    let mut now = Instant::ZERO;
    let offer = calls[0].offer()?;
    let answer = calls[1].answer(now, &offer)?;
    calls[0].accept(now, &answer)?;
    calls[1].set_direction(Direction::Inactive);
    let offer = calls[1].offer()?;
    let answer = calls[0].answer(now, &offer)?;
    calls[1].accept(now, &answer)?;

    let (mut buffer, mut kept_open) = ([0; 1_500], 0);
    while now < Instant::from_millis(60_000) {
        for side in 0..2 {
            while let Some(transmit) = calls[side].transmit(now, &mut buffer) {
                let bytes = &mut buffer[..transmit.len];
                let is_stun = DatagramKind::of(bytes) == DatagramKind::Stun;
                let became = calls[1 - side].receive(now, Channel::Rtp, transmit.from, bytes);
                assert_eq!(is_stun, became == Incoming::Handshake, "{became:?}");
                kept_open += u32::from(is_stun);
            }
        }
        // The one deadline of a call says when something leaves that no tick of sound brings.
        let deadlines = calls.iter().filter_map(Call::next_deadline);
        now = deadlines.min().ok_or("no deadline")?.max(now + Duration::from_millis(1));
    }
    let mut stranger = INDICATION;
    let became = calls[0].receive(now, Channel::Rtp, "192.0.2.1:9".parse()?, &mut stranger);
    println!("{kept_open} keep-alives in a minute; a stranger's was {became:?}");
    assert_eq!((kept_open, became), (6, Incoming::Foreign));
    Ok(())
}
