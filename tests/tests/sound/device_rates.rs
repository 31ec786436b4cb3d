//! A device of any rate, mono or stereo, at a call of any codec: a tick of 10 ms is a tick of 10 ms, levels are kept, and no
//! change of the codec in the running call is a click, at the device or in what leaves.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::session::{Call, CallConfig, CallError, Identity, Transmit};
use media_core_tests::tick::Device;

/// One way through the network.
const WAY: Duration = Duration::from_millis(30);
/// What is said: a sine that a codec of 8 kHz has too.
const HZ: f64 = 440.0;
const LEVEL: f64 = 8_000.0;

struct InFlight {
    arrival: Instant,
    from: SocketAddr,
    transmit: Transmit,
    bytes: Vec<u8>,
}

/// Two calls that say a sine to each other, each with a device of its own.
struct Pair {
    calls: [Call; 2],
    devices: [Device; 2],
    sounds: [(u32, u8); 2],
    /// What each device has played, interleaved.
    heard: [Vec<i16>; 2],
    said: [u64; 2],
    addresses: [SocketAddr; 2],
    now: Instant,
    on_the_way: Vec<InFlight>,
}

fn registry(channels: u8) -> Registry {
    Registry::builtin().with(Opus(OpusEncoderConfig { channels, ..OpusEncoderConfig::default() }))
}

impl Pair {
    fn new(sounds: [(u32, u8); 2], codecs: &[CodecFormat], channels: u8) -> Self {
        let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let call = |side: usize| {
            let base = CallConfig::with_identity(addresses[side].port(), Identity::seeded(side as u64 + 5));
            let (codecs, registry, sound) = (codecs.to_vec(), registry(channels), Some(sounds[side]));
            Call::new(CallConfig { codecs, registry, sound, ..base }).unwrap()
        };
        let calls = [call(0), call(1)];
        for (call, sound) in calls.iter().zip(sounds) {
            assert_eq!(
                (call.sample_rate_hz(), call.channels()),
                (Some(sound.0), Some(sound.1)),
                "before it is agreed on"
            );
        }
        let devices = calls.each_ref().map(Device::new);
        let (heard, now) = ([Vec::new(), Vec::new()], Instant::from_millis(1));
        let mut pair = Self { calls, devices, sounds, heard, said: [0; 2], addresses, now, on_the_way: Vec::new() };
        pair.negotiate();
        pair
    }

    fn negotiate(&mut self) {
        let offer = self.calls[0].offer().unwrap();
        let answer = self.calls[1].answer(self.now, &offer).unwrap();
        self.calls[0].accept(self.now, &answer).unwrap();
    }

    fn change(&mut self, codec: &CodecFormat) {
        for call in &mut self.calls {
            call.set_codecs(std::slice::from_ref(codec)).unwrap();
        }
        self.negotiate();
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
            let InFlight { arrival, from, transmit, .. } = datagram;
            let side = usize::from(transmit.to == self.addresses[1]);
            self.calls[side].receive(arrival, transmit.channel, from, &mut datagram.bytes);
        }
        for side in 0..2 {
            let ((rate_hz, channels), said) = (self.sounds[side], &mut self.said[side]);
            let speak = |pcm: &mut [i16]| {
                for frame in pcm.chunks_mut(channels.into()) {
                    let x = *said as f64 / f64::from(rate_hz) * HZ * std::f64::consts::TAU;
                    frame.fill((x.sin() * LEVEL).round() as i16);
                    *said += 1;
                }
            };
            let from = self.addresses[side];
            let send = |transmit: Transmit, bytes: &mut [u8]| {
                self.on_the_way.push(InFlight { arrival: now + WAY, from, transmit, bytes: bytes.to_vec() });
            };
            let (_, heard) = self.devices[side].tick(&mut self.calls[side], now, speak, send);
            assert_eq!(heard.len(), rate_hz as usize / 100 * usize::from(channels));
            self.heard[side].extend_from_slice(heard);
        }
        self.now += Duration::from_millis(10);
    }

    /// The largest step of what `side` heard between two moments in ms, and the largest that the sine itself has.
    fn steps(&self, side: usize, from_ms: usize, to_ms: usize) -> (u32, f64, usize) {
        let (rate_hz, channels) = self.sounds[side];
        let at = |ms: usize| ms * rate_hz as usize / 1_000 * usize::from(channels);
        let heard = &self.heard[side][at(from_ms)..at(to_ms)];
        let steps = heard.iter().zip(&heard[usize::from(channels)..]).map(|(a, b)| u32::from(a.abs_diff(*b)));
        let (place, largest) = steps.enumerate().max_by_key(|(_, step)| *step).unwrap();
        let own = LEVEL * HZ * std::f64::consts::TAU / f64::from(rate_hz);
        (largest, own, from_ms + place * 1_000 / rate_hz as usize / usize::from(channels))
    }

    fn level(&self, side: usize, from_ms: usize, to_ms: usize) -> f64 {
        let (rate_hz, channels) = self.sounds[side];
        let at = |ms: usize| ms * rate_hz as usize / 1_000 * usize::from(channels);
        let heard = &self.heard[side][at(from_ms)..at(to_ms)];
        let power = heard.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / heard.len() as f64;
        power.sqrt() * 2f64.sqrt()
    }
}

