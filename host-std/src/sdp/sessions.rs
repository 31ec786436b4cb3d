//! A session of one stream: offers, their answers, hold, keys; what is agreed on of codecs, events and packets.

use dsp_core::time::PayloadType;

use super::phones::ASTERISK;
use super::testing::*;
use super::*;

#[test]
fn holds_new_and_old() {
    for (ours, theirs, result) in [
        (Direction::SendRecv, "sendrecv", Direction::SendRecv),
        (Direction::SendRecv, "sendonly", Direction::RecvOnly),
        (Direction::SendRecv, "recvonly", Direction::SendOnly),
        (Direction::SendRecv, "inactive", Direction::Inactive),
        (Direction::SendOnly, "sendonly", Direction::Inactive),
        (Direction::SendOnly, "recvonly", Direction::SendOnly),
        (Direction::RecvOnly, "sendrecv", Direction::RecvOnly),
    ] {
        let local = with(|stream| stream.direction = ours);
        let offer = with_media(&format!("m=audio 5004 RTP/AVP 0\r\na={theirs}\r\n"));
        let (text, agreed) = answer(&local, &offer).unwrap();
        assert_eq!(first(&agreed).direction, result, "{ours:?} {theirs}");
        assert!(text.contains(&format!("a={}\r\n", result.name())));
        // The stream's own attribute goes before the session's.
        let (_, agreed) = answer(&local, offer.replace("t=0 0", "t=0 0\r\na=inactive")).unwrap();
        assert_eq!(first(&agreed).direction, result);
    }
    let held = with_media("m=audio 5004 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n");
    let (_, agreed) = answer(&local(), held).unwrap();
    assert_eq!(first(&agreed).direction, Direction::RecvOnly);
    assert!(!agreed.transport.has_remote());
}

#[test]
fn packet_lengths() {
    for (attributes, ms) in [
        ("", 20),
        ("a=ptime:30\r\n", 30),
        ("a=ptime:5\r\n", 10),
        ("a=ptime:25\r\n", 20),
        ("a=ptime:200\r\n", 60),
        ("a=ptime:60\r\na=maxptime:40\r\n", 40),
        ("a=maxptime:10\r\n", 10),
        ("a=maxptime:1\r\n", 10),
        ("a=ptime:0\r\n", 20),
        ("a=ptime:\r\n", 20),
        ("a=ptime:99999999999\r\n", 20),
    ] {
        let offer = with_media(&format!("m=audio 5004 RTP/AVP 0\r\n{attributes}"));
        let (text, agreed) = answer(&local(), offer).unwrap();
        assert_eq!(first(&agreed).send_ptime_ms, ms, "{attributes}");
        assert!(text.contains(&format!("a=ptime:{ms}\r\n")));
    }
}

