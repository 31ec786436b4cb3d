//! After construction a call allocates nothing: two calls exchange 10,000 packets over a bad network, with an SSRC change,
//! redundancy and RTCP with VoIP metrics, while an allocator counts. It also prints what a call keeps on the heap.

mod pair;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::num::NonZeroU16;

use dsp_core::codec::Adaptation;
use dsp_core::receive::Played;
use dsp_core::send::KeyPress;
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::tone::Digit;
use dsp_core::wire::DatagramKind;
use host_std::player::{Blend, Player};
use host_std::record::fork::{Forked, fork};
use host_std::record::recorder::{Recorder, RecorderConfig};
use host_std::registry::CodecFormat;
use host_std::room::{Room, RoomConfig};
use host_std::session::{
    AdaptationConfig, Call, CallConfig, Channel, Contributors, IceConfig, IceMode, Identity, Tap, TurnServer,
    TurnTransport,
};
use media_core_tests::turn_server::{PASSWORD, Passed, TurnModel, USER};

use pair::{ADDRESSES, ASKED, Pair, Seen};

/// Counts what each thread allocates: tests run side by side.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + u64::from(bytes > 0));
    LIVE_BYTES.set(LIVE_BYTES.get() + bytes);
}

// SAFETY: every call is handed on to the system's allocator unchanged; counting itself doesn't allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many packets a budget for several sources cost.
fn run(codec: CodecFormat, channels: u8, sources: usize, streams: usize) -> u32 {
    run_at(None, codec, channels, sources, streams)
}

/// The same with a device of that sound, or of the codec's own.
fn run_at(sound: Option<(u32, u8)>, codec: CodecFormat, channels: u8, sources: usize, streams: usize) -> u32 {
    let mut pair = Pair::new(codec.clone(), channels, sources, streams, sound, None);
    let (mut now, mut digits) = (Instant::ZERO, 0);
    while pair.packets < 10_000 * streams as u32 {
        if now == Instant::from_millis(40_000) {
            pair.calls[0].change_source(now, &Identity::seeded(9)).unwrap();
        }
        // Now and then it follows the network.
        if now.as_micros().is_multiple_of(1_000_000) && (streams > 1 || codec.is_named("opus")) {
            let shorter = now.as_micros().is_multiple_of(2_000_000);
            let wanted = Adaptation::default().with_bit_rate(24_000).with_expected_loss(10);
            let wanted = wanted.with_packet_ms(if shorter { 10 } else { 20 });
            let taken = pair.counted(0, |call| call.adapt(&wanted)).unwrap();
            assert!(taken.packet_ms.is_some() && taken.bit_rate_bps.is_some() == codec.is_named("opus"));
        }
        if now.as_micros() % 6_000_000 == 2_000_000 {
            let keys = [Digit::One, Digit::Pound].map(|digit| KeyPress::of(digit.into()));
            for side in 0..2 {
                pair.counted(side, |call| call.send_digits(&keys)).unwrap();
            }
        }
        if streams > 1 {
            let mut contributors = Contributors::default();
            for source in 0..now.as_millis() / 1_000 % 20 {
                contributors.push_loudest(Ssrc(source as u32), -30);
            }
            pair.counted(1, |call| call.set_contributors(0, &contributors));
        }
        pair.tick(now);
        for side in 0..2 {
            digits += u32::from(pair.counted(side, Call::next_digit).is_some());
        }
        now += Duration::from_millis(10);
    }
    let mut datagram = [0; 1_500];
    assert!(
        pair.counted(0, |call| {
            call.hang_up();
            call.transmit(now, &mut datagram)
        })
        .is_some()
    );
    let [first, second] = [0, 1].map(|side| pair.calls[side].stats());
    println!("{codec}: {} packets, {} reports, {} allocations", pair.packets, pair.reports, pair.allocations);
    assert_eq!(pair.allocations, 0);
    // All of it has happened.
    assert!(pair.reports > 10);
    assert!(digits > 40, "{digits}");
    if streams > 1 {
        let feedback = first.feedback.unwrap();
        assert!(feedback.arrived > 5_000 && feedback.lost > 300 && feedback.messages > 100, "{feedback:?}");
        let source = pair.calls[0].sources().next().unwrap();
        assert!(source.level.is_some() && !source.contributors.is_empty(), "{source:?}");
        assert!(ASKED.get() > 20_000, "the strategy was asked");
        for front in pair.fronts.iter_mut().flatten() {
            assert!(front.block(0).is_some_and(|block| block.echo().is_some()), "the canceller has run");
        }
        for call in &pair.calls {
            let heard = [0, 1].map(|stream| call.stream_stats(stream).unwrap().receiver.decoded_packets);
            assert!(heard.iter().all(|packets| *packets > 1_000), "{heard:?}");
            let told = call.tap::<Seen>().unwrap();
            assert!(told.packets > 9_000 && told.samples > 0, "the tap sees all");
            let noise = [0, 1].map(|stream| call.stream_stats(stream).unwrap().sender.noise_packets);
            assert!(noise.iter().all(|packets| *packets > 0), "the detector was heard: {noise:?}");
        }
    }
    if sources == 1 {
        assert_eq!(second.receiver.ssrc_changes, 1);
    } else {
        // The one before has said goodbye.
        assert_eq!((second.sources.admitted, second.sources.left, pair.calls[1].sources().count()), (2, 1, 1));
    }
    // Of several sources the first has ended long ago.
    for stats in [first, second].into_iter().take(if sources == 1 { 2 } else { 1 }) {
        let heard = stats.receiver;
        assert!(
            heard.duplicate + stats.refused > 50 && heard.reception.reordered > 50 && heard.concealed_samples > 1_000,
            "{heard:?}"
        );
        assert!(heard.redundant_used > 100 && stats.mos_cq.is_some(), "{stats:?}");
        // Metrics are about the first source, which is the other side's old one here.
        assert!(stats.remote_voip.is_some() || sources > 1, "{stats:?}");
        // Where a digit is, there is no sound.
        assert!(heard.decoded_samples * 10 > (heard.played_samples - heard.silence_samples) * 7, "{heard:?}");
        assert_eq!((stats.foreign, stats.send_errors), (0, 0));
    }
    first.receiver.crowded_out + second.receiver.crowded_out
}

