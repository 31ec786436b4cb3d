//! Tests of a tick through the front end: order, times, far and near end.

use std::vec::Vec;

use super::*;
use crate::process::gain::Gain;
use crate::receive::Played;
use crate::sample::Sample;
use crate::storage::Storage;

/// What the stream and the device saw, in order.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Play(u64, usize),
    Loudspeaker(Vec<i16>),
    Microphone,
    Capture(u64, Vec<i16>),
    Transmit(u64),
    Sent(u32),
}

/// Plays a count of samples, notes everything, and has so many datagrams to send each tick.
#[derive(Default)]
struct Recorder {
    events: Vec<Event>,
    played: i16,
    datagrams: u32,
    left: u32,
}

impl Media for Recorder {
    type Transmit = u32;

    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        self.events.push(Event::Play(now.as_micros(), pcm.len()));
        for sample in pcm {
            self.played = self.played.wrapping_add(1);
            *sample = self.played;
        }
        self.left = self.datagrams;
        Played::default()
    }

    fn capture(&mut self, captured_at: Instant, pcm: &[i16]) {
        self.events.push(Event::Capture(captured_at.as_micros(), pcm.to_vec()));
    }

    fn transmit(&mut self, now: Instant, datagram: &mut [u8]) -> Option<u32> {
        self.events.push(Event::Transmit(now.as_micros()));
        self.left = self.left.checked_sub(1)?;
        datagram[0] = self.left as u8;
        Some(self.left)
    }
}

impl Recorder {
    /// All frames that were captured, and their times.
    fn captured(&self) -> (Vec<u64>, Vec<i16>) {
        let (mut times, mut all) = (Vec::new(), Vec::new());
        for event in &self.events {
            if let Event::Capture(at, pcm) = event {
                times.push(*at);
                all.extend_from_slice(pcm);
            }
        }
        (times, all)
    }
}

/// What a block was shown of a frame.
#[derive(Clone, Debug, PartialEq)]
struct Shown<S> {
    captured_at: u64,
    channel: usize,
    lost: u32,
    frame: Vec<S>,
    far: Vec<i16>,
}

/// Changes nothing, notes everything, and says that it delays.
#[derive(Default)]
struct Witness<S> {
    shown: Vec<Shown<S>>,
    delay: usize,
}

impl<S: Sample> CaptureBlock<S> for Witness<S> {
    fn process(&mut self, frame: &mut [S], near: &Near<'_>) {
        let mut far = std::vec![0; frame.len()];
        near.render.read(near.captured_at, near.channel, &mut far);
        self.shown.push(Shown {
            captured_at: near.captured_at.as_micros(),
            channel: near.channel,
            lost: near.lost,
            frame: frame.to_vec(),
            far,
        });
    }

    fn reset(&mut self) {
        self.shown.clear();
    }

    fn delay_samples(&self) -> usize {
        self.delay
    }
}

type Front<B> = FrontEnd<B, 2_000, [i16; 48_000]>;

/// One tick; `hear` makes a sample of the microphone.
fn tick<B: CaptureBlock<i16>, const FRAME: usize, H: Storage<i16>>(
    front: &mut FrontEnd<B, FRAME, H>,
    media: &mut Recorder,
    now_us: u64,
    samples: usize,
    mut hear: impl FnMut() -> i16,
) {
    front.begin(Instant::from_micros(now_us), samples, true).unwrap();
    let mut datagram = [0; 4];
    while let Some(step) = front.step(media, &mut datagram) {
        match step {
            Step::Loudspeaker { pcm, .. } => media.events.push(Event::Loudspeaker(pcm.to_vec())),
            Step::Microphone(microphone) => {
                media.events.push(Event::Microphone);
                microphone.pcm.fill_with(&mut hear);
            }
            Step::Transmit(left) => {
                assert_eq!(u32::from(datagram[0]), left);
                media.events.push(Event::Sent(left));
            }
        }
    }
    assert!(front.step(media, &mut datagram).is_none());
}

fn counting() -> impl FnMut() -> i16 {
    let mut n = 0i16;
    move || {
        n = n.wrapping_add(3);
        n
    }
}

