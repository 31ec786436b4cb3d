//! A call that asks a TURN server which answers with anything: true answers, true ones that are cut or bent, and any bytes at all.
//! And the frames of a connection to one.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{
    Call, CallConfig, Channel, IceConfig, IceMode, Identity, RelayState, TurnFrameBuffer, TurnServer, TurnTransport,
};
use media_core_tests::turn_server::{PASSWORD, TurnModel, USER};

/// What becomes of the server's next datagram.
#[derive(Clone, Debug, bolero::TypeGenerator)]
enum Step {
    /// It comes as it is.
    True,
    /// It is lost.
    Lost,
    /// With other bytes in it, and cut.
    Bent(Vec<(u8, u8)>, u8),
    /// Something else comes before it, with the transaction of the last question if it has the room.
    Before(Vec<u8>, bool),
    /// So many ticks later.
    Wait(u8),
}

const HERE: &str = "10.0.0.4:4000";
const SERVER: &str = "198.51.100.7:3478";

fn deliver(call: &mut Call, now: Instant, mut bytes: Vec<u8>) {
    call.receive(now, Channel::Rtp, SERVER.parse().unwrap(), &mut bytes);
}

fn ask(steps: &[Step]) {
    let (here, server): (SocketAddr, SocketAddr) = (HERE.parse().unwrap(), SERVER.parse().unwrap());
    let config = |port| CallConfig {
        address: here.ip(),
        codecs: vec![CodecFormat::pcmu()],
        srtp: SrtpPolicy::Off,
        ice: IceConfig { mode: IceMode::Full, ..IceConfig::default() },
        ..CallConfig::with_identity(port, Identity::seeded(port.into()))
    };
    let mut asking = config(4_000);
    asking.ice.relay_only = true;
    let (user, password) = (USER.into(), PASSWORD.into());
    asking.ice.turn.push(TurnServer { address: server, transport: TurnTransport::Udp, user, password });
    let (mut call, mut other) = (Call::new(asking).unwrap(), Call::new(config(5_000)).unwrap());
    let mut model = TurnModel::new(server);
    let (mut now, mut buffer, mut question) = (Instant::ZERO, [0; 1_500], vec![0; 20]);
    let mut steps = steps.iter();
    let mut agreed = false;
    for tick in 0..400 {
        if !agreed && (tick == 100 || matches!(call.relays()[0].state, RelayState::Allocated(_))) {
            let answer = other.answer(now, &call.offer().unwrap()).unwrap();
            call.accept(now, &answer).unwrap();
            agreed = true;
        }
        let mut answers = Vec::new();
        while let Some(transmit) = call.transmit(now, &mut buffer) {
            assert_eq!(transmit.to, server, "a side that hides sends elsewhere");
            question = buffer[..transmit.len].to_vec();
            answers.extend(model.take(now, here, &question).into_iter().filter(|passed| passed.to == here));
        }
        call.capture(now, &[1_000; 80]);
        for mut answer in answers {
            match steps.next() {
                None | Some(Step::True) => {}
                Some(Step::Lost) => continue,
                Some(Step::Wait(ticks)) => now += Duration::from_millis(10 * u64::from(*ticks)),
                Some(Step::Bent(edits, cut)) => {
                    for (at, to) in edits {
                        let len = answer.bytes.len();
                        answer.bytes[usize::from(*at) % len] = *to;
                    }
                    answer.bytes.truncate(answer.bytes.len() - usize::from(*cut) % answer.bytes.len());
                }
                Some(Step::Before(bytes, asked)) => {
                    let mut bytes = bytes.clone();
                    if *asked && bytes.len() >= 20 && question.len() >= 20 {
                        bytes[4..20].copy_from_slice(&question[4..20]);
                    }
                    deliver(&mut call, now, bytes);
                }
            }
            deliver(&mut call, now, answer.bytes);
        }
        let relay = call.relays()[0];
        assert!(!relay.state.to_string().is_empty() && relay.permitted <= 32);
        now += Duration::from_millis(10);
    }
}

/// What comes of a stream of these bytes, in parts of this length.
fn frames(bytes: &[u8], part: u8) {
    let (mut frames, mut came) = (TurnFrameBuffer::default(), 0);
    for part in bytes.chunks(usize::from(part).max(1)) {
        frames.push(part);
        loop {
            match frames.next_frame() {
                Ok(Some(frame)) => {
                    assert!(frame.len() >= 4);
                    came += frame.len().next_multiple_of(4);
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(came <= bytes.len());
}

/// Both in one target: the frames take next to no time.
#[test]
fn fuzz_turn() {
    let check = bolero::check!().with_type::<(Vec<Step>, Vec<u8>, u8)>();
    check.with_shrink_time(std::time::Duration::ZERO).for_each(|(steps, bytes, part)| {
        ask(steps);
        frames(bytes, *part);
    });
}
