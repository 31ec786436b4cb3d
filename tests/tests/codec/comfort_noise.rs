//! Comfort noise from end to end: speech with pauses through a sender with discontinuous transmission, and the pauses
//! made again from what was sent.

use dsp_core::codec::cn::{MAX_PAYLOAD, NoiseDescription, NoiseGenerator};
use dsp_core::codec::g711::Pcmu;
use dsp_core::codec::g722::{G722Encoder, Mode};
use dsp_core::codec::l16::L16;
use dsp_core::codec::{Decoder, Encoder};
use dsp_core::process::activity::EnergyGate;
use dsp_core::send::{HostSender, SendStats, SenderConfig};
use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpPacket;
use media_core_tests::shared;

const SPEECH: PayloadType = PayloadType::PCMU;
const NOISE: PayloadType = PayloadType::COMFORT_NOISE;
/// Peak of the uniform background: 44.8 dB below overload.
const BACKGROUND: i32 = 325;

/// A packet as it went out.
struct Sent {
    payload_type: PayloadType,
    marker: bool,
    seq: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

/// The first speech at 8 kHz in the shared data, in spurts with pauses of 3 s, on a background of noise all along.
fn conversation() -> Option<Vec<i16>> {
    let wav = std::fs::read(shared("data/speech/cmu_arctic_us_aew_a0001.wav")?).unwrap();
    let samples: Vec<i16> = wav[44..].as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
    let narrow: Vec<i16> =
        samples.chunks_exact(2).map(|pair| ((i32::from(pair[0]) + i32::from(pair[1])) / 2) as i16).collect();
    let mut all = vec![0; 16_000];
    for _ in 0..4 {
        all.extend(&narrow);
        all.extend([0; 24_000]);
    }
    all.truncate(all.len() / 160 * 160);
    let mut seed = 1u32;
    for sample in &mut all {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample += ((((seed >> 16) as i16 as i32) * BACKGROUND) >> 15) as i16;
    }
    Some(all)
}

fn send(pcm: &[i16], encoder: &mut dyn Encoder, noise: Option<PayloadType>) -> (Vec<Sent>, SendStats) {
    let config = SenderConfig {
        ssrc: Ssrc(7),
        first_seq: Seq(65_000),
        first_timestamp: RtpTime(u32::MAX - 10_000),
        payload_type: SPEECH,
        ptime_ms: 20,
    };
    let mut sender = Box::new(HostSender::new(config, encoder).unwrap());
    let rate_hz = encoder.info().sample_rate_hz;
    sender.set_comfort_noise(noise.map(|payload_type| (payload_type, EnergyGate::new(rate_hz))));
    let mut sent = Vec::new();
    let mut datagram = [0; 4_000];
    for tick in pcm.chunks(encoder.info().sample_rate_hz as usize / 100) {
        sender.capture(tick).unwrap();
        while let Some(length) = sender.packet(encoder, &mut datagram) {
            let packet = RtpPacket::parse(&datagram[..length.unwrap()]).unwrap();
            sent.push(Sent {
                payload_type: packet.payload_type(),
                marker: packet.marker(),
                seq: packet.seq().0,
                timestamp: packet.timestamp().0,
                payload: packet.payload().to_vec(),
            });
        }
    }
    (sent, sender.stats())
}

/// What a receiver without jitter makes of it, and for each frame whether it was sent.
fn receive(sent: &[Sent], samples: usize) -> (Vec<i16>, Vec<bool>) {
    let (mut out, mut spoken) = (vec![0; samples], vec![false; samples / 160]);
    let mut generator = NoiseGenerator::new();
    let mut packets = sent.iter().peekable();
    for (n, frame) in out.chunks_exact_mut(160).enumerate() {
        let time = (u32::MAX - 10_000).wrapping_add(160 * n as u32);
        match packets.next_if(|packet| packet.timestamp == time) {
            Some(packet) if packet.payload_type == SPEECH => {
                Pcmu.decode(&packet.payload, frame).unwrap();
                spoken[n] = true;
            }
            packet => {
                if let Some(packet) = packet {
                    assert_eq!(packet.payload_type, NOISE);
                    generator.update(&packet.payload).unwrap();
                }
                generator.generate(frame);
            }
        }
    }
    assert!(packets.next().is_none(), "a packet at no frame's time");
    (out, spoken)
}

fn level_db(pcm: &[i16]) -> f64 {
    let power = pcm.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / pcm.len() as f64;
    10.0 * (power.max(1e-3) / f64::from(1 << 30)).log10()
}

#[test]
fn pauses_cost_little_and_no_onset_is_clipped() {
    let Some(pcm) = conversation() else { return };
    let (all, without) = send(&pcm, &mut Pcmu, None);
    let (sent, stats) = send(&pcm, &mut Pcmu, Some(NOISE));
    assert_eq!(all.len(), pcm.len() / 160);
    assert_eq!((without.noise_packets, stats.packets as usize), (0, sent.len()));
    let descriptions = sent.iter().filter(|packet| packet.payload_type == NOISE).count();
    assert_eq!(stats.noise_packets as usize, descriptions);
    // Payload, RTP, UDP and IP.
    let bytes = |sent: &[Sent]| sent.iter().map(|packet| packet.payload.len() + 40).sum::<usize>();
    let share = bytes(&sent) as f64 / bytes(&all) as f64;
    println!("{} of {} packets, {descriptions} of noise, {:.0} % of the bytes", sent.len(), all.len(), 100.0 * share);
    assert!(share < 0.7, "{share}");

    let mut talking = false;
    for (n, packet) in sent.iter().enumerate() {
        assert_eq!(packet.seq, 65_000u16.wrapping_add(n as u16), "the sequence has no gap");
        let speech = packet.payload_type == SPEECH;
        assert_eq!(packet.marker, speech && !talking, "packet {n}");
        if !speech {
            assert!(packet.payload.len() <= MAX_PAYLOAD);
            if talking {
                // A pause begins where the last packet of speech ends.
                assert_eq!(packet.timestamp, sent[n - 1].timestamp.wrapping_add(160));
            }
        }
        talking = speech;
    }

    // Every frame clearly above the background was sent: 10 dB by its level.
    let (heard, spoken) = receive(&sent, pcm.len());
    let frames = pcm.chunks_exact(160).zip(&spoken);
    let lost = frames.clone().filter(|(frame, spoken)| level_db(frame) > -34.0 && !**spoken).count();
    assert_eq!(lost, 0, "frames of speech not sent");
    assert!(frames.filter(|(_, spoken)| !**spoken).count() > 300);
    // The first 60 ms of each spurt come at their level.
    let (mut onsets, mut silent) = (0, 0);
    for n in 50..spoken.len() - 3 {
        silent = if level_db(&pcm[n * 160..][..160]) < -40.0 { silent + 1 } else { 0 };
        if silent == 0 && level_db(&pcm[(n - 1) * 160..][..160]) < -40.0 {
            let onset = n * 160..(n + 3) * 160;
            let apart = level_db(&heard[onset.clone()]) - level_db(&pcm[onset]);
            assert!(apart.abs() < 0.5, "frame {n}: {apart} dB");
            onsets += 1;
        }
    }
    assert!(onsets >= 4, "{onsets}");
    // The noise of each pause is at the background's level.
    let mut pauses = 0;
    for pause in (0..spoken.len()).collect::<Vec<_>>().chunk_by(|&a, &b| spoken[a] == spoken[b]) {
        let (first, last) = (pause[0] * 160, (pause[pause.len() - 1] + 1) * 160);
        if !spoken[pause[0]] && pause.len() >= 25 {
            let apart = level_db(&heard[first..last]) - level_db(&pcm[first..last]);
            println!("{} ms of pause: {apart:.2} dB", pause.len() * 20);
            assert!(apart.abs() < 1.0, "{apart} dB");
            pauses += 1;
        }
    }
    assert!(pauses >= 4, "{pauses}");
}

#[test]
fn other_rates_and_channels() {
    let mut seed = 3u32;
    let mut noise = |samples: usize| -> Vec<i16> {
        (0..samples)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as i16 >> 7
            })
            .collect()
    };
    // After the first second and the listening, one description a second; the timeline is the RTP clock's.
    for (mut encoder, clock, rate) in [
        (Box::new(G722Encoder::new(Mode::Kbps64)) as Box<dyn Encoder>, 8_000, 16_000),
        (Box::new(L16::new(48_000, 1).unwrap()), 48_000, 48_000),
    ] {
        let (sent, stats) = send(&noise(5 * rate), &mut *encoder, Some(NOISE));
        let told: Vec<&Sent> = sent.iter().filter(|packet| packet.payload_type == NOISE).collect();
        assert_eq!((told.len(), stats.noise_packets), (4, 4), "{rate}");
        for pair in told.windows(2) {
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), clock, "{rate}");
        }
        let description = NoiseDescription::read(&told[0].payload).unwrap();
        // 2^15 >> 7, uniform: 46.9 dB.
        assert!((46..=48).contains(&description.level()), "{description:?}");
        assert_eq!(description.order(), 12);
    }
    // Of stereo every frame goes out.
    let (sent, stats) = send(&noise(5 * 16_000), &mut L16::new(16_000, 2).unwrap(), Some(NOISE));
    assert_eq!((sent.len(), stats.noise_packets), (125, 0));
}
