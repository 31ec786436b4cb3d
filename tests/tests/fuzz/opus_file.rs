//! Any bytes at all into the reader of Ogg files with Opus: an error or packets that are Opus, within the file's length.

use std::io::Cursor;

use host_std::opus::OpusPacket;
use host_std::opus_file::{OpusFile, OpusFileWriter, OpusHead};

fn survives(bytes: &[u8]) {
    if let Ok(file) = OpusFile::read(Cursor::new(bytes)) {
        let packets = file.packets.iter().map(|packet| OpusPacket::parse(packet).expect("checked before").ticks());
        assert!(file.ticks <= packets.map(u64::from).sum::<u64>());
        assert!(matches!(file.head.channels, 1 | 2));
        assert!(file.packets.iter().map(Vec::len).sum::<usize>() <= bytes.len());
    }
}

#[test]
fn fuzz_opus_file() {
    bolero::check!().with_max_len(4_096).for_each(survives);
}

/// A good file with some bytes changed. The checksums hide most of what is changed inside pages, so headers are written
/// from the input, too.
#[test]
fn fuzz_opus_file_mutated() {
    bolero::check!().with_type::<(u8, u16, u32, Vec<Vec<u8>>, Vec<(u16, u8)>)>().for_each(
        |(channels, pre_skip, rate, packets, edits)| {
            let head = OpusHead { channels: *channels, pre_skip: *pre_skip, input_rate_hz: *rate, gain_q8: 0 };
            let mut bytes = Vec::new();
            let mut writer = OpusFileWriter::new(&mut bytes, head).unwrap();
            for packet in packets {
                writer.packet(packet, packet.len() as u32 * 120).unwrap();
            }
            writer.finish(u64::from(*rate)).unwrap();
            survives(&bytes);
            for (place, with) in edits {
                let place = usize::from(*place) % bytes.len();
                bytes[place] = *with;
            }
            survives(&bytes);
        },
    );
}