#[test]
fn pcmu_allocates_nothing() {
    run(CodecFormat::pcmu(), 1, 1, 1);
}

#[test]
fn l16_allocates_nothing() {
    run(CodecFormat::l16(16_000, 1), 1, 1, 1);
}

#[test]
fn opus_allocates_nothing() {
    run(CodecFormat::opus(), 1, 1, 1);
}

/// Bit rate, packet length and redundancy change with what a narrow link carries, by reports.
#[test]
fn a_call_that_follows_the_network_allocates_nothing() {
    let mut pair = Pair::new(CodecFormat::opus(), 1, 1, 1, None, Some(AdaptationConfig::default()));
    let mut lengths = Vec::new();
    for tick in 0..12_000 {
        pair.tick(Instant::from_millis(10 * tick));
        let taken = pair.calls[0].stats().adaptation.unwrap().taken;
        if lengths.last() != Some(&taken.packet_ms) {
            lengths.push(taken.packet_ms);
        }
    }
    println!("{} allocations; packets of {lengths:?} ms", pair.allocations);
    assert!(lengths.iter().flatten().any(|&ms| ms > 20), "no packet became longer than at first");
    assert_eq!(pair.allocations, 0);
}

/// A source comes in mid-call, beside the one that is heard; now and then the budget is too small.
#[test]
fn several_sources_allocate_nothing() {
    assert!(run(CodecFormat::l16(16_000, 1), 1, 3, 1) > 100);
}

/// Two streams over one port, an echo canceller with every part, all parts that a user can make, a block that looks back on
/// the far end among them, and a tap.
#[test]
fn two_streams_with_own_parts_and_a_tap_allocate_nothing() {
    run(CodecFormat::l16(16_000, 1), 1, 1, 2);
}

