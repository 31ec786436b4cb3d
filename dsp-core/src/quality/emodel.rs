//! The E-model (ITU-T G.107, 7, and Annex B), described on [`EModel`]. Levels are in dB, delays in ms, loss in
//! percent. The computation uses `+ - * / sqrt` and a software libm, so that it has the same bits everywhere.

use core::f64::consts::LN_10;

use libm::{exp, log, log10, sqrt};

/// The share of the codec in the rating: its equipment impairment (G.107, 7.5; values in G.113, Appendix I).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CodecImpairment {
    /// Equipment impairment without loss, Ie, 0 to 40.
    pub ie: f64,
    /// Packet-loss robustness factor, Bpl, 1 to 40.
    pub bpl: f64,
}

impl CodecImpairment {
    /// G.711 with silence in place of lost packets.
    pub const G711: Self = Self { ie: 0.0, bpl: 4.3 };
    /// G.711 with concealment such as that of its Appendix I, and packets of 10 ms. It also stands for linear PCM,
    /// with the same sound and concealment.
    pub const G711_CONCEALED: Self = Self { ie: 0.0, bpl: 25.1 };
    /// G.729 Annex A with Annex B.
    pub const G729A: Self = Self { ie: 11.0, bpl: 19.0 };
}

/// The E-model: how a call sounds, from what is known about it (ITU-T G.107, 7, and Annex B). It has the parameters of
/// table 2 of G.107 with their defaults; a call sets those that it knows. For a call's usual measurements there is
/// [`CallConditions`].
///
/// The rating is R = Ro - Is - Id - Ie,eff + A on the narrowband scale, 93.2 where nothing impairs the call. Wideband
/// codecs are rated on that scale too, as if they sounded like G.711 without loss; the scale of G.107.1 up to 129 is
/// another one, and the R factor of RTCP XR ends at 100. The computation is `f64`, with the same bits on every target.
/// A rating takes about forty exponentials and logarithms.
///
/// What 200 ms from mouth to ear and 2 % of loss cost:
///
/// ```
/// use dsp_core::quality::{CodecImpairment, EModel, mos};
///
/// let best = EModel::default().rating();
/// assert!((best.r - 93.2).abs() < 0.05 && (mos(best.r) - 4.41).abs() < 0.01);
/// let far = EModel {
///     echo_delay_ms: 200.0,
///     loop_delay_ms: 400.0,
///     absolute_delay_ms: 200.0,
///     codec: CodecImpairment::G711_CONCEALED,
///     loss_percent: 2.0,
///     ..EModel::default()
/// }
/// .rating();
/// assert!(far.r < best.r && far.equipment > 6.0 && far.delay > 3.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EModel {
    /// Send loudness rating, SLR, in dB.
    pub slr_db: f64,
    /// Receive loudness rating, RLR, in dB.
    pub rlr_db: f64,
    /// Sidetone masking rating, STMR, in dB.
    pub stmr_db: f64,
    /// Listener sidetone rating, LSTR, in dB.
    pub lstr_db: f64,
    /// D-value of the telephone at the sending side, Ds, in dB.
    pub d_send_db: f64,
    /// Talker echo loudness rating, TELR, in dB.
    pub telr_db: f64,
    /// Weighted echo path loss, WEPL, in dB.
    pub wepl_db: f64,
    /// Mean one-way delay of the echo path, T, in ms.
    pub echo_delay_ms: f64,
    /// Round-trip delay in a four-wire loop, Tr, in ms.
    pub loop_delay_ms: f64,
    /// Absolute delay in echo-free connections, Ta, in ms: one way, from mouth to ear.
    pub absolute_delay_ms: f64,
    /// Quantizing distortion units, qdu.
    pub qdu: f64,
    /// The codec: its Ie and Bpl.
    pub codec: CodecImpairment,
    /// Packets lost or discarded, Ppl, in percent.
    pub loss_percent: f64,
    /// Mean run of losses, divided by that of independent losses, BurstR.
    pub burst_ratio: f64,
    /// Circuit noise referred to the 0 dBr point, Nc, in dBm0p.
    pub circuit_noise_dbm0p: f64,
    /// Noise floor at the receiving side, Nfor, in dBmp.
    pub noise_floor_dbmp: f64,
    /// Room noise at the sending side, Ps, in dB(A).
    pub room_send_dba: f64,
    /// Room noise at the receiving side, Pr, in dB(A).
    pub room_receive_dba: f64,
    /// Advantage factor, A.
    pub advantage: f64,
}

