//! What rings when a call comes in, on a device of its own: the loudspeaker of the room, while one talks by a headset.

use std::time::Duration;

use dsp_core::tone::Segment;
use host_std::device::AudioIo;
use host_std::session::driver::Device;
use tokio::sync::{oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::desk::period;
use super::device;
use crate::config::Audio;

const TICK: Duration = Duration::from_millis(10);
/// Its level in hundredths of a dBm0.
const LEVEL: i16 = -900;
/// Two tones twice, and a pause: no country's ringing tone.
const RING: [Segment; 4] = [tones(900, 1_150, 400), tones(0, 0, 200), tones(900, 1_150, 400), tones(0, 0, 1_500)];

const fn tones(hz: u16, other_hz: u16, ms: u16) -> Segment {
    Segment { hz, other_hz, depth_percent: 0, reversed_ms: 0, ms }
}

/// Rings while it's told to.
pub(crate) struct Ringer {
    rings: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
}

impl Ringer {
    /// By the device that the config names; none where it names none.
    pub(crate) fn start(audio: &Audio) -> Option<Self> {
        let name = audio.ringer.clone().filter(|name| name != "null")?;
        let (rings, told) = watch::channel(false);
        let (ends, ended) = oneshot::channel();
        tokio::spawn(run(name, audio.rate, told, ends));
        Some(Self { rings, ended })
    }

    /// Whether it is to ring.
    pub(crate) fn set(&self, rings: bool) {
        self.rings.send_if_modified(|now| std::mem::replace(now, rings) != rings);
    }

    /// Silent, and its device is closed.
    pub(crate) async fn close(self) {
        self.set(false);
        drop(self.rings);
        let _ = self.ended.await;
    }
}

async fn run(name: String, rate_hz: u32, mut told: watch::Receiver<bool>, _ends: oneshot::Sender<()>) {
    while told.wait_for(|rings| *rings).await.is_ok() {
        // Opening may take a while, and whoever talks must not notice.
        let opened = {
            let name = name.clone();
            tokio::task::spawn_blocking(move || device::speaker(&name, rate_hz)).await
        };
        let audio = match opened {
            Ok(Ok(audio)) => audio,
            Ok(Err(error)) => {
                crate::phone::say!("the ringer {name}: {error}");
                let _ = told.wait_for(|rings| !*rings).await;
                continue;
            }
            Err(_) => return,
        };
        let mut audio = ring(audio, rate_hz, &told).await;
        let closed = tokio::task::spawn_blocking(move || audio.close()).await;
        if let Ok(Err(error)) = closed {
            crate::phone::say!("the ringer {name}: {error}");
        }
    }
}

/// Rings until it is told to stop; what it rang by.
async fn ring(audio: Box<dyn AudioIo>, rate_hz: u32, told: &watch::Receiver<bool>) -> Box<dyn AudioIo> {
    let mut device = Device::new(audio);
    let mut pcm = period(rate_hz, LEVEL, &RING).into_iter().cycle();
    let mut tick = vec![0; rate_hz as usize / 100];
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    // It stops within a tick, also when nobody can tell it any more.
    while *told.borrow() && told.has_changed().is_ok() {
        ticks.tick().await;
        tick.iter_mut().zip(&mut pcm).for_each(|(slot, sample)| *slot = sample);
        device.write(&tick);
        device.recover().await;
    }
    device.into_audio().await
}
