//! A chip whose clock drifts, under a port and under a whole phone.

use core::cell::{Cell, RefCell};
use core::future::{self, Future};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::vec::Vec;

use dsp_core::process::resample::table_i16;
use dsp_core::receive::ReceiverStats;
use dsp_core::time::{RtpTime, Seq};
use dsp_core::wire::rtp::{RtpHeader, RtpPacket};
use embassy_futures::block_on;

use super::*;
use crate::phone::{Incoming, Network, Phone, PhoneConfig, TICK};
use crate::pump::{Pump, PumpCounters};

const PLAN: Plan = plan(TICK, Quality::Fast);
static TABLE: [Taps16; PLAN.table_len()] = table_i16(&PLAN);

/// The far end: a packet each 20 ms by the network's clock; and when ours left, by their timestamps.
struct Far<'a> {
    clock: &'a Cell<u64>,
    seq: u16,
    /// How much later than by their timestamps packets left, in microseconds.
    late: &'a RefCell<Vec<i64>>,
}

impl Network for Far<'_> {
    async fn receive(&mut self, datagram: &mut [u8]) -> Incoming {
        let arrival = Instant::from_millis(20 * u64::from(self.seq));
        if arrival > self.now() {
            return future::pending().await;
        }
        // A tone of 400 Hz, in mu-law.
        let header =
            RtpHeader { seq: Seq(self.seq), timestamp: RtpTime(160 * u32::from(self.seq)), ..RtpHeader::default() };
        let begin = header.write(datagram).expect("there is room");
        datagram[begin..begin + 160]
            .iter_mut()
            .enumerate()
            .for_each(|(n, byte)| *byte = if n % 20 < 10 { 0x90 } else { 0x10 });
        self.seq += 1;
        Incoming { len: begin + 160, arrival, worked: Duration::ZERO }
    }

    fn send(&mut self, datagram: &[u8]) {
        let packet = RtpPacket::parse(datagram).expect("a packet of ours");
        self.late.borrow_mut().push(self.clock.get() as i64 - i64::from(packet.timestamp().0) * 125);
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.clock.get())
    }
}

struct Outcome {
    pump: PumpCounters,
    ticks: u32,
    late: Vec<i64>,
    stats: ReceiverStats,
}

/// A call over a chip that is so many ppm too slow. The interrupt comes by the chip's clock, at whole microseconds.
fn call<P: AudioPort<TICK>>(
    seconds: u64,
    slow_ppm: i64,
    port: impl FnOnce(&'static Pump<TICK, 3>, &'static Cell<u64>) -> P,
) -> (Outcome, P) {
    let pump: &'static Pump<TICK, 3> = std::boxed::Box::leak(std::boxed::Box::new(Pump::new()));
    let clock: &'static Cell<u64> = std::boxed::Box::leak(std::boxed::Box::new(Cell::new(0)));
    let late = RefCell::new(Vec::new());
    let mut network = Far { clock, seq: 0, late: &late };
    let mut phone = Phone::new(PhoneConfig::default()).expect("a phone");
    let mut port = port(pump, clock);
    let mut outcome =
        Outcome { pump: PumpCounters::default(), ticks: 0, late: Vec::new(), stats: phone.receiver_stats() };
    let (mut interrupts, mut waker) = (0i64, Context::from_waker(Waker::noop()));
    let mut half = [0; TICK];
    while clock.get() < seconds * 1_000_000 {
        let mut tick = pin!(phone.tick(&mut port, &mut network));
        // The task sleeps until the next interrupt.
        let tick = loop {
            if let Poll::Ready(tick) = tick.as_mut().poll(&mut waker) {
                break tick;
            }
            interrupts += 1;
            clock.set((interrupts * (10_000_000_000 + slow_ppm * 10_000) / 1_000_000) as u64);
            pump.half_transfer(&[500; TICK], &mut half);
        };
        assert_eq!(tick.overrun, 0);
        outcome.ticks += 1;
    }
    outcome.pump = pump.counters();
    outcome.stats = phone.receiver_stats();
    outcome.late = late.into_inner();
    (outcome, port)
}