impl Default for EModel {
    /// The defaults of table 2 of G.107, and G.711 with concealment.
    fn default() -> Self {
        Self {
            slr_db: 8.0,
            rlr_db: 2.0,
            stmr_db: 15.0,
            lstr_db: 18.0,
            d_send_db: 3.0,
            telr_db: 65.0,
            wepl_db: 110.0,
            echo_delay_ms: 0.0,
            loop_delay_ms: 0.0,
            absolute_delay_ms: 0.0,
            qdu: 1.0,
            codec: CodecImpairment::G711_CONCEALED,
            loss_percent: 0.0,
            burst_ratio: 1.0,
            circuit_noise_dbm0p: -70.0,
            noise_floor_dbmp: -64.0,
            room_send_dba: 35.0,
            room_receive_dba: 35.0,
            advantage: 0.0,
        }
    }
}

/// The terms of a rating.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rating {
    /// The rating R. It may be below 0 or above 100.
    pub r: f64,
    /// Basic signal-to-noise ratio, Ro.
    pub ro: f64,
    /// Impairments simultaneous with the voice, Is.
    pub simultaneous: f64,
    /// Impairments by delay, Id.
    pub delay: f64,
    /// Impairments by codec and loss, Ie,eff.
    pub equipment: f64,
}

/// The terms that calls of any delay share.
#[derive(Clone, Copy, Debug)]
struct Basis {
    noise: f64,
    ro: f64,
    /// Iolr and Iq.
    simultaneous: f64,
    equipment: f64,
}

/// `x` to the power of `n`, by multiplication alone.
fn power(x: f64, n: u32) -> f64 {
    let (mut result, mut square, mut rest) = (1.0, x, n);
    while rest > 0 {
        if rest & 1 == 1 {
            result *= square;
        }
        square *= square;
        rest >>= 1;
    }
    result
}

/// The `n`-th root of 1 + x^n, which joins two straight lines softly. The sum is above 0 for all that the model asks.
fn soft_max(x: f64, n: u32) -> f64 {
    let sum = 1.0 + power(x, n);
    if n == 8 { sqrt(sqrt(sqrt(sum))) } else { exp(log(sum) / f64::from(n)) }
}

/// 10^x. By `exp`, at a fraction of what `pow` costs without a floating point unit.
fn power_of_ten(x: f64) -> f64 {
    exp(x * LN_10)
}

/// 10^(x / 10).
fn from_db(x: f64) -> f64 {
    exp(x * (LN_10 / 10.0))
}

/// A value that is a number within the model's range.
fn within(value: f64, min: f64, max: f64) -> f64 {
    if value.is_nan() { min } else { value.clamp(min, max) }
}

impl EModel {
    /// Computes the rating (G.107, 7.1). Delays, qdu and burst ratio beyond the range of the model count as the end of
    /// that range, and NaN counts as its lowest value. Loss above the 20 % of table 2 is extrapolated.
    pub fn rating(&self) -> Rating {
        self.rating_over(self.basis())
    }

    /// What does not depend on delay.
    fn basis(&self) -> Basis {
        let noise = self.noise_dbm0p();
        let ro = 15.0 - 1.5 * (self.slr_db + noise);
        Basis { noise, ro, simultaneous: self.loudness(noise) + self.quantizing(ro), equipment: self.equipment() }
    }

