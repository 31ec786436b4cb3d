//! The statistics as people read them: a name, a value with its unit, and one line that explains it.

use super::{MinMeanMax, SideReport};

/// One row of the table of statistics.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// The value of one side; `None` where it is not known.
    pub(super) value: fn(&SideReport) -> Option<String>,
    pub(super) explanation: &'static str,
}

/// A part of the table.
pub(super) struct FigureGroup {
    pub(super) name: &'static str,
    pub(super) figures: &'static [Figure],
}

/// `count` with thousands apart.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// `part` of `whole` in percent, with one decimal.
pub(super) fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1} %", part / whole * 100.0) } else { "–".into() }
}

/// Milliseconds: whole ones from ten on.
pub(super) fn ms(value: f64) -> String {
    let value = if value.abs() < 0.05 { 0.0 } else { value }; // no -0.0
    if value.abs() < 9.95 { format!("{value:.1}") } else { count_signed(value.round()) }
}

/// Least, mean and greatest in milliseconds.
pub(super) fn spread(spread: MinMeanMax) -> String {
    format!("{} / {} / {}", ms(spread.min), ms(spread.mean), ms(spread.max))
}

fn count_signed(value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    sign.to_owned() + &count(value.abs() as u64)
}

fn of_sent(side: &SideReport, packets: u64) -> Option<String> {
    let sent = side.statistics.packets_sent;
    // In some calls the sent packets aren't known: the other end is elsewhere and has not reported them.
    if sent == 0 || packets == 0 {
        return Some(count(packets));
    }
    Some(format!("{} ({})", count(packets), percent(packets as f64, sent as f64)))
}

/// Returns a count, which is shown only where it isn't zero.
fn some(packets: u64) -> Option<String> {
    (packets > 0).then(|| count(packets))
}

