//! Answers to descriptions in the style of phones and servers met in the field, and the refusals they may meet.

use super::testing::*;
use super::*;

pub(super) const ASTERISK: &str = "v=0\r
o=- 1732370000 1732370000 IN IP4 198.51.100.1\r
s=Asterisk\r
c=IN IP4 198.51.100.1\r
t=0 0\r
m=audio 14320 RTP/AVP 107 0 8 101\r
a=rtpmap:107 opus/48000/2\r
a=fmtp:107 useinbandfec=1\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=ptime:20\r
a=maxptime:60\r
a=sendrecv\r
m=video 14400 RTP/AVP 99\r
a=rtpmap:99 H264/90000\r
";

#[test]
fn asterisk_with_video() {
    let (text, agreed) = answer(&local(), ASTERISK).unwrap();
    assert_eq!(agreed.transport.remote_rtp, "198.51.100.1:14320".parse().unwrap());
    assert_eq!(agreed.transport.remote_rtcp, "198.51.100.1:14321".parse().unwrap());
    assert!(!agreed.transport.rtcp_mux);
    assert_eq!(sent(&agreed), [(107, "opus"), (0, "PCMU"), (8, "PCMA")]);
    assert_eq!(first(&agreed).send[0].format.parameter("useinbandfec"), Some("1"));
    assert_eq!(first(&agreed).send_events.len(), 1);
    assert!(first(&agreed).send_events[0].events.contains(16));
    assert_eq!(
        text,
        "v=0\r
o=- 1 1 IN IP4 192.0.2.10\r
s=-\r
c=IN IP4 192.0.2.10\r
t=0 0\r
m=audio 4000 RTP/AVP 107 0 8 101\r
a=rtpmap:107 opus/48000/2\r
a=fmtp:107 minptime=10;useinbandfec=1\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=ptime:20\r
a=maxptime:60\r
a=sendrecv\r
m=video 0 RTP/AVP 99\r
"
    );
}

#[test]
fn freeswitch_with_crypto_comfort_noise_and_fax() {
    let offer = format!(
        "v=0\r
o=FreeSWITCH 1732352801 1732352802 IN IP4 198.51.100.2\r
s=FreeSWITCH\r
c=IN IP4 198.51.100.2\r
t=0 0\r
m=audio 26718 RTP/SAVP 9 0 8 101 13\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-15\r
a=rtpmap:13 CN/8000\r
a=crypto:1 AEAD_AES_256_GCM_8 inline:0000\r
a=crypto:5 AES_CM_128_HMAC_SHA1_32 inline:{KEY}\r
a=crypto:6 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r
a=ptime:20\r
m=image 26720 UDPTL t38\r
a=T38FaxVersion:0\r
"
    );
    let (text, agreed) = answer(&secure(SrtpPolicy::Required), &offer).unwrap();
    let keys = agreed.transport.srtp.unwrap();
    assert_eq!(keys.suite, CryptoSuite::AesCm128HmacSha1_32);
    assert_eq!(keys.outgoing.as_bytes(), &[0x22; 30]);
    assert_eq!(&keys.incoming.as_bytes()[..8], b"YS___sem");
    assert!(text.contains("m=audio 4000 RTP/SAVP 9 0 8 101\r\n"), "{text}");
    assert!(text.contains("a=crypto:5 AES_CM_128_HMAC_SHA1_32 inline:IiIi"), "{text}");
    assert_eq!(text.matches("a=crypto").count(), 1);
    assert!(text.contains("a=fmtp:101 0-15\r\n"), "{text}");
    assert!(text.ends_with("m=image 0 UDPTL t38\r\n"), "{text}");

    assert_eq!(refusal(&local(), &offer), "the offer wants SRTP (RTP/SAVP), which is off here");
}

#[test]
fn cisco_g729_first_with_slides_and_odd_blanks() {
    let offer = "v=0\r
o=Cisco-SIPUA 26964 0 IN IP4 198.51.100.3\r
s=SIP Call\r
b=AS:4064\r
t=0 0\r
m=audio 20000  RTP/AVP 18 102 0 8 116 101 \r
c=IN IP4 198.51.100.3 \r
b=TIAS:64000\r
a=rtpmap:18 G729/8000\r
a=fmtp:18 annexb=no\r
a=rtpmap:102 L16/16000 \r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:116 iLBC/8000\r
a=fmtp:116 mode=20\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-15\r
a=trafficclass:conversational.audio.aq:admitted\r
a=sendrecv\r
m=application 5070 TCP/BFCP *\r
a=floorctrl:c-s\r
m=message 2855 TCP/MSRP *\r
a=path:msrp://198.51.100.3:2855/x;tcp\r
";
    let (text, agreed) = answer(&local(), offer).unwrap();
    assert_eq!(sent(&agreed), [(0, "PCMU"), (8, "PCMA")]);
    assert!(text.ends_with("m=application 0 TCP/BFCP *\r\nm=message 0 TCP/MSRP *\r\n"), "{text}");
    // The session's bandwidth is that of its slides too.
    assert_eq!(first(&agreed).bandwidth, BandwidthLimits { session_bps: None, payload_bps: Some(64_000) });
}

