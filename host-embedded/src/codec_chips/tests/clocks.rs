//! Every clock that a chip can make, read back from its registers by what the datasheet says of them, and every other in words.

use std::string::{String, ToString};
use std::vec::Vec;

use crate::codec_chips::{Chip, Clocks, Rate, Role, Setup, Word};

/// In Hz.
const MCLK: [u32; 8] = [8_192_000, 11_289_600, 12_000_000, 12_288_000, 13_000_000, 19_200_000, 24_000_000, 25_000_000];

/// A register's value for these clocks, by its address.
type Lookup<'a> = &'a dyn Fn(u16) -> u16;

/// Goes through all clocks: `rate` says from registers which rate that is, in Hz, with the limits checked. Returns the table:
/// `.` by dividers, `p` by the PLL, `-` not at all; MCLK down, rates as master and as slave across.
fn grid<C: Chip + Copy>(chip: C, rate: impl Fn(&Clocks, Lookup<'_>) -> f64) -> String {
    let mut table = String::new();
    for mclk_hz in MCLK {
        table += &std::format!("{mclk_hz:>8} ");
        for role in [Role::Master, Role::Slave] {
            for wanted in Rate::ALL {
                let clocks = Clocks { mclk_hz, rate: wanted, role, word: Word::Bits32 };
                let mut image = C::RESET;
                let made = chip.image(&Setup::new(clocks), &mut image);
                let achieved = chip.achieved(&clocks);
                let value = |address: u16| {
                    let place = C::REGISTERS.iter().position(|register| register.address == address);
                    image.as_ref()[place.expect("a register of the table")]
                };
                match (made, achieved) {
                    (Ok(()), Ok(achieved)) => {
                        let found = rate(&clocks, &value);
                        let off = (found / f64::from(wanted.hz()) - 1.0) * 1e6;
                        assert!(off.abs() < 30.0, "{clocks:?}: {found} Hz, off by {off} millionths");
                        let told = achieved.millihertz as f64 / 1e3;
                        assert!((told - found).abs() < 1e-3, "{clocks:?}: {told} Hz was told, it is {found} Hz");
                        table += if achieved.pll { "p" } else { "." };
                    }
                    (Err(error), Err(same)) => {
                        assert_eq!(error, same);
                        let told = error.to_string();
                        let names = [C::NAME.to_string(), mclk_hz.to_string(), wanted.hz().to_string()];
                        assert!(names.iter().all(|name| told.contains(name.as_str())), "{told}");
                        table += "-";
                    }
                    (made, achieved) => panic!("{clocks:?}: {made:?} and {achieved:?}"),
                }
            }
            table += " ";
        }
        table = String::from(table.trim_end()) + "\n";
    }
    table
}

/// `f2 = f1 * (N + K / 2^24)`, within 90 to 100 MHz, N from 6 to 12; a quarter of it.
fn fractional(mclk_hz: u32, halved: bool, n: u16, k: u32) -> f64 {
    let input = f64::from(mclk_hz) / if halved { 2.0 } else { 1.0 };
    let oscillator = input * (f64::from(n) + f64::from(k) / f64::from(1 << 24));
    assert!((6..=12).contains(&n), "N is {n}");
    assert!((90e6..=100e6).contains(&oscillator), "the oscillator is at {oscillator} Hz");
    oscillator / 4.0
}

#[test]
fn wm8960() {
    let rate = |clocks: &Clocks, value: Lookup<'_>| {
        let (clock1, clock2, pll) = (value(0x04), value(0x08), value(0x34));
        let source = match clock1 & 1 {
            0 => f64::from(clocks.mclk_hz),
            _ => {
                assert_eq!(value(0x1a) & 1, 1, "the PLL is off");
                let k = (u32::from(value(0x35)) << 16) | (u32::from(value(0x36)) << 8) | u32::from(value(0x37));
                assert_eq!(pll & 0x20 != 0, k != 0, "integer mode");
                fractional(clocks.mclk_hz, pll & 0x10 != 0, pll & 0xf, k)
            }
        };
        let sysclk = source / [1.0, f64::NAN, 2.0, f64::NAN][usize::from((clock1 >> 1) & 3)];
        let converters = [1.0, 1.5, 2.0, 3.0, 4.0, 5.5, 6.0, f64::NAN];
        let rate = sysclk / converters[usize::from((clock1 >> 3) & 7)] / 256.0;
        assert_eq!((clock1 >> 3) & 7, (clock1 >> 6) & 7, "both directions");
        let bit = [1.0, 1.5, 2.0, 3.0, 4.0, 5.5, 6.0, 8.0, 11.0, 12.0, 16.0, 22.0, 24.0, 32.0, 32.0, 32.0];
        let bit = sysclk / bit[usize::from(clock2 & 0xf)];
        assert!((bit / rate - 64.0).abs() < 1e-9, "{} bit clocks a frame", bit / rate);
        let class_d = sysclk / [f64::NAN, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0][usize::from((clock2 >> 6) & 7)];
        assert!((700e3..=800e3).contains(&class_d), "class D at {class_d} Hz");
        assert_eq!(value(0x07) & 0x40 != 0, clocks.role == Role::Master);
        rate
    };
    let expected = "
         8192000 pppp pppp
        11289600 pp.p pp.p
        12000000 pppp pppp
        12288000 ..p. ..p.
        13000000 pppp pppp
        19200000 pppp pppp
        24000000 pppp pppp
        25000000 pppp pppp";
    same(&grid(crate::codec_chips::wm8960::Wm8960::default(), rate), expected);
}

