//! What to send at a rate: bit rate, packet length and redundancy; the rules are on [`Settings::choose`].
//!
//! Units: rates in bit/s, losses in 256ths of a percent, ratings in 256ths of R.

use super::PERCENT;
use crate::quality::LossImpairment;
use crate::quality::impairment::{ONE, of_delay};

/// A setting that is better by less than this is no reason to leave one.
const WORTH: i32 = ONE as i32;
/// Longer packets than those that are sent must be better by this, because the receiver's delay has to follow them.
const WORTH_LONGER: i32 = 3 * WORTH;
/// This many bit/s of payloads must be worth a point of R, so that nothing is sent that does not sound better. Headers
/// have no price here; otherwise longer packets would be chosen where there is room for short ones.
const WORTH_BPS: u32 = 32_000;
/// A packet that is longer by this many ms counts as a point of R less. Below 100 ms of delay the E-model takes nothing
/// off, but shorter packets make a livelier conversation, and less is lost with each.
const WORTH_MS: u32 = 40;
/// Loss for which a codec is asked to be redundant in itself, at least.
const IN_BAND_FROM: u32 = PERCENT;

/// A bit rate of a codec, and the equipment impairment Ie at that rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CodecRate {
    /// Bit rate of the payloads, in bit/s.
    pub bps: u32,
    /// Equipment impairment Ie (ITU-T G.113), in tenths.
    pub ie_tenths: u16,
}

/// The redundancy that a codec itself offers: later packets hold a coarse copy (Opus' in-band FEC, RFC 6716, 2.1.7, and DRED).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InBand {
    /// Lowest bit rate at which the codec adds redundancy, in bit/s.
    pub from_bps: u32,
    /// Share of the bit rate that is left for the sound itself, in 64ths.
    pub keeps: u8,
    /// Share of a loss that the redundancy makes up for, if one of the packets with the copy arrives, in 64ths.
    pub recovers: u8,
    /// Number of packets after a lost one that hold a copy of it, of those that a receiver waits for.
    pub reach: u8,
}

/// What a codec and its packets can be set to. [`choose`](Self::choose) picks the best of it.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Bit rates of the codec, lowest first; one entry for a codec with a fixed rate.
    pub rates: &'a [CodecRate],
    /// Packet lengths, in ms, shortest first.
    pub packets_ms: &'a [u16],
    /// Least and greatest number of earlier payloads that each packet repeats (RFC 2198).
    pub copies: [u8; 2],
    /// Highest bit rate of all payloads together, in bit/s.
    pub most_payload_bps: u32,
    /// Bytes of each packet besides the payload: IP, UDP and RTP headers, header extensions, and the guard's tag.
    pub header_bytes: u16,
    /// How much packet loss impairs the codec.
    pub loss: LossImpairment,
    /// The codec's own redundancy, if it has any.
    pub in_band: Option<InBand>,
}

/// What the network is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conditions {
    /// Rate that may be sent, in bit/s with all headers.
    pub rate_bps: u32,
    /// Share of the packets that is lost at any rate, in 256ths of a percent.
    pub loss: u32,
    /// Share of the packets behind a lost one that is lost too, in 256ths of a percent. It equals `loss` where losses
    /// are independent.
    pub loss_behind: u32,
    /// One-way delay from mouth to ear without packet length and redundancy, in ms.
    pub delay_ms: u32,
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Choice {
    /// Bit rate of the payloads, the codec's own redundancy included, in bit/s.
    pub bps: u32,
    /// Packet length, in ms.
    pub packet_ms: u16,
    /// Whether the codec adds its own redundancy.
    pub in_band: bool,
    /// Number of earlier payloads that each packet repeats.
    pub copies: u8,
}

