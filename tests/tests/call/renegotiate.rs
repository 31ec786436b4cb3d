//! A running call that is changed: hold and resume, new keys, another address, another codec, lost answers, one source
//! after another. After each change both sides are heard again within 200 ms.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::{Direction, SrtpPolicy};
use host_std::session::{Call, CallConfig, Identity, Latching, Transmit};
use media_core_tests::tick::Device;

/// One way through the network.
const WAY: Duration = Duration::from_millis(30);
/// One way of the signalling.
const SIGNAL_MS: u64 = 100;

struct InFlight {
    arrival: Instant,
    from: SocketAddr,
    to: SocketAddr,
    transmit: Transmit,
    bytes: Vec<u8>,
}

/// Two calls that talk without pause.
struct Pair {
    calls: [Call; 2],
    devices: [Device; 2],
    addresses: [SocketAddr; 2],
    now: Instant,
    on_the_way: Vec<InFlight>,
    phase: [f64; 2],
    /// Since when each side has heard the other in every tick.
    heard_since: [Option<Instant>; 2],
    /// Ticks in which each side did not hear the other.
    missed: [u32; 2],
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl Pair {
    /// Connected, and talking for a second.
    fn new(codecs: [&[CodecFormat]; 2], change: impl Fn(&mut CallConfig)) -> Self {
        let call = |side: usize| {
            let opus = OpusEncoderConfig { sample_rate_hz: 16_000, ..OpusEncoderConfig::default() };
            let registry = Registry::builtin().with(Opus(opus));
            let base = CallConfig::with_identity(4_000 + 1_000 * side as u16, Identity::seeded(side as u64 + 5));
            let mut config = CallConfig { codecs: codecs[side].to_vec(), registry, ..base };
            change(&mut config);
            Call::new(config).unwrap()
        };
        let calls = [call(0), call(1)];
        let mut pair = Self {
            devices: calls.each_ref().map(Device::new),
            calls,
            addresses: [address(4_000), address(5_000)],
            now: Instant::from_millis(1),
            on_the_way: Vec::new(),
            phase: [0.0; 2],
            heard_since: [None; 2],
            missed: [0; 2],
        };
        pair.negotiate(0);
        pair.run(1_000);
        pair.assert_heard([true, true]);
        pair
    }

    /// `side` offers; media goes on while the signalling is on its way.
    fn negotiate(&mut self, side: usize) {
        let offer = self.calls[side].offer().unwrap();
        self.run(SIGNAL_MS);
        let answer = self.calls[1 - side].answer(self.now, &offer).unwrap();
        self.run(SIGNAL_MS);
        self.calls[side].accept(self.now, &answer).unwrap();
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.tick();
        }
    }

    fn tick(&mut self) {
        let now = self.now;
        self.on_the_way.sort_by_key(|datagram| datagram.arrival);
        let here = self.on_the_way.partition_point(|datagram| datagram.arrival <= now);
        for mut datagram in self.on_the_way.drain(..here) {
            // A socket that was closed hears nothing.
            if let Some(side) = self.addresses.iter().position(|address| *address == datagram.to) {
                let InFlight { arrival, from, transmit, .. } = datagram;
                self.calls[side].receive(arrival, transmit.channel, from, &mut datagram.bytes);
            }
        }
        for side in 0..2 {
            let (call, phase) = (&mut self.calls[side], &mut self.phase[side]);
            let speech = |pcm: &mut [i16]| {
                let rate_hz = 100 * pcm.len() as u32;
                for sample in pcm {
                    *phase = (*phase + 150.0 / f64::from(rate_hz)).fract();
                    let x = *phase * std::f64::consts::TAU;
                    *sample = ((x.sin() + (2.0 * x).sin() / 2.0 + (5.0 * x).sin() / 3.0) * 5_000.0) as i16;
                }
            };
            let from = self.addresses[side];
            let send = |transmit: Transmit, bytes: &mut [u8]| {
                let (arrival, to) = (now + WAY, transmit.to);
                self.on_the_way.push(InFlight { arrival, from, to, transmit, bytes: bytes.to_vec() });
            };
            let (played, heard) = self.devices[side].tick(call, now, speech, send);
            let peak = heard.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
            // What was queued in the tick before counts as well: only what was made up does not.
            if played.concealed + played.silence == 0 && peak > 1_000 {
                self.heard_since[side].get_or_insert(now);
            } else {
                self.heard_since[side] = None;
                self.missed[side] += 1;
            }
        }
        self.now += Duration::from_millis(10);
    }

    fn assert_heard(&self, wanted: [bool; 2]) {
        assert_eq!(self.heard_since.map(|since| since.is_some()), wanted, "at {} ms", self.now.as_millis());
    }