#[test]
fn sgtl5000() {
    let rate = |clocks: &Clocks, value: Lookup<'_>| {
        assert!((8_000_000..=27_000_000).contains(&clocks.mclk_hz));
        let (control, top, power, pll) = (value(0x04), value(0x34), value(0x30), value(0x32));
        let (source, full) =
            [(32e3, 6144.0), (44.1e3, 4096.0), (48e3, 4096.0), (96e3, 2048.0)][usize::from((control >> 2) & 3)];
        let source = match control & 3 {
            3 => {
                assert_eq!(clocks.role, Role::Master, "a slave can't have the PLL");
                assert_eq!(power & 0x0500, 0x0500, "the PLL is off");
                assert_eq!(top & 8 != 0, clocks.mclk_hz > 17_000_000, "MCLK is to be halved above 17 MHz");
                let input = f64::from(clocks.mclk_hz) / if top & 8 != 0 { 2.0 } else { 1.0 };
                let oscillator = input * (f64::from(pll >> 11) + f64::from(pll & 0x7ff) / 2048.0);
                assert!((180e6..=197e6).contains(&oscillator), "the oscillator is at {oscillator} Hz");
                oscillator / full
            }
            multiple => {
                let multiple = [256.0, 384.0, 512.0][usize::from(multiple)];
                assert_eq!(f64::from(clocks.mclk_hz), multiple * source);
                source
            }
        };
        let i2s = value(0x06);
        assert_eq!((i2s & 0x80 != 0, i2s & 0x100), (clocks.role == Role::Master, 0), "64 bit clocks a frame");
        source / [1.0, 2.0, 4.0, 6.0][usize::from((control >> 4) & 3)]
    };
    let expected = "
         8192000 ..pp ..--
        11289600 pp.p --.-
        12000000 pppp ----
        12288000 ..p. ..-.
        13000000 pppp ----
        19200000 pppp ----
        24000000 pppp ----
        25000000 pppp ----";
    same(&grid(crate::codec_chips::sgtl5000::Sgtl5000::default(), rate), expected);
}

