//! What goes wrong under a whole phone: pump, phone, transport with SRTP, and the watch that tells of it. The phone goes on through all of
//! it, each trouble is told once when it begins and once when it is over, and afterwards the far end is heard as before.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use dsp_core::guard::{GuardError, PacketGuard};
use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter};
use dsp_core::send::SenderConfig;
use dsp_core::time::{Instant, NtpTime, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_embedded::phone::{Phone, PhoneConfig, TICK, Tick};
use host_embedded::pump::{Pump, PumpPort};
use host_embedded::transport::{Socket, Transport};
use host_embedded::watch::{CallEvent, CallWatch, Seen, Trouble};

const DEPTH: usize = 3;
/// Datagrams that a network stack's queue has room for.
const QUEUE: usize = 40;
/// What it takes to unprotect a packet.
const UNPROTECT_US: u64 = 300;

/// Time, and what is on the way to the phone.
#[derive(Default)]
struct World {
    us: Cell<u64>,
    down: Cell<bool>,
    coming: RefCell<VecDeque<(Vec<u8>, u16)>>,
    dropped: Cell<u32>,
}

impl World {
    fn now(&self) -> Instant {
        Instant::from_micros(self.us.get())
    }

    fn come(&self, datagram: Vec<u8>, from: u16) {
        let mut coming = self.coming.borrow_mut();
        if self.down.get() || coming.len() >= QUEUE {
            self.dropped.set(self.dropped.get() + 1);
        } else {
            coming.push_back((datagram, from));
        }
    }
}

struct Wire<'a>(&'a World);

impl Socket for Wire<'_> {
    type Address = u16;

    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, u16, Instant) {
        let next = self.0.coming.borrow_mut().pop_front();
        let Some((bytes, from)) = next else { return pending().await };
        let room = bytes.len().min(datagram.len());
        datagram[..room].copy_from_slice(&bytes[..room]);
        (bytes.len(), from, self.0.now())
    }

    fn send(&mut self, _: &[u8], _: u16) -> bool {
        !self.0.down.get()
    }

    fn now(&self) -> Instant {
        self.0.now()
    }
}

/// SRTP that takes its time.
struct Slow<'a>(Srtp<2>, &'a World);

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
        self.1.us.set(self.1.us.get() + UNPROTECT_US);
        self.0.unprotect_rtp(packet)
    }
    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        self.1.us.set(self.1.us.get() + UNPROTECT_US);
        self.0.unprotect_rtcp(packet)
    }
}

fn guards() -> [Srtp<2>; 2] {
    let keys = [1, 2].map(|n| MasterKey::from_bytes(&[n; 30]));
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    [(0, 1), (1, 0)].map(|(ours, theirs)| Srtp::new(profile, &keys[ours], &keys[theirs]).expect("keys of this profile"))
}

/// A call at its 10 ms: the far end speaks a square wave of 400 Hz, in packets of 20 ms.
struct Call<'a> {
    world: &'a World,
    pump: &'a Pump<TICK, DEPTH>,
    port: PumpPort<'a, TICK, DEPTH>,
    phone: Phone,
    network: Transport<Wire<'a>, Slow<'a>, 704>,
    watch: CallWatch,
    theirs: Srtp<2>,
    /// Interrupts of the chip, and packets of the far end.
    interrupts: u64,
    packets: u64,
    played: Vec<i16>,
    events: Vec<CallEvent>,
}

/// What happens in one interrupt besides.
#[derive(Clone, Copy, Default)]
struct Now {
    /// Copies of the far end's packet; it has none while it is silent.
    copies: usize,
    garbage: usize,
    /// The task is kept from running.
    busy: bool,
    /// The chip's DMA stands still.
    stopped: bool,
}

const NORMAL: Now = Now { copies: 1, garbage: 0, busy: false, stopped: false };

impl<'a> Call<'a> {
    fn new(world: &'a World, pump: &'a Pump<TICK, DEPTH>) -> Self {
        let [ours, theirs] = guards();
        let sender = SenderConfig {
            ssrc: Ssrc(1),
            first_seq: Seq(100),
            first_timestamp: RtpTime(0),
            payload_type: PayloadType::PCMU,
            ptime_ms: 20,
        };
        let reporter = ReporterConfig { ssrc: Ssrc(1), cname: Cname::new("phone"), ..ReporterConfig::default() };
        let reporter = RtcpReporter::new(reporter, world.now()).expect("it has a name");
        let mut network = Transport::new(Wire(world), Slow(ours, world), reporter);
        network.set_remote(1);
        Self {
            world,
            pump,
            port: pump.port(),
            phone: Phone::new(PhoneConfig { sender, ..PhoneConfig::default() }).expect("a phone"),
            network,
            watch: CallWatch::new(world.now()),
            theirs,
            interrupts: 0,
            packets: 0,
            played: Vec::new(),
            events: Vec::new(),
        }
    }

