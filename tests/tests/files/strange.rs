//! Files as others write them, and break them: WAV is read as sox and ffmpeg read it, Ogg as ffmpeg does, SDP whole or not at
//! all. And files that the command line writes: what of them is there when it is ended, or the disk is full.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dsp_core::codec::g711::{encode_alaw, encode_ulaw};
use host_std::opus_file::{OpusFileWriter, OpusHead};
use host_std::wav::{WavFrames, WavSource, to_wav};
use media_core_tests::program::{Ended, Running, folder, installed, media_core, read_when_there};
use media_core_tests::{shared, skipped};

const LIMIT: Duration = Duration::from_secs(60);
const RATE_HZ: u32 = 8_000;

/// A second of sound that has every sign and size.
fn sound() -> Vec<i16> {
    (0..RATE_HZ as i32).map(|n| ((n * n / 7 + n * 31) % 60_001 - 30_000) as i16).collect()
}

/// A WAV file of these parts, with a right RIFF size.
fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
    for (id, bytes) in chunks {
        file.extend(*id);
        file.extend((bytes.len() as u32).to_le_bytes());
        file.extend(*bytes);
        file.extend(&[0][..bytes.len() % 2]);
    }
    let size = (file.len() - 8) as u32;
    file[4..8].copy_from_slice(&size.to_le_bytes());
    file
}

