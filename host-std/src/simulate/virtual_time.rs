//! Two calls over a simulated network in virtual time: faster than real time, and with the same seed the same bits.
//!
//! Use it in tests and measurements of whole calls. A conference is run by [`callers`](super::callers),
//! and calls with real sockets by [`proxy`](super::proxy).
//!
//! Three seconds of a call over a bad network, which are the same each time:
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::session::{Call, CallConfig, Identity};
//! use host_std::simulate::netsim::NetworkConfig;
//! use host_std::simulate::virtual_time::VirtualTime;
//!
//! let run = || -> Result<_, Box<dyn std::error::Error>> {
//!     let call = |port| Call::new(CallConfig::with_identity(port, Identity::seeded(port.into())));
//!     let addresses = ["127.0.0.1:4000".parse()?, "127.0.0.1:5000".parse()?];
//!     let network = NetworkConfig { loss_percent: 10.0, jitter_ms: 20.0, ..NetworkConfig::default() };
//!     let mut two = VirtualTime::connect([call(4000)?, call(5000)?], addresses, network, 50.0, 1)?;
//!     two.ends[0].speech = vec![1_000; 48_000];
//!     two.run_until(Instant::from_millis(3_000));
//!     Ok(two.ends[1].call.stats().receiver)
//! };
//! let heard = run()?;
//! assert!(heard.total.lost() > 0 && heard.concealed_samples > 0);
//! assert_eq!(run()?, heard);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Both sides do the same as a driver on a real machine, in the same order: datagrams as they arrive, and every 10 ms an audio
//! tick that plays, captures the 10 ms that have passed, sends finished packets and reports that are due. The second side's audio
//! clock may run fast or slow against the first's.

use std::net::SocketAddr;

use dsp_core::front::Step;
use dsp_core::time::{Duration, Instant};

use crate::session::{self, Call, CallError, Channel, HostFront, Transmit};
use crate::simulate::ambience::Ambience;
use crate::simulate::bottleneck::{Bottleneck, BottleneckConfig};
use crate::simulate::in_flight::InFlight;
use crate::simulate::netsim::{Network, NetworkConfig};
use crate::simulate::room::AcousticRoom;

/// The length of an audio tick in ms: a usual device period, and half of a usual packet.
pub const TICK_MS: u32 = session::TICK_MS;
/// The second side's ticks fall between the first's.
const PHASE_US: f64 = 3_700.0;
/// Room for a datagram: L16 at 48 kHz, stereo, in packets of 60 ms and all smaller ones.
const DATAGRAM_BYTES: usize = 12_288;

/// One side of [`VirtualTime`]: a call, its device, and the speech into it.
pub struct End {
    /// The call.
    pub call: Call,
    /// The user's speech, at the call's rate and with its channels, from media time 0 on. It is repeated when it ends.
    pub speech: Vec<i16>,
    /// The device side: gains, levels and the capture chain.
    pub front: Box<HostFront>,
    /// The room from loudspeaker to microphone, at the call's rate and with its channels. `None` is a headset.
    pub room: Option<AcousticRoom>,
    /// The noise around the microphone, at the call's rate and with its channels.
    pub ambience: Option<Ambience>,
    address: SocketAddr,
    rate_hz: u32,
    channels: u8,
    ppm: f64,
    phase_us: f64,
    tick: u64,
    spoken: usize,
}

/// Two calls and the network between them.
///
/// [The module's page](self) has an example.
pub struct VirtualTime {
    /// The offerer and the answerer.
    pub ends: [End; 2],
    networks: [Network; 2],
    /// The datagrams on their way to a side, with the sender's address, for one of its ports.
    in_flight: InFlight<(usize, SocketAddr, Channel)>,
}

impl VirtualTime {
    /// Lets the first call offer and the second answer, and connects them by the network. `drift_ppm` is how much faster the audio
    /// clock of the second side runs, in parts per million.
    ///
    /// # Errors
    /// A [`CallError`] that says why the two calls can't agree, or why their sound can't be made.
    pub fn connect(
        mut calls: [Call; 2],
        addresses: [SocketAddr; 2],
        network: NetworkConfig,
        drift_ppm: f64,
        seed: u64,
    ) -> Result<Self, CallError> {
        let offer = calls[0].offer()?;
        let answer = calls[1].answer(Instant::ZERO, &offer)?;
        calls[0].accept(Instant::ZERO, &answer)?;
        Self::agreed(calls, addresses, network, drift_ppm, seed)
    }

