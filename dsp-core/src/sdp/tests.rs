//! Offers and answers between two phones, and texts of others.

use super::*;
use std::string::String;

const FORMATS: [Format; 2] = [
    Format { name: "G722", clock_hz: 8_000, payload_type: PayloadType::from_low_bits(9) },
    Format { name: "PCMU", clock_hz: 8_000, payload_type: PayloadType::PCMU },
];

fn local(key: Option<&MasterKey>) -> Local<'_> {
    Local {
        address: [127, 0, 0, 1].into(),
        port: 5004,
        session: 1,
        version: 1,
        formats: &FORMATS,
        events: PayloadType::new(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        key,
    }
}

fn remote(text: &str) -> Remote<'_> {
    Remote::parse(text.as_bytes()).unwrap()
}

#[test]
fn two_phones_agree() {
    let keys = [1, 2].map(|n| MasterKey::from_bytes(&[n; 30]));
    let (mut first, mut second) = ([0; 600], [0; 600]);
    let offering = local(Some(&keys[0]));
    let offer = offering.offer(&mut first).unwrap();
    let answering =
        Local { port: 4000, formats: &FORMATS[1..], direction: Direction::RecvOnly, ..local(Some(&keys[1])) };
    let (answer, theirs) = answering.answer(&remote(offer), &mut second).unwrap();
    let ours = offering.accept(&remote(answer)).unwrap();
    assert_eq!((ours.format, theirs.format), (FORMATS[1], FORMATS[1]));
    assert_eq!((ours.events, theirs.events), (PayloadType::new(101), PayloadType::new(101)));
    assert_eq!((ours.port, theirs.port, ours.rtcp_mux && theirs.rtcp_mux), (4000, 5004, true));
    assert_eq!((ours.direction, theirs.direction), (Direction::SendOnly, Direction::RecvOnly));
    let (ours, theirs) = (ours.keys.unwrap(), theirs.keys.unwrap());
    assert_eq!((&ours.outgoing, &ours.incoming), (&theirs.incoming, &theirs.outgoing));
    assert_eq!((&ours.outgoing, ours.profile), (&keys[0], SrtpProfile::AesCm128HmacSha1_80));
}

const HEAD: &str = "v=0\r\no=alice 2890 7 IN IP4 198.51.100.1\r\ns=\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n";

fn text(media: &str) -> String {
    std::format!("{HEAD}{media}")
}

#[test]
fn other_streams_are_refused_and_the_offers_numbers_count() {
    let offer = text(
        "m=video 6000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio 0 RTP/AVP 0\r\n\
         m=audio 7000/2 RTP/AVP 0 97 100\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:97 g722/8000/1\r\n\
         a=rtpmap:100 telephone-event/8000\r\na=ptime:30\r\na=maxptime:20\r\na=sendonly\r\n",
    );
    let mut out = [0; 600];
    let (answer, agreed) = local(None).answer(&remote(&offer), &mut out).unwrap();
    assert!(
        answer.contains("m=video 0 RTP/AVP 96\r\nm=audio 0 RTP/AVP 0\r\nm=audio 5004 RTP/AVP 0 100\r\n"),
        "{answer}"
    );
    assert!(!answer.contains("rtcp-mux") && answer.ends_with("a=recvonly\r\n"), "{answer}");
    assert_eq!((agreed.format.name, agreed.events, agreed.ptime_ms), ("PCMU", PayloadType::new(100), 20));
    assert_eq!((agreed.port, agreed.address), (7000, "2001:db8::1".parse().unwrap()));
    // The other side's order counts.
    let wide = offer.replace("AVP 0 97 100", "AVP 97 0");
    let (_, agreed) = local(None).answer(&remote(&wide), &mut out).unwrap();
    assert_eq!((agreed.format.name, agreed.format.payload_type.get(), agreed.events), ("G722", 97, None));
    assert_eq!(remote(&offer).version(), Some(("2890", 7)));
}

