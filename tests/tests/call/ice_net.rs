//! Two calls in virtual time on a network that is seen: NATs, losses, a STUN server, and a TURN server if there is one.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, IceConfig, IceMode, IceState, IceStats, Identity};
use media_core_tests::tick::Device;

use media_core_tests::turn_server::{Passed, TurnModel};

/// The address of each side, and those as which the other sees them behind a NAT.
pub(super) const PRIVATE: [&str; 2] = ["10.0.0.4:4000", "10.9.0.5:5000"];
pub(super) const PUBLIC: [&str; 2] = ["192.0.2.4:40404", "192.0.2.5:50505"];
pub(super) const STUN: &str = "198.51.100.1:3478";
pub(super) const STRANGER: &str = "203.0.113.66:6666";

pub(super) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A datagram as the network saw it.
pub(super) struct Seen {
    pub(super) when: Instant,
    pub(super) side: usize,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl Seen {
    pub(super) fn kind(&self) -> DatagramKind {
        DatagramKind::of(&self.bytes)
    }

    pub(super) fn is_media(&self) -> bool {
        self.kind() != DatagramKind::Stun
    }

    pub(super) fn is_check(&self) -> bool {
        self.bytes.starts_with(&[0, 1])
    }
}

pub(super) type Loses = dyn Fn(&Seen) -> bool;

pub(super) struct Net {
    pub(super) calls: [Call; 2],
    pub(super) devices: [Device; 2],
    /// Where each side's packets seem to come from, and where packets reach it.
    pub(super) outside: [SocketAddr; 2],
    pub(super) now: Instant,
    pub(super) phase: f64,
    pub(super) seen: Vec<Seen>,
    pub(super) loses: Box<Loses>,
    /// Since when each side has heard the other without a gap.
    pub(super) heard_since: [Option<Instant>; 2],
    /// Ticks in which each side did not hear the other.
    pub(super) unheard: [u32; 2],
    pub(super) turn: Option<TurnModel>,
    /// Whether packets reach the sides by their own addresses.
    pub(super) direct: bool,
}

impl Net {
    pub(super) fn new(modes: [IceMode; 2], change: impl Fn(usize, &mut CallConfig)) -> Self {
        let call = |side: usize| {
            let here = at(PRIVATE[side]);
            let base = CallConfig::with_identity(here.port(), Identity::seeded(side as u64 + 70));
            let ice = IceConfig { mode: modes[side], ..IceConfig::default() };
            let codecs = vec![CodecFormat::pcmu()];
            let mut config = CallConfig { address: here.ip(), codecs, srtp: SrtpPolicy::Off, ice, ..base };
            change(side, &mut config);
            Call::new(config).unwrap()
        };
        let calls = [call(0), call(1)];
        Self {
            devices: calls.each_ref().map(Device::new),
            calls,
            outside: PRIVATE.map(at),
            now: Instant::from_millis(1),
            phase: 0.0,
            seen: Vec::new(),
            loses: Box::new(|_| false),
            heard_since: [None; 2],
            unheard: [0; 2],
            turn: None,
            direct: true,
        }
    }

    /// Two full sides that talk.
    pub(super) fn talking() -> Self {
        let mut net = Self::new([IceMode::Full; 2], |_, _| {});
        net.agree(0);
        net.run(1_000);
        assert!(net.heard_since.iter().all(Option::is_some), "{:?}", net.stats());
        net
    }

    pub(super) fn agree(&mut self, offerer: usize) {
        self.agree_by(offerer, |text| text);
    }

    /// With what the signalling makes of the descriptions.
    pub(super) fn agree_by(&mut self, offerer: usize, bend: impl Fn(String) -> String) {
        let offer = bend(self.calls[offerer].offer().unwrap());
        let answer = bend(self.calls[1 - offerer].answer(self.now, &offer).unwrap());
        self.calls[offerer].accept(self.now, &answer).unwrap();
    }

