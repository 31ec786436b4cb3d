//! The output of a demo: the sound that each side heard, the capture with its keys, and the report.

use std::error::Error;
use std::fs;
use std::io::{BufWriter, IntoInnerError};
use std::path::Path;

use host_std::opus::OpusEncoderConfig;
use host_std::output::OutputFile;
use host_std::record::call::side_report;
use host_std::record::echo::OwnVoice;
use host_std::record::keys::{self, KeyLine};
use host_std::record::pcap::PcapWriter;
use host_std::report::{Report, SideReport};
use host_std::simulate::room::AcousticRoomConfig;
use host_std::wav::WavSink;

use super::super::Outcome;
use super::super::settings::{self, Concealment};
use super::{DemoArgs, Run, Setup, USUAL_SNR_DB};

pub(super) fn write_results(
    args: &DemoArgs,
    setup: &Setup,
    run: &Run,
    speech: &[Vec<i16>; 2],
) -> Result<Report, Box<dyn Error>> {
    let names = ["a", "b"];
    for (side, name) in names.iter().enumerate() {
        let rate_hz = run.calls[side].sample_rate_hz().unwrap_or(8_000);
        let mut sink = WavSink::create_with(args.out.join(format!("{name}-heard.wav")), rate_hz, args.channels.into())?;
        sink.write(&run.recorders[side].heard)?;
        sink.finish()?;
    }
    write_capture(&args.out, run)?;
    let side = |listener: usize| {
        side_report(
            [names[listener], names[1 - listener]],
            &run.recorders[listener],
            &run.recorders[1 - listener],
            &run.calls[listener],
            &format!("{}-heard.wav", names[listener]),
        )
    };
    let mut sides = [side(0), side(1)];
    if args.echo.is_some() {
        measure_echo(&mut sides, speech);
    }
    let report = Report {
        title: title(args),
        settings: settings(
            args,
            &setup.opus,
            run.calls[0].negotiated_stream(0).map_or(args.ptime, |stream| stream.send_ptime_ms),
        ),
        seed: Some(args.seed),
        duration_s: run.seconds,
        sides: sides.into(),
        kept: run.kept.clone(),
    };
    report.write(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    Ok(report)
}

/// Measures how much of its own voice each side hears, in rooms.
fn measure_echo(sides: &mut [SideReport; 2], speech: &[Vec<i16>; 2]) {
    let ways_ms = sides.each_ref().map(|side| side.statistics.playout_delay_ms.map(|delay| delay.mean));
    for (side, from_other_ms) in ways_ms.into_iter().enumerate() {
        let (Some(from_other_ms), Some(to_other_ms)) = (from_other_ms, ways_ms[1 - side]) else { continue };
        let listener = &mut sides[side];
        // The speech is as long as the call, and repeated in the same way.
        let spoken = |speech: &[i16]| speech.iter().copied().cycle().take(listener.heard.len()).collect::<Vec<_>>();
        let own = OwnVoice {
            said: &spoken(&speech[side]),
            other: &spoken(&speech[1 - side]),
            heard: &listener.heard,
            sample_rate_hz: listener.sample_rate_hz,
            channels: listener.channels,
            from_other_ms,
            round_trip_ms: from_other_ms + AcousticRoomConfig::default().delay_ms + to_other_ms,
        };
        listener.statistics.own_voice_back_db = own.comes_back_db();
    }
}

fn write_capture(out: &Path, run: &Run) -> Outcome {
    let path = out.join("call.pcap");
    let wrong = |error| format!("cannot write {}: {error}", path.display());
    let file = OutputFile::create(&path).map_err(wrong)?;
    let mut capture = PcapWriter::new(BufWriter::new(file), run.unix_micros_at_zero).map_err(wrong)?;
    let mut arrivals: Vec<_> = (0..2)
        .flat_map(|side| run.recorders[side].arrivals.iter().map(move |arrival| (arrival.time, side, arrival)))
        .collect();
    arrivals.sort_by_key(|(time, side, _)| (*time, *side));
    for (time, side, arrival) in arrivals {
        capture.datagram(time, arrival.from, run.addresses[side], &arrival.bytes).map_err(wrong)?;
    }
    let file = capture.finish().and_then(|file| file.into_inner().map_err(IntoInnerError::into_error));
    file.and_then(OutputFile::finish).map_err(wrong)?;
    let key_file = out.join("call.keys");
    let Some(srtp) = run.calls[0].negotiated_transport().and_then(|agreed| agreed.srtp.as_ref()) else {
        // Keys of an earlier demo in this folder would be the wrong ones.
        let _ = fs::remove_file(key_file);
        return Ok(());
    };
    let line = |listener: usize, key: &host_std::sdp::MasterKey| {
        let from = run.recorders[listener].arrivals.first().map_or(run.addresses[1 - listener], |first| first.from);
        KeyLine {
            suite: srtp.suite.name().into(),
            from,
            to: run.addresses[listener],
            key_and_salt: key.as_bytes().to_vec(),
            mki: key.terms().mki,
        }
    };
    let keys = keys::write(&key_file, &[line(1, &srtp.outgoing), line(0, &srtp.incoming)]);
    Ok(keys.map_err(|error| format!("cannot write {}: {error}", key_file.display()))?)
}

fn title(args: &DemoArgs) -> String {
    format!("demo: {}, {} % loss, {} ms jitter", args.codec, args.loss, args.jitter)
}

fn settings(args: &DemoArgs, opus: &OpusEncoderConfig, ptime_ms: u32) -> Vec<(String, String)> {
    let own = args.concealment == Concealment::Codec || args.codec.is("opus") || args.codec.is_ilbc();
    let opus = if args.codec.is("opus") { format!(" ({})", settings::in_words(opus)) } else { String::new() };
    [
        ("codec", format!("{}{opus}", args.codec)),
        ("channels", args.channels.to_string()),
        ("packet length", format!("{ptime_ms} ms")),
        ("concealment", if own { "the codec's own".into() } else { "from the waveform".into() }),
        ("silence", if args.dtx { "not sent".into() } else { "sent".into() }),
        ("redundancy", args.red.to_string()),
        ("protection", args.srtp.words()),
        ("loss", format!("{} %", args.loss)),
        ("mean burst", format!("{} packets", args.burst)),
        ("delay", format!("{} ms", args.delay)),
        ("jitter", format!("{} ms standard deviation", args.jitter)),
        ("reordered", format!("{} %", args.reorder_percent())),
        ("duplicated", format!("{} %", args.duplicate)),
        ("clock drift", format!("{} ppm", args.drift_ppm)),
        ("time", if args.fast { "virtual".into() } else { "real, over loopback".into() }),
    ]
    .into_iter()
    .chain(args.echo.map(|tail_ms| {
        let AcousticRoomConfig { delay_ms, echo_return_loss_db, .. } = AcousticRoomConfig::default();
        let room =
            format!("{tail_ms} ms of reverberation, echo after {delay_ms} ms, return loss {echo_return_loss_db} dB");
        ("rooms", room)
    }))
    .chain(args.digits.settings())
    .chain(args.noise.as_ref().map(|path| {
        let snr_db = args.snr.unwrap_or(USUAL_SNR_DB);
        ("noise around", format!("{}, {snr_db} dB below the active speech", path.display()))
    }))
    .chain(
        (args.echo.is_some() && !args.microphone.aec && !args.microphone.echo_suppressor)
            .then(|| ("echo", args.microphone.echo_words())),
    )
    .chain(args.microphone.words())
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}