impl Settings<'_> {
    /// The best choice that fits into the rate. If none fits, the one that needs the least; `None` if there are no
    /// rates or no packet lengths.
    ///
    /// Every choice is rated by the E-model (ITU-T G.107): what the codec loses at its bit rate, what a listener
    /// misses of losses that are not recovered, and the delay of longer packets and of later copies. Another 32 kbit/s
    /// must be worth one point of R. The running choice stays, unless it no longer fits or another one is better by
    /// one point. A call takes a handful of operations for each of at most some hundreds of combinations; once or
    /// twice a second is often enough.
    pub fn choose(&self, conditions: &Conditions, running: Option<Choice>) -> Option<Choice> {
        let mut best: Option<(i32, Choice)> = None;
        let mut least: Option<(u32, Choice)> = None;
        for choice in self.all() {
            let needs = self.needs_bps(&choice);
            if least.is_none_or(|(fewest, _)| needs < fewest) {
                least = Some((needs, choice));
            }
            if !self.fits(conditions, &choice) {
                continue;
            }
            let rating = self.worth_after(conditions, &choice, running);
            if best.is_none_or(|(highest, _)| rating > highest) {
                best = Some((rating, choice));
            }
        }
        let Some((highest, best)) = best else { return least.map(|(_, choice)| choice) };
        let stays = running.filter(|running| {
            self.offers(running) && self.fits(conditions, running) && self.worth(conditions, running) + WORTH > highest
        });
        Some(stays.unwrap_or(best))
    }

    /// Lowest rate at which something clearly better than `running` could be sent, in bit/s with all headers; `None`
    /// if `running` is the best there is.
    pub fn next_bps(&self, conditions: &Conditions, running: &Choice) -> Option<u32> {
        let worth = self.worth(conditions, running);
        let any = Conditions { rate_bps: u32::MAX, ..*conditions };
        let better = |choice: &Choice| {
            self.fits(&any, choice) && self.worth_after(conditions, choice, Some(*running)) >= worth + WORTH
        };
        self.all().filter(better).map(|choice| self.needs_bps(&choice)).min()
    }

    /// Whether `choice` is among these settings and its payloads stay within `most_payload_bps`.
    pub fn allows(&self, choice: &Choice) -> bool {
        self.offers(choice) && self.payload_bps(choice) <= self.most_payload_bps
    }

    fn fits(&self, conditions: &Conditions, choice: &Choice) -> bool {
        self.needs_bps(choice) <= conditions.rate_bps && self.payload_bps(choice) <= self.most_payload_bps
    }

    /// Rate of the choice that needs the least, in bit/s with all headers.
    pub fn least_bps(&self) -> u32 {
        self.all().map(|choice| self.needs_bps(&choice)).min().unwrap_or(0)
    }

    /// Rate that `choice` needs, in bit/s with all headers.
    pub fn needs_bps(&self, choice: &Choice) -> u32 {
        let headers = u32::from(self.header_bytes) * 8_000 / u32::from(choice.packet_ms).max(1);
        self.payload_bps(choice).saturating_add(headers)
    }

    /// What its payloads take, repeated ones and the headers between them included: four bytes each, one for its own (RFC 2198, 3).
    fn payload_bps(&self, choice: &Choice) -> u32 {
        let copies = u32::from(choice.copies);
        let between = if copies == 0 { 0 } else { (4 * copies + 1) * 8_000 / u32::from(choice.packet_ms).max(1) };
        choice.bps.saturating_mul(1 + copies).saturating_add(between)
    }

    /// Rating of `choice` on the scale R of the E-model, relative to the best possible call, in 256ths; never above
    /// zero.
    pub fn rating(&self, conditions: &Conditions, choice: &Choice) -> i32 {
        let Conditions { loss, loss_behind, delay_ms, .. } = *conditions;
        let (loss, behind) = (loss.min(100 * PERCENT), loss_behind.clamp(loss.min(100 * PERCENT), 100 * PERCENT));
        let (mut sound_bps, mut missing) = (choice.bps, loss);
        if let Some(InBand { keeps, recovers, reach, .. }) = self.in_band.filter(|_| choice.in_band) {
            sound_bps = (u64::from(choice.bps) * u64::from(keeps) / 64) as u32;
            let none_came = (0..reach).fold(100 * PERCENT, |all, _| all * behind / (100 * PERCENT));
            missing -= missing * (100 * PERCENT - none_came) / (100 * PERCENT) * u32::from(recovers).min(64) / 64;
        }
        // Each packet behind that comes has it, and all that may are waited for.
        for _ in 0..choice.copies {
            missing = missing * behind / (100 * PERCENT);
        }
        let behind = u32::from(choice.copies.max(choice.in_band.into()));
        let waits = u32::from(choice.packet_ms) * (1 + behind);
        let ie = self.ie_tenths(sound_bps) * ONE / 10;
        -((ie + self.loss.of_loss(missing) + of_delay(delay_ms.saturating_add(waits))) as i32)
    }

    /// How a choice sounds, less what it costs, in 256ths of R.
    fn worth(&self, conditions: &Conditions, choice: &Choice) -> i32 {
        let price = u64::from(self.payload_bps(choice)) * u64::from(ONE) / u64::from(WORTH_BPS);
        let price = price + u64::from(choice.packet_ms) * u64::from(ONE) / u64::from(WORTH_MS);
        self.rating(conditions, choice) - price as i32
    }

    /// The same of a choice in place of the running one.
    fn worth_after(&self, conditions: &Conditions, choice: &Choice, running: Option<Choice>) -> i32 {
        let is_longer = running.is_some_and(|running| choice.packet_ms > running.packet_ms);
        self.worth(conditions, choice) - if is_longer { WORTH_LONGER } else { 0 }
    }

    /// Linear between two rates.
    fn ie_tenths(&self, bps: u32) -> u32 {
        let above = self.rates.iter().position(|rate| rate.bps >= bps);
        match above.or(self.rates.len().checked_sub(1)) {
            None => 0,
            Some(0) => u32::from(self.rates[0].ie_tenths),
            Some(_) if above.is_none() => self.rates.last().map_or(0, |rate| rate.ie_tenths.into()),
            Some(at) => {
                let (low, high) = (self.rates[at - 1], self.rates[at]);
                let (part, whole) = (u64::from(bps - low.bps), u64::from((high.bps - low.bps).max(1)));
                let (from, to) = (u64::from(low.ie_tenths), u64::from(high.ie_tenths));
                ((from * (whole - part) + to * part) / whole) as u32
            }
        }
    }

    fn offers(&self, choice: &Choice) -> bool {
        self.rates.iter().any(|rate| rate.bps == choice.bps)
            && self.packets_ms.contains(&choice.packet_ms)
            && (!choice.in_band || self.has_in_band(choice.bps))
            && (self.copies[0]..=self.copies[1]).contains(&choice.copies)
    }

    fn has_in_band(&self, bps: u32) -> bool {
        self.in_band.is_some_and(|in_band| bps >= in_band.from_bps)
    }

    fn all(&self) -> impl Iterator<Item = Choice> {
        self.rates.iter().flat_map(move |rate| {
            let in_bands: &[bool] = if self.has_in_band(rate.bps) { &[false, true] } else { &[false] };
            self.packets_ms.iter().flat_map(move |&packet_ms| {
                in_bands.iter().flat_map(move |&in_band| {
                    (self.copies[0]..=self.copies[1]).map(move |copies| Choice {
                        bps: rate.bps,
                        packet_ms,
                        in_band,
                        copies,
                    })
                })
            })
        })
    }
}