    /// Does the same as [`connect`](Self::connect), for two calls that have agreed already.
    ///
    /// # Errors
    /// [`CallError::Sound`] or [`CallError::Conversion`] if a call's sound can't be set, [`CallError::Front`] if its device side can't
    /// be made.
    pub fn agreed(
        calls: [Call; 2],
        addresses: [SocketAddr; 2],
        network: NetworkConfig,
        drift_ppm: f64,
        seed: u64,
    ) -> Result<Self, CallError> {
        let [first, second] = calls;
        let end = |mut call: Call, address, ppm, phase_us| -> Result<End, CallError> {
            let (rate_hz, channels) = (call.sample_rate_hz().unwrap_or(8_000), call.channels().unwrap_or(1));
            // The device stays, whatever is agreed on later.
            call.set_sound(Some((rate_hz, channels)))?;
            let front = call.front_end().map_err(CallError::Front)?;
            Ok(End {
                call,
                speech: Vec::new(),
                front,
                room: None,
                ambience: None,
                address,
                rate_hz,
                channels,
                ppm,
                phase_us,
                tick: 0,
                spoken: 0,
            })
        };
        Ok(Self {
            ends: [end(first, addresses[0], 0.0, 0.0)?, end(second, addresses[1], drift_ppm, PHASE_US)?],
            networks: [Network::new(network, seed), Network::new(network, seed ^ 0x9e37_79b9_7f4a_7c15)],
            in_flight: InFlight::default(),
        })
    }

    /// Puts a narrow link in front of the network from each side to the other.
    pub fn set_bottlenecks(&mut self, config: BottleneckConfig) {
        self.networks = self.networks.clone().map(|network| network.behind(Bottleneck::new(config)));
    }

    /// Another network from this side to the other from now on, with the narrow link that was there.
    pub fn set_network(&mut self, side: usize, config: NetworkConfig) {
        self.networks[side].set_config(config);
    }

    /// The network from this side to the other.
    pub fn network(&self, side: usize) -> &Network {
        &self.networks[side]
    }

    /// Runs until `end`, in order of time; may be called again with a later one.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            let ticks = [self.ends[0].next_tick(), self.ends[1].next_tick()];
            let side = usize::from(ticks[1] < ticks[0]);
            let arrival = self.in_flight.next_arrival();
            match arrival {
                Some(arrival) if arrival <= ticks[side] && arrival < end => self.arrive(),
                _ if ticks[side] < end => self.tick(side, ticks[side]),
                _ => return,
            }
        }
    }

    fn arrive(&mut self) {
        let Some(mut datagram) = self.in_flight.take() else { return };
        let (side, from, channel) = datagram.to;
        self.ends[side].call.receive(datagram.arrival, channel, from, &mut datagram.bytes);
    }

    fn tick(&mut self, side: usize, now: Instant) {
        let mut datagram = [0u8; DATAGRAM_BYTES];
        let End { call, speech, front, room, ambience, rate_hz, tick, spoken, .. } = &mut self.ends[side];
        let samples = session::tick_samples(*rate_hz, *tick);
        // There is room for every tick of a call.
        let begun = front.begin(now, samples, *tick > 0);
        debug_assert!(begun.is_ok(), "{begun:?}");
        *tick += 1;
        let mut sent = Vec::new();
        while let Some(step) = front.step(call, &mut datagram) {
            match step {
                Step::Loudspeaker { pcm, .. } => {
                    if let Some(room) = room {
                        room.play(pcm);
                    }
                }
                Step::Microphone(microphone) => {
                    speak(speech, spoken, microphone.pcm);
                    if let Some(room) = room {
                        room.capture(microphone.pcm);
                    }
                    if let Some(ambience) = ambience {
                        ambience.capture(microphone.pcm);
                    }
                }
                Step::Transmit(transmit) => sent.push((transmit, datagram[..transmit.len].to_vec())),
            }
        }
        call.tell_echo(now, front);
        for (transmit, datagram) in sent {
            self.send(side, now, transmit, &datagram);
        }
    }

    fn send(&mut self, side: usize, now: Instant, transmit: Transmit, datagram: &[u8]) {
        let mut from = self.ends[side].address;
        from.set_port(from.port() + u16::from(transmit.channel == Channel::Rtcp));
        let to = (1 - side, from, transmit.channel);
        self.in_flight.send(&mut self.networks[side], now, to, &datagram[..transmit.len]);
    }
}