/// The whole table.
pub(super) const TABLE: &[FigureGroup] = &[
    FigureGroup {
        name: "Packets",
        figures: &[
            Figure {
                name: "Sent",
                unit: "packets",
                value: |side| Some(count(side.statistics.packets_sent)),
                explanation: "What the speaker's side sent.",
            },
            Figure {
                name: "Received",
                unit: "packets",
                value: |side| Some(count(side.statistics.packets_received)),
                explanation: "What arrived and was let in, duplicates included.",
            },
            Figure {
                name: "Lost",
                unit: "packets",
                value: |side| of_sent(side, side.statistics.packets_lost),
                explanation: "Never arrived.",
            },
            Figure {
                name: "Late",
                unit: "packets",
                value: |side| of_sent(side, side.statistics.packets_late),
                explanation: "Arrived after the moment they should have been played, so as good as lost.",
            },
            Figure {
                name: "Reordered",
                unit: "packets",
                value: |side| of_sent(side, side.statistics.packets_reordered),
                explanation: "Arrived behind a later one; put back in order.",
            },
            Figure {
                name: "Duplicate",
                unit: "packets",
                value: |side| Some(count(side.statistics.packets_duplicate)),
                explanation: "Arrived again; the second copy is dropped.",
            },
            Figure {
                name: "Discarded",
                unit: "packets",
                value: |side| Some(count(side.statistics.packets_discarded)),
                explanation: "Arrived, but there was no room or no use for them.",
            },
            Figure {
                name: "Superseded",
                unit: "packets",
                value: |side| some(side.statistics.packets_superseded),
                explanation: "Arrived behind a copy of them in another packet (RFC 2198), which was played instead.",
            },
            Figure {
                name: "Undecodable",
                unit: "packets",
                value: |side| some(side.statistics.packets_undecodable),
                explanation: "Arrived, and the decoder refused them.",
            },
            Figure {
                name: "Events",
                unit: "packets",
                value: |side| some(side.statistics.packets_event),
                explanation: "Telephone events (RFC 4733): no sound, and none is missing for them.",
            },
            Figure {
                name: "Other payload types",
                unit: "packets",
                value: |side| some(side.statistics.packets_other_payload),
                explanation: "Of a payload type that nobody agreed on, or padding alone: no sound, and none is missing for them.",
            },
            Figure {
                name: "In probation",
                unit: "packets",
                value: |side| some(side.statistics.packets_probation),
                explanation: "Came while their source or sequence had to prove itself (RFC 3550, A.1).",
            },
            Figure {
                name: "Unusable",
                unit: "packets",
                value: |side| some(side.statistics.packets_unusable),
                explanation: "Malformed, or too long to be what they claim.",
            },
            Figure {
                name: "Waiting",
                unit: "packets",
                value: |side| some(side.statistics.packets_waiting),
                explanation: "Their turn had not come at the end.",
            },
            Figure {
                name: "Refused",
                unit: "packets",
                value: |side| Some(count(side.statistics.packets_refused)),
                explanation: "Not let in, and not among those received: SRTP refused them (RFC 3711), or they were not to be heard.",
            },
            Figure {
                name: "Restarts",
                unit: "times",
                value: |side| some(side.statistics.restarts),
                explanation: "How often the source began anew: its sequence or its time jumped.",
            },
            Figure {
                name: "Source changes",
                unit: "times",
                value: |side| Some(count(side.statistics.ssrc_changes)),
                explanation: "How often the stream began anew under another SSRC.",
            },
            Figure {
                name: "Restarts",
                unit: "times",
                value: |side| Some(count(side.statistics.restarts)),
                explanation: "How often the same SSRC began anew: its sequence or its time jumped.",
            },
            Figure {
                name: "Bit rate",
                unit: "kbit/s",
                value: |side| side.statistics.payload_bitrate_bps.map(|bps| format!("{:.1}", bps / 1e3)),
                explanation: "RTP payload that arrived, without any header.",
            },
        ],
    },
    FigureGroup {
        name: "Sound",
        figures: &[
            Figure {
                name: "Concealed",
                unit: "ms",
                value: |side| {
                    let concealed = side.statistics.concealed_ms;
                    let share = percent(concealed, side.heard_ms());
                    Some(if concealed == 0.0 { "0".into() } else { format!("{} ({share})", ms(concealed)) })
                },
                explanation: "Sound made up where a packet was missing.",
            },
            Figure {
                name: "Concealments",
                unit: "times",
                value: |side| Some(count(side.statistics.concealment_events)),
                explanation: "Runs of concealed sound; a few long ones hurt more than many short ones.",
            },
            Figure {
                name: "Recovered",
                unit: "ms",
                value: |side| Some(ms(side.statistics.recovered_ms)),
                explanation: "Rebuilt from what later packets repeat: in-band FEC, DRED or redundant audio data (RFC 2198).",
            },
            Figure {
                name: "Redundant packets",
                unit: "used / late / not needed",
                value: |side| {
                    let s = &side.statistics;
                    let [used, late, duplicate] =
                        [s.redundant_used, s.redundant_late, s.redundant_duplicate].map(count);
                    (s.redundant_blocks > 0).then(|| format!("{used} / {late} / {duplicate}"))
                },
                explanation: "Copies of earlier packets (RFC 2198): played for lost ones, too late for it, or of packets that came.",
            },
            Figure {
                name: "Stretched, put in",
                unit: "ms",
                value: |side| Some(ms(side.statistics.stretched_in_ms)),
                explanation: "Sound added, pitch kept, to let the delay grow.",
            },
            Figure {
                name: "Stretched, taken out",
                unit: "ms",
                value: |side| Some(ms(side.statistics.stretched_out_ms)),
                explanation: "Sound removed, pitch kept, to let the delay fall.",
            },
            Figure {
                name: "Level said",
                unit: "dBov",
                value: |side| side.statistics.said_level_dbov.map(|level| format!("{level:.1}")),
                explanation: "Active level of the speech that went in; 0 is full scale.",
            },
            Figure {
                name: "Level heard",
                unit: "dBov",
                value: |side| side.statistics.heard_level_dbov.map(|level| format!("{level:.1}")),
                explanation: "Active level of the speech that came out.",
            },
        ],
    },
    FigureGroup {
        name: "Echo",
        figures: &[
            Figure {
                name: "Own voice back",
                unit: "dB",
                value: |side| side.statistics.own_voice_back_db.map(|level| format!("{level:.1}")),
                explanation: "What this side heard of itself over what it said, while the other side's user was silent.",
            },
            Figure {
                name: "ERLE",
                unit: "dB",
                value: |side| side.echo?.erle_db.map(|erle| format!("{erle:.1}")),
                explanation: "Echo return loss enhancement: how much this side's canceller lowers what its loudspeaker plays.",
            },
            Figure {
                name: "Echo delay",
                unit: "ms",
                value: |side| side.echo?.delay_ms.map(ms),
                explanation: "From loudspeaker to microphone, at the end of the call.",
            },
            Figure {
                name: "Echo drift",
                unit: "ppm",
                value: |side| side.echo.map(|echo| format!("{:+.0}", echo.drift_ppm)),
                explanation: "The loudspeaker's sampling clock against the microphone's, at the end of the call.",
            },
            Figure {
                name: "Double talk",
                unit: "of the time",
                value: |side| side.echo.map(|echo| percent(echo.double_talk, 1.0)),
                explanation: "Both ends spoke at once.",
            },
            Figure {
                name: "Path changes",
                unit: "times",
                value: |side| side.echo.map(|echo| count(echo.path_changes.into())),
                explanation: "The echo came another way, which was learnt anew.",
            },
            Figure {
                name: "Diverged",
                unit: "times",
                value: |side| side.echo.map(|echo| count(echo.diverged.into())),
                explanation: "The canceller made it worse, and was reset.",
            },
        ],
    },
    FigureGroup {
        name: "Delay",
        figures: &[
            Figure {
                name: "Playout delay",
                unit: "ms, min / mean / max",
                value: |side| side.statistics.playout_delay_ms.map(spread),
                explanation: "From the moment a sample is sent to the moment it is played.",
            },
            Figure {
                name: "Network delay",
                unit: "ms, min / mean / max",
                value: |side| side.statistics.network_delay_ms.map(spread),
                explanation: "From sending a packet to its arrival.",
            },
            Figure {
                name: "Buffer delay",
                unit: "ms, mean",
                value: |side| side.statistics.buffer_delay_ms.map(ms),
                explanation: "How long a packet waits in the jitter buffer.",
            },
            Figure {
                name: "Jitter",
                unit: "ms",
                value: |side| Some(ms(side.statistics.jitter_ms)),
                explanation: "How unevenly packets arrive, smoothed, at the end of the call (RFC 3550, 6.4.1).",
            },
            Figure {
                name: "Clock drift",
                unit: "ppm",
                value: |side| side.statistics.clock_drift_ppm.map(|ppm| format!("{ppm:+.0}")),
                explanation: "The speaker's sampling clock against the listener's, as the receiver estimates it.",
            },
        ],
    },
    FigureGroup {
        name: "Quality (E-model, ITU-T G.107)",
        figures: &[
            Figure {
                name: "R factor",
                unit: "0 to 93.2",
                value: |side| side.statistics.r_factor.map(|r| format!("{r:.1}")),
                explanation: "The rating with loss, bursts and delay. Wideband codecs are rated as G.711, iLBC as G.729A.",
            },
            Figure {
                name: "MOS-LQ",
                unit: "1 to 4.5",
                value: |side| side.statistics.mos_lq.map(|mos| format!("{mos:.2}")),
                explanation: "Listening quality: what loss and bursts leave, whatever the delay.",
            },
            Figure {
                name: "MOS-CQ",
                unit: "1 to 4.5",
                value: |side| side.statistics.mos_cq.map(|mos| format!("{mos:.2}")),
                explanation: "Conversational quality: with the delay from mouth to ear.",
            },
        ],
    },
    FigureGroup {
        name: "Told by the other side (RTCP)",
        figures: &[
            Figure {
                name: "MOS it reports",
                unit: "listening / conversation",
                value: |side| {
                    let figure = |mos: Option<f64>| mos.map_or("–".into(), |mos| format!("{mos:.1}"));
                    let s = &side.statistics;
                    s.remote_mos_lq.map(|lq| format!("{lq:.1} / {}", figure(s.remote_mos_cq)))
                },
                explanation: "How well this side was heard there (RFC 3611, 4.7).",
            },
            Figure {
                name: "Round trip",
                unit: "ms",
                value: |side| side.statistics.rtt_ms.map(ms),
                explanation: "There and back, from the last pair of reports (RFC 3550, 6.4.1).",
            },
            Figure {
                name: "Loss it reports",
                unit: "of packets",
                value: |side| side.statistics.remote_fraction_lost.map(|fraction| percent(fraction, 1.0)),
                explanation: "What the other side lost of this side's packets between its last two reports.",
            },
            Figure {
                name: "Jitter it reports",
                unit: "ms",
                value: |side| side.statistics.remote_jitter_ms.map(ms),
                explanation: "How unevenly this side's packets reached the other.",
            },
        ],
    },
    FigureGroup {
        name: "Cost",
        figures: &[
            Figure {
                name: "Memory",
                unit: "KiB",
                value: |side| side.statistics.memory_bytes.map(|bytes| format!("{:.1}", bytes as f64 / 1024.0)),
                explanation: "This end of the call, all buffers and codecs included.",
            },
            Figure {
                name: "Allocations",
                unit: "times",
                value: |side| side.statistics.allocations.map(count),
                explanation: "Calls to the heap on the packet and audio path once the call stood.",
            },
        ],
    },
];

impl SideReport {
    /// Returns the duration of interleaved sound of this side, in milliseconds.
    pub(super) fn sound_ms(&self, sound: &[i16]) -> f64 {
        sound.len() as f64 * 1e3 / f64::from(self.channels.max(1)) / f64::from(self.sample_rate_hz.max(1))
    }

    /// Returns the length of the played sound, in milliseconds.
    pub(super) fn heard_ms(&self) -> f64 {
        self.sound_ms(&self.heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!((count(0), count(999)), ("0".into(), "999".into()));
        assert_eq!((ms(0.04), ms(-0.04), ms(9.94), ms(9.96), ms(-1234.5)), {
            ("0.0".into(), "0.0".into(), "9.9".into(), "10".into(), "-1\u{202f}235".into())
        });
        assert_eq!(percent(51.0, 1_000.0), "5.1 %");
        assert_eq!(percent(0.0, 0.0), "–");
    }
}