#[test]
fn bandwidths_of_any_kind_end_no_call() {
    for (lines, bandwidth) in [
        (
            "b=AS:64\r\nb=AS:32\r\nb=TIAS:20000\r\n",
            BandwidthLimits { session_bps: Some(64_000), payload_bps: Some(20_000) },
        ),
        ("b=AS:64.5\r\nb=X-YZ:128\r\nb=AS\r\nb=:\r\nb=RR:0\r\nb=TIAS:-1\r\n", BandwidthLimits::default()),
        ("b=AS:0\r\nb=TIAS:0\r\n", BandwidthLimits::default()),
        ("b=AS:18446744073709551615\r\n", BandwidthLimits { session_bps: Some(u32::MAX), payload_bps: None }),
    ] {
        let offer = with_media(&format!("m=audio 5004 RTP/AVP 0\r\n{lines}"));
        let (_, agreed) = answer(&local(), &offer).unwrap();
        assert_eq!(first(&agreed).bandwidth, bandwidth, "{lines}");
    }
    // 64 kbit/s with headers of 40 bytes, 50 a second, have 48 for payloads.
    let bound = BandwidthLimits { session_bps: Some(64_000), payload_bps: None };
    assert_eq!((bound.most_payload_bps(20, 40), bound.most_payload_bps(1, 40)), (48_000, 0));
    assert_eq!(BandwidthLimits::default().most_payload_bps(0, usize::MAX >> 16), u32::MAX);
}

#[test]
fn polycom_best_effort_srtp_on_two_lines() {
    let offer = with_media(&format!(
        "a=sendrecv\r\nm=audio 2222 RTP/AVP 9 127\r\na=rtpmap:127 telephone-event/8000\r\n\
         m=audio 2224 RTP/SAVP 9 127\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n\
         a=rtpmap:9 G722/8000\r\na=rtpmap:127 telephone-event/8000\r\n"
    ));
    for (policy, port, lines) in [
        (SrtpPolicy::Off, 2222, "m=audio 4000 RTP/AVP 9 127|m=audio 0 RTP/SAVP 9 127"),
        (SrtpPolicy::Offered, 2224, "m=audio 0 RTP/AVP 9 127|m=audio 4000 RTP/SAVP 9 127"),
        (SrtpPolicy::Required, 2224, "m=audio 0 RTP/AVP 9 127|m=audio 4000 RTP/SAVP 9 127"),
    ] {
        let (text, agreed) = answer(&secure(policy), &offer).unwrap();
        assert_eq!(agreed.transport.remote_rtp.port(), port);
        assert_eq!(agreed.transport.srtp.is_some(), policy != SrtpPolicy::Off);
        assert_eq!(text.lines().filter(|line| line.starts_with("m=")).collect::<Vec<_>>().join("|"), lines);
    }
}

#[test]
fn yealink_crypto_beside_plain_rtp() {
    let offer = with_media(&format!(
        "m=audio 11780 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31\r\na=ptime:20\r\na=rtpmap:101 telephone-event/8000\r\n"
    ));
    let (text, agreed) = answer(&secure(SrtpPolicy::Offered), &offer).unwrap();
    assert!(
        agreed.transport.srtp.is_some() && text.contains("m=audio 4000 RTP/AVP 0 101") && text.contains("a=crypto:1 ")
    );
    let (text, agreed) = answer(&local(), &offer).unwrap();
    assert!(agreed.transport.srtp.is_none() && !text.contains("a=crypto"));
}