impl Conditions {
    /// Packet loss that the codec should prepare for, in percent, if it adds its own redundancy.
    pub fn expected_loss_percent(&self) -> u8 {
        if self.loss < IN_BAND_FROM { 0 } else { (self.loss / PERCENT).min(100) as u8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const RATES: [CodecRate; 6] = [
        CodecRate { bps: 8_000, ie_tenths: 260 },
        CodecRate { bps: 12_000, ie_tenths: 160 },
        CodecRate { bps: 16_000, ie_tenths: 100 },
        CodecRate { bps: 24_000, ie_tenths: 50 },
        CodecRate { bps: 32_000, ie_tenths: 25 },
        CodecRate { bps: 64_000, ie_tenths: 0 },
    ];

    fn opus() -> Settings<'static> {
        Settings {
            rates: &RATES,
            packets_ms: &[20, 40, 60],
            copies: [0, 0],
            most_payload_bps: u32::MAX,
            header_bytes: 50,
            loss: LossImpairment::default(),
            in_band: Some(InBand { from_bps: 24_000, keeps: 44, recovers: 48, reach: 1 }),
        }
    }

    fn pcmu() -> Settings<'static> {
        let rates = &[CodecRate { bps: 64_000, ie_tenths: 0 }];
        Settings { rates, in_band: None, ..opus() }
    }

    fn at(rate_bps: u32, loss_percent: u32) -> Conditions {
        let loss = loss_percent * PERCENT;
        Conditions { rate_bps, loss, loss_behind: loss, delay_ms: 80 }
    }

    #[test]
    fn more_room_sounds_better_and_nothing_exceeds_it() {
        for loss in [0, 5, 20] {
            let mut last = i32::MIN;
            for rate in (14_000..200_000).step_by(2_000) {
                for settings in [opus(), pcmu()] {
                    let choice = settings.choose(&at(rate, loss), None).unwrap();
                    let fits = settings.all().any(|choice| settings.needs_bps(&choice) <= rate);
                    assert!(!fits || settings.needs_bps(&choice) <= rate, "{choice:?}");
                }
                let rating = opus().choose(&at(rate, loss), None).map(|choice| opus().rating(&at(rate, loss), &choice));
                assert!(rating.unwrap() >= last || rate < 16_000, "{rate}");
                last = rating.unwrap();
            }
        }
    }

