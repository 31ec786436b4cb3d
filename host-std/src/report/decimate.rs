//! The reduction of samples and packets to the resolution of a plot: a ten-minute call draws no more than a ten-second one.
//! Columns divide the time axis evenly; nothing here knows a colour or a pixel.

/// Least, greatest and root mean square of the samples in one column, full scale 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Peak {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) rms: f64,
}

/// Returns the peaks of `samples` at `rate_hz` in `columns` columns over `total_ms`; silence past the last sample.
pub(super) fn peaks(samples: &[i16], rate_hz: u32, total_ms: f64, columns: usize) -> Vec<Peak> {
    let per_column = total_ms / 1e3 * f64::from(rate_hz) / columns as f64;
    let edge = |column: usize| ((column as f64 * per_column) as usize).min(samples.len());
    (0..columns)
        .map(|column| {
            let begin = edge(column);
            // A column narrower than a sample shows the sample that it is in.
            let end = edge(column + 1).max((begin + 1).min(samples.len()));
            let span = &samples[begin..end];
            let energy: f64 = span.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
            Peak {
                min: f64::from(span.iter().copied().min().unwrap_or(0)) / 32_768.0,
                max: f64::from(span.iter().copied().max().unwrap_or(0)) / 32_768.0,
                rms: (energy / span.len().max(1) as f64).sqrt() / 32_768.0,
            }
        })
        .collect()
}

/// A run of columns of one strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ColumnRun {
    pub(super) begin: usize,
    pub(super) end: usize,
    /// 1 to [`STRENGTHS`].
    pub(super) strength: u32,
}

/// The number of levels by which [`runs`] distinguishes a column that is wholly covered from one that is just touched.
pub(super) const STRENGTHS: u32 = 4;

/// Returns the share, 0 to 1, of each column that the `spans` (begin and end in ms) cover.
pub(super) fn coverage(spans: impl IntoIterator<Item = (f64, f64)>, total_ms: f64, columns: usize) -> Vec<f64> {
    let column_ms = total_ms / columns as f64;
    let mut covered_ms = vec![0.0; columns];
    for (begin, end) in spans {
        let (begin, end) = (begin.max(0.0), end.min(total_ms));
        let mut at = begin;
        let mut column = (begin / column_ms) as usize;
        while at < end && column < columns {
            let next = ((column + 1) as f64 * column_ms).min(end);
            covered_ms[column] += (next - at).max(0.0);
            at = next;
            column += 1;
        }
    }
    covered_ms.into_iter().map(|covered| (covered / column_ms).min(1.0)).collect()
}

/// Returns the columns covered at all as runs of equal strength.
pub(super) fn runs(coverage: &[f64]) -> Vec<ColumnRun> {
    let mut runs: Vec<ColumnRun> = Vec::new();
    for (column, share) in coverage.iter().enumerate() {
        // A rounding error is no touch.
        let strength = ((share - 1e-6).max(0.0) * f64::from(STRENGTHS)).ceil() as u32;
        match runs.last_mut() {
            _ if strength == 0 => {}
            Some(run) if run.end == column && run.strength == strength => run.end += 1,
            _ => runs.push(ColumnRun { begin: column, end: column + 1, strength }),
        }
    }
    runs
}

/// Reduces points (time in ms, value) to at most `a_column` for each column: the greatest, and ranks that change from column to
/// column, so that no rank shows as a stripe.
pub(super) fn scatter(
    points: impl IntoIterator<Item = (f64, f64)>,
    total_ms: f64,
    columns: usize,
    a_column: usize,
) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    let mut rank = 0.0;
    for mut column in by_column(points, total_ms, columns) {
        if column.len() > a_column {
            column.sort_by(|a, b| b.1.total_cmp(&a.1));
            kept.push(column[0]);
            for _ in 1..a_column {
                // Steps of the golden ratio fill 0..1 evenly and never in a pattern.
                rank = (rank + 0.618_033_988_75) % 1.0;
                kept.push(column[(rank * column.len() as f64) as usize]);
            }
        } else {
            kept.append(&mut column);
        }
    }
    kept
}

/// Reduces a line through points (time in ms, value) to each column's first, least, greatest and last, in order of time.
pub(super) fn line(points: impl IntoIterator<Item = (f64, f64)>, total_ms: f64, columns: usize) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    for mut column in by_column(points, total_ms, columns) {
        column.sort_by(|a, b| a.0.total_cmp(&b.0));
        if column.len() > 4 {
            let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
            let ends = [column.first(), column.iter().min_by(by_value), column.iter().max_by(by_value), column.last()];
            let mut ends: Vec<_> = ends.into_iter().flatten().copied().collect();
            ends.sort_by(|a, b| a.0.total_cmp(&b.0));
            ends.dedup();
            kept.append(&mut ends);
        } else {
            kept.append(&mut column);
        }
    }
    kept
}