#[test]
fn a_clock_that_drifts_by_200_ppm_is_followed_for_ten_minutes() {
    for slow_ppm in [200, -200, 37] {
        let with = |pump: &'static Pump<TICK, 3>, clock: &'static Cell<u64>| {
            let history = || std::boxed::Box::leak(std::boxed::Box::new([0; PLAN.history_len(TICK)])).as_mut_slice();
            let now = || Instant::from_micros(clock.get());
            DriftPort::new(pump.port(), now, Quality::Fast, &TABLE, [history(), history()]).expect("it fits")
        };
        let (steered, port) = call(600, slow_ppm, with);
        assert_eq!((steered.pump.overruns, steered.pump.underruns), (0, 0), "{slow_ppm}");
        let off = port.drift_ppb() - slow_ppm as i32 * 1_000;
        assert!(off.abs() < 5_000, "{slow_ppm} ppm: off by {off} ppb");
        // The phone's time is the network's.
        assert!(steered.ticks.abs_diff(60_000) <= 3, "{} ticks", steered.ticks);
        let spread = |late: &[i64]| late.iter().max().unwrap_or(&0) - late.iter().min().unwrap_or(&0);
        let steered_spread = spread(&steered.late[2_000..]);
        // Ticks are those of the chip's frames: that and what the average has to learn.
        assert!(steered_spread < 22_000, "{slow_ppm} ppm: {steered_spread} us");
        assert!(steered.stats.concealed_samples < 400, "{:?}", steered.stats);
        // Without it, it isn't: 120 ms in ten minutes.
        let (plain, _) = call(600, slow_ppm, |pump, _| pump.port());
        let drifted = spread(&plain.late[2_000..]);
        assert!(drifted > slow_ppm.abs() * 550, "{slow_ppm} ppm: {drifted} us");
        std::println!("{slow_ppm} ppm: {steered_spread} us and {drifted} us, {:?} {:?}", steered.stats, plain.stats);
    }
}

#[test]
fn a_clock_that_jumps_is_no_drift() {
    let mut drift = Drift::default();
    let mut at = 1_000_000;
    for n in 0..20_000u64 {
        // 100 ppm slow; set by an hour once, and back.
        at += 10_001;
        let jump = if (5_000..5_500).contains(&n) { 3_600_000_000 } else { 0 };
        let ppb = drift.frame(Instant::from_micros(at + jump), 8_000);
        drift.made += 80 + u64::from(ppb > 0 && n % (1_000_000_000 / (80 * ppb.max(1)) as u64).max(1) == 0);
        if n > 15_000 {
            assert!((80_000..120_000).contains(&ppb), "{n}: {ppb}");
        }
        assert!(ppb.abs() <= 200_000, "{n}: {ppb}");
    }
}

/// The first frames have waited for a task that began late: when they came says nothing of the clock.
#[test]
fn a_late_beginning_is_no_drift() {
    let mut drift = Drift::default();
    for n in 0..6_000u64 {
        let at = 10_000 * n.max(4);
        let ppb = drift.frame(Instant::from_micros(at), 8_000);
        drift.made += 80;
        assert!(ppb.abs() <= 50_000, "{n}: {ppb}");
    }
}

#[test]
fn frames_that_were_lost_are_no_drift_and_a_read_that_is_dropped_loses_nothing() {
    let pump: Pump<TICK, 2> = Pump::new();
    let clock = Cell::new(0);
    let now = || Instant::from_micros(clock.get());
    let (mut heard, mut played) = ([0; PLAN.history_len(TICK)], [0; PLAN.history_len(TICK)]);
    let mut port = DriftPort::<_, _, TICK>::new(pump.port(), now, Quality::Fast, &TABLE, [&mut heard, &mut played])
        .expect("it fits");
    let mut waker = Context::from_waker(Waker::noop());
    let (mut frames, mut lost) = (0, 0);
    for n in 0..3_000u64 {
        // Each second the task is 50 ms late.
        for k in 0..if n % 100 == 99 { 5 } else { 1 } {
            clock.set(clock.get() + 10_000);
            pump.half_transfer(&[(n + k) as i16; TICK], &mut [0; TICK]);
        }
        let mut pcm = [0; TICK];
        let dropped = pin!(port.read(&mut pcm)).poll(&mut waker);
        let read = match dropped {
            Poll::Ready(read) => read,
            Poll::Pending => panic!("a frame has come"),
        };
        match read {
            Ok(()) => {
                frames += 1;
                // Dropped, and nothing is lost: the next comes with the next interrupt.
                let mut none = [0; TICK];
                assert!(pin!(port.read(&mut none)).poll(&mut waker).is_pending());
                let _ = block_on(port.write(&pcm));
            }
            Err(overrun) => lost += overrun.frames,
        }
    }
    assert!(frames > 2_900 && lost == pump.counters().overruns && lost > 100, "{frames}, {lost}");
    assert!(port.drift_ppb().abs() < 20_000, "{}", port.drift_ppb());
}

#[test]
fn what_does_not_fit_is_refused() {
    let pump: Pump<TICK, 2> = Pump::new();
    let (mut heard, mut played) = ([0; PLAN.history_len(TICK)], [0; 10]);
    let now = || Instant::ZERO;
    let made = DriftPort::<_, _, TICK>::new(pump.port(), now, Quality::Fast, &TABLE, [&mut heard, &mut played]);
    assert!(matches!(made.err(), Some(ResampleError::History { .. })));
    let mut played = [0; PLAN.history_len(TICK)];
    let made = DriftPort::<_, _, TICK>::new(pump.port(), now, Quality::Good, &TABLE, [&mut heard, &mut played]);
    assert!(matches!(made.err(), Some(ResampleError::Table { .. })));
}