    #[test]
    fn a_narrow_link_has_long_packets_and_a_wide_one_short_ones() {
        let narrow = opus().choose(&at(20_000, 0), None).unwrap();
        assert!(narrow.packet_ms >= 40 && !narrow.in_band, "{narrow:?}");
        for settings in [opus(), pcmu()] {
            assert_eq!(settings.choose(&at(200_000, 0), None).unwrap().packet_ms, 20);
        }
        let wide = opus().choose(&at(200_000, 0), None).unwrap();
        assert_eq!(wide, Choice { bps: 64_000, packet_ms: 20, in_band: false, copies: 0 });
        // Nothing fits: what needs least.
        let none = opus().choose(&at(1_000, 0), None).unwrap();
        assert_eq!((none.bps, none.packet_ms), (8_000, 60));
        assert!(Settings { rates: &[], ..opus() }.choose(&at(50_000, 0), None).is_none());
    }

    #[test]
    fn loss_leads_to_redundancy_where_there_is_room() {
        assert!(opus().choose(&at(100_000, 10), None).unwrap().in_band);
        assert!(!opus().choose(&at(100_000, 0), None).unwrap().in_band);
        // Where the bit rate is too low for any.
        assert!(!opus().choose(&at(28_000, 10), None).unwrap().in_band);
        assert!(!pcmu().choose(&at(300_000, 10), None).unwrap().in_band);
        assert_eq!(at(1, 10).expected_loss_percent(), 10);
    }

    #[test]
    fn payloads_are_repeated_where_there_is_room() {
        let repeated = Settings { copies: [0, 2], ..pcmu() };
        let chosen = |rate, loss| repeated.choose(&at(rate, loss), None).unwrap().copies;
        assert_eq!([chosen(300_000, 0), chosen(300_000, 10), chosen(170_000, 10), chosen(90_000, 10)], [0, 2, 1, 0]);
        // Of what there's no room for yet it's known how much it needs.
        let running = repeated.choose(&at(90_000, 10), None).unwrap();
        let next = repeated.next_bps(&at(90_000, 10), &running).unwrap();
        assert!((130_000..160_000).contains(&next) && chosen(next, 10) == 1, "{next}");
        assert_eq!(repeated.next_bps(&at(90_000, 0), &running), None);
        // Whoever wants them always has them, and the other side's bounds hold.
        let always = Settings { copies: [1, 1], ..opus() };
        assert_eq!(always.choose(&at(60_000, 0), None).unwrap().copies, 1);
        for loss in [0, 5, 20] {
            let bounded = Settings { copies: [0, 2], most_payload_bps: 30_000, ..opus() };
            let choice = bounded.choose(&at(300_000, loss), None).unwrap();
            assert!(bounded.payload_bps(&choice) <= 30_000, "{choice:?}");
        }
    }

    #[test]
    fn what_is_worth_more_room_is_taken_once_there_is_room() {
        for loss in [0, 5, 20] {
            for settings in [opus(), pcmu(), Settings { copies: [0, 2], ..opus() }] {
                for running in settings.all() {
                    let any = at(300_000, loss);
                    let Some(next) = settings.next_bps(&any, &running) else { continue };
                    let taken = settings.choose(&at(next, loss), Some(running));
                    assert!(taken.is_some_and(|taken| taken != running), "{loss} %, {running:?}: {next} bit/s");
                }
            }
        }
    }

    #[test]
    fn what_runs_stays_until_another_is_clearly_better() {
        let mut running = None;
        let mut changes = Vec::new();
        for n in 0..200u32 {
            // Around the least rate for 64 kbit/s in packets of 40 ms, which is hardly better than 32 in packets of 20 ms.
            let conditions = at(73_000 + (n % 2) * 3_000, 0);
            let choice = opus().choose(&conditions, running);
            if choice != running {
                changes.push(n);
            }
            running = choice;
        }
        assert!(changes.len() <= 2, "{changes:?}");
        // One that isn't offered any more goes.
        let odd = Choice { bps: 9_999, packet_ms: 20, in_band: false, copies: 0 };
        assert_ne!(opus().choose(&at(100_000, 0), Some(odd)), Some(odd));
    }
}