#[test]
fn what_a_phone_has_not_is_refused_in_words() {
    let mut out = [0; 600];
    let key = MasterKey::from_bytes(&[3; 30]);
    let mut refusal = |media: &str, key| local(key).answer(&remote(&text(media)), &mut out).err();
    assert_eq!(refusal("m=audio 9 RTP/AVP 18\r\n", None), Some(SdpError::NoCodec));
    assert_eq!(refusal("m=audio 9 RTP/AVP 96\r\na=rtpmap:96 PCMU/16000\r\n", None), Some(SdpError::NoCodec));
    assert_eq!(refusal("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", None), Some(SdpError::Profile));
    assert_eq!(refusal("m=audio 9 RTP/SAVP 0\r\n", None), Some(SdpError::NoKeys));
    assert_eq!(refusal("m=audio 9 RTP/AVP 0\r\n", Some(&key)), Some(SdpError::NoKeys));
    assert_eq!(refusal("m=audio 9 RTP/AVP 0\r\nc=IN IP4 phone.example\r\n", None), Some(SdpError::NoAddress));
    let inline = "inline:AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD";
    for wrong in [
        "1 AES_256_CM_HMAC_SHA1_80 inline:AAAA",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
        &std::format!("1 AES_CM_128_HMAC_SHA1_80 {inline}|2^20|1:4"),
        &std::format!("1 AES_CM_128_HMAC_SHA1_80 {inline} UNENCRYPTED_SRTP"),
        "x",
    ] {
        let media = std::format!("m=audio 9 RTP/SAVP 0\r\na=crypto:{wrong}\r\n");
        assert_eq!(refusal(&media, Some(&key)), Some(SdpError::NoKeys), "{wrong}");
    }
    let media = std::format!("m=audio 9 RTP/SAVP 0\r\na=crypto:7 AES_CM_128_HMAC_SHA1_32 {inline}|2^20 WSH=64\r\n");
    assert_eq!(refusal(&media, Some(&key)), None);
    for nothing in ["", "v=1\r\nm=audio 9 RTP/AVP 0\r\n", "SIP/2.0 200 OK"] {
        assert_eq!(Remote::parse(nothing.as_bytes()).err(), Some(SdpError::Malformed));
    }
    assert_eq!(Remote::parse(text("m=audio 0 RTP/AVP 0\r\n").as_bytes()).err(), Some(SdpError::NoAudio));
    let mut short = [0; 40];
    assert_eq!(local(None).offer(&mut short).err(), Some(SdpError::OutputTooSmall { got: 40 }));
}

/// RFC 3264, 6: an answer has as many streams as the offer, in its order.
#[test]
fn a_stream_whose_port_cannot_be_read_is_refused_in_its_place() {
    let mut out = [0; 600];
    let offer =
        text("m=video 99999 RTP/AVP 96\r\nm=audio -1 RTP/AVP 0\r\nm=audio  7000 RTP/AVP 0\r\nm=image x udptl t38\r\n");
    let (answer, agreed) = local(None).answer(&remote(&offer), &mut out).unwrap();
    let lines: std::vec::Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 RTP/AVP 96", "m=audio 0 RTP/AVP 0", "m=audio 5004 RTP/AVP 0", "m=image 0 udptl t38"]);
    assert_eq!(agreed.port, 7000);
    let only = text("m=audio 70000 RTP/AVP 0\r\n");
    assert_eq!(Remote::parse(only.as_bytes()).err(), Some(SdpError::NoAudio));
}

