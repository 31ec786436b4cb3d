//! The short version of a report, for a terminal: one column a side, at most 80 wide for two short names.

use core::fmt;

use super::figures::{count, ms, percent, spread};
use super::{Report, SideReport, Statistics};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.1} s", self.title, self.duration_s)?;
        if let Some(seed) = self.seed {
            write!(f, ", seed {seed}")?;
        }
        writeln!(f, ")")?;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, cell: &dyn Fn(&SideReport) -> String| {
            write!(f, "  {name:<16}")?;
            for side in &self.sides {
                write!(f, "  {:>26}", cell(side))?;
            }
            writeln!(f)
        };
        row(f, "", &|side| format!("{} heard {}", side.name, side.peer))?;
        row(f, "codec", &|side| side.codec.clone())?;
        row(f, "packets", &|side| {
            let s = &side.statistics;
            format!("{} of {}", count(s.packets_received), count(s.packets_sent))
        })?;
        row(f, "lost + late", &|side| {
            let s = &side.statistics;
            let sent = s.packets_sent as f64;
            format!("{} + {}", percent(s.packets_lost as f64, sent), percent(s.packets_late as f64, sent))
        })?;
        for (name, of) in [
            ("discarded", (|s| s.packets_discarded) as fn(&Statistics) -> u64),
            ("undecodable", |s| s.packets_undecodable),
            ("duplicate", |s| s.packets_duplicate),
            ("events", |s| s.packets_event),
            ("other payload", |s| s.packets_other_payload),
            ("in probation", |s| s.packets_probation),
            ("unusable", |s| s.packets_unusable),
            ("refused", |s| s.packets_refused),
        ] {
            if self.sides.iter().any(|side| of(&side.statistics) > 0) {
                row(f, name, &|side| count(of(&side.statistics)))?;
            }
        }
        if self.sides.iter().any(|side| side.statistics.restarts + side.statistics.ssrc_changes > 0) {
            row(f, "began anew", &|side| {
                let s = &side.statistics;
                format!("{} + {} other SSRCs", count(s.restarts), count(s.ssrc_changes))
            })?;
        }
        if self.sides.iter().any(|side| !side.digits.is_empty()) {
            row(f, "digits", &|side| side.digits.iter().map(|row| &*row.digit).collect())?;
        }
        if self.sides.iter().any(|side| !side.tones.is_empty()) {
            row(f, "tones", &|side| side.tones.iter().map(|row| row.tone).collect::<Vec<_>>().join(" "))?;
        }
        row(f, "concealed", &|side| {
            let s = &side.statistics;
            format!("{} ms, {}", ms(s.concealed_ms), percent(s.concealed_ms, side.heard_ms()))
        })?;
        if self.sides.iter().any(|side| side.statistics.recovered_ms > 0.0) {
            row(f, "recovered", &|side| format!("{} ms", ms(side.statistics.recovered_ms)))?;
        }
        if self.sides.iter().any(|side| side.statistics.redundant_blocks > 0) {
            row(f, "redundancy", &|side| {
                let s = &side.statistics;
                format!("{} used, {} late", count(s.redundant_used), count(s.redundant_late))
            })?;
        }
        if self.sides.iter().any(|side| side.statistics.mos_lq.is_some()) {
            let figure =
                |value: Option<f64>, digits: usize| value.map_or("–".into(), |value| format!("{value:.digits$}"));
            row(f, "MOS to listen", &|side| figure(side.statistics.mos_lq, 1))?;
            row(f, "MOS, R factor", &|side| {
                let s = &side.statistics;
                format!("{}, {}", figure(s.mos_cq, 1), figure(s.r_factor, 0))
            })?;
        }
        if self.sides.iter().any(|side| side.statistics.own_voice_back_db.is_some()) {
            row(f, "own voice back", &|side| {
                side.statistics.own_voice_back_db.map_or("–".into(), |level| format!("{level:.1} dB"))
            })?;
        }
        if self.sides.iter().any(|side| side.echo.is_some()) {
            row(f, "echo taken out", &|side| {
                let erle = side.echo.and_then(|echo| echo.erle_db);
                erle.map_or("–".into(), |erle| format!("{erle:.1} dB, at {}", side.name))
            })?;
        }
        row(f, "delay", &|side| {
            side.statistics.playout_delay_ms.map_or("–".into(), |delay| format!("{} ms", spread(delay)))
        })?;
        row(f, "jitter", &|side| format!("{} ms", ms(side.statistics.jitter_ms)))?;
        if self.sides.iter().any(|side| side.statistics.rtt_ms.is_some()) {
            row(f, "round trip", &|side| side.statistics.rtt_ms.map_or("–".into(), |rtt| format!("{} ms", ms(rtt))))?;
        }
        if self.sides.iter().any(|side| side.statistics.memory_bytes.is_some()) {
            row(f, "memory", &|side| {
                side.statistics.memory_bytes.map_or("–".into(), |bytes| format!("{:.1} KiB", bytes as f64 / 1024.0))
            })?;
        }
        for (side, finding) in self.sides.iter().flat_map(|side| side.findings.iter().map(move |row| (side, row))) {
            writeln!(f, "  {}: {}.", side.name, finding.words)?;
        }
        Ok(())
    }
}