    /// Both hear each other from 200 ms after now on, for two seconds; returns the ticks that were missed.
    fn assert_heard_again(&mut self, what: &str) {
        let changed = self.now;
        self.run(2_200);
        for side in 0..2 {
            let stats = self.calls[side].stats();
            let since =
                self.heard_since[side].unwrap_or_else(|| panic!("{what}: side {side} hears nothing: {stats:?}"));
            let after = since.since(changed).as_millis();
            assert!(after <= 200, "{what}: side {side} hears after {after} ms: {stats:?}");
        }
    }
}

/// The one side has PCMU, the other PCMA and Opus too.
fn g711(change: impl Fn(&mut CallConfig)) -> Pair {
    Pair::new([&[CodecFormat::pcmu()], &[CodecFormat::pcmu(), CodecFormat::pcma(), CodecFormat::opus()]], change)
}

#[test]
fn hold_and_resume() {
    for (held, hears) in [(Direction::SendOnly, [false, true]), (Direction::Inactive, [false, false])] {
        for hold_ms in [300, 5_000, 90_000] {
            let mut pair = g711(|_| {});
            for side in [0, 1] {
                pair.calls[side].set_direction(held);
                pair.negotiate(side);
                pair.run(1_500.min(hold_ms));
                pair.assert_heard(if side == 0 { hears } else { [hears[1], hears[0]] });
                pair.run(hold_ms);
                pair.calls[side].set_direction(Direction::SendRecv);
                pair.negotiate(side);
                pair.assert_heard_again("resumed");
            }
            let stats = pair.calls.each_ref().map(|call| call.stats());
            assert!(stats.iter().all(|stats| stats.receiver.restarts == 0 && stats.refused == 0), "{stats:?}");
        }
    }
}

#[test]
fn new_keys_of_the_offerer_are_not_heard() {
    let mut pair = g711(|_| {});
    let missed = pair.missed;
    for n in 0..12 {
        pair.calls[n % 2].rekey().unwrap();
        pair.negotiate(n % 2);
        pair.assert_heard_again("new keys");
    }
    assert_eq!(pair.missed, missed, "no tick was lost");
    assert_eq!(pair.calls.each_ref().map(|call| call.stats().refused), [0, 0]);
}

#[test]
fn new_keys_of_the_answerer_cost_what_overtakes_the_answer() {
    let mut pair = g711(|_| {});
    for n in 0..12 {
        let missed = pair.missed;
        pair.calls[1 - n % 2].rekey().unwrap();
        if n % 3 == 0 {
            pair.calls[n % 2].rekey().unwrap();
        }
        pair.negotiate(n % 2);
        pair.assert_heard_again("new keys");
        // Until the answer is here, nobody can know its key: 100 ms of signalling less 30 ms of the media's way.
        assert!(pair.missed[n % 2] - missed[n % 2] <= 10, "{:?} {missed:?}", pair.missed);
        assert_eq!(pair.missed[1 - n % 2], missed[1 - n % 2]);
    }
    assert!(pair.calls.iter().all(|call| call.stats().refused <= 6 * 6));
}

#[test]
fn another_address_is_followed() {
    for policy in [Latching::Strict, Latching::Once, Latching::Relatch] {
        for srtp in [SrtpPolicy::Off, SrtpPolicy::Required] {
            let mut pair = g711(|config| (config.latching, config.srtp) = (policy, srtp));
            for n in 0..4u16 {
                let side = usize::from(n % 2);
                let port = 6_000 + 100 * n;
                pair.calls[side].set_address(address(port).ip(), port);
                let offer = pair.calls[side].offer().unwrap();
                pair.run(SIGNAL_MS);
                let answer = pair.calls[1 - side].answer(pair.now, &offer).unwrap();
                // The other side sends to the new place from now on.
                pair.run(SIGNAL_MS);
                pair.calls[side].accept(pair.now, &answer).unwrap();
                pair.addresses[side] = address(port);
                pair.assert_heard_again("moved");
                assert_eq!(pair.calls[1 - side].negotiated_transport().unwrap().remote_rtp, address(port));
            }
        }
    }
}

#[test]
fn another_codec_of_the_same_sound_costs_nothing() {
    let mut pair = g711(|_| {});
    let missed = pair.missed;
    for codec in [CodecFormat::pcma(), CodecFormat::pcmu(), CodecFormat::pcma()] {
        pair.calls[0].set_codecs(std::slice::from_ref(&codec)).unwrap();
        pair.negotiate(0);
        pair.assert_heard_again("another codec");
        assert_eq!(pair.calls.each_ref().map(|call| call.codec().map(|codec| &codec.name)), [Some(&codec.name); 2]);
    }
    assert_eq!(pair.missed, missed, "no tick was lost");
    let stats = pair.calls.each_ref().map(|call| call.stats());
    assert!(stats.iter().all(|stats| stats.receiver.unknown_payload == 0), "{stats:?}");
}