#[cfg(feature = "opus")]
#[test]
fn baresip_opus_with_events_at_8000_and_a_named_rtcp_port() {
    let offer = with_media(
        "a=tool:baresip 1.0.0\r\nm=audio 10018 RTP/AVP 96 101\r\nb=AS:128\r\na=rtpmap:96 opus/48000/2\r\n\
         a=fmtp:96 stereo=1;sprop-stereo=1\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=rtcp:10025\r\na=sendrecv\r\na=label:1\r\na=rtcp-rsize\r\na=ssrc:2163529483 cname:sip:a@198.51.100.7\r\n\
         a=ptime:30\r\n",
    );
    let (_, agreed) = answer(&local(), &offer).unwrap();
    assert_eq!(agreed.transport.remote_rtcp, "198.51.100.7:10025".parse().unwrap());
    assert_eq!(first(&agreed).send_events_beside(48_000).unwrap().rtp_clock_hz, 8_000);
    assert_eq!(first(&agreed).send_ptime_ms, 20, "Opus has no packets of 30 ms");
}

const CHROMIUM: &str = "v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS x\r
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=ice-ufrag:x/yZ\r
a=ice-pwd:0123456789012345678901\r
a=ice-options:trickle\r
a=fingerprint:sha-256 00:11\r
a=setup:actpass\r
a=mid:0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=sendrecv\r
a=msid:x y\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=rtcp-fb:111 transport-cc\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:13 CN/8000\r
a=rtpmap:110 telephone-event/48000\r
a=rtpmap:126 telephone-event/8000\r
a=ssrc:1001 cname:c\r
";

#[test]
fn chromium() {
    for local in [local(), secure(SrtpPolicy::Offered), secure(SrtpPolicy::Required)] {
        assert!(refusal(&local, CHROMIUM).contains("wants DTLS-SRTP, which is off here"));
        assert!(refusal(&local, &CHROMIUM.replace("UDP/TLS/", "")).contains("wants DTLS-SRTP, which is off here"));
    }
    // The same, as a gateway that has ended DTLS passes it on.
    let plain = CHROMIUM.replace("UDP/TLS/RTP/SAVPF", "RTP/AVPF").replace("0.0.0.0", "198.51.100.7");
    let (text, agreed) = answer(&local(), &plain).unwrap();
    assert!(text.contains("m=audio 4000 RTP/AVPF 111 9 0 8 110 126\r\n"), "{text}");
    assert!(agreed.transport.rtcp_mux && agreed.transport.remote_rtcp == agreed.transport.remote_rtp);
    assert_eq!(first(&agreed).send_events_beside(48_000).unwrap().payload_type.get(), 110);
    assert_eq!(first(&agreed).send_events_beside(8_000).unwrap().payload_type.get(), 126);
}

/// Chromium sends redundancy where that is preferred to what it repeats, and otherwise only takes it.
#[test]
fn chromium_is_asked_for_redundancy() {
    let offer = CHROMIUM.replace("UDP/TLS/RTP/SAVPF", "RTP/AVPF").replace("0.0.0.0", "198.51.100.7");
    let red = CodecFormat::redundancy(&CodecFormat::opus());
    for (ask_redundancy, order) in [(false, "111 9 0 8 63 110 126"), (true, "63 111 9 0 8 110 126")] {
        let local = with(|stream| {
            stream.codecs.push(red.clone());
            stream.ask_redundancy = ask_redundancy;
        });
        let (text, agreed) = answer(&local, &offer).unwrap();
        assert!(text.contains(&format!("m=audio 4000 RTP/AVPF {order}\r\n")), "{text}");
        assert!(text.contains("a=fmtp:63 111/111\r\n"), "{text}");
        // We go on sending the codec itself.
        assert_eq!(sent(&agreed)[0], (111, "opus"));
    }
}

#[test]
fn ffmpeg_writes_no_rtpmap_for_static_types_and_lf_only() {
    let offer = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=No Name\nc=IN IP4 127.0.0.1\nt=0 0\na=tool:libavformat 61\n\
                 m=audio 5004 RTP/AVP 0\nb=AS:64\n";
    let (_, agreed) = answer(&local(), offer).unwrap();
    assert_eq!(sent(&agreed), [(0, "PCMU")]);
    assert_eq!(agreed.transport.remote_rtp, "127.0.0.1:5004".parse().unwrap());
    let (_, agreed) = answer(&local(), offer.replace("AVP 0", "AVP 10")).unwrap();
    assert_eq!(sent(&agreed), [(10, "L16")]);
}

#[test]
fn a_static_number_with_another_meaning() {
    let offer = with_media("m=audio 5004 RTP/AVP 0 8 8 96 200 x\r\na=rtpmap:0 L16/44100/2\r\na=rtpmap:8 PCMA/8000\r\n");
    assert_eq!(sent(&answer(&local(), offer).unwrap().1), [(0, "L16"), (8, "PCMA")]);
}

