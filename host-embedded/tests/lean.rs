//! The least phone beside the usual one: what it leaves out changes nothing that is heard, and is passed over where it comes.

use dsp_core::front::Step;
use dsp_core::receive::DelayConfig;
use dsp_core::send::{KeyPress, SenderConfig};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::tone::Digit;
use dsp_core::wire::rtp::RtpHeader;
use host_embedded::lean::{LEAN_DELAY_MS, LeanParts, LeanPhone, LeanRoom, LentLeanPhone};
use host_embedded::parts::PhoneParts;
use host_embedded::phone::{KeyError, Phone, PhoneConfig, PhoneError, PhoneOf, TICK};

fn config() -> PhoneConfig {
    let delay = DelayConfig { max_ms: LEAN_DELAY_MS, ..DelayConfig::conversation() };
    PhoneConfig { delay, events: PayloadType::new(101), ..PhoneConfig::default() }
}

fn packet(payload_type: PayloadType, seq: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let header = RtpHeader {
        marker: seq == 0,
        payload_type,
        seq: Seq(seq),
        timestamp: RtpTime(timestamp),
        ssrc: Ssrc(9),
        ..RtpHeader::default()
    };
    let mut datagram = vec![0; 12 + payload.len()];
    let len = header.write_packet(payload, &mut datagram).expect("room for a packet");
    assert_eq!(len, datagram.len());
    datagram
}

/// 20 ms of a voice of sorts in mu-law.
fn voice(n: u32) -> Vec<u8> {
    (0..160u32).map(|k| 0x80 | ((n * 160 + k) % 67) as u8 | ((n % 3) << 4) as u8).collect()
}

/// A tick at `now`: what is heard, and the datagrams that are sent.
fn tick<P: PhoneParts>(phone: &mut PhoneOf<P, TICK, 0>, now: Instant) -> (Vec<i16>, Vec<Vec<u8>>) {
    let (mut datagram, mut heard, mut sent) = ([0; 320], Vec::new(), Vec::new());
    phone.begin(now, true);
    while let Some(step) = phone.step(&mut datagram) {
        match step {
            Step::Loudspeaker { pcm, .. } => heard = pcm.to_vec(),
            Step::Microphone(microphone) => {
                let ticks = (now.since(Instant::ZERO).as_millis() / 10) as usize;
                microphone.pcm.iter_mut().zip(ticks..).for_each(|(to, n)| *to = (n * 331 % 8_000) as i16);
            }
            Step::Transmit(len) => sent.push(datagram[..len.expect("a packet")].to_vec()),
        }
    }
    (heard, sent)
}

/// Ten seconds over a network that loses, delays and reorders: everything that was heard and sent.
fn call<P: PhoneParts>(phone: &mut PhoneOf<P, TICK, 0>) -> (Vec<i16>, Vec<Vec<u8>>) {
    let (mut heard, mut sent, mut way) = (Vec::new(), Vec::new(), Vec::new());
    let mut chance = 1u32;
    for n in 0..1_000u32 {
        let now = Instant::from_millis(u64::from(n) * 10);
        if n % 2 == 0 {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let delay = Duration::from_millis(u64::from(20 + (chance >> 16) % 40));
            if !(chance >> 8).is_multiple_of(20) && n % 300 > 6 {
                way.push((now + delay, packet(PayloadType::PCMU, (n / 2) as u16, n * 80, &voice(n / 2))));
            }
        }
        way.sort_by_key(|(arrival, _)| *arrival);
        let later = way.split_off(way.iter().take_while(|(arrival, _)| *arrival <= now).count());
        for (arrival, datagram) in std::mem::replace(&mut way, later) {
            phone.receive(arrival, &datagram).expect("a packet");
        }
        let (pcm, datagrams) = tick(phone, now);
        heard.extend(pcm);
        sent.extend(datagrams);
    }
    (heard, sent)
}

#[test]
fn it_sounds_as_the_usual_phone_does() {
    let mut usual = Phone::new(config()).expect("a phone");
    let wanted = call(&mut usual);
    assert!(
        usual.receiver_stats().concealed_samples > 2_000 && usual.receiver_stats().reception.cumulative_lost() > 20
    );
    assert_eq!(call(&mut LeanPhone::lean(config()).expect("a phone")), wanted);
    let (mut place, mut room) = (None, LeanRoom::new());
    assert_eq!(call(LentLeanPhone::lean_in(&mut place, config(), &mut room).expect("a phone")), wanted);
    // What a call leaves in the memory is none of the next one's.
    let mut place = None;
    assert_eq!(call(LentLeanPhone::lean_in(&mut place, config(), &mut room).expect("a phone")), wanted);
}

#[test]
fn what_it_has_no_part_for_is_passed_over() {
    let mut phone = LeanPhone::lean(config()).expect("a phone");
    let event = [5, 10, 0, 160];
    let noise = [60];
    // A block of mu-law, 160 ticks before the one that follows it.
    let redundant = [&[0x80, 0x02, 0x80, 160, 0][..], &[0xff; 160], &[0xff; 160]].concat();
    for n in 0..40u16 {
        let now = Instant::from_millis(u64::from(n) * 20);
        let (number, payload) = match n {
            10 => (101, &event[..]),
            11 => (13, &noise[..]),
            12 => (121, &redundant[..]),
            _ => (0, &[0x90; 160][..]),
        };
        let number = PayloadType::new(number).expect("a payload type");
        phone.receive(now, &packet(number, n, u32::from(n) * 160, payload)).expect("a packet");
        for half in 0..2 {
            tick(&mut phone, now + Duration::from_millis(10 * half));
        }
    }
    let stats = phone.receiver_stats();
    assert_eq!((stats.unknown_payload, stats.event_packets, stats.noise_packets, stats.redundant_blocks), (3, 0, 0, 0));
    assert_eq!(stats.unaccounted(), [0; 4]);
    assert!(phone.next_event(Instant::from_millis(800)).is_none());
    assert_eq!(phone.press(KeyPress::of(Digit::Five.into())), Err(KeyError::NoEvents));
}

#[test]
fn what_it_cannot_send_is_refused_and_leaves_no_phone() {
    let with = |payload_type, ptime_ms| {
        let mut place = LeanPhone::lean(config()).ok();
        let sender = SenderConfig { payload_type, ptime_ms, ..config().sender };
        let made = PhoneOf::place(&mut place, PhoneConfig { sender, ..config() }, LeanParts::parts(), ()).err();
        (made, place.is_some())
    };
    assert_eq!(with(PayloadType::PCMA, 20), (Some(PhoneError::PayloadType(PayloadType::PCMA)), false));
    assert!(matches!(with(PayloadType::PCMU, 30), (Some(PhoneError::Sender(_)), false)));
    assert_eq!(with(PayloadType::PCMU, 10), (None, true));
}
