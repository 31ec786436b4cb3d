//! The page of `media-core process`: one picture with levels, ERLE and both spectrograms, one above the other on one time
//! axis, and the figures.
//!
//! The axes are drawn by plotters as those of a call's report; the spectrograms are pictures within that picture. Their
//! colours are the same on a light and on a dark page.

use plotters::prelude::*;

use super::super::EchoRow;
use super::super::decimate;
use super::super::html::{begin, close, escape, put, put_cards, settings};
use super::super::plot::{
    Area, DOUBLE_TALK, Drawn, ECHO_LINES, GRID, HEARD, LATE, LEFT, RIGHT, SAID, TARGET, WIDTH, css_name, echo_delay,
    erle, name, scale, slim, time_axis, x_of,
};
use super::spectrogram::RANGE_DBOV;
use super::{FRAMES_A_SECOND, Pictures, ProcessReport, SecondRow, decibels, png};

/// Frames in one point of a level's line: 100 ms.
const SMOOTHED: usize = FRAMES_A_SECOND / 10;
/// The lowest level that is drawn, in dBov.
const FLOOR_DBOV: f64 = -100.0;
/// Columns of the time axis.
const COLUMNS: usize = ((RIGHT - LEFT) / 2) as usize;

/// Far end, microphone and result.
const LINES: [(RGBColor, &str); 3] =
    [(LATE, "far end: what the loudspeaker played"), (SAID, "microphone: before"), (HEARD, "result: after")];

pub(super) fn page(report: &ProcessReport) -> String {
    let mut page = String::new();
    begin(&mut page, &report.microphone, "process");
    let channels = if report.channels == 2 { "stereo" } else { "mono" };
    put(
        &mut page,
        format_args!(
            "<p class=\"lead\">{:.1} seconds, {channels}, {} Hz · {:.0} times faster than real time</p>\n",
            report.seconds, report.sample_rate_hz, report.times_real_time
        ),
    );
    settings(&mut page, &report.settings);
    page += "</header>\n<section>\n";
    let far = report.far.as_ref().map(|far| format!(" · far end {}", escape(far))).unwrap_or_default();
    put(
        &mut page,
        format_args!("<div class=\"head\"><h2>Before and after</h2><p>{}{far}</p></div>\n", escape(&report.output)),
    );
    cards(&mut page, report);
    if let Some(pictures) = &report.pictures {
        page += "<div class=\"scroll\"><div class=\"plot\">\n";
        page += &picture(report, pictures);
        page += "</div></div>\n";
        legend(&mut page, report);
    }
    page += "</section>\n";
    close(&mut page, "The same figures, second by second, are what --json prints.");
    page
}

fn cards(page: &mut String, report: &ProcessReport) {
    let number = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.1}"));
    let mut cards: Vec<(String, &str, String)> = vec![
        (number(report.in_dbov), "dBov", "level of the microphone".into()),
        (number(report.out_dbov), "dBov", "level of the result".into()),
    ];
    if report.far.is_some() {
        cards.push((number(report.far_dbov), "dBov", "level of the far end".into()));
    }
    if let Some(echo) = &report.echo {
        cards.push((number(echo.erle_db), "dB", "echo taken out (ERLE)".into()));
        cards.push((number(echo.delay_ms), "ms", format!("echo's delay, drift {:+.0} ppm", echo.drift_ppm)));
        cards.push((format!("{:.1}", echo.double_talk * 100.0), "%", "of the time both ends spoke".into()));
        let diverged =
            if echo.diverged == 0 { "never diverged".into() } else { format!("diverged {}×", echo.diverged) };
        cards.push((echo.path_changes.to_string(), "", format!("changes of the path, {diverged}")));
    }
    put_cards(page, &cards);
}