#[test]
fn ipv6_and_our_order() {
    let offer =
        "v=0\r\no=- 1 1 IN IP6 2001:db8::7\r\ns=-\r\nc=IN IP6 2001:db8::7\r\nt=0 0\r\nm=audio 5004 RTP/AVP 8 0\r\n";
    let local = LocalMedia { address: "2001:db8::1".parse().unwrap(), codec_order: CodecOrder::Ours, ..local() };
    let (text, agreed) = answer(&local, offer).unwrap();
    assert_eq!(agreed.transport.remote_rtp, "[2001:db8::7]:5004".parse().unwrap());
    assert!(text.contains("o=- 1 1 IN IP6 2001:db8::1\r\n") && text.contains("c=IN IP6 2001:db8::1\r\n"));
    assert!(text.contains("m=audio 4000 RTP/AVP 0 8\r\n"), "{text}");
}

#[test]
fn sloppy_text_is_taken() {
    // Latin-1 in the name, blanks in the user name, a folded bandwidth, no t=, attributes before c=, trailing NUL.
    let mut offer =
        b"v=0 \no=J Doe 1 1 IN IP4 x\ns=B\xfcro\nb=AS:64.5\na=sendonly \nc=IN  IP4 198.51.100.7 \n".to_vec();
    offer.extend(b"m=audio 5004 rtp/avp 8\t0\na=rtpmap:8  PCMA/8000/1 \na=ptime: 40.0 \n\n\0");
    let (text, agreed) = answer(&local(), &offer).unwrap();
    assert_eq!(first(&agreed).direction, Direction::RecvOnly);
    assert_eq!(first(&agreed).send_ptime_ms, 40);
    assert!(text.contains("a=recvonly\r\n") && text.contains("m=audio 4000 rtp/avp 8 0\r\n"), "{text}");
}

#[test]
fn the_t_line_is_the_offers() {
    let offer = with_media("m=audio 5004 RTP/AVP 0\r\n").replace("t=0 0", "t=3034423619 3042462419");
    assert!(answer(&local(), offer).unwrap().0.contains("t=3034423619 3042462419\r\n"));
}

