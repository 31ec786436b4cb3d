//! Strange offers played through the program: `answer FILE --null`. What it answers, what it says, and its exit code.

use std::fs;
use std::process::Command;
use std::time::Duration;

use media_core_tests::program::{Ended, Running, folder, media_core};
use media_core_tests::shared;

/// The program with this offer on `address`; `None` where the file isn't there.
fn answered(offer: &str, address: &str) -> Option<Ended> {
    let path = shared("cases")?.join(offer);
    let folder = folder(&format!("offer-{}-{}", &offer[..3], address.len()));
    let mut program = Command::new(media_core());
    program.current_dir(&folder).arg("answer").arg(path).args(["--null", "--no-srtp", "--seconds", "0.5"]);
    program.args(["--address", address]);
    let ended = Running::start(&mut program, &folder, "answer").wait(Duration::from_secs(30));
    fs::remove_dir_all(folder).unwrap();
    Some(ended)
}

/// From loopback nothing can be sent to an address of documentation: the call is agreed on, and then the program says that nothing
/// leaves.
#[track_caller]
fn assert_agreed_but_unsent(ended: &Ended, codec: &str) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("talking with 192.0.2.7:5004: {codec}, 20 ms, plain RTP")), "{ended:?}");
    assert!(ended.stdout.contains("could not be sent"), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("media-core: ") && last.contains("could not be sent"), "{ended:?}");
}

#[test]
fn events_of_two_clocks_under_one_number_leave_the_sound_its_codec() {
    let Some(ended) = answered("13_te_16000_then_8000_same_pt.sdp", "127.0.0.1") else { return };
    assert_agreed_but_unsent(&ended, "PCMA/8000");
    assert!(ended.stdout.contains(" RTP/AVP 8 "), "{ended:?}");
    assert!(!ended.stdout.contains("telephone-event/16000"), "{ended:?}");
}

#[test]
fn g722_with_its_sampling_rate_is_answered_with_its_clock() {
    let Some(ended) = answered("08b_g722_16000_rtpmap.sdp", "127.0.0.1") else { return };
    assert_agreed_but_unsent(&ended, "G722/8000");
    assert!(ended.stdout.contains("m=audio ") && ended.stdout.contains(" RTP/AVP 9\r\n"), "{ended:?}");
}

#[test]
fn an_offer_of_ipv6_is_served_by_ipv6_and_refused_with_its_reason_by_ipv4() {
    let Some(ended) = answered("14_ipv6_offer.sdp", "127.0.0.1") else { return };
    assert_eq!((ended.status.code(), &ended.stdout[..]), (Some(1), ""), "{ended:?}");
    let reason = "the offer wants audio sent to ::1, which is IPv6; our address 127.0.0.1 is IPv4";
    assert!(ended.stderr.contains(reason) && ended.stderr.lines().count() == 1, "{ended:?}");
    let Some(ended) = answered("14_ipv6_offer.sdp", "::1") else { return };
    let ended = ended.success();
    assert!(ended.stdout.contains("c=IN IP6 ::1\r\n"), "{ended:?}");
    assert!(ended.stderr.contains("talking with [::1]:45454: PCMU/8000, 20 ms, plain RTP"), "{ended:?}");
    assert!(!ended.stdout.contains("could not be sent"), "{ended:?}");
}

#[test]
fn an_offer_with_a_host_name_is_resolved_to_our_family() {
    let Some(ended) = answered("16_fqdn.sdp", "127.0.0.1") else { return };
    let ended = ended.success();
    assert!(ended.stdout.contains("c=IN IP4 127.0.0.1\r\n"), "{ended:?}");
    assert!(ended.stderr.contains("talking with 127.0.0.1:5004: PCMU/8000, 20 ms, plain RTP"), "{ended:?}");
    assert!(!ended.stdout.contains("could not be sent"), "{ended:?}");
}
