//! Two desk phones call each other as their firmware would: SDP without a heap, SRTP, RTCP, and a tick every 10 ms.
//!
//! You learn which parts the firmware of a phone consists of, and what the loop around them looks like. Here the audio
//! port and the socket are simulated, so the program runs on a desktop. On a board the port belongs to a `Pump` and
//! the socket to the network stack (`host-embedded/PORTING.md`), and the loop stays the same. On the way from
//! microphone to network, only the simulated wire between the two phones allocates.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;

use dsp_core::guard::srtp::{MasterKey, Srtp};
use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter};
use dsp_core::sdp::{Agreed, Direction, Format, Local, Remote};
use dsp_core::send::SenderConfig;
use dsp_core::time::{Instant, NtpTime, PayloadType, RtpTime, Seq, Ssrc};
use embassy_futures::block_on;
use host_embedded::phone::{Phone, PhoneConfig};
use host_embedded::sim::{SimClock, SimPort};
use host_embedded::transport::{Socket, Transport};

/// Datagrams on their way to each of the two phones.
type Wires = [RefCell<VecDeque<Vec<u8>>>; 2];

/// A socket of one phone. Its address is the phone's number.
struct Wire<'a> {
    own: usize,
    wires: &'a Wires,
    clock: &'a SimClock,
}

impl Socket for Wire<'_> {
    type Address = usize;

    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, usize, Instant) {
        let next = self.wires[self.own].borrow_mut().pop_front();
        let Some(next) = next else { return std::future::pending().await };
        if let Some(room) = datagram.get_mut(..next.len()) {
            room.copy_from_slice(&next);
        }
        (next.len(), 1 - self.own, self.clock.now())
    }

    fn send(&mut self, datagram: &[u8], to: usize) -> bool {
        self.wires[to].borrow_mut().push_back(datagram.to_vec());
        true
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // 1. Signalling: the texts that a SIP stack carries, in buffers of ours. On a board the keys come from its generator of
    //    random numbers.
    let formats = [Format { name: "PCMA", clock_hz: 8_000, payload_type: PayloadType::PCMA }];
    let keys = [MasterKey::from_bytes(&[1; 30]), MasterKey::from_bytes(&[2; 30])];
    let local = |phone: usize| Local {
        address: [192, 0, 2, 1 + phone as u8].into(),
        port: 5004,
        session: 7,
        version: 1,
        formats: &formats,
        events: PayloadType::new(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        key: Some(&keys[phone]),
    };
    let (mut offer, mut answer) = ([0; 640], [0; 640]);
    let offer = local(0).offer(&mut offer)?;
    let (answer, at_second) = local(1).answer(&Remote::parse(offer.as_bytes())?, &mut answer)?;
    let at_first = local(0).accept(&Remote::parse(answer.as_bytes())?)?;
    println!("agreed on {} with {:?}", at_first.format.name, at_first.keys.as_ref().map(|keys| keys.profile));

    // 2. Each phone: port, socket with SRTP and RTCP around it, receiver and sender.
    let wires = Wires::default();
    let clocks = [SimClock::default(), SimClock::default()];
    let loudest = RefCell::new([0_i16; 2]);
    let mut ports = [0, 1].map(|phone: usize| {
        let loudest = &loudest;
        let (mut spoken, period) = (0_usize, [20, 32][phone]); // square waves of 400 and 250 Hz
        let microphone = move |pcm: &mut [i16; 80]| {
            for sample in pcm {
                *sample = if spoken % period < period / 2 { 4_000 } else { -4_000 };
                spoken += 1;
            }
        };
        let loudspeaker = move |pcm: &[i16; 80]| {
            let mut loudest = loudest.borrow_mut();
            loudest[phone] = pcm.iter().fold(loudest[phone], |most, sample| most.max(*sample));
        };
        SimPort::new(&clocks[phone], microphone, loudspeaker)
    });
    let make = |number: usize, agreed: &Agreed| -> Result<_, Box<dyn Error>> {
        let ssrc = Ssrc(0x1000 + number as u32);
        let sender = SenderConfig {
            ssrc,
            first_seq: Seq(100),
            first_timestamp: RtpTime(0),
            payload_type: agreed.format.payload_type,
            ptime_ms: agreed.ptime_ms,
        };
        let phone = Phone::new(PhoneConfig { sender, events: agreed.events, ..PhoneConfig::default() })?;
        let keys = agreed.keys.as_ref().ok_or("no keys")?;
        let guard = Srtp::<2>::new(keys.profile, &keys.outgoing, &keys.incoming)?;
        let reporter = ReporterConfig { ssrc, cname: Cname::new("phone"), seed: ssrc.0, ..ReporterConfig::default() };
        let reporter = RtcpReporter::new(reporter, Instant::ZERO)?;
        let socket = Wire { own: number, wires: &wires, clock: &clocks[number] };
        let mut network = Transport::<_, _, 704>::new(socket, guard, reporter);
        network.set_remote(1 - number);
        Ok((phone, network))
    };
    let mut phones = [make(0, &at_first)?, make(1, &at_second)?];

    // 3. The loop: a tick of 10 ms, then the report that is due. On a board each phone has it as its task.
    for _ in 0..1_000 {
        for (number, (phone, network)) in phones.iter_mut().enumerate() {
            block_on(phone.tick(&mut ports[number], network));
            let now = clocks[number].now();
            let ntp = NtpTime::default().plus(now.since(Instant::ZERO));
            network.report(now, phone.receiver_stats().reception, phone.send_info(ntp));
        }
    }
    for (number, (phone, network)) in phones.iter().enumerate() {
        let (heard, counters) = (phone.receiver_stats(), network.counters());
        let loudest = loudest.borrow()[number];
        println!(
            "phone {number}: {} packets heard, loudest sample {loudest}, {} reports sent, {} heard, {} refused",
            heard.reception.received, counters.reports_sent, counters.reports, counters.refused
        );
        assert!(heard.reception.received >= 498 && counters.reports >= 1 && counters.refused == 0);
        assert!((3_900..4_200).contains(&loudest));
    }
    Ok(())
}