    fn rating_over(&self, basis: Basis) -> Rating {
        let Basis { noise, ro, simultaneous, equipment } = basis;
        let sidetone = self.sidetone();
        let simultaneous = simultaneous + sidetone;
        let delay = self.talker_echo(noise, sidetone) + self.listener_echo(ro) + self.absolute_delay();
        let r = ro - simultaneous - delay - equipment + self.advantage;
        Rating { r, ro, simultaneous, delay, equipment }
    }

    /// The sum of all noise, No (7.2).
    fn noise_dbm0p(&self) -> f64 {
        let olr = self.slr_db + self.rlr_db;
        let over = self.room_send_dba - olr - self.d_send_db - 14.0;
        let sending = self.room_send_dba - self.slr_db - self.d_send_db - 100.0 + 0.004 * over * over;
        let effective = self.room_receive_dba + 10.0 * log10(1.0 + from_db(10.0 - self.lstr_db));
        let over = effective - 35.0;
        let receiving = self.rlr_db - 121.0 + effective + 0.008 * over * over;
        let floor = self.noise_floor_dbmp + self.rlr_db;
        10.0 * log10(from_db(self.circuit_noise_dbm0p) + from_db(sending) + from_db(receiving) + from_db(floor))
    }

    /// Too low a loudness, Iolr (7.3).
    fn loudness(&self, noise: f64) -> f64 {
        let x = (self.slr_db + self.rlr_db + 0.2 * (64.0 + noise - self.rlr_db)) / 8.0;
        20.0 * (soft_max(x, 8) - x)
    }

    /// Sidetone that isn't at its best, Ist (7.3).
    fn sidetone(&self) -> f64 {
        let t = within(self.echo_delay_ms, 0.0, 500.0);
        let stmr = -10.0 * log10(from_db(-self.stmr_db) + exp(-t / 4.0) * from_db(-self.telr_db));
        12.0 * soft_max((stmr - 13.0) / 6.0, 8)
            - 28.0 * soft_max((stmr + 1.0) / 19.4, 35)
            - 13.0 * soft_max((stmr - 3.0) / 33.0, 13)
            + 29.0
    }

