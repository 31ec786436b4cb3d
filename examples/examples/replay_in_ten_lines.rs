//! Plays a capture through the real receiver in virtual time, and says in words what its listeners heard:
//! `replay_in_ten_lines [CAPTURE [KEYS]]`.
//!
//! You learn how a capture becomes a report. Without arguments, the program plays what `record_a_capture` has written.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use host_std::replay::{CaptureKeys, ReplayConfig, read_keys, replay};

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let (capture, keys) = match given.as_slice() {
        [] => (env::temp_dir().join("media-core-call.pcap"), Some(env::temp_dir().join("media-core-call.keys"))),
        [capture, rest @ ..] => (capture.clone(), rest.first().cloned()),
    };

    let keys = keys.map_or_else(|| Ok(CaptureKeys::default()), |keys| read_keys(&keys))?;
    let report = replay(&capture, &keys, &ReplayConfig::default())?;
    for stream in &report.streams {
        println!("{} -> {}, {}: {}", stream.from, stream.to, stream.codec, stream.verdict);
        for moment in &stream.worst {
            println!("  {} {}", moment.when(), moment.words);
        }
    }
    // report.html, report.json and a WAV file a stream.
    let folder = env::temp_dir().join("media-core-replay");
    fs::create_dir_all(&folder)?;
    report.write(&folder)?;
    println!("{}", folder.join("report.html").display());

    assert!(!report.streams.is_empty());
    Ok(())
}