fn legend(page: &mut String, report: &ProcessReport) {
    *page += "<ul class=\"legend\">\n";
    let mut entry = |mark: &str, color, words: &str| {
        put(page, format_args!("<li><i class=\"{mark}\" style=\"--of:var(--{})\"></i>{words}</li>\n", css_name(color)));
    };
    for (n, (color, words)) in LINES.into_iter().enumerate() {
        if n > 0 || report.far.is_some() {
            entry("line", color, words);
        }
    }
    if report.echo.is_some() {
        for (color, words) in ECHO_LINES {
            entry("line", color, words);
        }
        entry("", DOUBLE_TALK.0, DOUBLE_TALK.1);
    }
    if report.speech.is_some() {
        entry("", TARGET, "speech in the result, by the voice detector");
    }
    let stops: Vec<_> = png::SCALE.iter().map(|[r, g, b]| format!("#{r:02x}{g:02x}{b:02x}")).collect();
    let [low, high] = RANGE_DBOV;
    put(
        page,
        format_args!(
            "<li>spectrograms: {low:.0} dBov<i style=\"width:160px;background:linear-gradient(to right,{})\"></i>{high:.0} \
             dBov, the level that a tone of this frequency has</li>\n</ul>\n",
            stops.join(",")
        ),
    );
}

#[derive(Clone, Copy)]
enum Panel {
    Levels,
    Speech,
    Erle,
    EchoDelay,
    Before,
    After,
}

fn picture(report: &ProcessReport, pictures: &Pictures) -> String {
    let mut panels = Vec::new();
    let mut top = 12;
    for (panel, height) in [
        (Panel::Levels, 260),
        (Panel::Speech, 36),
        (Panel::Erle, 220),
        (Panel::EchoDelay, 140),
        (Panel::Before, 320),
        (Panel::After, 320),
    ] {
        let wanted = match panel {
            Panel::Levels | Panel::Before | Panel::After => true,
            Panel::Speech => report.speech.is_some(),
            Panel::Erle => report.echo.is_some(),
            Panel::EchoDelay => report.per_second.iter().any(|row| row.delay_ms.is_some()),
        };
        if wanted {
            panels.push((panel, top, top + height));
            top += height + 44;
        }
    }
    let bottom = top - 44;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, (bottom + 50) as u32)).into_drawing_area();
        // Drawing into a string has nothing to fail on: no file, no font.
        draw(&area, report, pictures, &panels, bottom).expect("SVG into a string");
    }
    let mut svg = slim(&svg, "levels, echo return loss enhancement and spectrograms over time");
    for (panel, top, bottom) in panels {
        let (seen, words) = match panel {
            Panel::Before => (&pictures.before, "spectrogram of the microphone"),
            Panel::After => (&pictures.after, "spectrogram of the result"),
            Panel::Levels | Panel::Speech | Panel::Erle | Panel::EchoDelay => continue,
        };
        let image = format!(
            "<image x=\"{LEFT}\" y=\"{top}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" href=\"{}\">\
             <title>{words}</title></image>\n",
            RIGHT - LEFT,
            bottom - top,
            seen.picture()
        );
        let end = svg.rfind("</svg>").unwrap_or(svg.len());
        svg.insert_str(end, &image);
    }
    svg
}