    /// Quantizing distortion, Iq (7.3).
    fn quantizing(&self, ro: f64) -> f64 {
        let q = 37.0 - 15.0 * log10(within(self.qdu, 1.0, 14.0));
        let g = 1.07 + 0.258 * q + 0.0602 * q * q;
        let y = (ro - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0;
        let z = 46.0 / 30.0 - g / 40.0;
        15.0 * log10(1.0 + power_of_ten(y) + power_of_ten(z))
    }

    /// Talker echo, Idte (7.4).
    fn talker_echo(&self, noise: f64, sidetone: f64) -> f64 {
        let t = within(self.echo_delay_ms, 0.0, 500.0);
        // Below 1 ms, talker echo is sidetone.
        let echo = if t < 1.0 {
            0.0
        } else {
            let mut terv = self.telr_db - 40.0 * log10((1.0 + t / 10.0) / (1.0 + t / 150.0)) + 6.0 * exp(-0.3 * t * t);
            if self.stmr_db < 9.0 {
                terv += sidetone / 2.0;
            }
            let over = (-1.5 * (noise - self.rlr_db) - (80.0 + 2.5 * (terv - 14.0))) / 2.0;
            (over + sqrt(over * over + 100.0) - 1.0) * (1.0 - exp(-t))
        };
        if self.stmr_db > 20.0 { sqrt(echo * echo + sidetone * sidetone) } else { echo }
    }

    /// Listener echo, Idle (7.4).
    fn listener_echo(&self, ro: f64) -> f64 {
        let tr = within(self.loop_delay_ms, 0.0, 1_000.0);
        // The fourth root, by two square roots.
        let rle = 10.5 * (self.wepl_db + 7.0) / sqrt(sqrt(tr + 1.0));
        let over = (ro - rle) / 2.0;
        over + sqrt(over * over + 169.0)
    }

    /// Too long a delay, Idd (7.4), for the default class of delay sensitivity.
    fn absolute_delay(&self) -> f64 {
        let ta = within(self.absolute_delay_ms, 0.0, 1_000.0);
        if ta <= 100.0 {
            return 0.0;
        }
        let x = log10(ta / 100.0) / log10(2.0);
        25.0 * (soft_max(x, 6) - 3.0 * soft_max(x / 3.0, 6) + 2.0)
    }

    /// Codec and loss, Ie,eff (7.5).
    fn equipment(&self) -> f64 {
        let CodecImpairment { ie, bpl } = self.codec;
        let loss = within(self.loss_percent, 0.0, 100.0);
        let denominator = loss / within(self.burst_ratio, 0.1, 8.0) + bpl;
        ie + (95.0 - ie) * loss / denominator.max(1.0)
    }
}

/// The mean opinion score (MOS) of a rating R, 1 to 4.5 (G.107, Annex B). Where the polynomial falls below 1, for R
/// under 6.5, it is 1.
pub fn mos(r: f64) -> f64 {
    if r.is_nan() || r <= 0.0 {
        return 1.0;
    }
    if r >= 100.0 {
        return 4.5;
    }
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

/// How a call sounds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CallQuality {
    /// Rating R with the delay, 0 to 100.
    pub r_factor: f64,
    /// MOS of the conversational quality, with the delay.
    pub mos_cq: f64,
    /// MOS of the listening quality, without the delay.
    pub mos_lq: f64,
}

/// What a call measures of itself; all other parameters of the E-model keep the defaults of G.107.
/// ```
/// use dsp_core::quality::{CallConditions, CodecImpairment};
///
/// let conditions = CallConditions {
///     codec: CodecImpairment::G711_CONCEALED,
///     loss_percent: 1.0,
///     burst_ratio: 1.0,
///     one_way_ms: 60.0,
///     residual_echo_db: None,
/// };
/// let quality = conditions.quality();
/// // Listening alone does not suffer from delay.
/// assert!(quality.mos_lq > 4.0 && quality.mos_cq <= quality.mos_lq);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CallConditions {
    /// The codec.
    pub codec: CodecImpairment,
    /// Packets lost or discarded, in percent.
    pub loss_percent: f64,
    /// Mean run of losses, divided by that of independent losses; 1 if it is unknown.
    pub burst_ratio: f64,
    /// Delay from mouth to ear, in ms: that of the network, the jitter buffer and both ends.
    pub one_way_ms: f64,
    /// Residual echo return loss of the far end, in dB (RERL; RFC 3611, 4.7.4). TELR is 10 dB more, with the default
    /// loudness ratings. Values from 55 dB on, and `None`, give the default TELR of 65 dB.
    pub residual_echo_db: Option<f64>,
}

impl CallConditions {
    /// Computes the rating and the MOS, with and without the delay.
    pub fn quality(&self) -> CallQuality {
        let Self { codec, loss_percent, burst_ratio, one_way_ms, residual_echo_db } = *self;
        let defaults = EModel::default();
        let telr = |rerl| within(rerl + defaults.slr_db + defaults.rlr_db, 5.0, defaults.telr_db);
        let listening = EModel { codec, loss_percent, burst_ratio, ..defaults };
        let conversation = EModel {
            telr_db: residual_echo_db.map_or(defaults.telr_db, telr),
            echo_delay_ms: one_way_ms,
            loop_delay_ms: 2.0 * one_way_ms,
            absolute_delay_ms: one_way_ms,
            ..listening
        };
        let basis = listening.basis();
        let without_delay = listening.rating_over(basis).r;
        // Between 1 and some 4 ms Idte (7.4) is a little below zero, but delay makes no call better.
        let r_factor = conversation.rating_over(basis).r.min(without_delay);
        CallQuality { r_factor: within(r_factor, 0.0, 100.0), mos_cq: mos(r_factor), mos_lq: mos(without_delay) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() <= tolerance, "{got}, expected {expected}");
    }

