//! A device at a call in a test. The order of its tick is the front end's (`dsp_core::front::tick`), as in every way of
//! running a call; what is said into it, and where datagrams go, is the test's. A tick has a microphone from the first on,
//! gains are 0 dB, and there is no latency.

use dsp_core::front::Step;
use dsp_core::receive::Played;
use dsp_core::time::Instant;
use host_std::session::{Call, HostFront, Transmit};

/// Room for a datagram of any call here.
const DATAGRAM_BYTES: usize = 12_288;

/// Fills a tick of the microphone.
type Microphone<'a> = &'a mut dyn FnMut(&mut [i16]);

/// Microphone and loudspeaker of one call. If a change gives the call another rate or other channels, the next tick has a
/// device for them.
pub struct Device {
    front: Box<HostFront>,
    tick_ms: u32,
    datagram: Vec<u8>,
    heard: Vec<i16>,
}

impl Device {
    /// With ticks of 10 ms.
    pub fn new(call: &Call) -> Self {
        Self::with_tick(call, 10)
    }

    /// With ticks of so many milliseconds.
    pub fn with_tick(call: &Call, tick_ms: u32) -> Self {
        Self { front: front_end(call), tick_ms, datagram: vec![0; DATAGRAM_BYTES], heard: Vec::new() }
    }

    /// One tick: `microphone` fills the samples, interleaved, and `send` takes each datagram. What was heard, interleaved.
    pub fn tick(
        &mut self,
        call: &mut Call,
        now: Instant,
        mut microphone: impl FnMut(&mut [i16]),
        send: impl FnMut(Transmit, &mut [u8]),
    ) -> (Played, &[i16]) {
        self.run(call, now, Some(&mut microphone), send)
    }

    /// One tick of a device without a microphone.
    pub fn listen(&mut self, call: &mut Call, now: Instant, send: impl FnMut(Transmit, &mut [u8])) -> (Played, &[i16]) {
        self.run(call, now, None, send)
    }

    fn run(
        &mut self,
        call: &mut Call,
        now: Instant,
        mut microphone: Option<Microphone<'_>>,
        mut send: impl FnMut(Transmit, &mut [u8]),
    ) -> (Played, &[i16]) {
        let before = self.front.config();
        if call.sample_rate_hz().is_some_and(|rate_hz| rate_hz != before.sample_rate_hz)
            || call.channels().is_some_and(|channels| channels != before.channels)
        {
            self.front = front_end(call);
        }
        let samples = self.front.config().sample_rate_hz * self.tick_ms / 1_000;
        self.front.begin(now, samples as usize, microphone.is_some()).expect("room for a tick");
        let mut heard = Played::default();
        while let Some(step) = self.front.step(call, &mut self.datagram) {
            match step {
                Step::Loudspeaker { pcm, played } => {
                    heard = played;
                    self.heard.clear();
                    self.heard.extend(pcm);
                }
                Step::Microphone(tick) => {
                    if let Some(microphone) = &mut microphone {
                        microphone(tick.pcm);
                    }
                }
                Step::Transmit(transmit) => send(transmit, &mut self.datagram[..transmit.len]),
            }
        }
        (heard, &self.heard)
    }
}

fn front_end(call: &Call) -> Box<HostFront> {
    call.front_end().expect("a rate of at most 48 kHz")
}
