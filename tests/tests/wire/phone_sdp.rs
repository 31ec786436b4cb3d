//! The small SDP of a phone (`dsp_core::sdp`) against the host's: what one offers the other answers, with the same understanding.

use dsp_core::guard::srtp::MasterKey;
use dsp_core::sdp::{Agreed, Direction, Format, Local, Remote, SdpError};
use dsp_core::time::{Instant, PayloadType};
use host_std::registry::CodecFormat;
use host_std::sdp::{Direction as HostDirection, SrtpPolicy};
use host_std::session::{Call, CallConfig, Identity};

const FORMATS: [Format; 3] = [
    Format { name: "G722", clock_hz: 8_000, payload_type: PayloadType::from_low_bits(9) },
    Format { name: "PCMU", clock_hz: 8_000, payload_type: PayloadType::PCMU },
    Format { name: "PCMA", clock_hz: 8_000, payload_type: PayloadType::PCMA },
];

fn local(key: Option<&MasterKey>) -> Local<'_> {
    Local {
        address: [127, 0, 0, 1].into(),
        port: 15_004,
        session: 5,
        version: 1,
        formats: &FORMATS,
        events: PayloadType::new(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        key,
    }
}

fn host(srtp: SrtpPolicy, codecs: &[CodecFormat]) -> Call {
    let config = CallConfig::with_identity(4_000, Identity::seeded(7));
    Call::new(CallConfig { codecs: codecs.to_vec(), srtp, ..config }).unwrap()
}

/// What both understood is the same.
fn assert_agreed(call: &Call, agreed: &Agreed, key: Option<&MasterKey>) {
    let stream = call.negotiated_stream(0).unwrap();
    let codec = &stream.send[0];
    assert_eq!((&*codec.format.name, codec.payload_type), (agreed.format.name, agreed.format.payload_type));
    for events in [&stream.send_events, &stream.receive_events] {
        assert_eq!(events.first().map(|events| events.payload_type), agreed.events);
    }
    assert_eq!(agreed.events, PayloadType::new(101));
    assert_eq!((agreed.port, agreed.address), (4_000, call.address()));
    let transport = call.negotiated_transport().unwrap();
    assert_eq!((transport.rtcp_mux, agreed.rtcp_mux), (true, true));
    let (ours, theirs) = (agreed.keys.as_ref(), transport.srtp.as_ref());
    assert_eq!(ours.map(|keys| &keys.outgoing), key);
    assert_eq!(theirs.map(|keys| &keys.incoming), key);
    assert_eq!(theirs.map(|keys| &keys.outgoing), ours.map(|keys| &keys.incoming));
    assert_eq!(theirs.map(|keys| keys.suite.profile()), ours.map(|keys| keys.profile));
}

#[test]
fn a_phone_and_a_host_understand_each_other() {
    let key = MasterKey::from_bytes(&[9; 30]);
    let all = [CodecFormat::opus(), CodecFormat::g722(), CodecFormat::pcmu()];
    for (srtp, key) in [(SrtpPolicy::Off, None), (SrtpPolicy::Required, Some(&key))] {
        for codecs in [&all[..], &all[2..]] {
            let (mut text, now) = ([0; 1_024], Instant::ZERO);
            // The phone begins.
            let mut call = host(srtp, codecs);
            let phone = local(key);
            let answer = call.answer(now, phone.offer(&mut text).unwrap()).unwrap();
            let agreed = phone.accept(&Remote::parse(answer.as_bytes()).unwrap()).unwrap();
            assert_agreed(&call, &agreed, key);
            // The host puts it on hold.
            call.set_direction(HostDirection::SendOnly);
            let offer = call.offer().unwrap();
            let remote = Remote::parse(offer.as_bytes()).unwrap();
            let (answer, held) = Local { version: 2, ..phone }.answer(&remote, &mut text).unwrap();
            call.accept(now, answer).unwrap();
            assert_agreed(&call, &held, key);
            assert_eq!(held.direction, Direction::RecvOnly);
            assert_eq!(call.negotiated_stream(0).unwrap().direction, HostDirection::SendOnly);

            // The host begins.
            let mut call = host(srtp, codecs);
            let offer = call.offer().unwrap();
            let (answer, agreed) = phone.answer(&Remote::parse(offer.as_bytes()).unwrap(), &mut text).unwrap();
            call.accept(now, answer).unwrap();
            assert_agreed(&call, &agreed, key);
            // The phone puts it on hold.
            let phone = Local { version: 2, direction: Direction::SendOnly, ..phone };
            let answer = call.answer(now, phone.offer(&mut text).unwrap()).unwrap();
            let held = phone.accept(&Remote::parse(answer.as_bytes()).unwrap()).unwrap();
            assert_agreed(&call, &held, key);
            assert_eq!(held.direction, Direction::SendOnly);
            assert_eq!(call.negotiated_stream(0).unwrap().direction, HostDirection::RecvOnly);
        }
    }
}

#[test]
fn what_a_browser_offers_is_refused() {
    let mut call = host(SrtpPolicy::Required, &[CodecFormat::opus()]);
    let offer = call.offer().unwrap();
    let mut text = [0; 1_024];
    let key = MasterKey::from_bytes(&[9; 30]);
    let refusal = |offer: &str, text: &mut [u8]| {
        local(Some(&key)).answer(&Remote::parse(offer.as_bytes())?, text).err().map_or(Ok(()), Err)
    };
    assert_eq!(refusal(&offer, &mut text), Err(SdpError::NoCodec));
    let browser = offer.replace("RTP/SAVP ", "UDP/TLS/RTP/SAVPF ");
    assert_eq!(refusal(&browser, &mut text), Err(SdpError::Profile));
}
