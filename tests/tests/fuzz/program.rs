//! Fuzzing of the command line's files: captures, WAV and Ogg files, SDP, keys and arrival traces with some bytes changed
//! or cut off, a process of `media-core` each. Whatever the bytes, it ends in time and within its memory, by itself, with
//! success or with an error in words.
//! On stable with the default engine; `BOLERO_RANDOM_TEST_TIME_MS` sets how long.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use bolero::produce;
use dsp_core::guard::PacketGuard as _;
use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use host_std::record::keys::KeyLine;
use host_std::session::{Call, CallConfig, Identity};
use media_core_tests::captures::{Link, Packet, Times, call, hum, pcap, pcapng, rtpdump};
use media_core_tests::program::{Running, folder, media_core};

/// Where in a file, how, and with what.
type Edit = (u16, u8, u8);

/// Address space of a process in KiB, bytes of one file that it writes in units of 512, and time.
const MEMORY_KIB: u32 = 1_000_000;
const FILE_BLOCKS: u32 = 2_000_000;
const LIMIT: Duration = Duration::from_secs(30);

/// A file that is good, and what is done with one like it.
struct Seed {
    name: &'static str,
    bytes: Vec<u8>,
    arguments: Vec<String>,
}

fn wav(samples: usize) -> Vec<u8> {
    let data: Vec<u8> = hum(samples).into_iter().flat_map(i16::to_le_bytes).collect();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(8_000u32.to_le_bytes());
    bytes.extend(16_000u32.to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

/// The same packets, protected with a key.
fn protect(mut packets: Vec<Packet>, key: &[u8; 30]) -> Vec<Packet> {
    let key = MasterKey::from_bytes(key);
    let mut srtp = Srtp::<1>::new(SrtpProfile::AesCm128HmacSha1_80, &key, &key).unwrap();
    for packet in &mut packets {
        let len = packet.bytes.len();
        packet.bytes.resize(len + srtp.max_growth(), 0);
        let len = srtp.protect_rtp(&mut packet.bytes, len).expect("a good packet");
        packet.bytes.truncate(len);
    }
    packets
}

fn offer() -> String {
    let mut call = Call::new(CallConfig::with_identity(4_000, Identity::seeded(1))).expect("a call of the defaults");
    call.offer().expect("an offer").to_string()
}

fn trace() -> String {
    let mut text = String::from("arrival_ms,seq,rtp_ts\n");
    for n in 0..50 {
        writeln!(text, "{},{},{}", n * 20 + n % 7, n, n * 160).expect("a string can be written");
    }
    text
}

/// One of each kind, in a folder of their own.
fn seeds(folder: &Path) -> Vec<Seed> {
    let seed = |name, bytes: Vec<u8>, arguments: &[&str]| Seed {
        name,
        bytes,
        arguments: arguments.iter().map(ToString::to_string).collect(),
    };
    let packets = call(50, "192.0.2.1:4000", "198.51.100.2:5004");
    let key: [u8; 30] = core::array::from_fn(|n| n as u8);
    fs::write(folder.join("good.wav"), wav(4_000)).expect("the folder can be written");
    let protected = pcap(&protect(packets.clone(), &key), Link::Ethernet(0), false, false);
    fs::write(folder.join("protected.pcap"), protected).expect("the folder can be written");
    let encode = ["encode", "--codec", "opus", "good.wav", "good.opus"];
    let encode = Command::new(media_core()).current_dir(folder).args(encode).output().expect("media-core runs");
    assert!(encode.status.success(), "{encode:?}");
    let opus = fs::read(folder.join("good.opus")).expect("what was encoded is there");
    let keys = KeyLine {
        suite: "AES_CM_128_HMAC_SHA1_80".into(),
        from: packets[0].from,
        to: packets[0].to,
        key_and_salt: key.to_vec(),
        mki: None,
    };
    let answer = ["answer", "in", "--write", "out.sdp", "--address", "127.0.0.1", "--null", "--seconds", "0.1"];
    vec![
        seed("pcap", pcap(&packets, Link::Ethernet(1), false, true), &["replay", "in"]),
        seed("pcapng", pcapng(&packets, Link::Cooked, false, Times::NanosFrom(1_000)), &["replay", "in"]),
        seed("rtpdump", rtpdump(&packets), &["replay", "in"]),
        seed("keys", keys.to_string().into(), &["replay", "protected.pcap", "--keys", "in"]),
        seed("trace", trace().into_bytes(), &["replay", "--trace", "in", "--input", "good.wav", "--codec", "pcmu"]),
        seed("wav", wav(4_000), &["encode", "--codec", "g722", "in", "out.g722"]),
        seed("opus", opus, &["decode", "--codec", "opus", "in", "out.wav"]),
        seed("offer", offer().into_bytes(), &answer),
    ]
}

fn mutate(bytes: &mut Vec<u8>, edits: &[Edit]) {
    for &(place, how, with) in edits {
        if bytes.is_empty() {
            return;
        }
        let at = usize::from(place) % bytes.len();
        let head = at % bytes.len().min(64);
        match how % 8 {
            0 | 1 => bytes[head] = with,
            2 => bytes[head] ^= 1 << (with % 8),
            3 => bytes[at] = with,
            4 => bytes[at] ^= 1 << (with % 8),
            // A length or a time of four bytes.
            5 => {
                let end = bytes.len().min(at + 4);
                bytes[at..end].fill(with);
            }
            6 if with < 32 => bytes.truncate(at),
            6 => bytes.insert(at, with),
            _ => {
                let end = bytes.len().min(at + usize::from(with));
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}

/// Runs the program on `bytes` as the file `in`; fails unless it ends by itself, with success or in words.
fn run(folder: &Path, seed: &Seed, bytes: &[u8]) {
    fs::write(folder.join("in"), bytes).expect("the folder can be written");
    let limits = format!("ulimit -v {MEMORY_KIB}; ulimit -f {FILE_BLOCKS}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", &limits, "sh"]).arg(media_core()).args(&seed.arguments);
    let ended = Running::start(&mut command, folder, "media-core").wait(LIMIT);
    let code = ended.status.code();
    assert!(matches!(code, Some(0..=2)), "{}: {} {}", seed.name, ended.status, ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}: {}", seed.name, ended.stderr);
    assert!(code == Some(0) || !ended.stderr.trim().is_empty(), "{}: failed without a word", seed.name);
}

fn in_a_folder(test: &str) -> (PathBuf, Vec<Seed>) {
    let folder = folder(test);
    let seeds = seeds(&folder);
    (folder, seeds)
}

#[test]
fn the_seeds_succeed() {
    let (folder, seeds) = in_a_folder("program-seeds");
    for seed in seeds {
        fs::write(folder.join("in"), &seed.bytes).expect("the folder can be written");
        let output = Command::new(media_core()).current_dir(&folder).args(&seed.arguments).output().expect("it runs");
        assert!(output.status.success(), "{}: {}", seed.name, String::from_utf8_lossy(&output.stderr));
    }
    fs::remove_dir_all(folder).expect("the folder can be removed");
}

#[test]
fn fuzz_program_files() {
    let prepared = Mutex::new(in_a_folder("program-fuzz"));
    let input = (produce::<u8>(), produce::<Vec<Edit>>().with().len(1usize..24));
    let check = bolero::check!().with_shrink_time(Duration::ZERO);
    check.with_generator(input).for_each(|(which, edits)| {
        let prepared = prepared.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (folder, seeds) = &*prepared;
        let seed = &seeds[usize::from(*which) % seeds.len()];
        let mut bytes = seed.bytes.clone();
        mutate(&mut bytes, edits);
        run(folder, seed, &bytes);
    });
    let (folder, _) = prepared.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    fs::remove_dir_all(folder).expect("the folder can be removed");
}
