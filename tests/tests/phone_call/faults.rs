//! What goes wrong around a phone in a call.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use media_core_tests::score::score;

use crate::harness::{AN386, Plan, firmware};

/// A command to the emulator.
#[cfg(unix)]
fn tell_emulator(folder: &Path, command: &str) {
    use std::io::Write;
    let mut monitor = std::os::unix::net::UnixStream::connect(folder.join("monitor")).unwrap();
    writeln!(monitor, "{command}").unwrap();
    // It is read, and carried out, before the next one of ours.
    sleep(Duration::from_millis(200));
}

/// Garbage at ten times the rate of a call and then as fast as can be, packets of another call, a link that is gone for 3 s: the phone
/// goes on, says each once, and is heard and hears afterwards as before.
#[cfg(unix)]
#[test]
#[ignore = "a call of 30 s in real time: .ci/long"]
fn phone_call_outlives_garbage_floods_and_a_link_that_is_lost() {
    let Some(image) = firmware(AN386) else { return };
    let meanwhile = |folder: &Path, port: u16| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut state = 7u32;
        let mut send = |packets: u32, a_second: u32| {
            let begin = std::time::Instant::now();
            for n in 0..packets {
                let mut bytes = [0; 172];
                bytes.fill_with(|| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                });
                // Half of them look like packets of sound.
                if n % 2 == 0 {
                    bytes[..2].copy_from_slice(&[0x80, 0]);
                }
                socket.send_to(&bytes, ("127.0.0.1", port)).unwrap();
                let due = Duration::from_secs(1) * (n + 1) / a_second;
                sleep(due.saturating_sub(begin.elapsed()));
            }
        };
        sleep(Duration::from_secs(5));
        send(2_000, 500);
        sleep(Duration::from_secs(2));
        send(10_000, 5_000);
        sleep(Duration::from_secs(3));
        tell_emulator(folder, "set_link net0 off");
        sleep(Duration::from_secs(3));
        tell_emulator(folder, "set_link net0 on");
    };
    let plan = Plan { srtp: true, seconds: 30, meanwhile: Some(meanwhile), ..Plan::default() };
    let outcome = plan.call("phone-faults", Some(&image));
    assert_eq!(outcome.all("link down"), ["begins", "over"]);
    let strangers = outcome.all("strangers");
    assert!(strangers.len() >= 2 && strangers.chunks(2).all(|one| one == ["begins", "over"]), "{strangers:?}");
    let silences = outcome.all("silence");
    assert!(silences.len() >= 2 && silences.chunks(2).all(|one| one == ["begins", "over"]), "{silences:?}");
    // Once for each flood: where this machine is busy a flood may come in pieces.
    let floods = outcome.all("flood");
    assert!(floods.len() >= 2 && floods.chunks(2).all(|flood| flood == ["begins", "over"]), "{floods:?}");
    assert_eq!(outcome.told("undecodable"), 0);
    let [foreign, refused] = ["foreign", "refused packets"].map(|name| outcome.told(name));
    assert!(foreign > 1_000 && refused > 1_000, "{foreign} foreign, {refused} refused");
    // 3 s of 30 are missing, and what the flood has pushed out of the queues.
    let received = outcome.told("received");
    assert!(received > 700, "{received} packets came");
    let [there, here] = [outcome.sound("second.wav"), outcome.sound("first.wav")];
    for (name, heard) in [("desktop", there), ("phone", here)] {
        let last = &heard[22 * outcome.rate_hz as usize..];
        let voice = if name == "desktop" { "woman.wav" } else { "man.wav" };
        let said = outcome.sound(voice);
        let found = score(&[&said[..], &said[..]].concat(), last, outcome.rate_hz);
        println!("{name} afterwards: {found:?}");
        assert!(found.median > 0.9 && found.segments >= 5, "{name}: {found:?}");
    }
    outcome.end();
}