#[test]
fn offers() {
    let text = offer(&secure(SrtpPolicy::Required)).unwrap();
    assert!(text.contains("m=audio 4000 RTP/SAVP 96 9 0 8 10 97 101 98\r\n"), "{text}");
    assert!(text.contains("a=rtpmap:97 telephone-event/48000\r\n"), "{text}");
    assert!(text.contains("a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"), "{text}");
    assert!(text.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:ERER") && text.contains("a=crypto:2 "), "{text}");
    assert!(offer(&secure(SrtpPolicy::Offered)).unwrap().contains("m=audio 4000 RTP/AVP 96"));

    let wish = |number| PayloadType::new(number).unwrap();
    let codecs = vec![
        CodecFormat::opus().with_payload_type(wish(101)),
        CodecFormat::l16(16_000, 1).with_payload_type(wish(101)),
    ];
    let text = offer(&LocalMedia { rtcp_port: Some(4005), ..speaking(codecs) }).unwrap();
    assert!(text.contains("m=audio 4000 RTP/AVP 101 96 97 98\r\n"), "{text}");
    assert!(text.contains("a=rtcp:4005\r\n"), "{text}");

    for wrong in [
        LocalMedia { rtp_port: 0, ..local() },
        speaking([CodecFormat::new("CN", 8_000, 1)]),
        speaking([CodecFormat::new("a b", 8_000, 1)]),
        speaking([CodecFormat::opus().with_fmtp("x\r\nm=audio 1 RTP/AVP 0")]),
        with(|stream| stream.ptime_ms = 25),
        with(|stream| (stream.ptime_ms, stream.max_ptime_ms) = (40, 20)),
        LocalMedia { srtp: SrtpPolicy::Offered, ..local() },
        LocalMedia { session: SessionId { username: "a b".into(), ..Default::default() }, ..local() },
    ] {
        assert!(matches!(offer(&wrong), Err(SdpError::Local(_))), "{wrong:?}");
        assert!(matches!(answer(&wrong, ASTERISK), Err(SdpError::Local(_))), "{wrong:?}");
    }
}

#[test]
fn answers_to_our_offer() {
    let local = secure(SrtpPolicy::Offered);
    let ours = offer(&local).unwrap();
    let plain = with_media("m=audio 5004 RTP/AVP 0 100\r\na=rtpmap:100 telephone-event/8000\r\n");
    let agreed = accept(&local, &ours, &plain).unwrap();
    assert!(agreed.transport.srtp.is_none() && !agreed.transport.rtcp_mux);
    assert_eq!(agreed.transport.remote_rtcp.port(), 5005);
    // Their number for what we send, ours for what comes.
    assert_eq!(first(&agreed).send_events_beside(8_000).unwrap().payload_type.get(), 100);
    assert_eq!(first(&agreed).receive_events[0].payload_type.get(), 101);
    assert_eq!(first(&agreed).receive_events.len(), 1);

    let other_number = with_media("m=audio 5004 RTP/AVP 120\r\na=rtpmap:120 OPUS/48000/2\r\na=rtcp-mux\r\n");
    let agreed = accept(&local, &ours, &other_number).unwrap();
    assert_eq!((first(&agreed).send[0].payload_type.get(), first(&agreed).receive[0].payload_type.get()), (120, 96));
    assert!(
        agreed.transport.rtcp_mux && first(&agreed).send_events.is_empty() && first(&agreed).receive_events.is_empty()
    );

    let refuse = |answer: &str| accept(&local, &ours, answer).unwrap_err().to_string();
    assert_eq!(refuse(&with_media("m=audio 0 RTP/AVP 0\r\n")), "the answer rejects the audio stream (port 0)");
    assert_eq!(refuse(&with_media("")), "the answer has no audio stream");
    assert!(
        refuse(&with_media("m=audio 5004 RTP/AVP 3\r\n")).starts_with("no common codec: they offer GSM/8000; we have")
    );
    let crypto = |line: &str| with_media(&format!("m=audio 5004 RTP/AVP 0\r\na=crypto:{line} inline:{KEY}\r\n"));
    assert!(refuse(&crypto("7 AES_CM_128_HMAC_SHA1_80")).contains("crypto line 7 is not one that was offered"));
    assert!(refuse(&crypto("1 AES_CM_128_HMAC_SHA1_32")).contains("crypto line 1 is not one that was offered"));
    let agreed = accept(&local, &ours, crypto("2 AES_CM_128_HMAC_SHA1_32")).unwrap();
    assert_eq!(agreed.transport.srtp.unwrap().outgoing.as_bytes(), &[0x22; 30]);

    let strict = secure(SrtpPolicy::Required);
    let error = accept(&strict, offer(&strict).unwrap(), &plain).unwrap_err().to_string();
    assert_eq!(error, "SRTP is required but the answer is RTP/AVP without a=crypto");
}

#[test]
fn a_session_goes_on() {
    // They call with video, we answer, then hold, resume, and rekey.
    let mut local = secure(SrtpPolicy::Offered);
    let (first, _) = answer(&local, ASTERISK).unwrap();
    local.previous = Some(first.clone());
    let (again, _) = answer(&local, ASTERISK).unwrap();
    assert_eq!(again, first, "nothing new, the same version");

    local.streams[0].direction = Direction::SendOnly;
    let hold = offer(&local).unwrap();
    assert!(hold.contains("o=- 1 2 IN IP4") && hold.contains("a=sendonly\r\n"), "{hold}");
    assert!(hold.ends_with("m=video 0 RTP/AVP 99\r\n"), "the video stays in its place: {hold}");
    assert!(hold.contains("a=rtpmap:107 opus/48000/2"), "numbers keep their meaning: {hold}");
    assert!(hold.contains("a=rtpmap:101 telephone-event/8000\r\n"), "{hold}");
    local.previous = Some(hold.clone());
    assert_eq!(offer(&local).unwrap(), hold);

    local.streams[0].direction = Direction::SendRecv;
    local.crypto[0].key = MasterKey::from_bytes(&[0x33; 30]);
    let resumed = offer(&local).unwrap();
    assert!(resumed.contains("o=- 1 3 IN IP4") && resumed.contains("inline:MzMz"), "{resumed}");
}

#[test]
fn the_profile_stays_through_a_hold() {
    let offered =
        with_media(&format!("m=audio 5004 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"));
    let mut local = secure(SrtpPolicy::Offered);
    local.previous = Some(answer(&local, &offered).unwrap().0);
    local.streams[0].direction = Direction::SendOnly;
    assert!(offer(&local).unwrap().contains("m=audio 4000 RTP/SAVP "));
    local.srtp = SrtpPolicy::Off;
    assert!(offer(&local).unwrap().contains("m=audio 4000 RTP/AVP "));

    let feedback = with_media("m=audio 5004 RTP/AVPF 0\r\n");
    let mut local = secure(SrtpPolicy::Off);
    local.previous = Some(answer(&local, &feedback).unwrap().0);
    assert!(offer(&local).unwrap().contains("m=audio 4000 RTP/AVPF "));
    local.srtp = SrtpPolicy::Required;
    assert!(offer(&local).unwrap().contains("m=audio 4000 RTP/SAVP "));
}

#[test]
fn events_have_the_clock_of_the_sound() {
    let wide = speaking([CodecFormat::pcma(), CodecFormat::l16(16_000, 1)]);
    let clocks = |events: &[NegotiatedEvents]| -> Vec<_> {
        events.iter().map(|events| (events.payload_type.get(), events.rtp_clock_hz)).collect()
    };
    let (narrow, broad) = ("a=rtpmap:101 telephone-event/8000\r\n", "a=rtpmap:101 telephone-event/16000\r\n");
    for maps in [format!("{narrow}{broad}"), format!("{broad}{narrow}")] {
        for formats in ["8 101 101 0", "101 8 0"] {
            let offer = with_media(&format!("m=audio 5004 RTP/AVP {formats}\r\n{maps}"));
            let (text, agreed) = answer(&wide, &offer).unwrap();
            assert_eq!(clocks(&first(&agreed).send_events), [(101, 8_000)], "{offer}");
            assert_eq!(clocks(&first(&agreed).receive_events), [(101, 8_000)]);
            assert!(text.contains(narrow) && !text.contains(broad), "{text}");
        }
        // Beside codecs of both clocks the number goes with the best: it can't have two meanings.
        for (formats, clock_hz) in [("8 97 101", 8_000), ("97 8 101", 16_000)] {
            let offer = with_media(&format!("m=audio 5004 RTP/AVP {formats}\r\na=rtpmap:97 L16/16000\r\n{maps}"));
            assert_eq!(clocks(&first(&answer(&wide, &offer).unwrap().1).send_events), [(101, clock_hz)]);
        }
    }
    // An answer that keeps only one codec keeps only its events.
    let ours = offer(&wide).unwrap();
    let all = ours.lines().map(|line| format!("{line}\r\n")).collect::<String>();
    let agreed = accept(&wide, &ours, all.replace("RTP/AVP 8 96 ", "RTP/AVP 8 ")).unwrap();
    assert_eq!(
        first(&agreed).send_events.iter().map(|events| events.rtp_clock_hz).collect::<Vec<_>>(),
        [8_000],
        "{all}"
    );
    assert_eq!(first(&agreed).send_events.len(), first(&agreed).receive_events.len());
}

#[test]
fn without_a_common_codec_each_list_is_told_in_full() {
    let ours = speaking([CodecFormat::l16(16_000, 1), CodecFormat::l16(48_000, 2)]);
    let offer = with_media("m=audio 5004 RTP/AVP 11 97 0\r\na=rtpmap:97 L16/8000/2\r\n");
    let message = "no common codec: they offer L16/44100, L16/8000/2, PCMU/8000; we have L16/16000, L16/48000/2";
    assert_eq!(refusal(&ours, &offer), message);
    let many: String = (35..64).map(|n| format!("a=rtpmap:{n} codec-{n}/8000\r\n")).collect();
    let numbers: Vec<_> = (35..64).map(|n| n.to_string()).collect();
    let told = refusal(&ours, &with_media(&format!("m=audio 5004 RTP/AVP {}\r\n{many}", numbers.join(" "))));
    assert!(told.contains("codec-35/8000, codec-36/8000") && told.contains(" more; we have L16/16000"), "{told}");
}

#[test]
fn packets_stay_within_the_mtu() {
    let l16 = |rate_hz, channels| LocalMedia {
        streams: speaking([CodecFormat::l16(rate_hz, channels)]).streams,
        ..secure(SrtpPolicy::Offered)
    };
    let agree = |ours: &LocalMedia, change: &dyn Fn(String) -> String| {
        let peer = LocalMedia { address: ours.address, previous: None, ..ours.clone() };
        let peer = LocalMedia {
            crypto: vec![CryptoLine {
                tag: 1,
                suite: CryptoSuite::AesCm128HmacSha1_80,
                key: MasterKey::from_bytes(&[9; 30]),
            }],
            ..peer
        };
        answer(ours, change(offer(&peer).unwrap())).unwrap().1
    };
    let same = |text: String| text;
    for (rate_hz, channels, ms, wished_ms, bytes) in [
        (16_000, 1, 20, 20, 640),
        (44_100, 1, 10, 20, 882),
        (48_000, 1, 10, 20, 960),
        (44_100, 2, 10, 20, 1_764),
        (8_000, 1, 20, 20, 320),
    ] {
        let agreed = agree(&l16(rate_hz, channels), &same);
        assert_eq!(
            (first(&agreed).send_ptime_ms, first(&agreed).wished_ptime_ms),
            (ms, wished_ms),
            "{rate_hz}/{channels}"
        );
        assert_eq!(first(&agreed).least_packet_bytes, 20 + 8 + 12 + bytes + 10);
    }
    // Headers of IPv6 and the tag of SRTP count, to the byte: 16 kHz in 20 ms are 640 bytes of payload.
    let v6 = LocalMedia { address: "2001:db8::1".parse().unwrap(), ..l16(16_000, 1) };
    for (ours, overhead) in [(&l16(16_000, 1), 20 + 8 + 12 + 10), (&v6, 40 + 8 + 12 + 10)] {
        for (mtu, ms) in [(640 + overhead, 20), (639 + overhead, 10)] {
            assert_eq!(first(&agree(&LocalMedia { mtu, ..ours.clone() }, &same)).send_ptime_ms, ms, "{mtu}");
        }
    }
    // So do copies of the packets before: five payloads of 160 bytes and 17 of headers, of 320 they don't fit.
    let mut red = speaking([CodecFormat::pcmu(), CodecFormat::redundancy(&CodecFormat::pcmu())]);
    red.streams[0].redundancy = 4;
    let long = |text: String| text.replace("a=ptime:20", "a=ptime:60");
    assert_eq!(first(&agree(&red, &long)).send_ptime_ms, 20);
    assert_eq!(first(&agree(&LocalMedia { mtu: 9_000, ..red.clone() }, &long)).send_ptime_ms, 60);
    assert!(matches!(offer(&LocalMedia { mtu: 199, ..local() }), Err(SdpError::Local(_))));
}
