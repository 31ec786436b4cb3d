//! Fuzzing of calls that hear several sources: floods of SSRCs, arbitrary RTP and RTCP, at any time.
//! On stable with the default engine; `BOLERO_RANDOM_TEST_TIME_MS` sets how long.

use std::net::SocketAddr;

use dsp_core::streams::sources::{Admission, Sources, SourcesConfig};
use dsp_core::sync::ClockMap;
use dsp_core::time::{Duration, Instant, NtpTime, RtpTime, Seq, Ssrc};
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, Identity};

/// Whoever is heard keeps the place, in any flood: until a goodbye, or ten seconds of silence.
#[test]
fn fuzz_source_table() {
    bolero::check!().with_max_len(8_192).with_type::<Vec<(u32, u16, u16)>>().for_each(|packets| {
        let mut sources = Sources::<4>::new(SourcesConfig { places: 3, ..SourcesConfig::default() }).unwrap();
        // When whoever has a place was heard last.
        let mut heard = [None; 3];
        let mut now = Instant::ZERO;
        sources.update(now, Ssrc(7), Seq(1));
        assert_eq!(sources.update(now, Ssrc(7), Seq(2)), Admission::Admitted(0));
        for &(ssrc, seq, us) in packets {
            now += Duration::from_micros(u64::from(us) * 10);
            // Few or many of them.
            let ssrc = if seq % 2 == 0 { ssrc % 8 } else { ssrc };
            let leaves = ssrc != 7 && us % 16 == 0;
            if let Some(place) = leaves.then(|| sources.leave(now, Ssrc(ssrc))).flatten() {
                heard[place] = None;
            }
            // One alone, or as many in sequence as prove a source.
            for seq in [seq, seq.wrapping_add(1)].into_iter().take(1 + usize::from(us % 2)) {
                let admission = sources.update(now, Ssrc(ssrc), Seq(seq));
                match admission {
                    Admission::Heard(place) | Admission::Admitted(place) | Admission::Returned(place) => {
                        let before: Option<Instant> = heard[place].replace(now);
                        let silent = before.is_none_or(|before| now.since(before) >= Duration::from_secs(10));
                        assert!(silent || admission == Admission::Heard(place));
                        assert_eq!(sources.get(place), Some(Ssrc(ssrc)));
                        assert_eq!(place == 0, ssrc == 7);
                    }
                    Admission::Own => unreachable!("there is none"),
                    Admission::Probation | Admission::Full | Admission::Gone => assert_ne!(ssrc, 7),
                }
            }
            assert_eq!(sources.update(now, Ssrc(7), Seq(seq)), Admission::Heard(0));
            assert!(sources.iter().count() <= 3);
        }
    });
}

/// Any reports: a map always has an answer, and its drift is one of a clock.
#[test]
fn fuzz_clock_map() {
    bolero::check!().with_type::<(u32, Vec<(u64, u32)>)>().for_each(|(clock_hz, reports)| {
        let mut map = ClockMap::new(*clock_hz);
        for &(ntp, rtp) in reports {
            map.report(NtpTime(ntp), RtpTime(rtp));
            assert!(map.capture(RtpTime(rtp ^ 0x5555_5555)).is_some());
            assert!(map.drift_ppm().abs() <= 1_000);
        }
    });
}

fn listener() -> Call {
    let call = |port: u16, sources| {
        let base = CallConfig::with_identity(port, Identity::seeded(u64::from(port)));
        Call::new(CallConfig { codecs: vec![CodecFormat::pcmu()], srtp: SrtpPolicy::Off, sources, ..base }).unwrap()
    };
    let (mut listener, mut other) = (call(4_000, 3), call(5_000, 1));
    let offer = listener.offer().unwrap();
    let answer = other.answer(Instant::ZERO, &offer).unwrap();
    listener.accept(Instant::ZERO, &answer).unwrap();
    listener
}

/// A call to which anything may happen: it plays on, reports fit, and nobody but three is heard.
#[test]
fn fuzz_call_of_several_sources() {
    bolero::check!().with_max_len(8_192).with_type::<Vec<(Vec<u8>, u8, u8)>>().for_each(|datagrams| {
        let mut call = listener();
        let from = SocketAddr::from(([127, 0, 0, 1], 5_000));
        let mut now = Instant::ZERO;
        for (bytes, kind, ticks) in datagrams {
            let mut bytes = bytes.clone();
            bytes.resize(bytes.len().max(28), 0);
            bytes[0] = 0x80 | kind & 0x0f;
            match kind % 4 {
                0 => bytes[1] = 200 + kind / 4 % 8,
                _ => {
                    // Few sources, so that some are admitted.
                    bytes[0] = 0x80;
                    bytes[1] = 0;
                    bytes[8..12].copy_from_slice(&[0, 0, 0, kind % 8]);
                    bytes[2..4].copy_from_slice(&[0, *ticks]);
                }
            }
            if bytes[1] >= 200 {
                let words = (bytes.len() / 4 - 1) as u16;
                bytes.truncate(bytes.len() / 4 * 4);
                bytes[2..4].copy_from_slice(&words.to_be_bytes());
            }
            call.receive(now, Channel::Rtp, from, &mut bytes);
            let mut pcm = [0; 320];
            call.play(now, &mut pcm[..usize::from(*ticks) + 1]);
            now += Duration::from_millis(u64::from(*ticks));
            assert!(call.sources().count() <= 3);
            let mut buffer = [0; 1_500];
            if call.next_deadline().is_some_and(|deadline| deadline <= now) {
                while call.transmit(now, &mut buffer).is_some() {}
            }
        }
    });
}
