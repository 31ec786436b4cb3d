use super::*;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use embassy_futures::block_on;

fn is_ready<F: Future>(future: F) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn frames_go_both_ways_in_order() {
    let pump = Pump::<4, 3>::new();
    let mut port = pump.port();
    for n in 0..100i16 {
        let mut playback = [-1; 4];
        pump.half_transfer(&[n; 4], &mut playback);
        assert_eq!(playback, [if n == 0 { 0 } else { 1_000 + n - 1 }; 4]);
        let mut heard = [0; 4];
        assert_eq!(block_on(port.read(&mut heard)), Ok(()));
        assert_eq!(heard, [n; 4]);
        assert_eq!(block_on(port.write(&[1_000 + n; 4])), Ok(()));
    }
    assert_eq!(pump.counters(), PumpCounters { captured: 100, overruns: 0, played: 99, underruns: 0 });
}

#[test]
fn a_slow_task_loses_old_frames_and_is_told() {
    let pump = Pump::<2, 3>::new();
    let mut port = pump.port();
    let (mut heard, mut playback) = ([0; 2], [0; 2]);
    assert_eq!(block_on(port.write(&[7; 2])), Ok(()));
    for n in 0..4 {
        pump.half_transfer(&[n; 2], &mut playback);
        assert_eq!(playback, if n == 0 { [7; 2] } else { [0; 2] });
    }
    // The fourth frame found the queue full, and was too old itself when the task came back.
    assert_eq!(block_on(port.read(&mut heard)), Err(Overrun { frames: 4 }));
    assert!(!is_ready(port.read(&mut heard)));
    assert_eq!(block_on(port.write(&[8; 2])), Err(Underrun { frames: 3 }));
    assert_eq!(block_on(port.write(&[9; 2])), Ok(()));
    pump.half_transfer(&[5; 2], &mut playback);
    assert_eq!(playback, [8; 2]);
    assert_eq!(block_on(port.read(&mut heard)), Ok(()));
    assert_eq!(heard, [5; 2]);
    assert_eq!(pump.counters(), PumpCounters { captured: 5, overruns: 4, played: 2, underruns: 3 });
}

#[test]
fn waits_for_frames_and_for_room() {
    let pump = Pump::<1, 2>::new();
    let mut port = pump.port();
    let (mut heard, mut playback) = ([0], [0]);
    // A read that is given up loses nothing.
    assert!(!is_ready(port.read(&mut heard)));
    pump.half_transfer(&[5], &mut playback);
    assert!(is_ready(port.read(&mut heard)));
    assert_eq!(heard, [5]);
    assert!(is_ready(port.write(&[1])) && is_ready(port.write(&[2])) && !is_ready(port.write(&[3])));
    pump.half_transfer(&[6], &mut playback);
    assert!(is_ready(port.write(&[4])));
}

#[test]
fn an_interrupt_wakes_the_task() {
    let pump = Pump::<1, 2>::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300 {
                pump.half_transfer(&[n], &mut [0]);
                std::thread::yield_now();
            }
        });
        let mut port = pump.port();
        let (mut heard, mut read, mut lost, mut last) = ([0], 0, 0, -1);
        while read + lost < 300 {
            match block_on(port.read(&mut heard)) {
                Ok(()) => {
                    assert!(heard[0] > last, "frames keep their order");
                    (last, read) = (heard[0], read + 1);
                }
                Err(overrun) => lost += overrun.frames,
            }
        }
        assert_eq!(pump.counters().overruns, lost, "every frame is read or reported");
    });
}

/// Whoever copies has no lock that another one could wait for: an interrupt comes in the middle of a copy, and the frame stays whole.
#[test]
fn an_interrupt_gets_through_while_a_frame_is_copied() {
    let pump = Pump::<4, 3>::new();
    let interrupts = |from: i16| {
        // On a thread of its own, which a critical section would keep out for ever.
        let interrupt = || (from..from + 4).for_each(|n| pump.half_transfer(&[n; 4], &mut [0; 4]));
        std::thread::scope(|scope| scope.spawn(interrupt).join().expect("it never waits"));
    };
    pump.half_transfer(&[1; 4], &mut [0; 4]);
    let next = pump.change(|state| state.microphone.begin_read()).expect("one waits");
    let mut heard = [0; 4];
    pump.copy(next, |slot| {
        interrupts(10);
        slot.microphone().load(&mut heard);
        interrupts(20);
    });
    assert_eq!(heard, [1; 4]);
    pump.change(|state| state.microphone.end_read(3));
    let free = pump.change(|state| state.loudspeaker.begin_write(3)).expect("there is room");
    pump.copy(free, |slot| {
        interrupts(30);
        slot.loudspeaker().store(&[7; 4]);
        interrupts(40);
    });
    // What isn't written to its end isn't played.
    assert_eq!(pump.counters().played, 0);
    pump.change(|state| state.loudspeaker.end_write());
    let mut playback = [0; 4];
    pump.half_transfer(&[0; 4], &mut playback);
    assert_eq!(playback, [7; 4]);
}