#[test]
fn steps_come_in_one_order() {
    let mut front = FrontEnd::<NoBlock, 80>::new(FrontConfig::default(), [None, None], []).unwrap();
    let mut media = Recorder { datagrams: 2, ..Recorder::default() };
    tick(&mut front, &mut media, 50_000, 80, || 7);
    let order = [
        Event::Play(50_000, 80),
        Event::Loudspeaker((1..=80).collect()),
        Event::Microphone,
        Event::Capture(40_000, std::vec![7; 80]),
        Event::Transmit(50_000),
        Event::Sent(1),
        Event::Transmit(50_000),
        Event::Sent(0),
        Event::Transmit(50_000),
    ];
    assert_eq!(media.events, order);

    // The first tick of a call, and those of a capture, have no microphone.
    let mut media = Recorder::default();
    front.begin(Instant::from_millis(60), 80, false).unwrap();
    let mut steps = 0;
    while let Some(step) = front.step(&mut media, &mut [0; 4]) {
        assert!(matches!(step, Step::Loudspeaker { .. }));
        steps += 1;
    }
    assert_eq!((steps, media.events), (1, [Event::Play(60_000, 80), Event::Transmit(60_000)].to_vec()));

    // A tick that is left in the middle.
    let mut media = Recorder::default();
    front.begin(Instant::from_millis(70), 80, true).unwrap();
    assert!(matches!(front.step(&mut media, &mut [0; 4]), Some(Step::Loudspeaker { .. })));
    assert_eq!(front.begin(Instant::from_millis(80), 81, true), Err(TickTooLong { need: 81, got: 80 }));
    assert!(matches!(front.step(&mut media, &mut [0; 4]), Some(Step::Microphone(_))));
    tick(&mut front, &mut media, 80_000, 40, || 0);
    assert_eq!(media.captured(), ([75_000].to_vec(), std::vec![0; 40]));
}

#[test]
fn the_history_holds_what_is_played_behind_the_volume() {
    let mut front = FrontEnd::<NoBlock, 160, _>::new(FrontConfig::default(), [None, None], [0; 800]).unwrap();
    front.set_volume(-600).unwrap();
    front.set_latency(Latency { capture: Duration::from_millis(3), playback: Duration::from_millis(40) });
    let (mut media, mut played) = (Recorder::default(), Vec::new());
    for n in 0..8 {
        // The microphone is read over the far end of the same tick.
        tick(&mut front, &mut media, 100_000 + n * 10_000, 80, || -1);
    }
    for event in &media.events {
        if let Event::Loudspeaker(pcm) = event {
            played.extend_from_slice(pcm);
        }
    }
    assert!(played[639].abs_diff(321) <= 1, "{}", played[639]);
    let mut heard = [0; 640];
    assert_eq!(front.render().read(Instant::from_millis(140), 0, &mut heard), 640);
    assert_eq!(heard[..], played);
    front.set_speaker_muted(true);
    tick(&mut front, &mut media, 180_000, 80, || -1);
    tick(&mut front, &mut media, 190_000, 80, || -1);
    assert_eq!(front.render().read(Instant::from_millis(230), 0, &mut heard[..80]), 80);
    assert_eq!(heard[..80], [0; 80]);
    assert_eq!(front.render().newest_at().as_micros(), 239_875);
}

#[test]
fn without_a_block_each_tick_passes_as_it_is() {
    for (rate, channels, ticks) in [
        (8_000, 1, &[80, 80, 80][..]),
        (11_025, 1, &[110, 110, 110, 111]),
        (44_100, 2, &[441, 441]),
        (48_000, 2, &[960, 480, 1]),
    ] {
        let config = FrontConfig { sample_rate_hz: rate, channels, meters: true, ..FrontConfig::default() };
        let mut front = Front::<NoBlock>::new(config, [None, None], [0; 48_000]).unwrap();
        let (mut media, mut hear) = (Recorder::default(), counting());
        for &samples in ticks {
            tick(&mut front, &mut media, 500_000, samples, &mut hear);
        }
        let samples = ticks.iter().sum::<usize>() * usize::from(channels);
        let (times, captured) = media.captured();
        let mut same = counting();
        assert!(captured.len() == samples && captured.iter().all(|&sample| sample == same()));
        let begin = |&samples: &usize| 500_000 - samples as u64 * 1_000_000 / u64::from(rate);
        assert_eq!(times, ticks.iter().map(begin).collect::<Vec<_>>());
        assert!(front.microphone_level() > Some(crate::process::level::Level::SILENCE));
        assert_eq!(front.delay_samples(), 0);
    }
}