#[test]
fn nau88c22() {
    let rate = |clocks: &Clocks, value: Lookup<'_>| {
        let (control, pll) = (value(0x06), value(0x24));
        let source = match control & 0x100 {
            0 => f64::from(clocks.mclk_hz),
            _ => {
                assert_eq!(value(0x01) & 0x20, 0x20, "the PLL is off");
                assert!((8_000_000..=33_000_000).contains(&clocks.mclk_hz));
                let k = (u32::from(value(0x25)) << 18) | (u32::from(value(0x26)) << 9) | u32::from(value(0x27));
                fractional(clocks.mclk_hz, pll & 0x10 != 0, pll & 0xf, k)
            }
        };
        let dividers = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0];
        let internal = source / dividers[usize::from((control >> 5) & 7)];
        assert_eq!((control >> 2) & 7, 2, "a quarter of 256 times the rate is the bit clock");
        assert_eq!(control & 1 != 0, clocks.role == Role::Master);
        let filters = [48_000, 32_000, 24_000, 16_000, 12_000, 8_000][usize::from(value(0x07) >> 1)];
        assert_eq!(filters, if clocks.rate == Rate::Hz44100 { 48_000 } else { clocks.rate.hz() });
        internal / 256.0
    };
    let expected = "
         8192000 ..pp ..pp
        11289600 pp.p pp.p
        12000000 pppp pppp
        12288000 ..p. ..p.
        13000000 pppp pppp
        19200000 pppp pppp
        24000000 pppp pppp
        25000000 pppp pppp";
    same(&grid(crate::codec_chips::nau88c22::Nau88c22::default(), rate), expected);
}

#[test]
fn tlv320aic3104() {
    let rate = |clocks: &Clocks, value: Lookup<'_>| {
        let or = |code: u16, zero: u16| f64::from(if code == 0 { zero } else { code });
        let mclk = f64::from(clocks.mclk_hz);
        let (a, dividers) = (value(3), value(2));
        let reference = match (value(101) & 1, a & 0x80) {
            (1, 0) => {
                let q = (a >> 3) & 0xf;
                mclk / 128.0 / if q < 2 { f64::from(q + 16) } else { f64::from(q) }
            }
            (0, 0x80) => {
                let (p, r, j) = (or(a & 7, 8), or(value(11) & 0xf, 16), value(4) >> 2);
                let d = (value(5) << 6) | (value(6) >> 2);
                let oscillator = mclk * (f64::from(j) + f64::from(d) / 1e4) * r / p;
                assert!((80e6..=110e6).contains(&oscillator), "the oscillator is at {oscillator} Hz");
                assert!(mclk / p <= 20e6 && mclk / p >= if d == 0 { 2e6 } else { 10e6 }, "{} Hz in", mclk / p);
                assert!((4..=if d == 0 { 55 } else { 11 }).contains(&j) && d < 10_000, "{j}.{d:04}");
                assert!(d == 0 || r == 1.0);
                oscillator / 2048.0
            }
            other => panic!("neither PLL nor divider: {other:?}"),
        };
        assert!((39e3..=53e3).contains(&reference), "a reference of {reference} Hz");
        assert_eq!(value(7) & 0x80 != 0, clocks.rate == Rate::Hz44100);
        assert_eq!(dividers >> 4, dividers & 0xf, "both directions");
        assert_eq!(value(8) & 0xc0 == 0xc0, clocks.role == Role::Master);
        assert!(clocks.role == Role::Slave || value(9) & 0x30 == 0x30, "words of 32 bits make 64 bit clocks a frame");
        reference / (1.0 + f64::from(dividers & 0xf) / 2.0)
    };
    let expected = "
         8192000 pp-p pp-p
        11289600 pp.p pp.p
        12000000 pppp pppp
        12288000 ..p. ..p.
        13000000 pppp pppp
        19200000 pppp pppp
        24000000 pppp pppp
        25000000 pppp pppp";
    same(&grid(crate::codec_chips::tlv320aic3104::Tlv320Aic3104::default(), rate), expected);
}

