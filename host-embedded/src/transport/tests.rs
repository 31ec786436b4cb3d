//! A transport over a socket of two queues.

use super::*;
use crate::phone::{Phone, PhoneConfig, TICK};
use crate::port::{AudioPort, Overrun, Underrun};
use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use dsp_core::guard::{GuardError, Plain};
use dsp_core::rtcp::{Cname, ReporterConfig};
use dsp_core::time::NtpTime;
use dsp_core::wire::rtp::RtpHeader;
use embassy_futures::block_on;
use std::cell::Cell;
use std::collections::VecDeque;
use std::vec::Vec;

/// Of what the phone is handed where a datagram is not for it.
const NOTHING: [u8; 0] = [];

#[derive(Default)]
struct Queues {
    come: VecDeque<(Vec<u8>, u16)>,
    gone: Vec<(Vec<u8>, u16)>,
    now: Instant,
}

impl Socket for Queues {
    type Address = u16;

    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, u16, Instant) {
        let (bytes, from) = self.come.pop_front().expect("something has come");
        let room = datagram.len().min(bytes.len());
        datagram[..room].copy_from_slice(&bytes[..room]);
        (bytes.len(), from, self.now)
    }

    fn send(&mut self, datagram: &[u8], to: u16) -> bool {
        self.gone.push((datagram.to_vec(), to));
        true
    }

    fn now(&self) -> Instant {
        self.now
    }
}

fn transport<G: PacketGuard>(guard: G, ssrc: u32) -> Transport<Queues, G, 640> {
    let config = ReporterConfig { ssrc: Ssrc(ssrc), cname: Cname::new("x"), ..ReporterConfig::default() };
    let mut transport =
        Transport::new(Queues::default(), guard, RtcpReporter::new(config, Instant::ZERO).expect("a name"));
    transport.set_remote(1);
    transport
}

fn packet(seq: u16) -> Vec<u8> {
    let mut bytes = std::vec![0x55; 172];
    let header = RtpHeader { seq: dsp_core::time::Seq(seq), ssrc: Ssrc(7), ..RtpHeader::default() };
    header.write(&mut bytes).expect("there is room");
    bytes
}

/// What the phone is handed of this datagram.
fn take<G: PacketGuard>(transport: &mut Transport<Queues, G, 640>, bytes: Vec<u8>, from: u16) -> Vec<u8> {
    transport.socket.come.push_back((bytes, from));
    let mut room = [0; 640];
    let Incoming { len, .. } = block_on(transport.receive(&mut room));
    room[..len].to_vec()
}

#[test]
fn plain_sound_is_followed_to_where_it_first_comes_from() {
    let mut transport = transport(Plain, 1);
    transport.send(&packet(0));
    assert_eq!(take(&mut transport, packet(1), 2), packet(1));
    transport.send(&packet(1));
    // Later ones could be anybody's.
    assert_eq!(take(&mut transport, packet(2), 3), NOTHING);
    transport.send(&packet(2));
    assert_eq!(transport.socket.gone.iter().map(|(_, to)| *to).collect::<Vec<_>>(), [1, 2, 2]);
    transport.set_remote(3);
    assert_eq!(take(&mut transport, packet(3), 3), packet(3));
    let counters = transport.counters();
    assert_eq!((counters.moved, counters.refused, counters.sent, counters.unsent), (1, 1, 3, 0));
}

#[test]
fn a_stray_packet_does_not_take_a_plain_call() {
    let mut transport = transport(Plain, 1);
    assert_eq!(take(&mut transport, packet(1), 2), packet(1));
    // Who is where the description says is heard again, and what strays stays out from then on.
    assert_eq!(take(&mut transport, packet(2), 1), packet(2));
    assert_eq!(take(&mut transport, packet(3), 2), NOTHING);
    assert_eq!(take(&mut transport, packet(4), 1), packet(4));
    transport.send(&packet(0));
    assert_eq!(transport.socket.gone.iter().map(|(_, to)| *to).collect::<Vec<_>>(), [1]);
    assert_eq!((transport.counters().moved, transport.counters().refused), (2, 1));
    // What is no packet of sound wins nothing.
    transport.set_remote(1);
    assert_eq!(take(&mut transport, packet(5), 2), packet(5));
    assert_eq!(take(&mut transport, std::vec![0x80, 0, 0], 1), NOTHING);
    assert_eq!(transport.remote(), Some(2));
}

#[test]
fn what_is_no_sound_does_not_reach_the_phone() {
    let mut transport = transport(Plain, 1);
    for foreign in [std::vec![], std::vec![0; 20], std::vec![0x80; 700]] {
        assert_eq!(take(&mut transport, foreign, 1), NOTHING);
    }
    assert_eq!(take(&mut transport, std::vec![0x80, 200, 0], 1), NOTHING);
    assert_eq!(transport.counters(), TransportCounters { foreign: 3, refused: 1, ..TransportCounters::default() });
}

type Guard = Srtp<2>;

fn guards() -> [Guard; 2] {
    let keys = [1, 2].map(|n| MasterKey::from_bytes(&[n; 30]));
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    [Srtp::new(profile, &keys[0], &keys[1]), Srtp::new(profile, &keys[1], &keys[0])]
        .map(|guard| guard.expect("30 bytes"))
}

