//! A picture of one byte a pixel as a PNG, its colours those of a scale from dark to light that reads on any page.
//!
//! The colours are viridis (S. van der Walt and N. Smith, 2015): lightness grows evenly with the value, also for people who
//! distinguish few colours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Ten even steps of the scale, from the lowest value to the highest.
pub(super) const SCALE: [[u8; 3]; 10] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x28, 0x78],
    [0x3e, 0x49, 0x89],
    [0x31, 0x68, 0x8e],
    [0x26, 0x82, 0x8e],
    [0x1f, 0x9e, 0x89],
    [0x35, 0xb7, 0x79],
    [0x6e, 0xce, 0x58],
    [0xb5, 0xde, 0x2b],
    [0xfd, 0xe7, 0x25],
];

/// Returns the picture as a `data:` URI; `pixels` are rows from the top, each `width` long.
pub(super) fn data_uri(width: u32, height: u32, pixels: &[u8]) -> String {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette((0..=255).flat_map(color).collect::<Vec<u8>>());
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels));
    // The picture is written into memory, with as many pixels as the header gives, so this can't fail.
    debug_assert!(written.is_ok(), "{written:?}");
    format!("data:image/png;base64,{}", STANDARD.encode(file))
}

/// Returns the colour of a value, between two steps.
fn color(value: u8) -> [u8; 3] {
    let place = u32::from(value) * (SCALE.len() as u32 - 1);
    let (step, part) = ((place / 255) as usize, place % 255);
    let (low, high) = (SCALE[step], SCALE[(step + 1).min(SCALE.len() - 1)]);
    std::array::from_fn(|n| ((u32::from(low[n]) * (255 - part) + u32::from(high[n]) * part + 127) / 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_as_it_was_written() {
        let pixels = [0, 255, 128, 7, 8, 9];
        let uri = data_uri(3, 2, &pixels);
        let file = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (3, 2));
        assert_eq!(reader.info().palette.as_ref().unwrap().len(), 768);
        let mut read = vec![0; 6];
        reader.next_frame(&mut read).unwrap();
        assert_eq!(read, pixels);
        assert_eq!((color(0), color(255)), (SCALE[0], SCALE[9]));
    }
}
