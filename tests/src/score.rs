//! How much of what was sent is in what arrived: correlation of short segments, each at its own delay, because a
//! receiver stretches and shortens time.

use std::path::Path;
use std::process::Command;

/// Length of a segment.
const SEGMENT_MS: usize = 400;
/// Segments overlap by half.
const STEPS_A_SEGMENT: usize = 2;
/// Segments of less than this are pauses, in RMS of 16-bit samples.
const PAUSE_RMS: f64 = 150.0;
/// How far a delay may move from one segment to the next, in ms.
const SLACK_MS: usize = 150;

/// What a comparison found.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// The median over all segments of the correlation with what was sent, 1 at best.
    pub median: f64,
    /// Segments that were compared.
    pub segments: usize,
}

/// Compares each speaking segment of `heard` with all of `sent`; both at `rate_hz`.
pub fn score(sent: &[i16], heard: &[i16], rate_hz: u32) -> Score {
    let len = rate_hz as usize * SEGMENT_MS / 1_000;
    // Coarse at 8 kHz or so, fine at the rate itself.
    let step = (rate_hz as usize / 8_000).max(1);
    let (coarse_sent, coarse_heard) = (thin(sent, step), thin(heard, step));
    let mut found = Vec::new();
    let mut offset: Option<isize> = None;
    for begin in (0..heard.len().saturating_sub(len)).step_by(len / STEPS_A_SEGMENT) {
        let segment = &heard[begin..begin + len];
        if energy(segment).sqrt() < PAUSE_RMS * (len as f64).sqrt() {
            continue;
        }
        let coarse = &coarse_heard[begin / step..(begin + len) / step];
        let slack = SLACK_MS * rate_hz as usize / 1_000 / step;
        let near = offset.map(|offset| (begin as isize + offset).max(0) as usize / step);
        let last = coarse_sent.len().saturating_sub(coarse.len());
        let all = (0, last);
        let range = near.map_or(all, |near| (near.saturating_sub(slack).min(last), (near + slack).min(last)));
        let mut best = best(&coarse_sent, coarse, range);
        if best.1 < 0.7 && range != all {
            best = self::best(&coarse_sent, coarse, all);
        }
        let at = best.0 * step;
        let last = sent.len().saturating_sub(len);
        let fine = self::best(sent, segment, (at.saturating_sub(2 * step).min(last), (at + 2 * step).min(last)));
        offset = Some(fine.0 as isize - begin as isize);
        found.push(fine.1);
    }
    found.sort_by(f64::total_cmp);
    Score { median: found.get(found.len() / 2).copied().unwrap_or(0.0), segments: found.len() }
}

/// PESQ of what was heard, wideband (`wb`) or narrowband (`nb`), by the meters' Python (`MEDIA_CORE_METERS`). `repeated`: it was said
/// again and again.
///
/// # Panics
/// Where there are no meters, or no speech was heard.
pub fn pesq(mode: &str, said: &Path, heard: &Path, repeated: bool) -> f64 {
    let meters = std::env::var("MEDIA_CORE_METERS")
        .unwrap_or_else(|_| format!("{}/.cache/media-core-meters", std::env::var("HOME").unwrap_or_default()));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/heard_speech.py");
    let scored = Command::new(format!("{meters}/bin/python"))
        .arg(script)
        .arg(mode)
        .args([said, heard])
        .args(repeated.then_some("repeated"))
        .output();
    let scored = scored.expect("the meters of MEDIA_CORE_METERS");
    let text = String::from_utf8_lossy(&scored.stdout).into_owned();
    let words: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [score, _, stretches] = words[..] else { panic!("{text}{}", String::from_utf8_lossy(&scored.stderr)) };
    assert!(stretches >= 1.0, "no stretch of speech in {}", heard.display());
    score
}

fn thin(pcm: &[i16], step: usize) -> Vec<i16> {
    pcm.chunks(step).map(|part| (part.iter().map(|&s| i32::from(s)).sum::<i32>() / part.len() as i32) as i16).collect()
}

fn energy(pcm: &[i16]) -> f64 {
    pcm.iter().map(|&s| f64::from(s) * f64::from(s)).sum()
}

/// Where in `sent` the segment fits best, and its correlation there.
fn best(sent: &[i16], segment: &[i16], range: (usize, usize)) -> (usize, f64) {
    let own = energy(segment);
    let mut best = (range.0, 0.0);
    for at in range.0..=range.1 {
        let Some(part) = sent.get(at..at + segment.len()) else { break };
        let (mut product, mut power) = (0i64, 0i64);
        for (&a, &b) in part.iter().zip(segment) {
            product += i64::from(i32::from(a) * i32::from(b));
            power += i64::from(i32::from(a) * i32::from(a));
        }
        let correlation = product as f64 / (power as f64 * own).sqrt().max(1.0);
        if correlation > best.1 {
            best = (at, correlation);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize, mut state: u32) -> Vec<i16> {
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as i16 - 8_192
            })
            .collect()
    }

    #[test]
    fn finds_the_same_sound_and_no_other() {
        let sent = noise(16_000, 1);
        let mut heard = vec![0; 1_234];
        heard.extend(&sent[..6_000]);
        heard.extend(&sent[6_100..12_000]);
        let same = score(&sent, &heard, 8_000);
        assert!(same.median > 0.99 && same.segments >= 5, "{same:?}");
        let other = score(&sent, &noise(16_000, 2), 8_000);
        assert!(other.median < 0.2 && other.segments >= 5, "{other:?}");
        assert_eq!(score(&sent, &[0; 16_000], 8_000).segments, 0);
    }
}