/// The checks of ICE are another crate's, which makes each message on the heap: two or three times in five seconds. Packets
/// of sound between them allocate nothing.
#[test]
fn between_connectivity_checks_nothing_is_allocated() {
    let mut calls = [0, 1].map(|side: usize| {
        let base = CallConfig::with_identity(ADDRESSES[side].port(), Identity::seeded(side as u64));
        let ice = IceConfig { mode: IceMode::Full, ..IceConfig::default() };
        Call::new(CallConfig { codecs: vec![CodecFormat::pcmu()], ice, ..base }).unwrap()
    });
    let offer = calls[0].offer().unwrap();
    let answer = calls[1].answer(Instant::ZERO, &offer).unwrap();
    calls[0].accept(Instant::ZERO, &answer).unwrap();
    let (mut pcm, mut datagram, mut now) = ([0; 80], [0; 1_500], Instant::ZERO);
    let (mut of_checks, mut checks, mut packets) = (0, 0, 0);
    for tick in 0..7_000u32 {
        for side in 0..2 {
            let before = ALLOCATIONS.get();
            calls[side].play(now, &mut pcm);
            pcm.iter_mut().zip(0..).for_each(|(sample, n)| *sample = (n * 311 + tick as i32 % 97) as i16);
            calls[side].capture(now, &pcm);
            let mut of_others = ALLOCATIONS.get() - before;
            loop {
                let before = ALLOCATIONS.get();
                let transmit = calls[side].transmit(now, &mut datagram);
                let is_check =
                    transmit.is_some_and(|sent| DatagramKind::of(&datagram[..sent.len]) == DatagramKind::Stun);
                if let Some(transmit) = transmit {
                    calls[1 - side].receive(now, transmit.channel, ADDRESSES[side], &mut datagram[..transmit.len]);
                }
                let allocated = ALLOCATIONS.get() - before;
                // The first seconds set up the call.
                match (tick < 1_000, is_check) {
                    (true, _) => of_others = 0,
                    (false, true) => (of_checks, checks) = (of_checks + allocated, checks + 1),
                    (false, false) => {
                        (of_others, packets) = (of_others + allocated, packets + u32::from(transmit.is_some()))
                    }
                }
                if transmit.is_none() {
                    break;
                }
            }
            assert_eq!(of_others, 0, "tick {tick} of side {side}");
        }
        now += Duration::from_millis(10);
    }
    println!("{checks} checks and answers in 60 s: {of_checks} allocations; {packets} packets: none");
    assert!(packets > 5_900 && (40..=70).contains(&checks), "{packets} {checks}");
    let bound = 40 * checks;
    assert!(of_checks > 0 && of_checks <= bound, "{of_checks} of {checks} checks");
}

/// As above, through a TURN server: what is asked of it may allocate, and no packet.
#[test]
fn through_a_turn_server_packets_allocate_nothing() {
    let server: SocketAddr = "198.51.100.7:3478".parse().unwrap();
    let mut model = TurnModel::new(server);
    let mut calls = [0, 1].map(|side| {
        let base = CallConfig::with_identity(ADDRESSES[side].port(), Identity::seeded(side as u64 + 50));
        let mut ice = IceConfig { mode: IceMode::Full, ..IceConfig::default() };
        if side == 0 {
            ice.relay_only = true;
            let (user, password) = (USER.into(), PASSWORD.into());
            ice.turn.push(TurnServer { address: server, transport: TurnTransport::Udp, user, password });
        }
        Call::new(CallConfig { codecs: vec![CodecFormat::pcmu()], ice, ..base }).unwrap()
    });
    let (mut pcm, mut datagram, mut now) = ([0; 80], [0; 1_500], Instant::ZERO);
    let (mut packets, mut of_server) = (0, 0u64);
    for tick in 0..35_000u32 {
        if tick == 100 {
            let offer = calls[0].offer().unwrap();
            let answer = calls[1].answer(now, &offer).unwrap();
            calls[0].accept(now, &answer).unwrap();
        }
        for side in 0..2 {
            let before = ALLOCATIONS.get();
            calls[side].play(now, &mut pcm);
            pcm.iter_mut().zip(0..).for_each(|(sample, n)| *sample = (n * 311 + tick as i32 % 97) as i16);
            calls[side].capture(now, &pcm);
            let mut of_packets = ALLOCATIONS.get() - before;
            loop {
                let before = ALLOCATIONS.get();
                let sent = calls[side].transmit(now, &mut datagram);
                let allocated = ALLOCATIONS.get() - before;
                let Some(transmit) = sent else { break };
                let bytes = &datagram[..transmit.len];
                // Sound has a channel on one side, and none on the other.
                let inner = if bytes[0] & 0xc0 == 0x40 { &bytes[4..] } else { bytes };
                let is_packet = DatagramKind::of(inner) != DatagramKind::Stun;
                let from = ADDRESSES[side];
                let passed = match model.take_for_relayed(now, from, transmit.to, bytes) {
                    _ if transmit.to == server => model.take(now, from, bytes),
                    Some(passed) => passed,
                    None => panic!("a direct way: {transmit:?}"),
                };
                let mut received = 0;
                for Passed { from, to, mut bytes } in passed {
                    let Some(to) = ADDRESSES.iter().position(|own| *own == to) else { continue };
                    let before = ALLOCATIONS.get();
                    calls[to].receive(now, Channel::Rtp, from, &mut bytes);
                    received += ALLOCATIONS.get() - before;
                }
                if is_packet {
                    of_packets += allocated + received;
                    packets += u32::from(tick >= 1_000);
                } else {
                    of_server += allocated + received;
                }
            }
            assert!(tick < 1_000 || of_packets == 0, "tick {tick} of side {side}: {of_packets}");
        }
        now += Duration::from_millis(10);
    }
    println!("{packets} packets: none; checks, and questions to the server: {of_server} allocations");
    assert!(packets > 33_900 && model.count(8)[0] >= 2 && model.by_indication < 20, "{packets} {:?}", model.count(8));
}

