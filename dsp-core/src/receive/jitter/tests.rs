use super::*;
use std::vec::Vec;

fn info(seq: u16) -> PacketInfo {
    PacketInfo { seq: Seq(seq), timestamp: RtpTime(u32::from(seq) * 160), ..Slot::EMPTY.info }
}

fn drain<const N: usize>(buffer: &mut ArrayBuffer<N>) -> Vec<u16> {
    let mut seqs = Vec::new();
    while !buffer.is_empty() {
        if let Some((info, payload)) = buffer.peek(0) {
            assert_eq!(payload, info.seq.0.to_be_bytes().repeat(50));
            seqs.push(info.seq.0);
        }
        buffer.advance(Fate::Played);
    }
    seqs
}

fn push<const N: usize>(buffer: &mut ArrayBuffer<N>, seq: u16) -> Result<(), PushError> {
    buffer.push(info(seq), &seq.to_be_bytes().repeat(50))
}

#[test]
fn orders_across_the_wrap_and_drops_duplicates() {
    let mut buffer = ArrayBuffer::<32>::new();
    for seq in [65_534, 0, 65_535, 2, 1] {
        push(&mut buffer, seq).unwrap();
    }
    assert_eq!(push(&mut buffer, 0), Err(PushError::Duplicate));
    assert_eq!(drain(&mut buffer), [65_534, 65_535, 0, 1, 2]);
    assert_eq!(push(&mut buffer, 1), Err(PushError::Duplicate));
}

#[test]
fn a_missing_packet_is_seen_and_skipped() {
    let mut buffer = ArrayBuffer::<32>::new();
    for seq in [10, 12, 13] {
        push(&mut buffer, seq).unwrap();
    }
    buffer.advance(Fate::Played);
    assert!(buffer.peek(0).is_none());
    assert_eq!(buffer.first_offset(), Some(1));
    assert!(!buffer.advance(Fate::Lost));
    assert_eq!(push(&mut buffer, 11), Err(PushError::Late));
    assert_eq!(drain(&mut buffer), [12, 13]);
}

#[test]
fn begins_with_the_first_sent_even_if_it_comes_second() {
    let mut buffer = ArrayBuffer::<32>::new();
    push(&mut buffer, 5).unwrap();
    push(&mut buffer, 3).unwrap();
    push(&mut buffer, 4).unwrap();
    assert_eq!(push(&mut buffer, 65_000), Err(PushError::Old));
    assert_eq!(drain(&mut buffer), [3, 4, 5]);
    assert_eq!(push(&mut buffer, 2), Err(PushError::Old));
}

#[test]
fn bounded_in_cells_and_in_distance() {
    let mut buffer = ArrayBuffer::<8>::new();
    for seq in 0..4 {
        push(&mut buffer, seq).unwrap();
    }
    assert_eq!(push(&mut buffer, 4), Err(PushError::Full));
    assert_eq!(push(&mut buffer, 9), Err(PushError::TooFarAhead));
    assert_eq!(buffer.push(info(5), &[0; 600]), Err(PushError::TooLong { bytes: 600 }));
    buffer.advance(Fate::Played);
    push(&mut buffer, 4).unwrap();
    assert_eq!(drain(&mut buffer), [1, 2, 3, 4]);
}

#[test]
fn cells_are_those_of_packets_and_no_others() {
    let mut buffer = ArrayBuffer::<16>::new();
    for (seq, bytes) in [(7, 0), (9, 64), (8, 65), (11, 300)] {
        buffer.push(info(seq), &[0; 300][..bytes]).unwrap();
    }
    assert_eq!(buffer.cells(), 1 + 1 + 2 + 5);
    let left = [(); 4].map(|()| {
        buffer.advance(Fate::Played);
        buffer.cells()
    });
    assert_eq!(left, [8, 6, 5, 5]);
    buffer.reset();
    assert_eq!(buffer.cells(), 0);
}

#[test]
fn runs_for_ever_with_odd_lengths() {
    let mut buffer = ArrayBuffer::<16>::new();
    let mut taken = 0u32;
    for seq in 0..200_000u32 {
        let payload = [seq as u8; 300];
        let len = (seq as usize * 37) % 300 + 1;
        while buffer.push(info(seq as u16), &payload[..len]) == Err(PushError::Full) {
            let (info, bytes) = buffer.peek(0).expect("full means that the next one is here");
            assert_eq!(info.seq.0, taken as u16);
            assert_eq!(bytes.len(), (taken as usize * 37) % 300 + 1);
            assert!(bytes.iter().all(|&b| b == taken as u8));
            buffer.advance(Fate::Played);
            taken += 1;
        }
    }
    assert!(taken > 199_900);
}

#[test]
fn goes_on_in_more_memory_with_all_it_holds_and_remembers() {
    let list = |count: usize| PacketMemory::<Lists> {
        slots: std::vec![Slot::EMPTY; count],
        cells: std::vec![[7; CELL_BYTES]; 2 * count],
        runs: std::vec![Run::EMPTY; 2 * count],
    };
    let mut buffer = JitterBuffer::with_memory(list(8)).unwrap();
    let payload = |seq: u16| seq.to_be_bytes().repeat(50);
    for seq in [65_533, 65_534, 0, 1, 3, 4] {
        buffer.push(info(seq), &payload(seq)).unwrap();
    }
    for fate in [Fate::Played, Fate::Discarded, Fate::Lost] {
        buffer.advance(fate);
    }
    assert!(buffer.set_memory(list(7)).is_err() && buffer.set_memory(list(20_000)).is_err());
    assert!(buffer.set_memory(list(40)).is_ok_and(|before| before.slots.len() == 8));
    assert_eq!((buffer.len(), buffer.cells(), buffer.room(), buffer.next_seq()), (4, 8, 72, Some(Seq(0))));
    assert_eq!(buffer.push(info(65_533), &[]), Err(PushError::Duplicate));
    assert_eq!(buffer.push(info(65_534), &[]), Err(PushError::Old));
    assert_eq!(buffer.push(info(65_535), &[]), Err(PushError::Late));
    assert_eq!(buffer.push(info(1), &[]), Err(PushError::Duplicate));
    // Room for what the smaller one had none.
    for seq in [2, 30] {
        buffer.push(info(seq), &payload(seq)).unwrap();
    }
    for seq in [0, 1, 2, 3, 4] {
        let (found, bytes) = buffer.peek(0).unwrap();
        assert_eq!((found.seq, bytes), (Seq(seq), &payload(seq)[..]));
        buffer.advance(Fate::Played);
    }
    assert_eq!((buffer.len(), buffer.first_offset()), (1, Some(25)));
    // Before the first packet, too.
    let mut buffer = JitterBuffer::with_memory(list(8)).unwrap();
    assert!(buffer.set_memory(list(16)).is_ok() && buffer.push(info(9), &[1]).is_ok());
    assert!(JitterBuffer::with_memory(list(3)).is_none());
}

struct Lists;

impl ReceiverMemory for Lists {
    type Slots = Vec<Slot>;
    type Cells = Vec<Cell>;
    type Runs = Vec<Run>;
    type Sound = Vec<i16>;
}