    /// G.107, 7.7 and Annex B: R = 93.2 with all defaults, which is MOS 4.41; Ro 94.77 and Is 1.41 are its terms.
    #[test]
    fn the_default_connection() {
        let rating = EModel::default().rating();
        close(rating.r, 93.2, 0.05);
        close(rating.ro, 94.77, 0.01);
        close(rating.simultaneous, 1.41, 0.01);
        assert_eq!(rating.equipment, 0.0);
        close(mos(rating.r), 4.41, 0.005);
    }

    #[test]
    fn no_delay_makes_a_call_better() {
        for delay_us in (0..20_000).step_by(50) {
            let conditions = CallConditions {
                codec: CodecImpairment::G711,
                loss_percent: 1.0,
                burst_ratio: 1.0,
                one_way_ms: f64::from(delay_us) / 1e3,
                residual_echo_db: None,
            };
            let quality = conditions.quality();
            assert!(quality.mos_cq <= quality.mos_lq, "{delay_us} us: {quality:?}");
        }
    }

    /// G.107, table B.1: the lower limits of the categories of user satisfaction. For R = 80 the table has 4.03 where the
    /// formula gives 4.024.
    #[test]
    fn mos_of_table_b1() {
        for (r, expected) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            close(mos(r), expected, 0.0065);
        }
        assert_eq!([-5.0, 0.0, 3.0, 100.0, 120.0, f64::NAN].map(mos), [1.0, 1.0, 1.0, 4.5, 4.5, 1.0]);
        let mut last = 0.0;
        for tenth in -100..1100 {
            let score = mos(f64::from(tenth) / 10.0);
            assert!(score >= last && (1.0..=4.5).contains(&score));
            last = score;
        }
    }

    /// Id over one-way delay, against Cole and Rosenbluth's fit to G.107 for 0-400 ms ("Voice over IP performance
    /// monitoring", 2001): 0.024 d + 0.11 (d - 177.3) above 177.3 ms. Above
    /// 300 ms the fit, two straight lines, rises faster than G.107.
    #[test]
    fn delay_follows_the_published_fit() {
        let none = EModel::default().rating().delay;
        let mut last = none;
        for d in [25.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0, 350.0, 400.0] {
            let model = EModel { echo_delay_ms: d, loop_delay_ms: 2.0 * d, absolute_delay_ms: d, ..EModel::default() };
            let delay = model.rating().delay;
            let fit = 0.024 * d + if d > 177.3 { 0.11 * (d - 177.3) } else { 0.0 };
            std::println!("{d} ms: Id {delay:.2}, fit {fit:.2}, R {:.1}", model.rating().r);
            close(delay - none, fit, if d <= 300.0 { 0.5 } else { 3.5 });
            assert!(delay > last);
            last = delay;
        }
    }

    /// The formula of 7.4 at delays where X is whole: log2(Ta / 100) = 1, 2.
    #[test]
    fn absolute_delay_by_hand() {
        let at = |absolute_delay_ms| EModel { absolute_delay_ms, ..EModel::default() }.absolute_delay();
        assert_eq!((at(0.0), at(100.0)), (0.0, 0.0));
        // 25 (2^(1/6) - 3 (1 + 1/729)^(1/6) + 2) and 25 (65^(1/6) - 3 (1 + 64/729)^(1/6) + 2).
        close(at(200.0), 25.0 * (1.122_462_048 - 3.0 * 1.000_228_493 + 2.0), 1e-5);
        close(at(400.0), 25.0 * (2.005_174_745 - 3.0 * 1.014_123_725 + 2.0), 1e-5);
        assert_eq!(at(1e9), at(1_000.0));
        assert_eq!(at(f64::NAN), 0.0);
    }

    /// 7.5: with Bpl percent of independent loss, Ie,eff lies halfway from Ie to 95; bursts are worse.
    #[test]
    fn loss_and_bursts() {
        // Also those of G.723.1 at 6.3 kbit/s with Annex A, and of GSM's enhanced full rate.
        let (g723_1, gsm_efr) = (CodecImpairment { ie: 15.0, bpl: 16.1 }, CodecImpairment { ie: 5.0, bpl: 10.0 });
        for codec in [CodecImpairment::G711, CodecImpairment::G729A, g723_1, gsm_efr] {
            let model = EModel { codec, loss_percent: codec.bpl, ..EModel::default() };
            close(model.equipment(), (codec.ie + 95.0) / 2.0, 1e-9);
            let bursty = EModel { burst_ratio: 2.0, ..model };
            close(bursty.equipment(), codec.ie + (95.0 - codec.ie) / 1.5, 1e-9);
            assert_eq!(EModel { codec, ..EModel::default() }.equipment(), codec.ie);
        }
        let wild = EModel { loss_percent: f64::NAN, burst_ratio: 0.0, ..EModel::default() };
        assert_eq!(wild.equipment(), 0.0);
        let all = EModel { loss_percent: 1e9, burst_ratio: f64::INFINITY, ..EModel::default() };
        assert!(all.rating().r.is_finite());
    }

    fn quality(
        codec: CodecImpairment,
        loss_percent: f64,
        burst_ratio: f64,
        one_way_ms: f64,
        residual_echo_db: Option<f64>,
    ) -> CallQuality {
        CallConditions { codec, loss_percent, burst_ratio, one_way_ms, residual_echo_db }.quality()
    }

    #[test]
    fn listening_has_no_delay() {
        let codec = CodecImpairment::G711_CONCEALED;
        let near = quality(codec, 1.0, 1.0, 0.0, None);
        let far = quality(codec, 1.0, 1.0, 400.0, None);
        assert_eq!(near.mos_cq, near.mos_lq);
        assert_eq!(near.mos_lq, far.mos_lq);
        assert!(far.mos_cq < near.mos_cq - 0.5 && far.r_factor < near.r_factor - 20.0);
        // An echo of 30 dB is heard the more, the later it comes; at 55 dB it is the default.
        let echo = |ms, rerl| quality(codec, 0.0, 1.0, ms, Some(rerl)).r_factor;
        assert!(echo(150.0, 30.0) < echo(50.0, 30.0) - 5.0 && echo(150.0, 30.0) < echo(150.0, 45.0) - 5.0);
        assert_eq!(echo(150.0, 55.0), quality(codec, 0.0, 1.0, 150.0, None).r_factor);
        for wild in [f64::NAN, f64::INFINITY, -1.0] {
            let quality = quality(codec, wild, wild, wild, Some(wild));
            assert!((0.0..=100.0).contains(&quality.r_factor) && quality.mos_cq >= 1.0, "{quality:?}");
        }
    }

    /// The same bits on every target: a change here is a change of arithmetic.
    #[test]
    fn bits_are_fixed() {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for (index, one_way_ms) in (0..60).map(|n| (n, f64::from(n) * 9.7)) {
            let codec = [CodecImpairment::G711_CONCEALED, CodecImpairment::G729A][index as usize % 2];
            let (loss_percent, burst_ratio) = (f64::from(index % 7) * 1.3, 0.9 + f64::from(index % 5) * 0.4);
            let residual_echo_db = (index % 3 > 0).then_some(20.0 + f64::from(index));
            let conditions = CallConditions { codec, loss_percent, burst_ratio, one_way_ms, residual_echo_db };
            let CallQuality { r_factor, mos_cq, mos_lq } = conditions.quality();
            for byte in [r_factor, mos_cq, mos_lq].map(f64::to_le_bytes).as_flattened() {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
        assert_eq!(hash, 0x8759_89f9_1eb8_1793, "{hash:#x}");
    }
}