/// A microphone in ticks of these lengths, through a block: frames of 10 ms, each at its time, with the far end that
/// sounded then.
fn through_a_block<S: Sample, B: CaptureBlock<i16>>(
    rate: u32,
    channels: u8,
    ticks: &[usize],
    blocks: [Option<B>; 2],
    mut shown: impl FnMut(&mut Front<B>, usize) -> Vec<Shown<S>>,
) -> Vec<i16> {
    let config = FrontConfig { sample_rate_hz: rate, channels, ..FrontConfig::default() };
    let mut front = Front::new(config, blocks, [0; 48_000]).unwrap();
    let (capture, playback) = (Duration::from_millis(7), Duration::from_millis(21));
    front.set_latency(Latency { capture, playback });
    let (mut media, mut hear) = (Recorder::default(), counting());
    let delay = front.delay_samples();
    let us = |samples: usize| samples as u64 * 1_000_000 / u64::from(rate);
    let (epoch, mut passed) = (1_000_000, 0);
    while passed < rate as usize / 4 {
        for &samples in ticks {
            passed += samples;
            tick(&mut front, &mut media, epoch + us(passed), samples, &mut hear);
        }
    }
    let count = usize::from(channels);
    let frame = rate as usize / 100;
    let (times, captured) = media.captured();
    assert_eq!(captured.len() / count, passed / frame * frame);
    assert_eq!(front.delay_samples(), delay + passed % frame);
    for (n, &at) in times.iter().enumerate() {
        let first = epoch + us(n * frame) - 7_000 - us(delay);
        assert!(at.abs_diff(first) <= 3, "frame {n}: {at} is not {first}");
    }
    for channel in 0..count {
        let shown = shown(&mut front, channel);
        assert_eq!(shown.len(), times.len());
        for (n, (shown, &at)) in shown.iter().zip(&times).enumerate() {
            assert!(shown.captured_at.abs_diff(at + us(delay)) <= 1 && shown.channel == channel && shown.lost == 0);
            let near = captured[n * frame * count..].iter().skip(channel).step_by(count);
            assert!(shown.frame.iter().zip(near).all(|(&a, &b)| a == S::from_i16(b)));
            // Sample `n` of the loudspeaker is written a tick after sample `n` of the microphone was read, and is heard
            // 28 ms later by both latencies.
            for (k, &far) in shown.far.iter().enumerate() {
                let played = (n * frame + k) as i64 - (i64::from(rate) * 28 + 500) / 1_000 - ticks[0] as i64;
                let expected = if played < 0 { 0 } else { (played as usize * count + channel + 1) as i16 };
                // Ticks of several lengths have several such distances.
                if ticks.len() == 1 {
                    assert!(far == expected, "frame {n}, sample {k}: {far} is not {expected}");
                }
            }
        }
    }
    captured
}

#[test]
fn a_block_sees_frames_of_10_ms_at_their_times_beside_the_far_end() {
    for (rate, channels, ticks) in [
        (8_000, 1, &[80][..]),
        (8_000, 1, &[1]),
        (8_000, 2, &[80]),
        (16_000, 1, &[80]),
        (11_025, 1, &[110, 110, 110, 111]),
        (44_100, 2, &[441]),
        (48_000, 2, &[960]),
        (48_000, 2, &[7, 960, 1, 441]),
    ] {
        let witness = |channel| (channel < channels).then(|| Witness::<i16> { delay: 24, ..Witness::default() });
        let shown = |front: &mut Front<Witness<i16>>, channel| front.block(channel).unwrap().shown.clone();
        let short = through_a_block(rate, channels, ticks, [witness(0), witness(1)], shown);
        let mut same = counting();
        assert!(short.iter().all(|&sample| sample == same()), "{rate} Hz, {ticks:?}");

        let witness = |channel| {
            let witness = Witness::<f32> { delay: 24, ..Witness::default() };
            (channel < channels).then(|| InFloat::<_, 480>::new(witness, rate).unwrap())
        };
        let shown = |front: &mut Front<InFloat<Witness<f32>, 480>>, channel| {
            front.block(channel).unwrap().block().shown.clone()
        };
        let float = through_a_block(rate, channels, ticks, [witness(0), witness(1)], shown);
        assert_eq!(float, short, "{rate} Hz, {ticks:?}");
    }
}