    fn packet(&mut self) -> Vec<u8> {
        let n = self.packets;
        self.packets += 1;
        let mut bytes = vec![0; 200];
        let header =
            RtpHeader { seq: Seq(n as u16), timestamp: RtpTime(160 * n as u32), ssrc: Ssrc(7), ..RtpHeader::default() };
        let begin = header.write(&mut bytes).expect("there is room");
        bytes[begin..begin + 160]
            .iter_mut()
            .enumerate()
            .for_each(|(n, byte)| *byte = if n % 20 < 10 { 0x90 } else { 0x10 });
        let len = self.theirs.protect_rtp(&mut bytes, begin + 160).expect("there is room");
        bytes.truncate(len);
        bytes
    }

    /// So many milliseconds.
    fn run(&mut self, ms: u64, mut now: impl FnMut(u64) -> Now) {
        for n in 0..ms / 10 {
            let Now { copies, garbage, busy, stopped } = now(n);
            self.interrupts += 1;
            self.world.us.set(self.world.us.get().max(self.interrupts * 10_000));
            if self.interrupts.is_multiple_of(2) {
                // The far end's time goes on while it says nothing.
                let packet = self.packet();
                (0..copies).for_each(|_| self.world.come(packet.clone(), 1));
            }
            for k in 0..garbage {
                let mut bytes = vec![(n * 31 + k as u64 * 7) as u8; 20 + (k * 37) % 160];
                bytes[0] = [0x80, 0x80, 0x00, 0xff][k % 4];
                self.world.come(bytes, 1 + k as u16 % 3);
            }
            if stopped {
                continue;
            }
            let mut half = [0; TICK];
            self.pump.half_transfer(&[300; TICK], &mut half);
            self.played.extend(half);
            if !busy {
                self.ticks();
            }
        }
    }

    /// Ticks until the task waits for the chip.
    fn ticks(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let polled = pin!(self.phone.tick(&mut self.port, &mut self.network)).poll(&mut context);
            let Poll::Ready(tick) = polled else { return };
            self.after(&tick);
        }
    }

    fn after(&mut self, tick: &Tick) {
        let (now, stats, counters) = (self.world.now(), self.phone.receiver_stats(), self.network.counters());
        let ntp = NtpTime::default().plus(now.since(Instant::ZERO));
        self.network.report(now, stats.reception, self.phone.send_info(ntp));
        let seen = Seen {
            now,
            link_up: !self.world.down.get(),
            received: stats.received,
            expected: true,
            refused: counters.refused.wrapping_add(counters.foreign),
            goodbye: self.network.next_report().is_some_and(|report| report.bye),
        };
        self.watch.tick(tick, &seen);
        while let Some(event) = self.watch.next_event() {
            self.events.push(event);
        }
    }

    /// What was told since it was asked last.
    fn told(&mut self) -> Vec<CallEvent> {
        std::mem::take(&mut self.events)
    }

    /// How many milliseconds of the last so many are the far end's sound, whatever its delay.
    fn heard_ms(&self, last_ms: usize) -> usize {
        let last = &self.played[self.played.len() - 8 * last_ms..];
        // 10 ms of the wave at its level have no sample near zero but where it changes its sign.
        last.chunks(TICK)
            .filter(|frame| frame.iter().filter(|sample| sample.unsigned_abs() > 3_000).count() > 70)
            .count()
            * 10
    }

    /// As before: heard without gaps, nothing told, and no later than at first.
    #[track_caller]
    fn assert_recovers(&mut self) {
        self.run(5_000, |_| NORMAL);
        let events = self.told();
        assert!(events.iter().all(|event| matches!(event, CallEvent::Over(_))), "{events:?}");
        let before = (self.phone.receiver_stats(), self.phone.send_stats().packets);
        let pump = self.pump.counters();
        self.run(5_000, |_| NORMAL);
        assert_eq!(self.told(), []);
        let heard = self.heard_ms(5_000);
        assert!(heard >= 4_900, "{heard} ms of 5000 are heard");
        let stats = self.phone.receiver_stats();
        assert_eq!(stats.received - before.0.received, 250);
        assert_eq!(self.phone.send_stats().packets - before.1, 250);
        assert!(stats.concealed_samples - before.0.concealed_samples < 800, "{stats:?}");
        let now = self.pump.counters();
        assert_eq!((now.underruns, now.overruns), (pump.underruns, pump.overruns));
        // What it sends is as late as at first: its time went on.
        let sent = self.phone.send_info(NtpTime::default()).rtp.0;
        let due = (self.interrupts * TICK as u64) as u32;
        assert!(due.abs_diff(sent) <= 480, "{sent} of {due}");
    }
}