#[test]
fn wm8994() {
    let rate = |clocks: &Clocks, value: Lookup<'_>| {
        let (clock, loop_on) = (value(0x200), value(0x220));
        assert_eq!(clock & 1, 1);
        assert_eq!(value(0x208) & 0x1b, 0x0a, "SYSCLK is AIF1CLK, and its clocks run");
        let source = match (clock >> 3) & 3 {
            0 => f64::from(clocks.mclk_hz),
            2 => {
                assert_eq!(loop_on & 1, 1, "the loop is off");
                assert_eq!(loop_on & 4 != 0, value(0x222) != 0, "fractions");
                let reference = f64::from(clocks.mclk_hz) / f64::from(1 << ((value(0x224) >> 3) & 3));
                assert!((1e6..=13.5e6).contains(&reference), "{reference} Hz into the loop");
                assert_eq!((value(0x224) & 3, value(0x221) & 7), (0, 0), "MCLK1, and a ratio of 1");
                let oscillator =
                    reference * (f64::from((value(0x223) >> 5) & 0x3ff) + f64::from(value(0x222)) / 65_536.0);
                assert!((90e6..=100e6).contains(&oscillator), "the oscillator is at {oscillator} Hz");
                oscillator / f64::from((value(0x221) >> 8) + 1)
            }
            other => panic!("no such source: {other}"),
        };
        let clock = source / if clock & 2 != 0 { 2.0 } else { 1.0 };
        assert!((4.095e6..=12.5e6).contains(&clock), "SYSCLK at {clock} Hz");
        let multiples = [f64::NAN, 128.0, 192.0, 256.0, 384.0, 512.0, 768.0, 1024.0, 1408.0, 1536.0];
        let rate = clock / multiples[usize::from(value(0x210) & 0xf)];
        let codes = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
        assert_eq!(codes[usize::from(value(0x210) >> 4)], clocks.rate.hz());
        let bit = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 11.0, 12.0, 16.0, 22.0, 24.0, 32.0, 44.0, 48.0];
        let bit = clock / bit[usize::from(value(0x303) >> 4)];
        assert!((bit / rate - 64.0).abs() < 1e-9, "{} bit clocks a frame", bit / rate);
        assert_eq!(value(0x302) & 0x4000 != 0, clocks.role == Role::Master);
        rate
    };
    let expected = "
         8192000 ..pp ..pp
        11289600 pp.p pp.p
        12000000 pppp pppp
        12288000 ..p. ..p.
        13000000 pppp pppp
        19200000 pppp pppp
        24000000 pppp pppp
        25000000 pppp pppp";
    same(&grid(crate::codec_chips::wm8994::Wm8994::default(), rate), expected);
}

/// What `PORTING.md` says of 12.288 MHz, and the clocks of the examples.
#[test]
fn clocks_of_boards() {
    fn without_drift<C: Chip>(chip: C, (): ()) {
        for role in [Role::Master, Role::Slave] {
            for rate in [Rate::Hz8000, Rate::Hz16000, Rate::Hz48000] {
                let clocks = Clocks { mclk_hz: 12_288_000, rate, role, word: Word::Bits16 };
                let achieved = chip.achieved(&clocks).expect("12.288 MHz does");
                assert_eq!(achieved.millihertz, u64::from(rate.hz()) * 1_000, "{}", C::NAME);
            }
        }
    }
    super::every_chip!(without_drift, ());
    let clocks = Clocks { mclk_hz: 2_048_000, rate: Rate::Hz8000, role: Role::Slave, word: Word::Bits16 };
    let disco = crate::codec_chips::wm8994::Wm8994::default().achieved(&clocks).expect("256 times the rate");
    assert_eq!((disco.millihertz, disco.pll), (8_000_000, true));
    let clocks = Clocks { mclk_hz: 24_000_000, role: Role::Master, ..clocks };
    let nucleo = crate::codec_chips::wm8960::Wm8960::default().achieved(&clocks).expect("its own crystal");
    assert_eq!(nucleo.millihertz, 8_000_000);
}

fn same(table: &str, expected: &str) {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_string()).filter(|line| !line.is_empty()).collect();
    let (table, expected): (Vec<String>, Vec<String>) = (lines(table), lines(expected));
    assert_eq!(table, expected, "{table:#?}");
}