#[test]
fn losses_and_skipped_ticks_are_told_to_the_block() {
    let mut front = Front::new(FrontConfig::default(), [Some(Witness::<i16>::default()), None], [0; 48_000]).unwrap();
    let mut media = Recorder::default();
    let mut run = |front: &mut Front<_>, now_ms: u64, lost: u32| {
        front.begin(Instant::from_millis(now_ms), 80, true).unwrap();
        while let Some(step) = front.step(&mut media, &mut [0; 4]) {
            if let Step::Microphone(microphone) = step {
                *microphone.lost += lost;
            }
        }
    };
    run(&mut front, 100, 0);
    run(&mut front, 113, 24);
    run(&mut front, 123, 0);
    front.skip(320);
    run(&mut front, 173, 5);
    run(&mut front, 183, 0);
    let shown = &front.block(0).unwrap().shown;
    let told: Vec<_> = shown.iter().map(|shown| (shown.captured_at, shown.lost)).collect();
    assert_eq!(told, [(90_000, 0), (103_000, 24), (113_000, 0), (163_000, 325), (173_000, 0)]);
    // The loudspeaker had nothing for 40 ms.
    let mut heard = [9; 81];
    assert_eq!(front.render().missing_samples(), 320);
    assert_eq!(front.render().read(Instant::from_micros(172_875), 0, &mut heard), 81);
    assert_eq!((heard[0], heard[1]), (0, 241));
    // And then for 10 ms before the tick that it's told with.
    front.begin(Instant::from_millis(203), 80, false).unwrap();
    assert!(matches!(front.step(&mut media, &mut [0; 4]), Some(Step::Loudspeaker { .. })));
    front.underrun(80);
    // The tick is left, and heard all the same.
    front.begin(Instant::from_millis(213), 80, false).unwrap();
    assert_eq!((front.render().missing_samples(), front.render().written()), (400, 6 * 80 + 400));
    assert_eq!(front.render().read(Instant::from_micros(202_875), 0, &mut heard), 81);
    assert_eq!((heard[0], heard[1]), (0, 401));
    // A tick that is too long changes nothing: the one before is noted once.
    assert!(matches!(front.step(&mut media, &mut [0; 4]), Some(Step::Loudspeaker { .. })));
    assert!(front.begin(Instant::from_millis(223), 2_001, true).is_err());
    while front.step(&mut media, &mut [0; 4]).is_some() {}
    assert_eq!((front.render().missing_samples(), front.render().written()), (400, 7 * 80 + 400));
    // What only the microphone lost is no silence of the loudspeaker.
    front.overrun(7);
    let mut steps = 0;
    front.begin(Instant::from_millis(223), 80, true).unwrap();
    while let Some(step) = front.step(&mut media, &mut [0; 4]) {
        if let Step::Microphone(microphone) = step {
            assert_eq!(*microphone.lost, 7);
            steps += 1;
        }
    }
    assert_eq!((steps, front.render().missing_samples()), (1, 400));
    front.reset();
    assert!(front.block(0).unwrap().shown.is_empty());
    assert_eq!((front.render().written(), front.delay_samples()), (0, 0));
}

#[test]
fn gains_mutes_and_levels_are_set_and_read() {
    let config = FrontConfig { meters: true, ..FrontConfig::default() };
    let mut front = FrontEnd::<NoBlock, 80>::new(config, [None, None], []).unwrap();
    assert_eq!((front.config(), front.latency()), (config, Latency::default()));
    front.set_microphone_gain(-600).unwrap();
    front.set_volume(600).unwrap();
    assert!(front.set_volume(Gain::MAX_HUNDREDTHS_DB + 1).is_err());
    assert_eq!((front.microphone_gain(), front.volume()), (-600, 600));
    let mut media = Recorder::default();
    for n in 0..100 {
        tick(&mut front, &mut media, n * 10_000, 80, || 8_000);
    }
    let (_, captured) = media.captured();
    // Within 10 ms, and without a step.
    assert!(captured[..81].windows(2).all(|pair| (0..=51).contains(&(pair[0] - pair[1]))));
    assert!(captured[80..].iter().all(|sample| sample.abs_diff(4_010) <= 2));
    // 8000 is -12.25 dBov.
    assert!(front.microphone_level().unwrap().hundredths_dbov().abs_diff(-1_825) <= 2);
    assert!(front.speaker_level().is_some());
    front.set_microphone_muted(true);
    assert!(front.microphone_muted() && !front.speaker_muted());
    for n in 100..102 {
        tick(&mut front, &mut media, n * 10_000, 80, || 8_000);
    }
    assert!(media.captured().1.ends_with(&[0; 80]));
}

#[test]
fn refuses_what_does_not_fit() {
    let refused = |sample_rate_hz, channels, blocks: [bool; 2]| {
        let config = FrontConfig { sample_rate_hz, channels, ..FrontConfig::default() };
        let blocks = blocks.map(|there| there.then(Witness::<i16>::default));
        FrontEnd::<_, 480>::new(config, blocks, []).err()
    };
    assert_eq!(refused(48_000, 1, [true, false]), None);
    assert_eq!(refused(999, 1, [false; 2]), Some(FrontError::SampleRate { hz: 999 }));
    assert_eq!(refused(192_001, 1, [false; 2]), Some(FrontError::SampleRate { hz: 192_001 }));
    assert_eq!(refused(8_000, 3, [false; 2]), Some(FrontError::Channels(3)));
    assert_eq!(refused(8_000, 0, [false; 2]), Some(FrontError::Channels(0)));
    assert_eq!(refused(8_000, 2, [false, true]), Some(FrontError::Blocks { need: 2, got: 1 }));
    assert_eq!(refused(8_000, 1, [true, true]), Some(FrontError::Blocks { need: 1, got: 2 }));
    assert_eq!(refused(48_000, 2, [true, true]), Some(FrontError::Frame { need: 960, got: 480 }));
    assert_eq!(refused(48_000, 2, [false; 2]), None);
}