/// Interrupts at every point of a task's reads and writes, with queues of so many frames.
fn interrupted<const DEPTH: usize>() {
    let pump = Pump::<4, DEPTH>::new();
    let (mut state, mut captured, mut written) = (1u32, 0u16, 0u16);
    let (mut read, mut last_read, mut last_played) = (0u32, 0u16, 0u16);
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    for _ in 0..10_000 {
        let mut some = |most: u32| {
            for _ in 0..random(most) {
                captured += 1;
                let mut playback = [-1; 4];
                pump.half_transfer(&[captured as i16; 4], &mut playback);
                let [first, rest @ ..] = playback;
                assert!(rest.iter().all(|sample| *sample == first), "a frame of two: {playback:?}");
                if first != 0 {
                    assert!(first as u16 > last_played, "{first} behind {last_played}");
                    last_played = first as u16;
                }
            }
        };
        some(3);
        if let Some(next) = pump.change(|state| state.microphone.begin_read()) {
            some(3);
            let mut heard = [0; 4];
            pump.copy(next, |slot| slot.microphone().load(&mut heard));
            some(3);
            pump.change(|state| state.microphone.end_read(DEPTH));
            let [first, rest @ ..] = heard;
            assert!(rest.iter().all(|sample| *sample == first) && first as u16 > last_read, "{heard:?}");
            (last_read, read) = (first as u16, read + 1);
        }
        some(2);
        if let Some(free) = pump.change(|state| state.loudspeaker.begin_write(DEPTH)) {
            written += 1;
            some(2);
            pump.copy(free, |slot| slot.loudspeaker().store(&[written as i16; 4]));
            some(2);
            pump.change(|state| state.loudspeaker.end_write());
        }
    }
    let waiting = pump.change(|state| (state.microphone.waiting, state.loudspeaker.waiting));
    let counters = pump.counters();
    assert_eq!(counters.captured, u32::from(captured));
    assert_eq!(read + counters.overruns + waiting.0 as u32, u32::from(captured), "every frame is read, lost or waits");
    assert_eq!(counters.played + waiting.1 as u32, u32::from(written), "every frame is played or waits");
    assert!(counters.overruns > 1_000 && read > 5_000 && counters.played > 5_000, "{counters:?}");
}

#[test]
fn frames_stay_whole_and_in_order_wherever_interrupts_come() {
    interrupted::<1>();
    interrupted::<2>();
    interrupted::<3>();
}

/// Both ways share their slots.
#[test]
fn frames_of_any_length_lie_beside_each_other() {
    fn both<const FRAME: usize>() {
        let slot = Slot::<FRAME>::new();
        let there: [i16; FRAME] = core::array::from_fn(|n| n as i16 - 3);
        let back = there.map(|sample| i16::MIN + sample.abs());
        slot.microphone().store(&there);
        slot.loudspeaker().store(&back);
        let (mut heard, mut played) = ([0; FRAME], [0; FRAME]);
        slot.microphone().load(&mut heard);
        slot.loudspeaker().load(&mut played);
        assert_eq!((heard, played), (there, back));
    }
    both::<1>();
    both::<2>();
    both::<7>();
    both::<80>();
    both::<441>();
}

/// A second caller in the middle of another's call loses its frame, and nothing else.
#[test]
fn an_interrupt_within_an_interrupt_is_counted() {
    let pump = Pump::<1, 2>::new();
    let mut port = pump.port();
    assert!(is_ready(port.write(&[5])));
    let (free, next) = pump.change(Pump::<1, 2>::begin_half);
    let mut playback = [1];
    pump.half_transfer(&[8], &mut playback);
    assert_eq!((playback, pump.counters().overruns), ([0], 1));
    pump.copy(free.expect("it was there first"), |slot| slot.microphone().store(&[9]));
    pump.copy(next.expect("one waits"), |slot| slot.loudspeaker().load(&mut playback));
    pump.change(|state| {
        state.microphone.end_write();
        state.loudspeaker.end_read(2);
    });
    assert_eq!(playback, [5]);
    let mut heard = [0];
    // The frame that came first is as old as the one that was lost.
    assert_eq!(block_on(port.read(&mut heard)), Err(Overrun { frames: 2 }));
    pump.half_transfer(&[10], &mut [0]);
    assert_eq!((block_on(port.read(&mut heard)), heard), (Ok(()), [10]));
}

#[test]
fn poll_is_pending_without_interrupts() {
    let pump = Pump::<1, 1>::new();
    let mut port = pump.port();
    let mut heard = [0];
    let mut read = pin!(port.read(&mut heard));
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(read.as_mut().poll(&mut context), Poll::Pending);
    pump.half_transfer(&[1], &mut [0]);
    assert_eq!(read.as_mut().poll(&mut context), Poll::Ready(Ok(())));
}