fn draw(
    area: &Area<'_>,
    report: &ProcessReport,
    pictures: &Pictures,
    panels: &[(Panel, i32, i32)],
    bottom: i32,
) -> Drawn {
    let total_ms = (report.seconds * 1e3).max(1.0);
    let places: Vec<_> = panels.iter().map(|&(_, top, bottom)| (top, bottom)).collect();
    time_axis(area, total_ms, None, bottom, &places)?;
    for &(panel, top, bottom) in panels {
        match panel {
            Panel::Levels => {
                name(area, "level, dBov", top + 14)?;
                let y = scale(area, [FLOOR_DBOV, 0.0], 20.0, top, bottom)?;
                for (n, ((color, _), levels)) in LINES.into_iter().zip(&pictures.levels).enumerate() {
                    if n == 0 && report.far.is_none() {
                        continue;
                    }
                    let points = levels.chunks(SMOOTHED).enumerate().map(|(n, frames)| {
                        let power = frames.iter().sum::<f64>() / frames.len() as f64;
                        let middle_ms = (n * SMOOTHED) as f64 * 10.0 + frames.len() as f64 * 5.0;
                        (middle_ms, decibels(power).max(FLOOR_DBOV))
                    });
                    let points = decimate::line(points, total_ms, COLUMNS);
                    let points: Vec<_> = points.into_iter().map(|(at, level)| (x_of(at, total_ms), y(level))).collect();
                    area.draw(&PathElement::new(points, color.stroke_width(3)))?;
                }
            }
            Panel::Speech => {
                name(area, "speech", top + 18)?;
                area.draw(&Rectangle::new([(LEFT, top), (RIGHT, bottom)], GRID.filled()))?;
                for segment in report.speech.iter().flatten() {
                    let x = |ms: u32| x_of(f64::from(ms).min(total_ms), total_ms);
                    let (begin, end) = (x(segment.start_ms), x(segment.end_ms));
                    area.draw(&Rectangle::new([(begin, top), (end.max(begin + 2), bottom)], TARGET.filled()))?;
                }
            }
            Panel::Erle => erle(area, &echo_rows(report), total_ms, top, bottom)?,
            Panel::EchoDelay => echo_delay(area, &echo_rows(report), total_ms, top, bottom)?,
            Panel::Before => frequencies(area, report, "before", top, bottom)?,
            Panel::After => frequencies(area, report, "after", top, bottom)?,
        }
    }
    area.present()
}

/// Returns the rows of a call's report.
fn echo_rows(report: &ProcessReport) -> Vec<EchoRow> {
    let row = |row: &SecondRow| EchoRow {
        at_ms: row.at_s as f64 * 1e3,
        erle_db: row.erle_db,
        echo_delay_ms: row.delay_ms,
        double_talk: row.double_talk.unwrap_or(0.0),
    };
    report.per_second.iter().map(row).collect()
}

/// Draws a spectrogram's axis of frequencies; the picture covers its lines.
fn frequencies(area: &Area<'_>, report: &ProcessReport, words: &str, top: i32, bottom: i32) -> Drawn {
    name(area, words, top + 14)?;
    name(area, "kHz", top + 44)?;
    let most = f64::from(report.sample_rate_hz) / 2e3;
    scale(area, [0.0, most], decimate::nice_step(most, 4.0), top, bottom).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::Measure;
    use crate::session::EchoStatus;

    #[test]
    fn any_recording_is_a_page_that_needs_nothing_from_elsewhere() {
        for (seconds, echo) in [(0.0, false), (0.004, true), (3.0, true), (3.0, false)] {
            let samples = (seconds * 8_000.0) as usize;
            let mut measure = Measure::new(8_000, 1, samples as u64, true);
            let sound: Vec<i16> = (0..samples).map(|n| (n % 200) as i16 * 50).collect();
            measure.hear_far(&sound);
            measure.hear_input(&sound);
            measure.hear_output(&vec![1; samples]);
            for n in 0..samples / 80 {
                let both = n > 200;
                measure.hear_echo(EchoStatus { double_talk: both, ..EchoStatus::default() });
            }
            let mut report = measure.finish(8_000, 1, seconds);
            report.microphone = "<mic> & \"co\".wav".into();
            report.far = echo.then(|| "far.wav".into());
            let page = report.to_html();
            assert!(page.contains("&lt;mic&gt; &amp; &quot;co&quot;.wav") && !page.contains("<mic>"));
            assert_eq!(page.matches("<image ").count(), 2);
            assert_eq!(page.matches("href=\"data:image/png;base64,").count(), 2);
            assert_eq!(page.contains("ERLE, dB"), samples >= 80);
            let outside = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains("http:") && !outside.contains("https:") && !outside.contains("url("));
            assert!(!page.contains("NaN") && page.ends_with("</html>\n"));
        }
    }
}