fn by_column(
    points: impl IntoIterator<Item = (f64, f64)>,
    total_ms: f64,
    columns: usize,
) -> impl Iterator<Item = Vec<(f64, f64)>> {
    let mut sorted = vec![Vec::new(); columns];
    for (at, value) in points {
        if value.is_finite() && (0.0..=total_ms).contains(&at) {
            let column = (at / total_ms * columns as f64) as usize;
            sorted[column.min(columns - 1)].push((at, value));
        }
    }
    sorted.into_iter()
}

/// Returns a step of 1, 2 or 5 times a power of ten, so that `span` has at most `most` of them.
pub(super) fn nice_step(span: f64, most: f64) -> f64 {
    let least = (span / most).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(least.log10().floor());
    // A hair of slack keeps 100/5 at steps of 20 whatever the logarithm rounds to.
    [1.0, 2.0, 5.0].into_iter().map(|n| n * power).find(|step| *step >= least * 0.999_999).unwrap_or(10.0 * power)
}

/// Returns a step of time in seconds that a clock shows well, so that `span_s` has at most `most` of them.
pub(super) fn nice_seconds(span_s: f64, most: f64) -> f64 {
    if span_s <= most {
        return nice_step(span_s, most);
    }
    let steps = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0];
    steps.into_iter().find(|step| span_s / step <= most).unwrap_or_else(|| 3600.0 * nice_step(span_s / 3600.0, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_keep_a_single_click() {
        let mut samples = vec![0i16; 8_000 * 600];
        samples[4_000_000] = 16_384;
        let peaks = peaks(&samples, 8_000, 600_000.0, 955);
        assert_eq!(peaks.len(), 955);
        assert_eq!(peaks.iter().filter(|p| p.max == 0.5).count(), 1);
        assert_eq!(peaks[4_000_000 * 955 / samples.len()].max, 0.5);
    }

    #[test]
    fn peaks_of_little_or_nothing() {
        assert_eq!(peaks(&[], 8_000, 1_000.0, 3), [Peak { min: 0.0, max: 0.0, rms: 0.0 }; 3]);
        // Two samples, eight columns: each is four columns wide.
        let peaks = peaks(&[16_384, -16_384], 2, 1_000.0, 8);
        assert!(peaks[..4].iter().all(|p| p.min == 0.5) && peaks[4..].iter().all(|p| p.max == -0.5), "{peaks:?}");
    }

    #[test]
    fn runs_merge_and_fade() {
        // Columns of 10 ms: one whole, one half, and two short spans that share a column.
        let spans = [(0.0, 10.0), (20.0, 30.0), (30.0, 35.0), (91.0, 92.0), (95.0, 96.0), (140.0, 150.0)];
        let expected = [
            ColumnRun { begin: 0, end: 1, strength: 4 },
            ColumnRun { begin: 2, end: 3, strength: 4 },
            ColumnRun { begin: 3, end: 4, strength: 2 },
            ColumnRun { begin: 9, end: 10, strength: 1 },
        ];
        assert_eq!(runs(&coverage(spans, 100.0, 10)), expected);
        assert_eq!(runs(&coverage([(5.0, 95.0)], 100.0, 10)).len(), 3);
        assert_eq!(runs(&coverage([(-5.0, -1.0), (7.0, 6.0), (120.0, 130.0)], 100.0, 10)), []);
        // Not a number covers what it may, and stops.
        assert_eq!(coverage([(f64::NAN, 3.0), (2.0, f64::NAN)], 100.0, 10).len(), 10);
    }

    #[test]
    fn decimation_keeps_extremes_and_order() {
        let points = (0..30_000).map(|n| (f64::from(n) * 20.0, f64::from(n * 7919 % 1_000)));
        let dots = scatter(points.clone(), 600_000.0, 400, 4);
        assert!(dots.len() <= 1_600);
        assert_eq!(dots.iter().map(|d| d.1).fold(0.0, f64::max), 999.0);
        let line = line(points, 600_000.0, 400);
        assert!(line.len() <= 1_600 && line.is_sorted_by(|a, b| a.0 <= b.0));
        assert_eq!(line.iter().map(|d| d.1).fold(f64::MAX, f64::min), 0.0);
        assert_eq!((line[0].0, line[line.len() - 1].0), (0.0, 599_980.0));
    }

    #[test]
    fn steps_are_round() {
        assert_eq!(nice_step(100.0, 5.0), 20.0);
        assert_eq!(nice_step(430.0, 5.0), 100.0);
        assert_eq!(nice_step(0.9, 5.0), 0.2);
        assert_eq!(nice_seconds(20.0, 12.0), 2.0);
        assert_eq!(nice_seconds(600.0, 12.0), 60.0);
        assert_eq!(nice_seconds(100_000.0, 12.0), 18_000.0);
    }
}