#[test]
fn srtp_is_followed_wherever_it_comes_from_and_reports_go_both_ways() {
    let [ours, theirs] = guards();
    let (mut here, mut there) = (transport(ours, 7), transport(theirs, 8));
    let reception = ReceptionStats::default();
    for seq in 0..300u16 {
        let now = Instant::from_millis(20 * u64::from(seq));
        here.send(&packet(seq));
        let send = SendInfo { packets: seq.into(), ..SendInfo::default() };
        here.report(now, reception, SendInfo { ntp: NtpTime::from_unix_micros(now.as_micros()), ..send });
        for (bytes, _) in std::mem::take(&mut here.socket.gone) {
            let from = if seq < 150 { 1 } else { 4 };
            let is_report = DatagramKind::of(&bytes) == DatagramKind::Rtcp;
            // One that was forged on the way moves nobody.
            let mut forged = bytes.clone();
            *forged.last_mut().expect("a tag") ^= 1;
            assert_eq!(take(&mut there, forged, 9), NOTHING);
            let expected = if is_report { Vec::new() } else { packet(seq) };
            assert_eq!(take(&mut there, bytes, from), expected);
        }
    }
    assert!(here.counters().reports_sent >= 1);
    let counters = there.counters();
    assert_eq!((counters.reports, counters.moved), (here.counters().reports_sent, 1));
    assert_eq!(counters.refused, 300 + counters.reports);
    assert_eq!(there.remote(), Some(4));
    assert_eq!(there.next_report().and_then(|report| report.ssrc), Some(Ssrc(7)));
    assert_eq!(there.next_report(), None);
    here.leave(Instant::from_millis(6_000), reception, SendInfo { packets: 300, ..SendInfo::default() });
    let (bye, _) = here.socket.gone.pop().expect("a goodbye");
    assert_eq!(take(&mut there, bye, 4), NOTHING);
    assert!(there.next_report().is_some_and(|report| report.bye));
}

/// Phones send reports behind a goodbye, and several may come between two ticks.
#[test]
fn a_goodbye_is_told_though_a_report_comes_behind_it() {
    let (mut here, mut there) = (transport(Plain, 7), transport(Plain, 8));
    let now = Instant::from_millis(6_000);
    let send = SendInfo { packets: 3, ..SendInfo::default() };
    here.leave(now, ReceptionStats::default(), send);
    let mut other = transport(Plain, 9);
    other.report(now + Duration::from_millis(10_000), ReceptionStats::default(), send);
    for gone in [&mut here.socket.gone, &mut other.socket.gone] {
        let (report, _) = gone.pop().expect("a report");
        assert_eq!(take(&mut there, report, 1), NOTHING);
    }
    let told = there.next_report().expect("two were told");
    assert_eq!((told.ssrc, told.bye), (Some(Ssrc(9)), true));
    assert_eq!(there.next_report(), None);
}

#[test]
fn without_an_address_nothing_is_sent() {
    let mut transport = transport(Plain, 1);
    transport.remote = None;
    transport.send(&packet(0));
    transport.send(&[0; 641]);
    assert_eq!((transport.counters().unsent, transport.counters().sent), (2, 0));
    assert!(transport.socket.gone.is_empty());
}

/// A clock that goes on while packets are unprotected, by so much each.
const COST: Duration = Duration::from_micros(300);

struct Slow<'a>(Guard, &'a Cell<Instant>);

impl PacketGuard for Slow<'_> {
    fn max_growth(&self) -> usize {
        self.0.max_growth()
    }
    fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        self.0.protect_rtp(buffer, len)
    }
    fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        self.0.protect_rtcp(buffer, len)
    }
    fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        self.1.set(self.1.get() + COST);
        self.0.unprotect_rtp(packet)
    }
    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        self.1.set(self.1.get() + COST);
        self.0.unprotect_rtcp(packet)
    }
}

/// There is always a packet of the other side, or one that was forged.
struct Flood<'a> {
    theirs: Guard,
    forged: bool,
    seq: u16,
    clock: &'a Cell<Instant>,
}

impl Socket for Flood<'_> {
    type Address = u16;

    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, u16, Instant) {
        let packet = packet(self.seq);
        self.seq += 1;
        datagram[..packet.len()].copy_from_slice(&packet);
        let len = self.theirs.protect_rtp(datagram, packet.len()).expect("there is room");
        datagram[len - 1] ^= u8::from(self.forged);
        (len, 1, self.clock.get())
    }

    fn send(&mut self, _: &[u8], _: u16) -> bool {
        true
    }

    fn now(&self) -> Instant {
        self.clock.get()
    }
}

/// A frame of the microphone is ready always.
struct Ready;

impl AudioPort<TICK> for Ready {
    async fn read(&mut self, pcm: &mut [i16; TICK]) -> Result<(), Overrun> {
        pcm.fill(0);
        Ok(())
    }
    async fn write(&mut self, _: &[i16; TICK]) -> Result<(), Underrun> {
        Ok(())
    }
}

#[test]
fn a_flood_of_srtp_delays_a_tick_by_the_budget_and_one_packet() {
    for forged in [false, true] {
        let clock = Cell::new(Instant::ZERO);
        let [ours, theirs] = guards();
        let socket = Flood { theirs, forged, seq: 0, clock: &clock };
        let config = ReporterConfig { cname: Cname::new("x"), ..ReporterConfig::default() };
        let reporter = RtcpReporter::new(config, Instant::ZERO).expect("a name");
        let mut network = Transport::<_, _, 640>::new(socket, Slow(ours, &clock), reporter);
        network.set_remote(1);
        let mut phone = Phone::new(PhoneConfig::default()).expect("a phone");
        for _ in 0..50 {
            let begun = clock.get();
            let tick = block_on(phone.tick(&mut Ready, &mut network));
            let took = clock.get().since(begun);
            assert!(tick.crowded && took < INTAKE_BUDGET + COST, "{took:?}, {tick:?}");
            // All that was done until the frame was unprotecting.
            assert_eq!((tick.intake, tick.received), (took, 7));
            clock.set(begun + Duration::from_millis(10));
        }
        assert_eq!(phone.receiver_stats().received > 0, !forged);
    }
}