/// A format chunk; `more` is what stands behind its 16 octets.
fn format(tag: u16, channels: u16, container: u16, bits: u16, more: &[u8]) -> Vec<u8> {
    let block = container * channels;
    let mut bytes = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
    bytes.extend(RATE_HZ.to_le_bytes());
    bytes.extend((RATE_HZ * u32::from(block)).to_le_bytes());
    bytes.extend(block.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(more);
    bytes
}

/// What stands behind a format of WAVE_FORMAT_EXTENSIBLE.
fn extension(valid_bits: u16, tag: u16) -> Vec<u8> {
    let guid = [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71];
    let mut more = [22u16.to_le_bytes(), valid_bits.to_le_bytes(), [4, 0], [0, 0], tag.to_le_bytes()].concat();
    more.extend(guid);
    more
}

/// Little-endian octets of samples.
fn octets<const N: usize>(of: impl Fn(i16) -> [u8; N]) -> Vec<u8> {
    sound().into_iter().flat_map(of).collect()
}

/// Files that are odd, or of an odd coding; each with whether something is to be told of it.
fn odd_files() -> Vec<(&'static str, bool, Vec<u8>)> {
    let plain = to_wav(&sound(), RATE_HZ, 1);
    let bent = |at: usize, with: &[u8]| {
        let mut file = plain.clone();
        file[at..at + with.len()].copy_from_slice(with);
        file
    };
    let pcm = octets(i16::to_le_bytes);
    let wide = |shift: u32, bytes: usize| -> Vec<u8> {
        sound().iter().flat_map(|s| (i64::from(*s) << shift).to_le_bytes()[..bytes].to_vec()).collect()
    };
    let of = |format: Vec<u8>, data: &[u8]| riff(&[(b"fmt ", &format), (b"data", data)]);
    let (mut alaw, mut ulaw) = (vec![0; sound().len()], vec![0; sound().len()]);
    encode_alaw(&sound(), &mut alaw);
    encode_ulaw(&sound(), &mut ulaw);
    let f64s = octets(|s| (f64::from(s) / 32_768.0).to_le_bytes());
    let f32s = octets(|s| (f32::from(s) / 32_768.0).to_le_bytes());
    let rf64 = |sizes: bool| {
        let mut ds64 = vec![0; 28];
        if sizes {
            ds64[8..16].copy_from_slice(&(pcm.len() as u64).to_le_bytes());
        }
        let mut file = riff(&[(b"ds64", &ds64), (b"fmt ", &format(1, 1, 2, 16, &[])), (b"data", &pcm)]);
        file[..8].copy_from_slice(b"RF64\xff\xff\xff\xff");
        let at = file.len() - pcm.len() - 4;
        file[at..at + 4].fill(0xff);
        file
    };
    let mut big = to_wav(&[], RATE_HZ, 1);
    big[..4].copy_from_slice(b"RIFX");
    // Every number of the header the other way round.
    for (at, bytes) in [(4, 4), (16, 4), (20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2), (40, 4)] {
        big[at..at + bytes].reverse();
    }
    big[4..8].copy_from_slice(&(36 + pcm.len() as u32).to_be_bytes());
    big[40..44].copy_from_slice(&(pcm.len() as u32).to_be_bytes());
    big.extend(octets(i16::to_be_bytes));
    let mut trailing = plain.clone();
    trailing.extend(b"LIST\x04\0\0\0INFO");
    vec![
        ("plain", false, plain.clone()),
        ("a chunk behind the sound", false, trailing),
        (
            "sizes of 0",
            true,
            bent(4, &[0; 4]).into_iter().enumerate().map(|(n, b)| if (40..44).contains(&n) { 0 } else { b }).collect(),
        ),
        ("no length", true, bent(40, &[0xff; 4])),
        ("sox's length of a pipe", true, bent(40, &0x7fff_f000u32.to_le_bytes())),
        ("a length beyond the end", true, bent(40, &32_000u32.to_le_bytes())),
        ("a wrong RIFF size", false, bent(4, &[1, 2, 3, 0])),
        ("a wrong byte rate", true, bent(28, &[1, 2, 3, 4])),
        ("a byte rate of 0", true, bent(28, &[0; 4])),
        ("an odd octet", true, [&plain[..36], &riff(&[(b"data", &[&pcm[..], &[7]].concat())])[12..]].concat()),
        ("an odd list", false, riff(&[(b"fmt ", &format(1, 1, 2, 16, &[])), (b"LIST", b"INFOabc"), (b"data", &pcm)])),
        ("a format of 18", false, of(format(1, 1, 2, 16, &[0, 0]), &pcm)),
        ("a format of 20", false, of(format(1, 1, 2, 16, &[2, 0, 0, 0]), &pcm)),
        ("8 bits", false, of(format(1, 1, 1, 8, &[]), &octets(|s| [((s >> 8) + 128) as u8]))),
        ("24 bits", false, of(format(1, 1, 3, 24, &[]), &wide(8, 3))),
        ("20 bits in 24", false, of(format(1, 1, 3, 20, &[]), &wide(8, 3))),
        ("12 bits in 16", false, of(format(1, 1, 2, 12, &[]), &octets(|s| (s & !15).to_le_bytes()))),
        ("32 bits", false, of(format(1, 1, 4, 32, &[]), &wide(16, 4))),
        ("64 bits", false, of(format(1, 1, 8, 64, &[]), &wide(48, 8))),
        ("extensible", false, of(format(0xfffe, 1, 2, 16, &extension(16, 1)), &pcm)),
        ("extensible, 24 in 32", false, of(format(0xfffe, 1, 4, 32, &extension(24, 1)), &wide(16, 4))),
        ("extensible float", false, of(format(0xfffe, 1, 4, 32, &extension(32, 3)), &f32s)),
        ("extensible mu-law", false, of(format(0xfffe, 1, 1, 8, &extension(8, 7)), &ulaw)),
        ("float", false, of(format(3, 1, 4, 32, &[]), &f32s)),
        ("double", false, of(format(3, 1, 8, 64, &[]), &f64s)),
        ("A-law", false, of(format(6, 1, 1, 8, &[0, 0]), &alaw)),
        ("mu-law", false, of(format(7, 1, 1, 8, &[0, 0]), &ulaw)),
        ("RF64", false, rf64(true)),
        ("RF64 without sizes", true, rf64(false)),
        ("RIFX", false, big),
    ]
}

fn ours(path: &Path) -> (Vec<i16>, usize) {
    let source = WavSource::open(path, RATE_HZ).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let remarks = source.remarks().len();
    (source.read_all(dsp_core::time::Duration::from_secs(60)).unwrap(), remarks)
}

/// What another program reads, as 16-bit mono at 8 kHz.
fn theirs(program: &str, path: &Path) -> Vec<i16> {
    let mut command = Command::new(program);
    match program {
        "sox" => command.args(["-V0", "-D"]).arg(path).args(["-t", "s16", "-"]),
        _ => command.args(["-v", "quiet", "-nostdin", "-i"]).arg(path).args(["-f", "s16le", "-c:a", "pcm_s16le", "-"]),
    };
    let output = command.stderr(Stdio::null()).output().unwrap();
    output.stdout.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect()
}

/// Files that ffmpeg 5.1 makes noise of (it takes 24 bits of 32 for three octets, and the wrong byte order), or nothing.
const NOT_BY_FFMPEG: [&str; 3] = ["extensible, 24 in 32", "RIFX", "RF64 without sizes"];
/// Files that sox 14.4 refuses, or has no coding for.
const NOT_BY_SOX: [&str; 6] =
    ["sizes of 0", "20 bits in 24", "12 bits in 16", "64 bits", "extensible, 24 in 32", "RF64 without sizes"];

#[test]
fn wav_files_are_read_as_sox_and_ffmpeg_read_them() {
    let folder = folder("odd-wav");
    let mut files: Vec<_> = odd_files()
        .into_iter()
        .map(|(name, odd, bytes)| {
            let path = folder.join(format!("{name}.wav"));
            fs::write(&path, bytes).unwrap();
            (name, odd, path)
        })
        .collect();
    for (name, odd) in [
        ("09_odd_list_padded", false),
        ("10_ffmpeg_pipe_ffffffff", true),
        ("11_mulaw", false),
        ("12_truncated", true),
        ("f64", false),
        ("pcm_fmt20", false),
    ] {
        files.extend(shared(&format!("cases/{name}.wav")).map(|path| (name, odd, path)));
    }
    let ffmpeg = installed("ffmpeg", "ffmpeg");
    let sox = Command::new("sox").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !sox {
        skipped::skip("sox is not installed (apt-get install sox)");
    }
    let mut others = Vec::new();
    for (name, odd, path) in &files {
        let (heard, remarks) = ours(path);
        assert_eq!(heard.len(), 8_000, "{name}");
        assert_eq!(remarks > 0, *odd, "{name}");
        for (program, there, except) in [("ffmpeg", ffmpeg, &NOT_BY_FFMPEG[..]), ("sox", sox, &NOT_BY_SOX[..])] {
            if there && !except.contains(name) {
                let theirs = theirs(program, path);
                let worst = heard.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max();
                println!("{name}: {program} differs by {worst:?} in {} samples", theirs.len());
                // Of an odd octet at the end one makes a sample, the other doesn't.
                if heard.len().abs_diff(theirs.len()) > 1 || worst > Some(1) || worst.is_none() {
                    others.push(format!("{name}: {program}"));
                }
            }
        }
    }
    assert_eq!(others, [""; 0]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_no_sound_is_told_by_its_true_reason() {
    let of = |format: Vec<u8>| riff(&[(b"fmt ", &format), (b"data", &[0; 64])]);
    for (bytes, why) in [
        (vec![], "is not a WAV file: it is empty"),
        (b"RIFF".to_vec(), "it is too short"),
        (b"OggS and other things".to_vec(), "it doesn't begin with RIFF"),
        (b"RIFF\x04\0\0\0AVI LIST".to_vec(), "it is RIFF, but not of sound"),
        (riff(&[(b"data", &[0; 64])]), "its sound comes before its format"),
        (riff(&[(b"fmt ", &format(1, 1, 2, 16, &[]))]), "it has no chunk with sound (data)"),
        (riff(&[(b"LIST", &[0; 64])]), "it has no chunk with its format (fmt)"),
        (riff(&[(b"fmt ", &[1, 0]), (b"data", &[0; 64])]), "its format is too short"),
        (of(format(2, 1, 2, 4, &[])), "ADPCM of Microsoft (coding 0x0002) is not supported"),
        (of(format(0x1234, 1, 2, 16, &[])), "coding 0x1234 is not supported"),
        (of(format(3, 1, 2, 16, &[])), "16-bit float is not supported"),
        (of(format(1, 1, 5, 40, &[])), "40-bit integer is not supported"),
        (of(format(1, 0, 2, 16, &[])), "a file of 0 channels, not 1 to 64, is not supported"),
        (of(format(0xfffe, 1, 2, 16, &[])), "its extensible format is not supported"),
        (riff(&[(b"fmt ", &format(1, 1, 2, 16, &[])), (b"data", &[])]), "has no samples"),
        // No sound, and said so by both sizes: what follows is no sound either.
        (riff(&[(b"fmt ", &format(1, 1, 2, 16, &[])), (b"data", &[]), (b"LIST", b"INFO")]), "has no samples"),
    ] {
        let error = WavSource::from_bytes("x.wav", bytes, RATE_HZ).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains('\n'), "{why}: {error}");
    }
}

/// Runs our command line in files of at most some kilobytes.
#[cfg(unix)]
fn limited(folder: &Path, blocks: u32, line: &str) -> Ended {
    let line = format!("ulimit -f {blocks}; exec {} {line}", media_core().display());
    Running::start(Command::new("sh").current_dir(folder).args(["-c", &line]), folder, "limited").wait(LIMIT)
}

/// Two calls of a process each, over files; the answerer hears into `heard.wav`. Both talk when this returns.
#[cfg(unix)]
fn call(folder: &Path, offer: &str, answer: &str) -> [Running; 2] {
    let start = |name: &str, line: &str| {
        let line = format!("{} {line} --address 127.0.0.1 --codec pcmu", media_core().display());
        Running::start(Command::new("sh").current_dir(folder).args(["-c", &format!("exec {line}")]), folder, name)
    };
    let offerer = start("offer", &format!("offer --write offer.sdp --read answer.sdp {offer}"));
    read_when_there(&folder.join("offer.sdp"), LIMIT);
    let answerer = start("answer", &format!("answer offer.sdp --write answer.sdp --speaker heard.wav {answer}"));
    let begin = Instant::now();
    while !(offerer.stderr().contains("talking with") && answerer.stderr().contains("talking with")) {
        assert!(begin.elapsed() < LIMIT, "{} {}", offerer.stderr(), answerer.stderr());
        sleep(Duration::from_millis(20));
    }
    [offerer, answerer]
}

#[cfg(unix)]
#[test]
fn a_recording_can_be_read_up_to_its_last_second_after_a_kill() {
    let folder = folder("killed");
    let [offerer, answerer] = call(&folder, "--null", "--microphone null");
    sleep(Duration::from_millis(3_500));
    // Dropped is killed, as by kill -9.
    drop(answerer);
    drop(offerer);
    let heard = WavSource::open(folder.join("heard.wav"), 8_000).unwrap();
    assert!(heard.remarks().is_empty() && heard.len() >= 2 * 8_000, "{}", heard.len());
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_microphone_file_that_breaks_ends_the_call_with_its_error() {
    let folder = folder("breaks");
    let microphone = folder.join("said.wav");
    fs::write(&microphone, to_wav(&vec![1_000; 60 * 8_000], 8_000, 1)).unwrap();
    let [offerer, answerer] = call(&folder, "--microphone said.wav --speaker null --repeat", "--microphone null");
    fs::File::options().write(true).open(&microphone).unwrap().set_len(20_000).unwrap();
    let ended = offerer.wait(LIMIT);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("sound stopped: cannot read said.wav to its end"), "{ended:?}");
    assert!(ended.stdout.contains("the sound failed"), "{ended:?}");
    answerer.wait(LIMIT).success();
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_loudspeaker_file_that_cannot_grow_ends_the_call_with_its_error() {
    let folder = folder("grown");
    let line = format!(
        "ulimit -f 64; exec {} offer --write offer.sdp --read answer.sdp --address 127.0.0.1 --codec pcmu \
         --microphone null --speaker full.wav",
        media_core().display()
    );
    let offerer = Running::start(Command::new("sh").current_dir(&folder).args(["-c", &line]), &folder, "offer");
    read_when_there(&folder.join("offer.sdp"), LIMIT);
    let mut command = Command::new(media_core());
    command.current_dir(&folder).args([
        "answer",
        "offer.sdp",
        "--write",
        "answer.sdp",
        "--address",
        "127.0.0.1",
        "--null",
    ]);
    let answerer = Running::start(&mut command, &folder, "answer");
    let ended = offerer.wait(LIMIT);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("sound stopped: cannot write full.wav: File too large"), "{ended:?}");
    assert!(WavSource::open(folder.join("full.wav"), 8_000).unwrap().len() > 16_000);
    answerer.wait(LIMIT).success();
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_does_not_end_a_call() {
    let folder = folder("log");
    let line = format!(
        "MEDIA_CORE_LOG=debug exec {} demo --realtime --seconds 1 --codec pcmu --out demo 2> /dev/full",
        media_core().display()
    );
    Running::start(Command::new("sh").current_dir(&folder).args(["-c", &line]), &folder, "demo").wait(LIMIT).success();
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn an_offer_from_a_pipe_is_one_offer_though_the_pipe_is_at_its_end() {
    let folder = folder("piped");
    let start = |name: &str, line: &str| {
        let line = format!("{line} --address 127.0.0.1 --codec pcmu --null");
        Running::start(Command::new("sh").current_dir(&folder).args(["-c", &line]), &folder, name)
    };
    let program = media_core().display();
    let offerer = start("offer", &format!("exec {program} offer --write offer.sdp --read answer.sdp"));
    read_when_there(&folder.join("offer.sdp"), LIMIT);
    let answer = format!("cat offer.sdp | {program} answer /dev/stdin --write answer.sdp --seconds 2");
    let answerer = start("answer", &answer).wait(LIMIT).success();
    assert!(!answerer.stderr.contains("not taken"), "{answerer:?}");
    offerer.wait(LIMIT).success();
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_capture_in_a_pipe_is_refused_as_a_pipe() {
    let folder = folder("pipe");
    assert!(Command::new("mkfifo").arg(folder.join("fifo")).status().unwrap().success());
    let program = media_core().display();
    run(&folder, "demo --fast --seconds 1 --codec pcmu --out demo").success();
    // One that has a capture, and one that nobody writes to.
    for line in [format!("cat demo/call.pcap | {program} replay /dev/stdin"), format!("{program} replay fifo")] {
        let mut command = Command::new("sh");
        let ended = Running::start(command.current_dir(&folder).args(["-c", &line]), &folder, "replay").wait(LIMIT);
        assert_eq!(ended.status.code(), Some(1), "{line}: {ended:?}");
        assert!(ended.stderr.contains("it is a pipe"), "{line}: {ended:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn what_a_replay_cannot_write_whole_leaves_the_old_result_as_it_was() {
    let folder = folder("whole");
    run(&folder, "demo --fast --seconds 2 --codec pcmu --no-srtp --out demo").success();
    fs::write(folder.join("trace.csv"), (0..50).map(|n| format!("{},{n},{}\n", 20 * n, 160 * n)).collect::<String>())
        .unwrap();
    fs::write(folder.join("said.wav"), to_wav(&sound(), RATE_HZ, 1)).unwrap();
    for line in ["demo/call.pcap", "--trace trace.csv --input said.wav --codec pcmu --seconds 1"] {
        fs::create_dir_all(folder.join("out")).unwrap();
        fs::write(folder.join("out/stream-1.wav"), "of before").unwrap();
        let ended = limited(&folder, 8, &format!("replay {line} --out out"));
        assert_eq!(ended.status.code(), Some(1), "{line}: {ended:?}");
        assert!(ended.stderr.contains("stream-1.wav: File too large"), "{line}: {ended:?}");
        let names: Vec<_> = fs::read_dir(folder.join("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["stream-1.wav"], "{line}");
        assert!(fs::read(folder.join("out/stream-1.wav")).unwrap() == b"of before", "{line}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_demo_that_is_asked_to_end_writes_what_was_heard_so_far() {
    let folder = folder("asked");
    for (signal, time) in [("TERM", "--realtime"), ("HUP", "--realtime"), ("INT", "--fast")] {
        let seconds = if time == "--fast" { "3600" } else { "60" };
        let mut command = Command::new(media_core());
        command.current_dir(&folder).args(["demo", time, "--seconds", seconds, "--codec", "pcmu", "--out", signal]);
        let demo = Running::start(&mut command, &folder, signal);
        let begin = Instant::now();
        while !folder.join(signal).exists() {
            assert!(begin.elapsed() < LIMIT, "{}", demo.stderr());
            sleep(Duration::from_millis(10));
        }
        // In virtual time an hour takes some seconds.
        sleep(Duration::from_millis(if time == "--fast" { 200 } else { 2_000 }));
        demo.signal(signal);
        demo.wait(LIMIT).success();
        for name in ["a-heard.wav", "b-heard.wav"] {
            let heard = WavSource::open(folder.join(signal).join(name), 8_000).unwrap();
            assert!((8_000..3_600 * 8_000).contains(&heard.len()), "{signal}: {}", heard.len());
        }
        for name in ["call.pcap", "call.keys", "report.json", "report.html"] {
            assert!(fs::metadata(folder.join(signal).join(name)).unwrap().len() > 100, "{signal}: {name}");
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

/// Runs our command line with the words of `line`.
fn run(folder: &Path, line: &str) -> Ended {
    Running::start(Command::new(media_core()).current_dir(folder).args(line.split(' ')), folder, "run").wait(LIMIT)
}

#[test]
fn a_small_file_of_much_sound_is_written_only_on_request() {
    let folder = folder("amplified");
    // Packets of one octet that last 60 ms each: an hour and a minute.
    let mut ogg = Vec::new();
    let head = OpusHead { channels: 1, pre_skip: 0, input_rate_hz: 8_000, gain_q8: 0 };
    let mut writer = OpusFileWriter::new(&mut ogg, head).unwrap();
    for _ in 0..61 * 1_000 {
        writer.packet(&[3 << 3], 2_880).unwrap();
    }
    writer.finish(u64::MAX / 2).unwrap();
    fs::write(folder.join("small.opus"), &ogg).unwrap();
    let refused = run(&folder, "decode --codec opus --rate 8000 small.opus out.wav");
    assert!(!refused.status.success() && !folder.join("out.wav").exists(), "{refused:?}");
    assert!(refused.stderr.contains("small.opus lasts more than 3600 s"), "{refused:?}");
    for (seconds, samples) in [("1.5", 12_000), ("4000", 3_660 * 8_000)] {
        run(&folder, &format!("decode --codec opus --rate 8000 --seconds {seconds} small.opus out.wav")).success();
        assert_eq!(WavSource::open(folder.join("out.wav"), 8_000).unwrap().len(), samples);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_cut_ogg_file_gives_all_that_is_there() {
    let Some(cut) = shared("cases/15_cut.opus") else { return };
    let folder = folder("cut");
    let ended = run(&folder, &format!("decode --codec opus {} out.wav", cut.display())).success();
    assert!(ended.stderr.contains("it is cut off"), "{ended:?}");
    let ours = WavSource::open(folder.join("out.wav"), 48_000).unwrap();
    if installed("ffmpeg", "ffmpeg") {
        let theirs = theirs("ffmpeg", &cut).len() as u64;
        assert!(ours.len().abs_diff(theirs) <= 960, "{} {theirs}", ours.len());
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn ilbc_in_frames_of_30_ms_is_its_mode_30() {
    let folder = folder("ilbc-30");
    fs::write(folder.join("said.wav"), to_wav(&sound(), RATE_HZ, 1)).unwrap();
    for options in ["--frame-ms 30", "--frame-ms 90", "--mode 30"] {
        run(&folder, &format!("encode --codec ilbc {options} said.wav coded")).success();
        // 50 bytes each 30 ms (RFC 3951).
        assert_eq!(fs::metadata(folder.join("coded")).unwrap().len() % 50, 0, "{options}");
        run(&folder, &format!("decode --codec ilbc {options} coded heard.wav")).success();
        assert!(WavSource::open(folder.join("heard.wav"), RATE_HZ).unwrap().len() >= 8_000, "{options}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_sdp_is_read_whole_in_any_character_set_or_refused() {
    let folder = folder("sdp-files");
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=Gr\u{fc}\u{df}e\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 40000 RTP/AVP 0\r\n";
    let latin: Vec<u8> = sdp.chars().map(|c| c as u8).collect();
    fs::write(folder.join("latin.sdp"), &latin).unwrap();
    let long = [&latin[..], "a=x-something:of no use\r\n".repeat(3_000).as_bytes(), b"a=inactive\r\n"].concat();
    fs::write(folder.join("long.sdp"), long).unwrap();
    let answer = "--no-srtp --null --address 127.0.0.1 --seconds 0.2 --write answer.sdp";
    run(&folder, &format!("answer latin.sdp {answer}")).success();
    let refused = run(&folder, &format!("answer long.sdp {answer}"));
    assert!(!refused.status.success(), "{refused:?}");
    assert!(refused.stderr.contains("cannot read long.sdp: an SDP of more than 64 KiB is not read"), "{refused:?}");
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn sdp_is_written_through_a_link_and_over_nobodys_file() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = folder("written");
    let file = |name: &str| folder.join(name);
    fs::write(file("offer.part"), "the user's own").unwrap();
    fs::write(file("offer.sdp"), "of yesterday").unwrap();
    fs::set_permissions(file("offer.sdp"), fs::Permissions::from_mode(0o644)).unwrap();
    symlink("target.sdp", file("link.sdp")).unwrap();
    // No answer: it fails at the end of stdin, when the offer is written.
    for (name, target) in [("offer.sdp", "offer.sdp"), ("link.sdp", "target.sdp")] {
        let ended = run(&folder, &format!("offer --null --address 127.0.0.1 --write {name}"));
        assert!(ended.stderr.contains("no SDP answer on stdin"), "{ended:?}");
        assert!(fs::read_to_string(file(target)).unwrap().starts_with("v=0"), "{name}");
        assert_eq!(fs::metadata(file(target)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert!(fs::symlink_metadata(file("link.sdp")).unwrap().is_symlink());
    assert_eq!(fs::read(file("offer.part")).unwrap(), b"the user's own");
    #[cfg(target_os = "linux")]
    {
        let full = run(&folder, "offer --null --address 127.0.0.1 --write /dev/full");
        assert!(full.stderr.contains("cannot write /dev/full: No space left"), "{full:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn at_the_end_of_the_disk_a_wav_has_what_fitted_and_the_failure_is_told() {
    let folder = folder("full-disk");
    // Blocks of 512 octets, or of 1,024.
    let ended = limited(&folder, 100, "demo --fast --seconds 20 --codec l16 --out call");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("cannot write call/a-heard.wav: File too large"), "{ended:?}");
    let heard = WavFrames::open(folder.join("call/a-heard.wav"), 16_000, 1).unwrap();
    assert!(heard.remarks().is_empty(), "{:?}", heard.remarks());
    assert!(heard.len() > 25_000, "{}", heard.len());
    fs::remove_dir_all(folder).unwrap();
}
