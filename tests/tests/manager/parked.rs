//! A session without a device: nothing ticks, and sound is there again when it is attached to.

use host_std::manager::Change;
use host_std::session::{CaptureConfig, front_end};

use super::world::{RATE_HZ, pair};

#[test]
fn a_parked_call_is_asked_for_nothing_until_a_report_is_due() {
    let (mut world, dialogs) = pair(|_| {});
    world.change([0, 1], [&dialogs[0], &dialogs[1]], &Change::inactive());
    world.run(500);
    // Parked: no device. What a driver does is left to deadlines alone.
    world.phones[0].front = None;
    let sent = world.phones[0].sent;
    let (mut wakes, parked) = (0, world.now);
    while world.now.since(parked).as_millis() < 60_000 {
        let due = world.phones[0].session.next_deadline(world.now);
        wakes += u32::from(due.is_some_and(|due| due <= world.now));
        world.run(10);
    }
    let reports = world.phones[0].sent - sent;
    println!("a minute parked: {wakes} wakes, {reports} datagrams, of 6,000 ticks");
    // Reports of RTCP, every 2.5 to 7.5 s.
    assert!((8..=30).contains(&reports), "{reports}");
    // And once in a while to consider anew when the next one is due (RFC 3550, 6.3.3).
    assert!(wakes <= 60, "{wakes}");

    world.phones[0].front = Some(front_end(RATE_HZ, 1, &CaptureConfig::default()).unwrap());
    world.at(0, |session, _| session.rest(60 * RATE_HZ as usize));
    world.change([0, 1], [&dialogs[0], &dialogs[1]], &Change::resume());
    world.run(400);
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
    let stats = world.phones[1].session.call(&dialogs[1]).unwrap().stats();
    assert_eq!((stats.total.restarts, stats.total.time_jumps), (0, 0), "the time without sound is a pause: {stats:?}");
}

#[test]
fn what_came_while_there_was_no_device_is_no_delay_afterwards() {
    let (mut world, dialogs) = pair(|_| {});
    // The other side isn't told, and talks on.
    let front = world.phones[0].front.take();
    world.run(10_000);
    world.phones[0].front = front;
    world.at(0, |session, _| session.rest(10 * RATE_HZ as usize));
    world.run(400);
    let early = world.phones[0].delay;
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
    world.run(2_000);
    println!("delay after 400 ms: {early:?}, after 2.4 s: {:?}", world.phones[0].delay);
    assert!(early.as_millis() < 150 && world.phones[0].delay.as_millis() < 60);
    let stats = world.phones[0].session.call(&dialogs[0]).unwrap().stats();
    assert!(stats.receiver.target_delay_ms < 100, "{stats:?}");
}