/// The counter counts: a test that can't fail proves nothing.
#[test]
fn an_allocation_is_seen() {
    let before = (ALLOCATIONS.get(), LIVE_BYTES.get());
    let bytes = std::hint::black_box(vec![1u8; 1_000]);
    assert_eq!((ALLOCATIONS.get(), LIVE_BYTES.get()), (before.0 + 1, before.1 + 1_000));
    drop(bytes);
    assert_eq!(LIVE_BYTES.get(), before.1);
}

#[test]
fn stereo_allocates_nothing() {
    run(CodecFormat::l16(8_000, 2), 2, 1, 1);
    run(CodecFormat::opus(), 2, 1, 1);
    run(CodecFormat::opus(), 2, 3, 1);
}

/// A device of another rate than the call's, so that all that is heard and said is resampled; in mono and in stereo.
#[test]
fn a_converting_device_allocates_nothing() {
    for codec in [CodecFormat::opus(), CodecFormat::l16(16_000, 1), CodecFormat::g722(), CodecFormat::pcmu()] {
        run_at(Some((44_100, 1)), codec, 1, 1, 1);
    }
    run_at(Some((44_100, 2)), CodecFormat::l16(8_000, 2), 2, 1, 1);
}

/// A room whose members talk, with an announcement, a recording and a fork, after all have joined.
#[test]
fn a_room_its_recording_and_a_fork_allocate_nothing() {
    let mut room = Room::new(RoomConfig { sample_rate_hz: 16_000, capacity: 5, loudest: NonZeroU16::new(2) }).unwrap();
    let members = [room.join().unwrap(), room.join().unwrap(), room.join().unwrap()];
    let path = std::env::temp_dir().join(format!("media-core-{}-no-alloc.wav", std::process::id()));
    let config = RecorderConfig { tracks: 2, ..RecorderConfig::new(&path) };
    let (recorder, mut tracks) = Recorder::start(config).unwrap();
    room.set_track(tracks.pop());
    room.set_member_track(members[0], tracks.pop()).unwrap();
    room.announce(Player::of_samples(vec![500; 16_000], 1, false)).unwrap();
    room.announce_to(members[1], Player::of_samples(vec![300; 8_000], 1, true), Blend::Mixed).unwrap();
    let (mut tap, reader) = fork(Forked::Both, 16_000);
    let (mut heard, mut loud) = ([0; 160], [0; 160]);
    let before = ALLOCATIONS.get();
    for tick in 0..300u64 {
        let now = Instant::from_millis(10 * tick);
        for (n, member) in members.iter().enumerate() {
            let talks = tick / 50 % 3 == n as u64;
            loud.iter_mut().enumerate().for_each(|(at, x)| *x = if talks { (at as i16 % 40 - 20) * 1_500 } else { 3 });
            assert!(room.say(*member, &loud));
        }
        room.set_muted(members[2], tick % 100 > 90).unwrap();
        room.mix();
        for member in members {
            assert!(room.hear(member, &mut heard));
        }
        tap.captured(now, 0, &heard);
        tap.played(now, 0, &Played::default(), &heard);
    }
    assert_eq!(ALLOCATIONS.get(), before);
    assert!(reader.dropped() > 100, "a fork that nobody reads drops");
    recorder.stop().unwrap();
    std::fs::remove_file(path).unwrap();
}
