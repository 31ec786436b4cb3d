//! What is kept of calls and rooms by the command line: on a full disk, in several files, by second destinations; and what is told
//! of it.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration as StdDuration;

use dsp_core::time::Duration;
use host_std::opus_file::OpusFile;
use host_std::wav::WavFrames;
use media_core_tests::program::{folder, media_core};
use media_core_tests::skipped::skip;
use serde_json::Value;

/// Whether it succeeded, and all that it wrote.
fn run(dir: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new(media_core()).current_dir(dir).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A disk of so many KB, until it is dropped; `None` where only root may have one and we aren't.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path, kilobytes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={kilobytes}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        if !mounted.is_ok_and(|mounted| mounted.status.success()) {
            skip("a disk of its own can be mounted by root alone");
            return None;
        }
        Some(Self(at))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_call() {
    let dir = folder("full-disk");
    let disk = dir.join("disk");
    let Some(_disk) = Disk::mount(&disk, 300) else { return };
    // 300 KB are 9 s of WAV, and half a minute of Opus, where the rest of the disk is full.
    let (success, text) =
        run(&dir, &["demo", "--fast", "--seconds", "20", "--record", "disk/call.wav", "--out", "call"]);
    assert!(!success && text.contains("disk/call.wav") && text.contains("o space left"), "{text}");
    assert!(text.contains("the call goes on"), "{text}");
    let report = json(dir.join("call/report.json"));
    assert_eq!(report["duration_s"], 20.0, "the call went on");
    let why = report["kept"]["recordings"][0]["ended_early"].as_str().unwrap();
    assert!(why.contains("o space left"), "{why}");
    let page = std::fs::read_to_string(dir.join("call/report.html")).unwrap();
    assert!(page.contains("ended early") && page.contains("o space left"), "the page says it too");
    // What was written before the last second can be played.
    let sound = WavFrames::open(disk.join("call.wav"), 16_000, 1).unwrap().read_all(Duration::from_secs(60)).unwrap();
    assert!((16_000 * 7..16_000 * 10).contains(&sound.len()), "{}", sound.len());
    assert!(sound[sound.len() - 32_000..].iter().any(|sample| sample.unsigned_abs() > 500));

    std::fs::remove_file(disk.join("call.wav")).unwrap();
    std::fs::write(disk.join("ballast"), vec![0; 260_000]).unwrap();
    let args =
        ["conference", "--demo", "2", "--fast", "--seconds", "20", "--record", "disk/room.opus", "--out", "room"];
    let (success, text) = run(&dir, &args);
    assert!(!success && text.contains("o space left"), "{text}");
    let report = json(dir.join("room/conference.json"));
    assert_eq!(report["seconds"], 20.0);
    assert!(report["kept"]["recordings"][0]["ended_early"].is_string(), "{}", report["kept"]);
    let packets = OpusFile::read(std::fs::File::open(disk.join("room.opus")).unwrap()).unwrap().packets.len();
    assert!(packets > 100, "{packets} packets of 20 ms");
    drop(_disk);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_recording_goes_on_in_new_files() {
    let dir = folder("rotate");
    let args = ["demo", "--fast", "--seconds", "7", "--record", "call.wav", "--rotate", "2s", "--rotate", "10MB"];
    let (success, text) = run(&dir, &args);
    assert!(success && text.contains("call-001.wav, call-002.wav, call-003.wav, call-004.wav"), "{text}");
    let frames: Vec<u64> =
        (1..=4).map(|n| WavFrames::open(dir.join(format!("call-00{n}.wav")), 16_000, 1).unwrap().len()).collect();
    assert_eq!(frames[..3], [32_000; 3]);
    assert!(frames[3].abs_diff(16_000) < 800, "{frames:?}");
    // Among the files of the demo, and of a conference, is no place for it.
    std::fs::create_dir(dir.join("there")).unwrap();
    for (command, name) in [("demo", "a-heard.wav"), ("conference", "caller-1.wav"), ("conference", "room.wav")] {
        let record = format!("there/{name}");
        let mut args = vec![command, "--fast", "--seconds", "1", "--record", &record, "--tracks", "--out", "there"];
        args.extend((command == "conference").then_some(["--demo", "2"]).into_iter().flatten());
        let (success, text) = run(&dir, &args);
        assert!(!success && text.contains("among the results"), "{text}");
    }
    for wrong in ["2", "0s", "3GB"] {
        let (success, text) = run(&dir, &["demo", "--fast", "--record", "call.wav", "--rotate", wrong]);
        assert!(!success && text.contains("--rotate"), "{text}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// Sockets at every other port from the first one's on.
fn sockets<const N: usize>() -> [UdpSocket; N] {
    loop {
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let further = (1..N as u16).map(|n| UdpSocket::bind(("127.0.0.1", port.checked_add(2 * n)?)).ok());
        let Some(further) = further.collect::<Option<Vec<_>>>() else { continue };
        let all: Vec<_> = std::iter::once(first).chain(further).collect();
        return all.try_into().unwrap();
    }
}

/// The loudest sample from 1.5 s on, and how many packets came until after it was done; read meanwhile, for a socket holds few.
fn heard(socket: &UdpSocket, done: &AtomicBool) -> (u16, u64) {
    socket.set_read_timeout(Some(StdDuration::from_millis(200))).unwrap();
    let (mut packet, mut loudest, mut packets) = ([0; 2_000], 0, 0);
    loop {
        let last = done.load(Ordering::Relaxed);
        match socket.recv(&mut packet) {
            Ok(bytes) => {
                packets += 1;
                let samples = packet[12..bytes].chunks_exact(2).map(|two| i16::from_be_bytes([two[0], two[1]]));
                loudest = samples.map(i16::unsigned_abs).filter(|_| packets > 75).fold(loudest, u16::max);
            }
            Err(_) if last => return (loudest, packets),
            Err(_) => {}
        }
    }
}

#[test]
fn each_caller_is_a_stream_of_a_fork_and_the_report_counts_them() {
    let dir = folder("fork-each");
    let sockets = sockets::<3>();
    let to = format!("rtp://{}", sockets[0].local_addr().unwrap());
    let args = ["conference", "--demo", "3", "--seconds", "4", "--tracks", "--fork", &to, "--fork-sdp", "fork.sdp"];
    let done = AtomicBool::new(false);
    let (streams, (success, text)) = std::thread::scope(|threads| {
        let readers = sockets.each_ref().map(|socket| threads.spawn(|| heard(socket, &done)));
        let ran = run(&dir, &args);
        done.store(true, Ordering::Relaxed);
        (readers.map(|reader| reader.join().unwrap()), ran)
    });
    assert!(success && text.contains("3 streams"), "{text}");
    // The third has just spoken, and speaks again from 5 s on.
    assert!(streams[0].0 > 1_000 && streams[1].0 > 1_000 && streams[2].0 < 100, "{streams:?}");
    let report = json(dir.join("media-core-conference/conference.json"));
    let fork = &report["kept"]["forks"][0];
    let packets: u64 = streams.iter().map(|(_, packets)| packets).sum();
    assert_eq!(fork["packets"].as_u64(), Some(packets), "{fork}");
    assert_eq!((&fork["dropped_pieces"], &fork["refused_packets"]), (&0.into(), &0.into()), "{fork}");
    let page = std::fs::read_to_string(dir.join("media-core-conference/conference.html")).unwrap();
    assert!(page.contains(&format!("3 streams, {packets} packets, 0 pieces dropped")), "the page says the same");
    let sdp = std::fs::read_to_string(dir.join("fork.sdp")).unwrap();
    assert_eq!((sdp.matches("m=audio").count(), sdp.contains("a=label:3")), (3, true), "{sdp}");
    let (success, text) = run(&dir, &["conference", "--demo", "2", "--fast", "--tracks"]);
    assert!(!success && text.contains("--record or --fork"), "{text}");
    std::fs::remove_dir_all(dir).unwrap();
}