#[test]
fn another_clock() {
    let mut pair = g711(|_| {});
    for (n, codec) in
        [CodecFormat::opus(), CodecFormat::pcmu(), CodecFormat::opus(), CodecFormat::pcma(), CodecFormat::opus()]
            .into_iter()
            .enumerate()
    {
        pair.calls[0].set_codecs(std::slice::from_ref(&codec)).unwrap();
        pair.negotiate(0);
        pair.assert_heard_again(&format!("{n}: {codec:?}"));
        assert_eq!(pair.calls.each_ref().map(|call| call.codec().map(|codec| &codec.name)), [Some(&codec.name); 2]);
        pair.run(8_000);
        pair.assert_heard([true, true]);
        let stats = pair.calls.each_ref().map(|call| call.stats().receiver);
        assert!(stats.iter().all(|stats| stats.target_delay_ms <= 40), "{codec:?}: {stats:?}");
    }
}

#[test]
fn the_packet_length_may_change() {
    let codecs = [CodecFormat::pcmu(), CodecFormat::l16(8_000, 1)];
    let mut pair = Pair::new([&codecs, &codecs], |_| {});
    pair.calls[1].set_codecs(&[CodecFormat::l16(8_000, 1)]).unwrap();
    pair.negotiate(1);
    pair.assert_heard_again("L16");
}

#[test]
fn an_offer_that_is_never_answered_changes_nothing() {
    let mut pair = g711(|_| {});
    let missed = pair.missed;
    pair.calls[0].rekey().unwrap();
    pair.calls[0].set_codecs(&[CodecFormat::opus(), CodecFormat::pcma()]).unwrap();
    let lost = pair.calls[0].offer().unwrap();
    pair.run(500);
    // The other side has answered, but the answer is lost: what we send is understood, and the offer repeated.
    pair.assert_heard([true, true]);
    assert_eq!(pair.missed, missed);
    assert!(pair.calls[0].accept(pair.now, "v=0").is_err());
    pair.run(500);
    pair.assert_heard([true, true]);
    let answer = pair.calls[1].answer(pair.now, &lost).unwrap();
    pair.calls[0].accept(pair.now, &answer).unwrap();
    pair.assert_heard_again("answered at last");
}

#[test]
fn one_source_after_another() {
    for srtp in [SrtpPolicy::Off, SrtpPolicy::Required] {
        let mut pair = g711(|config| config.srtp = srtp);
        for n in 0..40 {
            pair.calls[0].change_source(pair.now, &Identity::seeded(1_000 + n)).unwrap();
            pair.assert_heard_again(&format!("source {n}"));
        }
        assert_eq!(pair.calls[1].stats().receiver.ssrc_changes, 40);
        // And through all of it: hold, new keys, another address.
        pair.calls[0].set_direction(Direction::SendOnly);
        pair.calls[0].rekey().unwrap();
        pair.negotiate(0);
        pair.run(3_000);
        pair.calls[0].set_direction(Direction::SendRecv);
        pair.calls[1].rekey().unwrap();
        pair.negotiate(1);
        pair.assert_heard_again("after all");
    }
}

/// What could not be answered leaves no trace in what the call says next, and what was refused neither.
#[test]
fn a_useless_offer_and_a_refused_one_leave_what_is_said_as_it_was() {
    let mut pair = g711(|_| {});
    let said = pair.calls[0].refresh().unwrap();
    assert!(pair.calls[0].is_offering() && pair.calls[0].withdraw());
    let call = &mut pair.calls[0];
    let here = call.receives_at();
    // A wish that is taken back: keys of another place must not stay.
    call.set_address(address(6_000).ip(), 6_000);
    assert!(call.answer(pair.now, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n").is_err());
    call.set_address(here.ip(), here.port());
    assert_eq!(call.offer().unwrap(), said);
    call.withdraw();
    call.set_direction(Direction::Inactive);
    call.set_codecs(&[CodecFormat::pcma()]).unwrap();
    call.rekey().unwrap();
    call.add_stream(&[CodecFormat::pcma()]).unwrap();
    let offer = call.offer().unwrap();
    assert!(offer.contains("PCMA") && offer.contains("a=inactive"), "{offer}");
    assert!(call.withdraw() && !call.withdraw());
    assert_eq!((call.stream_count(), call.wanted_direction(0)), (1, Some(Direction::SendRecv)));
    assert_eq!((call.refresh().unwrap(), call.offer().unwrap()), (said.clone(), said));
    pair.run(500);
    pair.assert_heard([true, true]);
}