#[test]
fn refusals_say_why() {
    let local = local();
    for (offer, message) in [
        ("hello", "the description is not valid SDP"),
        ("", "the description is not valid SDP"),
        (&with_media(""), "the offer has no audio stream"),
        (&with_media("m=video 5004 RTP/AVP 99\r\n"), "the offer has no audio stream"),
        (&with_media("m=audio 0 RTP/AVP 0\r\n"), "the offer rejects the audio stream (port 0)"),
        (
            &with_media("m=audio 5004 RTP/AVP 4 3 101\r\na=rtpmap:101 telephone-event/8000\r\n"),
            "no common codec: they offer G723/8000, GSM/8000; we have opus/48000/2, G722/8000, PCMU/8000, PCMA/8000, \
             L16/44100/2",
        ),
        (
            &with_media("m=audio 5004 RTP/AVP 99\r\n"),
            "no common codec: they offer nothing we know; we have opus/48000/2, G722/8000, PCMU/8000, PCMA/8000, \
             L16/44100/2",
        ),
        (&with_media("m=audio 5004 TCP/RTP/AVP 0\r\n"), "the offer has audio over TCP/RTP/AVP, which is not supported"),
        (
            &with_media("m=audio 5004 RTP/AVP 0\r\nc=IN IP4 phone.example.com\r\n"),
            "the offer wants audio sent to the host phone.example.com, whose address is not known",
        ),
        (
            &with_media("m=audio 5004 RTP/AVP 0\r\nc=IN IP4 233.252.0.1/127\r\n"),
            "the offer wants audio sent to 233.252.0.1/127, which is not a unicast IP address",
        ),
        ("v=0\r\nm=audio 5004 RTP/AVP 0\r\n", "the offer has no c= line for its audio stream"),
        (&with_media("m=audio 65535 RTP/AVP 0\r\n"), "the offer has RTP port 65535 and names no RTCP port"),
    ] {
        assert_eq!(refusal(&local, offer), message);
    }
    let plain = with_media("m=audio 5004 RTP/AVP 0\r\n");
    assert_eq!(
        refusal(&secure(SrtpPolicy::Required), &plain),
        "SRTP is required but the offer is RTP/AVP without a=crypto"
    );
    let crypto = |line: &str| with_media(&format!("m=audio 5004 RTP/SAVP 0\r\na=crypto:{line}\r\n"));
    for (line, message) in [
        (
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:4;inline:{KEY}|2^31|2:4"),
            "no usable SRTP key in the offer: several keys in one a=crypto line are not supported",
        ),
        (
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTCP"),
            "no usable SRTP key in the offer: the session parameter is not accepted: UNENCRYPTED_SRTCP",
        ),
        (
            "1 AES_192_CM_HMAC_SHA1_80 inline:x".into(),
            "no usable SRTP key in the offer: the crypto suite AES_192_CM_HMAC_SHA1_80 is not supported",
        ),
        (
            "1 AES_256_CM_HMAC_SHA1_80 inline:x".into(),
            "no usable SRTP key in the offer: the key is not base64 of 46 bytes",
        ),
        (
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=16"),
            "no usable SRTP key in the offer: the session parameter is not accepted: KDR",
        ),
        (format!("1 {KEY}"), "no usable SRTP key in the offer: the crypto suite is unknown"),
        (
            "1 AES_CM_128_HMAC_SHA1_80 inline:ERERERERERERERERERERERERERERERERERERERER".into(),
            "no usable SRTP key in the offer: the other side uses our own key",
        ),
    ] {
        assert_eq!(refusal(&secure(SrtpPolicy::Offered), &crypto(&line)), message);
    }
    let error = answer(&local, "v=1\r\n").unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn bounds() {
    let huge = "a=x\r\n".repeat(MAX_SDP_BYTES / 5 + 1);
    assert!(matches!(answer(&local(), with_media(&huge)), Err(SdpError::TooLarge { .. })));
    let long = "a=x\r\n".repeat(MAX_LINES);
    assert!(matches!(answer(&local(), with_media(&long)), Err(SdpError::TooMany { what: "lines", .. })));
    let streams = "m=video 1 RTP/AVP 99\r\n".repeat(MAX_STREAMS + 1);
    assert!(matches!(answer(&local(), with_media(&streams)), Err(SdpError::TooMany { what: "streams", .. })));
    let formats = format!("m=audio 1 RTP/AVP{}\r\n", " 0".repeat(MAX_FORMATS + 1));
    assert!(matches!(answer(&local(), with_media(&formats)), Err(SdpError::TooMany { .. })));
}

#[test]
fn a_second_address_an_indented_line_and_a_dead_stream_without_formats() {
    let offer = with_media("c=IN IP4 198.51.100.8\r\n m=audio 5004 RTP/AVP 0\r\nm=video 0 RTP/AVP\r\n");
    let (text, agreed) = answer(&local(), offer).unwrap();
    assert_eq!(agreed.transport.remote_rtp, "198.51.100.7:5004".parse().unwrap());
    assert!(text.ends_with("m=video 0 RTP/AVP 0\r\n"), "{text}");
}

#[test]
fn another_address_family_is_refused_with_both_addresses() {
    let v6 = "v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n";
    let reason = "wants audio sent to ::1, which is IPv6; our address 192.0.2.10 is IPv4";
    assert_eq!(refusal(&local(), v6), format!("the offer {reason}"));
    let ours = offer(&local()).unwrap();
    assert_eq!(accept(&local(), &ours, v6).unwrap_err().to_string(), format!("the answer {reason}"));
    let here = LocalMedia { address: "::1".parse().unwrap(), ..local() };
    assert!(answer(&here, v6).is_ok());
    assert!(matches!(answer(&here, with_media("m=audio 5004 RTP/AVP 0\r\n")), Err(SdpError::Family { .. })));
    // On old-style hold nothing is sent, so the family says nothing.
    let held = v6.replace("IN IP6 ::1", "IN IP4 0.0.0.0");
    assert!(!answer(&here, held).unwrap().1.transport.has_remote());
    // Of two streams the one of our family is taken, wherever the address is written.
    let both = with_media("m=audio 5004 RTP/AVP 0\r\nc=IN IP6 ::1\r\nm=audio 5006 RTP/AVP 0\r\n");
    assert_eq!(answer(&local(), &both).unwrap().1.transport.remote_rtp, "198.51.100.7:5006".parse().unwrap());
    assert_eq!(answer(&here, &both).unwrap().1.transport.remote_rtp, "[::1]:5004".parse().unwrap());
}

#[test]
fn an_ipv4_address_in_an_ipv6_one_is_the_ipv4_address() {
    let mapped = |address: &str| with_media(&format!("m=audio 5004 RTP/AVP 0\r\nc=IN IP6 ::ffff:{address}\r\n"));
    let (_, agreed) = answer(&local(), mapped("198.51.100.9")).unwrap();
    assert_eq!(agreed.transport.remote_rtp, "198.51.100.9:5004".parse().unwrap());
    assert!(!answer(&local(), mapped("0.0.0.0")).unwrap().1.transport.has_remote());
    for wrong in ["224.0.0.1", "255.255.255.255", "239.1.2.3/127"] {
        let message = format!("the offer wants audio sent to ::ffff:{wrong}, which is not a unicast IP address");
        assert_eq!(refusal(&local(), &mapped(wrong)), message);
    }
    // Ours too, and the one that RTCP has for itself.
    let ours = LocalMedia { address: "::ffff:192.0.2.10".parse().unwrap(), ..local() };
    let rtcp = "m=audio 5004 RTP/AVP 0\r\na=rtcp:5010 IN IP6 ::ffff:198.51.100.8\r\n";
    let (text, agreed) = answer(&ours, with_media(rtcp)).unwrap();
    assert_eq!(agreed.transport.remote_rtcp, "198.51.100.8:5010".parse().unwrap());
    assert!(text.contains("c=IN IP4 192.0.2.10\r\n") && text.contains(" IN IP4 192.0.2.10\r\ns="), "{text}");
}

#[test]
fn reports_go_where_rtp_goes_if_they_cannot_go_where_they_should() {
    for address in ["IN IP6 ::1", "IN IP4 224.0.0.1", "IN IP6 ::ffff:224.0.0.1", "IN IP4 phone.example.com", ""] {
        let offer = with_media(&format!("m=audio 5004 RTP/AVP 0\r\na=rtcp:5010 {address}\r\n"));
        let (_, agreed) = answer(&local(), offer).unwrap();
        assert_eq!(agreed.transport.remote_rtcp, "198.51.100.7:5010".parse().unwrap(), "{address}");
    }
}

#[test]
fn names_in_place_of_addresses_are_looked_up_by_whoever_can() {
    let offer = with_media(
        "m=audio 5004 RTP/AVP 0\r\nc=IN IP4 phone.example.com\r\na=rtcp:5010 IN IP4 phone.example.com\r\n\
         m=audio 5006 RTP/AVP 0\r\nc=IN IP4 nowhere.example.com\r\n",
    );
    let mut asked = Vec::new();
    let text = resolved(&offer, |name| {
        asked.push(name.to_owned());
        name.starts_with("phone").then_some("198.51.100.20".parse().unwrap())
    });
    assert_eq!(asked, ["phone.example.com", "nowhere.example.com"], "each once");
    let (_, agreed) = answer(&local(), &text).unwrap();
    assert_eq!(agreed.transport.remote_rtp, "198.51.100.20:5004".parse().unwrap());
    assert_eq!(agreed.transport.remote_rtcp, "198.51.100.20:5010".parse().unwrap());
    // What isn't found is told, as the name it is.
    let nowhere = resolved(&offer, |_| None);
    let reason = "the offer wants audio sent to the host phone.example.com, whose address is not known";
    assert_eq!(refusal(&local(), std::str::from_utf8(&nowhere).unwrap()), reason);
    // Addresses are nobody's names, not even wrong ones; and what is no name is asked of nobody.
    for other in ["IP4 198.51.100.7", "IP6 ::1", "IP4 1.2.3", "IP4 300.1.1.1", "IP4 $(reboot)", "IP4 a/b", "IP4"] {
        let text = with_media(&format!("m=audio 5004 RTP/AVP 0\r\nc=IN {other}\r\n"));
        assert_eq!(&*resolved(&text, |name| panic!("{name}")), text.as_bytes());
    }
    assert!(refusal(&local(), &with_media("m=audio 5004 RTP/AVP 0\r\nc=IN IP4 1.2.3\r\n")).contains("not a unicast"));
}

#[test]
fn g722_with_its_sampling_rate_as_its_clock_is_g722() {
    let offer = with_media("m=audio 5004 RTP/AVP 9\r\na=rtpmap:9 G722/16000\r\n");
    let (_, agreed) = answer(&local(), &offer).unwrap();
    assert_eq!(sent(&agreed), [(9, "G722")]);
    assert_eq!(first(&agreed).send[0].format, CodecFormat::g722());
}