/// What can't be repeated in an answer can't be refused in one either.
#[test]
fn a_text_with_a_stream_that_cannot_be_repeated_is_malformed() {
    for line in ["m=", "m=video", "m=video 9", "m=video 9 RTP/AVP", "m=video 9 RTP/AVP ", "m=\u{ff} 9 RTP/AVP 96"] {
        for order in [[line, "m=audio 9 RTP/AVP 0"], ["m=audio 9 RTP/AVP 0", line]] {
            let offer = text(&std::format!("{}\r\n{}\r\n", order[0], order[1]));
            // No character, but a byte that is none in UTF-8.
            let bytes: std::vec::Vec<u8> = offer.chars().map(|sign| sign as u8).collect();
            assert_eq!(Remote::parse(&bytes).err(), Some(SdpError::Malformed), "{order:?}");
        }
    }
}

#[test]
fn packets_are_no_longer_than_the_other_side_takes() {
    let mut out = [0; 600];
    for (asked, ptime_ms) in [
        ("", 20),
        ("a=maxptime:25\r\n", 20),
        ("a=maxptime:15\r\n", 10),
        ("a=ptime:30\r\na=maxptime:25\r\n", 20),
        ("a=ptime:40\r\na=maxptime:35\r\n", 30),
        ("a=ptime:25\r\n", 20),
        ("a=ptime:5\r\n", 10),
        ("a=ptime:200\r\na=maxptime:200\r\n", 60),
        ("a=maxptime:0\r\n", 10),
        ("a=ptime:x\r\na=maxptime:\r\n", 20),
    ] {
        let offer = text(&std::format!("m=audio 9 RTP/AVP 0\r\n{asked}"));
        let (_, agreed) = local(None).answer(&remote(&offer), &mut out).unwrap();
        assert_eq!(agreed.ptime_ms, ptime_ms, "{asked}");
    }
}

#[test]
fn keys_are_read_as_rfc_4568_has_them() {
    let inline = "inline:AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD";
    let read =
        |line: &str| remote(&text(&std::format!("m=audio 9 RTP/SAVP 0\r\na=crypto:{line}\r\n"))).crypto().count();
    for line in [
        std::format!("1 aes_cm_128_hmac_sha1_80 {inline}"),
        std::format!("1 AES_CM_128_HMAC_SHA1_80 {inline} FEC_ORDER=FEC_SRTP -X"),
        std::format!("1 AES_CM_128_HMAC_SHA1_80 {inline}|1048576"),
    ] {
        assert_eq!(read(&line), 1, "{line}");
    }
    for line in [
        std::format!("+1 AES_CM_128_HMAC_SHA1_80 {inline}"),
        std::format!("0000000001 AES_CM_128_HMAC_SHA1_80 {inline}"),
        std::format!("1 AES_CM_128_HMAC_SHA1_80 {inline}|forever"),
        std::format!("1 AES_CM_128_HMAC_SHA1_80 {inline}|0"),
        std::format!("1 AES_CM_128_HMAC_SHA1_80 {inline}|2^20|2^20"),
        std::format!("1 AES_CM_128_HMAC_SHA1_80 {inline};{inline}"),
        std::format!("1 AES_CM_128_HMAC_SHA1_80 {inline} UNENCRYPTED_SRTCP"),
        std::format!("1 AES_CM_128_HMAC_SHA1_80 {inline} KDR=1"),
    ] {
        assert_eq!(read(&line), 0, "{line}");
    }
}

#[test]
fn holds_are_told_by_direction_or_by_an_address_of_zeros() {
    let of = |media: &str| remote(&text(media)).direction();
    assert_eq!(of("m=audio 9 RTP/AVP 0\r\n"), Direction::SendRecv);
    assert_eq!(of("m=audio 9 RTP/AVP 0\r\na=sendonly\r\n"), Direction::SendOnly);
    assert_eq!(of("m=audio 9 RTP/AVP 0\r\na=inactive\r\n"), Direction::Inactive);
    assert_eq!(of("m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"), Direction::SendOnly);
    let session = text("a=recvonly\r\nm=audio 9 RTP/AVP 0\r\n");
    assert_eq!(remote(&session).direction(), Direction::RecvOnly);
}