fn call(test: impl FnOnce(&mut Call<'_>)) {
    let (world, pump) = (World::default(), Pump::new());
    let mut call = Call::new(&world, &pump);
    call.run(5_000, |_| NORMAL);
    assert_eq!(call.told(), []);
    assert!(call.heard_ms(4_000) >= 3_950);
    test(&mut call);
    call.assert_recovers();
}

use CallEvent::{Began, Over};

#[test]
fn a_link_that_is_lost_and_comes_back() {
    call(|call| {
        call.world.down.set(true);
        call.run(5_000, |_| NORMAL);
        assert_eq!(call.told(), [Began(Trouble::LinkDown), Began(Trouble::NoPackets)]);
        assert!(call.network.counters().unsent >= 250);
        assert_eq!(call.heard_ms(3_000), 0);
        call.world.down.set(false);
        call.run(1_000, |_| NORMAL);
        assert_eq!(call.told(), [Over(Trouble::LinkDown), Over(Trouble::NoPackets)]);
    });
}

#[test]
fn a_minute_without_packets() {
    call(|call| {
        call.run(60_000, |_| Now { copies: 0, ..NORMAL });
        assert_eq!(call.told(), [Began(Trouble::NoPackets)]);
        assert_eq!(call.heard_ms(50_000), 0);
        call.run(200, |_| NORMAL);
        assert_eq!(call.told(), [Over(Trouble::NoPackets)]);
    });
}

#[test]
fn packets_at_ten_times_the_rate() {
    call(|call| {
        call.run(10_000, |_| Now { copies: 10, ..NORMAL });
        // Nine of ten are replays, which SRTP refuses; they take their time all the same.
        assert_eq!(call.told(), [Began(Trouble::Refused), Began(Trouble::Flood)]);
        assert!(call.heard_ms(9_000) >= 8_900, "{}", call.heard_ms(9_000));
        assert_eq!(call.pump.counters().overruns, 0);
        call.run(3_000, |_| NORMAL);
        assert_eq!(call.told(), [Over(Trouble::Flood), Over(Trouble::Refused)]);
    });
}

#[test]
fn garbage_as_fast_as_can_be() {
    call(|call| {
        // 10,000 datagrams a second: more than there is room for in the queue.
        call.run(10_000, |_| Now { garbage: 100, ..NORMAL });
        assert_eq!(call.told(), [Began(Trouble::Refused), Began(Trouble::Flood)]);
        // The task and its audio go on.
        assert_eq!((call.pump.counters().overruns, call.phone.send_stats().packets), (0, 750));
        call.run(3_000, |_| NORMAL);
        assert_eq!(call.told(), [Over(Trouble::Flood), Over(Trouble::Refused)]);
    });
}

#[test]
fn a_task_that_is_late_loses_frames_and_no_time() {
    call(|call| {
        // Five times a second it doesn't run for 50 ms.
        call.run(2_000, |n| Now { busy: n % 20 < 5, ..NORMAL });
        assert_eq!(call.told(), [Began(Trouble::Overrun), Began(Trouble::Underrun)]);
        assert!(call.pump.counters().overruns > 40);
        call.run(2_000, |_| NORMAL);
        assert_eq!(call.told(), [Over(Trouble::Overrun), Over(Trouble::Underrun)]);
    });
}

/// What `slots::serve` ends with: the driver starts both ways again, and tells the pump how long that took.
#[test]
fn a_dma_that_is_overrun_and_started_again() {
    call(|call| {
        call.run(250, |_| Now { stopped: true, ..NORMAL });
        call.pump.lose(25);
        call.run(2_000, |_| NORMAL);
        let (overrun, underrun) = (Trouble::Overrun, Trouble::Underrun);
        assert_eq!(call.told(), [Began(overrun), Began(underrun), Over(overrun), Over(underrun)]);
        let stats = call.phone.receiver_stats();
        assert_eq!((stats.received, stats.ssrc_changes, stats.restarts), (362, 0, 0), "{stats:?}");
    });
}

#[test]
fn the_other_side_says_goodbye() {
    let (world, pump) = (World::default(), Pump::new());
    let mut call = Call::new(&world, &pump);
    call.run(2_000, |_| NORMAL);
    let config = ReporterConfig { ssrc: Ssrc(7), cname: Cname::new("far"), ..ReporterConfig::default() };
    let mut far = RtcpReporter::<1>::new(config, Instant::ZERO).expect("it has a name");
    let mut bytes = vec![0; 400];
    let send = call.phone.send_info(NtpTime::default());
    let len = far.bye(world.now(), &[], Some(&send), None, &mut bytes).expect("there is room").expect("a goodbye");
    let len = call.theirs.protect_rtcp(&mut bytes, len).expect("there is room");
    world.come(bytes[..len].to_vec(), 1);
    call.run(3_000, |_| Now { copies: 0, ..NORMAL });
    assert_eq!(call.told(), [Began(Trouble::NoPackets), CallEvent::Left]);
    assert_eq!(call.network.counters().reports, 1);
}
