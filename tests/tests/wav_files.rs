//! WAV files as others write them, and break them: read as sox and ffmpeg read them; and ours while they are written.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dsp_core::codec::g711::{encode_alaw, encode_ulaw};
use host_std::wav::{WavFrames, WavSource, to_wav};
use media_core_tests::program::{Ended, Running, folder, installed, media_core};
use media_core_tests::shared;

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
        eprintln!("skipped: sox is not installed (apt-get install sox)");
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
        (of(format(1, 0, 2, 16, &[])), "0 channels is not supported"),
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