/// Over every device and every change of codec, both ways.
#[test]
fn any_device_serves_any_codec_and_a_change_is_no_click() {
    let devices = [(44_100, 1), (44_100, 2), (48_000, 1), (48_000, 2), (8_000, 1), (32_000, 2)];
    for (n, sound) in devices.into_iter().enumerate() {
        let sounds = [sound, devices[(n + 1) % devices.len()]];
        let channels = 1 + n as u8 % 2;
        let codecs = [
            CodecFormat::pcmu(),
            CodecFormat::opus(),
            CodecFormat::g722(),
            CodecFormat::l16(44_100, channels),
            CodecFormat::pcmu(),
            CodecFormat::l16(8_000, channels),
        ];
        let mut pair = Pair::new(sounds, &codecs[..1], channels);
        pair.run(1_000);
        for codec in &codecs[1..] {
            pair.change(codec);
            assert!(pair.calls[0].codec().unwrap().is_named(&codec.name));
            for (call, sound) in pair.calls.iter().zip(sounds) {
                assert_eq!((call.sample_rate_hz(), call.channels()), (Some(sound.0), Some(sound.1)));
            }
            pair.run(1_000);
        }
        for (side, sound) in sounds.into_iter().enumerate() {
            // Steady sound of each codec at its level,
            for (turn, codec) in codecs.iter().enumerate() {
                let level = pair.level(side, turn * 1_000 + 600, turn * 1_000 + 1_000);
                assert!((level / LEVEL - 1.0).abs() < 0.05, "{codec} at {:?}: {level:.0}", sound);
            }
            // and never a step larger than its own, but for what G.711 makes of it.
            let (largest, own, at) = pair.steps(side, 300, codecs.len() * 1_000);
            let stats = pair.calls[side].stats();
            println!("{:?}: largest step {largest} at {at} ms, the sine's {own:.0}", sound);
            assert!(f64::from(largest) < own * 1.1 + 25.0, "{:?}: {largest} at {at} ms, {own:.0}", sound);
            assert_eq!(stats.unaccounted(), [0; 5], "{stats:?}");
        }
    }
}

#[test]
fn sound_that_no_device_has_is_refused_in_words() {
    let base = CallConfig::with_identity(4_000, Identity::seeded(1));
    for sound in [(7_999, 1), (48_001, 1), (96_000, 2), (16_000, 0), (16_000, 3)] {
        let Err(error) = Call::new(CallConfig { sound: Some(sound), ..base.clone() }) else { panic!("{sound:?}") };
        assert!(matches!(error, CallError::Sound { .. }));
        assert!(error.to_string().contains("8 to 48 kHz"), "{error}");
        let mut call = Call::new(base.clone()).unwrap();
        assert!(call.set_sound(Some(sound)).is_err());
        assert_eq!(call.sample_rate_hz(), None, "nothing has changed");
    }
}
