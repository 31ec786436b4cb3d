//! The golden hashes on this machine. Other targets must print the same.

use media_core_tests::golden;

#[test]
fn hashes_are_unchanged() {
    let hashes = [
        ("pcmu", golden::pcmu()),
        ("pcma", golden::pcma()),
        ("l16", golden::l16()),
        ("appendix 1", golden::appendix1()),
        ("g722 concealed", golden::g722_concealed()),
        ("comfort noise", golden::comfort_noise()),
        ("energy gate", golden::energy_gate()),
        ("level i16", golden::level::<i16>()),
        ("level f32", golden::level::<f32>()),
        ("gain i16", golden::gain::<i16>()),
        ("gain f32", golden::gain::<f32>()),
    ];
    let expected: [(&str, u32); 11] = [
        ("pcmu", 0xf58b_63b0),
        ("pcma", 0xf008_e257),
        ("l16", 0xd86d_49d5),
        ("appendix 1", 0x80cc_fcd6),
        ("g722 concealed", 0xae0f_7245),
        ("comfort noise", 0x09d1_78d9),
        ("energy gate", 0x9b79_2059),
        ("level i16", 0xba5b_8c65),
        ("level f32", 0xba5b_8c65),
        ("gain i16", 0x92ab_d477),
        ("gain f32", 0xde8a_d3f7),
    ];
    assert_eq!(
        hashes.map(|(name, hash)| format!("{name} {hash:#010x}")),
        expected.map(|(name, hash)| format!("{name} {hash:#010x}"))
    );
}