    pub(super) fn carry(&mut self, side: usize, to: SocketAddr, bytes: &[u8]) {
        let seen = Seen { when: self.now, side, to, bytes: bytes.to_vec() };
        let lost = (self.loses)(&seen);
        self.seen.push(seen);
        if lost {
            return;
        }
        let from = self.outside[side];
        let now = self.now;
        if let Some(turn) = &mut self.turn {
            if to == turn.address {
                let passed = turn.take(now, from, bytes);
                return self.pass_on(passed);
            }
            if let Some(passed) = turn.take_for_relayed(now, from, to, bytes) {
                return self.pass_on(passed);
            }
        }
        let mut bytes = bytes.to_vec();
        if to == at(STUN) {
            let mut answer = stun_answer(&bytes, from);
            self.calls[side].receive(self.now, Channel::Rtp, at(STUN), &mut answer);
        } else if to == self.outside[1 - side] && self.direct {
            self.calls[1 - side].receive(self.now, Channel::Rtp, from, &mut bytes);
        }
    }

    /// What the TURN server sends.
    pub(super) fn pass_on(&mut self, passed: Vec<Passed>) {
        for Passed { from, to, mut bytes } in passed {
            let now = self.now;
            let turn = self.turn.as_mut().unwrap();
            if let Some(again) = turn.take_for_relayed(now, from, to, &bytes) {
                self.pass_on(again);
            } else if let Some(side) = (0..2).find(|side| self.outside[*side] == to) {
                self.calls[side].receive(now, Channel::Rtp, from, &mut bytes);
            }
        }
    }

    pub(super) fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            for side in 0..2 {
                let phase = &mut self.phase;
                let speech = |pcm: &mut [i16]| {
                    for sample in pcm {
                        *phase = (*phase + 300.0 / 8_000.0).fract();
                        *sample = ((*phase * std::f64::consts::TAU).sin() * 9_000.0) as i16;
                    }
                };
                let mut out = Vec::new();
                let (played, _) =
                    self.devices[side].tick(&mut self.calls[side], self.now, speech, |transmit, bytes| {
                        out.push((transmit.to, bytes.to_vec()));
                    });
                let gap = played.concealed + played.silence > 0;
                self.unheard[side] += u32::from(gap);
                self.heard_since[side] = self.heard_since[side].or(Some(self.now)).filter(|_| !gap);
                for (to, bytes) in out {
                    self.carry(side, to, &bytes);
                }
            }
            self.now += Duration::from_millis(10);
        }
    }

    /// Lets both ask their servers.
    pub(super) fn gather(&mut self) {
        let mut buffer = [0; 1_500];
        while (0..2).any(|side| self.calls[side].is_gathering(self.now)) {
            for side in 0..2 {
                while let Some(transmit) = self.calls[side].transmit(self.now, &mut buffer) {
                    let bytes = buffer[..transmit.len].to_vec();
                    self.carry(side, transmit.to, &bytes);
                }
            }
            self.now += Duration::from_millis(10);
        }
    }

    pub(super) fn stats(&self) -> [IceStats; 2] {
        self.calls.each_ref().map(|call| call.stats().ice.unwrap())
    }

    pub(super) fn assert_talking(&self) {
        assert!(self.heard_since.iter().all(Option::is_some), "{:?}", self.stats());
        for (side, stats) in self.stats().into_iter().enumerate() {
            assert_eq!(stats.state, IceState::Connected);
            assert_eq!(self.calls[side].should_end(self.now), None);
            assert_eq!(self.calls[side].stats().unaccounted(), [0; 5]);
        }
    }

    /// Where media went from this side.
    pub(super) fn media_of(&self, side: usize) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| seen.side == side && seen.is_media())
    }
}

/// What a STUN server says: the address that it sees.
pub(super) fn stun_answer(request: &[u8], seen: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(seen) = seen else { panic!("IPv4 in these tests") };
    let cookie = [0x21, 0x12, 0xa4, 0x42];
    let mut answer = [&[1, 1, 0, 12][..], &cookie, &request[8..20], &[0, 0x20, 0, 8, 0, 1]].concat();
    answer.extend((seen.port() ^ 0x2112).to_be_bytes());
    answer.extend(seen.ip().octets().iter().zip(cookie).map(|(octet, mask)| octet ^ mask));
    answer
}