impl End {
    fn next_tick(&self) -> Instant {
        let period_us = f64::from(TICK_MS) * 1_000.0 / (1.0 + self.ppm * 1e-6);
        Instant::from_micros((self.phase_us + self.tick as f64 * period_us) as u64)
    }

    /// Rate of the sound, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Channels of the sound.
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// Returns the end of this side's next tick: the progress of its media time.
    pub fn media_time(&self) -> Duration {
        Duration::from_millis(self.tick * u64::from(TICK_MS))
    }
}

/// Copies the next speech, from the start again when it ends.
fn speak(speech: &[i16], spoken: &mut usize, pcm: &mut [i16]) {
    if speech.is_empty() {
        pcm.fill(0);
        return;
    }
    for sample in pcm {
        *sample = speech[*spoken];
        *spoken = (*spoken + 1) % speech.len();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use dsp_core::front::{CaptureBlock, Near};
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    use super::*;
    use crate::registry::CodecFormat;
    use crate::session::{CallConfig, OwnBlock};
    use crate::simulate::room::AcousticRoomConfig;

    /// Notes each frame, and what the loudspeaker played as long before it as the room's delay.
    struct Listener(Arc<Mutex<(Vec<i16>, Vec<i16>)>>);

    impl CaptureBlock<i16> for Listener {
        fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
            let mut far = vec![0; frame.len()];
            near.render.read(near.captured_at - Duration::from_millis(DELAY_MS), near.channel, &mut far);
            let mut heard = self.0.lock().unwrap();
            heard.0.extend_from_slice(frame);
            heard.1.extend(far);
        }
        fn reset(&mut self) {}
        fn delay_samples(&self) -> usize {
            0
        }
    }

    const DELAY_MS: u64 = 35;

    /// The frames of the first side's microphone, and what its loudspeaker played so long before; the second side speaks.
    fn heard(room: Option<AcousticRoomConfig>, drift_ppm: f64) -> (Vec<i16>, Vec<i16>) {
        let heard = Arc::new(Mutex::new(Default::default()));
        let listener = heard.clone();
        let codecs = vec![CodecFormat::pcmu()];
        let capture = OwnBlock::new(move |_| Box::new(Listener(listener.clone()))).into();
        let calls = [
            Call::new(CallConfig { codecs: codecs.clone(), capture, ..CallConfig::new(4_000).unwrap() }).unwrap(),
            Call::new(CallConfig { codecs, ..CallConfig::new(5_000).unwrap() }).unwrap(),
        ];
        let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut pair = VirtualTime::connect(calls, addresses, NetworkConfig::default(), drift_ppm, 1).unwrap();
        // White noise at -23 dBov.
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        pair.ends[1].speech = (0..8_000).map(|_| (random.next_u64() as i16) / 8).collect();
        pair.ends[0].room = room.map(|config| AcousticRoom::new(config, 8_000, 1).unwrap());
        pair.run_until(Instant::from_millis(5_000));
        drop(pair);
        Arc::into_inner(heard).unwrap().into_inner().unwrap()
    }

    #[test]
    fn the_echo_comes_when_the_render_history_says() {
        let config = AcousticRoomConfig { delay_ms: DELAY_MS as f64, tail_ms: 50.0, ..AcousticRoomConfig::default() };
        for drift_ppm in [0.0, 200.0] {
            let (frames, far) = heard(Some(config), drift_ppm);
            // What a room without delay makes of what was played so long ago.
            let mut room = AcousticRoom::new(AcousticRoomConfig { delay_ms: 0.0, ..config }, 8_000, 1).unwrap();
            let mut echo = vec![0; far.len()];
            room.play(&far[..8_000]);
            room.capture(&mut echo[..8_000]);
            room.play(&far[8_000..16_000]);
            room.capture(&mut echo[8_000..16_000]);
            assert_eq!(frames[..16_000], echo[..16_000]);
            assert!(frames[8_000..16_000].iter().filter(|&&sample| sample != 0).count() > 7_000);
            assert_eq!((frames, far), heard(Some(config), drift_ppm));
        }
    }

    #[test]
    fn a_headset_hears_nothing() {
        let (frames, far) = heard(None, 200.0);
        assert!(frames.iter().all(|&sample| sample == 0));
        assert!(far.iter().any(|&sample| sample != 0));
    }
}
