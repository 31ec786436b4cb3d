//! Two whole desk phones that talk to each other over a network which loses 3 % of the packets, one after the other or three at once,
//! and delays each by 20 to 50 ms: what one of them takes in a tick of 10 ms, all that it does, in instructions, and its memory.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::future;

use cortex_m_rt::entry;
use dsp_core::time::{Duration, Instant};
use embassy_futures::block_on;
use host_embedded::sim::{SimClock, SimPort};
use host_embedded::transport::Socket;

#[path = "../../../src/babble.rs"]
mod babble;
#[path = "../desk.rs"]
mod desk;
#[path = "../meter.rs"]
mod meter;
#[path = "../semihosting.rs"]
mod semihosting;

use desk::TICK;

/// 30 s.
const TICKS: u32 = 3_000;
/// So long the phones have to find their delays, which isn't counted.
const BEGINNING: u32 = 200;

/// Packets under way in one direction.
struct Way {
    packets: [Option<(Instant, usize, [u8; 256])>; 8],
    sent: u32,
}

impl Way {
    const fn new() -> Self {
        Self { packets: [None; 8], sent: 0 }
    }

    fn send(&mut self, now: Instant, datagram: &[u8]) {
        self.sent += 1;
        let chance = babble::scramble(self.sent);
        // One in a hundred, and three at once in as many as that.
        let lost = chance.is_multiple_of(100) || (self.sent % 150) >= 147;
        let free = self.packets.iter_mut().find(|slot| slot.is_none());
        let (Some(free), false) = (free, lost) else { return };
        let mut bytes = [0; 256];
        let len = datagram.len().min(bytes.len());
        bytes[..len].copy_from_slice(&datagram[..len]);
        *free = Some((now + Duration::from_micros(20_000 + u64::from(chance >> 8) % 30_000), len, bytes));
    }

    fn receive(&mut self, now: Instant, datagram: &mut [u8]) -> Option<(usize, Instant)> {
        let due = |slot: &&mut Option<(Instant, usize, [u8; 256])>| slot.is_some_and(|(arrival, ..)| arrival <= now);
        let first = self.packets.iter_mut().filter(due).min_by_key(|slot| slot.map(|(arrival, ..)| arrival))?;
        let (arrival, len, bytes) = first.take()?;
        datagram[..len].copy_from_slice(&bytes[..len]);
        Some((len, arrival))
    }
}

struct Wire<'a> {
    clock: &'a SimClock,
    there: &'a RefCell<Way>,
    here: &'a RefCell<Way>,
}

impl Socket for Wire<'_> {
    type Address = u8;

    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, u8, Instant) {
        match self.here.borrow_mut().receive(self.clock.now(), datagram) {
            Some((len, arrival)) => (len, 1, arrival),
            None => future::pending().await,
        }
    }

    fn send(&mut self, datagram: &[u8], _: u8) -> bool {
        self.there.borrow_mut().send(self.clock.now(), datagram);
        true
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

#[entry]
fn main() -> ! {
    let print = |name: &str, value: u32| semihosting::print("", name, value);
    let ways = [RefCell::new(Way::new()), RefCell::new(Way::new())];
    let clocks = [SimClock::default(), SimClock::default()];
    let [one, other] = &ways;
    let (mut phones, mut networks) = ([None, None], [None, None]);
    let ([phone, far], [network, far_network]) = (phones.each_mut(), networks.each_mut());
    meter::paint_stack();
    let (Some(phone), Some(network)) = (
        desk::phone(phone, true),
        desk::network(network, true, Wire { clock: &clocks[0], there: other, here: one }, 1),
    ) else {
        panic!("no phone")
    };
    print("stack make", meter::painted_stack_used());
    let (Some(far), Some(far_network)) = (
        desk::phone(far, false),
        desk::network(far_network, false, Wire { clock: &clocks[1], there: one, here: other }, 1),
    ) else {
        panic!("no phone")
    };
    let said = RefCell::new([0; TICK]);
    let microphone = |pcm: &mut [i16; TICK]| *pcm = *said.borrow();
    let mut heard = [0u32; 2];
    let [heard_here, heard_there] = &mut heard;
    let loudness = |pcm: &[i16; TICK]| u32::from(pcm[0] != 0);
    let mut port = SimPort::new(&clocks[0], microphone, |pcm: &[i16; TICK]| *heard_here += loudness(pcm));
    let mut far_port = SimPort::new(&clocks[1], microphone, |pcm: &[i16; TICK]| *heard_there += loudness(pcm));
    meter::start();
    let (mut all, mut most) = (0u64, 0);
    // Both phones are of one kind, and nothing else in the loop goes as deep.
    meter::paint_stack();
    for tick in 0..TICKS {
        let (slow, first) = (TICK as u32 / 80, tick * TICK as u32);
        // The same voice at either rate.
        *said.borrow_mut() = core::array::from_fn(|at| babble::voice((first + at as u32) / slow));
        let start = meter::instructions();
        let done = block_on(phone.tick(&mut port, network));
        desk::after(phone, network, clocks[0].now());
        let took = meter::instructions() - start;
        assert!(done.unsent == 0, "a packet was not sent");
        block_on(far.tick(&mut far_port, far_network));
        desk::after(far, far_network, clocks[1].now());
        if tick >= BEGINNING {
            all += u64::from(took);
            most = most.max(took);
        }
    }
    let deepest = meter::painted_stack_used();
    let counters = network.counters();
    assert!(counters.refused == 0 && counters.foreign == 0, "a packet was refused");
    print("tick", (all / u64::from(TICKS - BEGINNING)) as u32);
    print("most", most);
    print("stack run", deepest);
    print("ram phone", size_of_val(phone) as u32);
    print("ram network", size_of_val(network) as u32);
    print("ram pump", size_of::<desk::DeskPump>() as u32);
    print("lost", phone.receiver_stats().total.lost() as u32);
    print("concealed", phone.receiver_stats().concealed_samples as u32);
    print("reports", counters.reports);
    drop((port, far_port));
    // Both were heard most of the time.
    assert!(heard.iter().all(|heard| *heard > TICKS / 2), "{heard:?}");
    semihosting::succeed()
}
