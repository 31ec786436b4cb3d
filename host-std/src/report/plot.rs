//! The picture of one side: the sound said, the sound heard, the fate of the packets, and the delays, one above the other on one
//! time axis.
//!
//! Drawn with plotters into SVG. Units are half a CSS pixel at full width, since the backend knows whole ones only.
//! Colours are those of the light page; the style sheet swaps each for its dark twin by its value, so a colour here
//! is also a name there. Cost: at most a few thousand elements, whatever the length of the call.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::decimate::{self, Peak, STRENGTHS};
use super::{EchoRow, PacketOutcome, PlayCause, SideReport};
use crate::wav::mean_of_channels;

/// Width of the picture.
pub(super) const WIDTH: u32 = 2_080;
/// The begin of the time axis, in pixels.
pub(super) const LEFT: i32 = 190;
/// The end of the time axis, in pixels.
pub(super) const RIGHT: i32 = 2_040;
/// Columns of the time axis, two units each.
const COLUMNS: usize = ((RIGHT - LEFT) / 2) as usize;
/// The columns of one bar in the background of a waveform in a long call.
const BAR_COLUMNS: usize = 5;

const INK: RGBColor = RGBColor(0x33, 0x41, 0x55);
pub(super) const FAINT: RGBColor = RGBColor(0x64, 0x74, 0x8B);
pub(super) const GRID: RGBColor = RGBColor(0xE2, 0xE8, 0xF0);
pub(super) const SAID: RGBColor = RGBColor(0x7C, 0x8B, 0xA1);
pub(super) const HEARD: RGBColor = RGBColor(0x25, 0x63, 0xEB);
const NETWORK: RGBColor = RGBColor(0x94, 0xA3, 0xB8);
pub(super) const TARGET: RGBColor = RGBColor(0x0D, 0x94, 0x88);
const LOST: RGBColor = RGBColor(0xDC, 0x26, 0x26);
pub(super) const LATE: RGBColor = RGBColor(0xF5, 0x9E, 0x0B);
const DISCARDED: RGBColor = RGBColor(0x8C, 0x6D, 0x46);
pub(super) const CONCEALED: RGBColor = RGBColor(0xDB, 0x27, 0x77);
const RECOVERED: RGBColor = RGBColor(0x16, 0xA3, 0x4A);
const ACCELERATED: RGBColor = RGBColor(0x08, 0x91, 0xB2);
const DECELERATED: RGBColor = RGBColor(0x7C, 0x3A, 0xED);

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn = Result<(), DrawError>;

/// The colour and the label of a packet's fate, for the fates that are marked.
pub(super) const FATES: [(PacketOutcome, RGBColor, &str); 3] = [
    (PacketOutcome::LostInNetwork, LOST, "lost on the network"),
    (PacketOutcome::Late, LATE, "arrived too late"),
    (PacketOutcome::Discarded, DISCARDED, "discarded"),
];

/// Colour and words of sound that was not plainly decoded.
pub(super) const CAUSES: [(PlayCause, RGBColor, &str); 4] = [
    (PlayCause::Concealed, CONCEALED, "concealed"),
    (PlayCause::Recovered, RECOVERED, "recovered"),
    (PlayCause::Accelerated, ACCELERATED, "shortened"),
    (PlayCause::Decelerated, DECELERATED, "lengthened"),
];

/// Colour and words of the dots among the delays.
pub(super) const NETWORK_DELAY: (RGBColor, &str) = (NETWORK, "network delay of a packet");
/// Colour and words of the lines among the delays.
pub(super) const DELAY_LINES: [(RGBColor, &str); 2] = [(TARGET, "target delay"), (HEARD, "playout delay")];

/// Colours and labels of an echo canceller's status: lines, and bars.
pub(super) const ECHO_LINES: [(RGBColor, &str); 2] =
    [(TARGET, "ERLE: how much the echo is lowered, where it is heard alone"), (HEARD, "delay of the echo")];
/// See [`ECHO_LINES`].
pub(super) const DOUBLE_TALK: (RGBColor, &str) =
    (CONCEALED, "share of a second in which both ends spoke, of the full height");

/// Every colour, and the property of the style sheet with its value on a light or a dark page.
pub(super) const PALETTE: [(RGBColor, &str); 14] = [
    (INK, "soft"),
    (FAINT, "faint"),
    (GRID, "line"),
    (SAID, "said"),
    (HEARD, "heard"),
    (NETWORK, "network"),
    (TARGET, "target"),
    (LOST, "lost"),
    (LATE, "late"),
    (DISCARDED, "discarded"),
    (CONCEALED, "concealed"),
    (RECOVERED, "recovered"),
    (ACCELERATED, "accelerated"),
    (DECELERATED, "decelerated"),
];

/// Returns the property of the style sheet for a colour of [`PALETTE`].
pub(super) fn css_name(color: RGBColor) -> &'static str {
    PALETTE.iter().find(|(known, _)| *known == color).map_or("soft", |(_, name)| name)
}

/// Returns the picture of `side` over `total_ms` milliseconds, as an SVG element.
pub(super) fn side(side: &SideReport, total_ms: f64) -> String {
    let mut panels = Vec::new();
    let has_packets = !side.packets.is_empty();
    let has_delays = !side.delays.is_empty() || side.packets.iter().any(|packet| packet.arrival_ms.is_some());
    let mut top = 12;
    let mut place = |wanted: bool, panel: Panel, height: i32, gap: i32| {
        if wanted {
            panels.push((panel, top, top + height));
            top += height + gap;
        }
    };
    place(!side.said.is_empty(), Panel::Said, 180, 16);
    place(!side.heard.is_empty(), Panel::Heard, 180, 44);
    place(has_packets, Panel::Packets, 110, 44);
    place(has_delays, Panel::Delays, 340, 44);
    place(!side.echo_per_second.is_empty(), Panel::Erle, 220, 44);
    place(side.echo_per_second.iter().any(|row| row.echo_delay_ms.is_some()), Panel::EchoDelay, 140, 44);
    let bottom = top - 44;

    let mut svg = String::new();
    let plot = Plot { side, total_ms, bottom };
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, (bottom + 50).max(1) as u32)).into_drawing_area();
        // Drawing into a string has nothing to fail on: no file, no font.
        plot.draw(&area, &panels).expect("SVG into a string");
    }
    slim(&svg, "waveforms, missing packets and delays over time")
}

/// Removes attributes that have their default anyway, a third of the text, and adds a description of the picture.
pub(super) fn slim(svg: &str, shows: &str) -> String {
    let mut svg = svg.to_owned();
    for default in [" opacity=\"1\"", " stroke=\"none\"", " stroke-width=\"1\"", " font-family=\"sans-serif\""] {
        svg = svg.replace(default, "");
    }
    // The page gives it its size, and the statistics below describe its content in words.
    if let (Some(width), Some(view_box)) = (svg.find(" width="), svg.find(" viewBox=")) {
        let label = format!(" role=\"img\" aria-label=\"{shows}\"");
        svg.replace_range(width..view_box.max(width), &label);
    }
    svg
}

#[derive(Clone, Copy)]
enum Panel {
    Said,
    Heard,
    Packets,
    Delays,
    Erle,
    EchoDelay,
}

struct Plot<'a> {
    side: &'a SideReport,
    total_ms: f64,
    bottom: i32,
}

impl Plot<'_> {
    fn draw(&self, area: &Area<'_>, panels: &[(Panel, i32, i32)]) -> Drawn {
        self.time_axis(area, panels)?;
        // Stereo is drawn as the mean of its channels.
        let peaks = |samples: &[i16]| {
            let mean = (self.side.channels > 1).then(|| mean_of_channels(samples, self.side.channels));
            decimate::peaks(mean.as_deref().unwrap_or(samples), self.side.sample_rate_hz, self.total_ms, COLUMNS)
        };
        let (said, heard) = (peaks(&self.side.said), peaks(&self.side.heard));
        // Both on one scale, so that a wrong level shows; near silence is not blown up.
        let loudest = said.iter().chain(&heard).map(|peak| peak.max.max(-peak.min)).fold(0.02, f64::max);
        for &(panel, top, bottom) in panels {
            match panel {
                Panel::Said => {
                    let marks = FATES.map(|(fate, color, _)| {
                        let spans = self.side.packets.iter().filter(|packet| packet.fate == fate);
                        let spans = spans.map(|packet| (packet.media_ms, packet.media_ms + self.side.packet_ms));
                        (color, self.coverage(spans))
                    });
                    self.marks(area, &marks, top, bottom)?;
                    self.wave(area, &said, loudest, SAID, top, bottom)?;
                    name(area, &format!("{} said", short(&self.side.peer)), top + 14)?;
                }
                Panel::Heard => {
                    let marks = CAUSES.map(|(cause, color, _)| {
                        let spans = self.side.play.iter().filter(|row| row.cause == cause);
                        let spans = spans.map(|row| (row.at_ms, row.at_ms + row.duration_ms));
                        (color, self.coverage(spans))
                    });
                    self.marks(area, &marks, top, bottom)?;
                    self.wave(area, &heard, loudest, HEARD, top, bottom)?;
                    // If the sound that was said isn't known, only one side is shown and needs no name.
                    let alone = self.side.said.is_empty();
                    let words = if alone { "heard".into() } else { format!("{} heard", short(&self.side.name)) };
                    name(area, &words, top + 14)?;
                }
                Panel::Packets => self.packets(area, top, bottom)?,
                Panel::Delays => self.delays(area, top, bottom)?,
                Panel::Erle => erle(area, &self.side.echo_per_second, self.total_ms, top, bottom)?,
                Panel::EchoDelay => echo_delay(area, &self.side.echo_per_second, self.total_ms, top, bottom)?,
            }
        }
        area.present()
    }

    fn x(&self, at_ms: f64) -> i32 {
        x_of(at_ms, self.total_ms)
    }

    fn time_axis(&self, area: &Area<'_>, panels: &[(Panel, i32, i32)]) -> Drawn {
        let places: Vec<_> = panels.iter().map(|&(_, top, bottom)| (top, bottom)).collect();
        time_axis(area, self.total_ms, self.side.begins_us, self.bottom, &places)?;
        for &(panel, _, bottom) in panels {
            if matches!(panel, Panel::Packets | Panel::Delays) {
                area.draw(&PathElement::new([(LEFT, bottom), (RIGHT, bottom)], NETWORK.stroke_width(2)))?;
            }
        }
        Ok(())
    }

    fn coverage(&self, spans: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
        decimate::coverage(spans, self.total_ms, COLUMNS)
    }

    /// Draws marks in the background of a waveform: a band over each stretch in a call short enough to see one packet, else bars
    /// whose height is the share of the time, one kind on top of the other.
    fn marks(&self, area: &Area<'_>, marks: &[(RGBColor, Vec<f64>)], top: i32, bottom: i32) -> Drawn {
        if shows_packets(self.side, self.total_ms) {
            for (color, coverage) in marks {
                for run in decimate::runs(coverage) {
                    let (begin, end) = (LEFT + 2 * run.begin as i32, LEFT + 2 * run.end as i32);
                    let share = f64::from(run.strength) / f64::from(STRENGTHS);
                    area.draw(&Rectangle::new([(begin, top), (end, bottom)], color.mix(0.08 + 0.32 * share).filled()))?;
                }
            }
            return Ok(());
        }
        for first in (0..COLUMNS).step_by(BAR_COLUMNS) {
            let last = (first + BAR_COLUMNS).min(COLUMNS);
            let (begin, end) = (LEFT + 2 * first as i32, LEFT + 2 * last as i32);
            let mut foot = bottom;
            for (color, coverage) in marks {
                let share = coverage[first..last].iter().sum::<f64>() / (last - first) as f64;
                let height = (share * f64::from(bottom - top)).ceil() as i32;
                let head = (foot - if height > 0 { height.max(4) } else { 0 }).max(top);
                if head < foot {
                    area.draw(&Rectangle::new([(begin, head), (end - 1, foot)], color.mix(0.6).filled()))?;
                }
                foot = head;
            }
        }
        Ok(())
    }

    /// The peaks in a light tone, the mean power in a full one.
    fn wave(&self, area: &Area<'_>, peaks: &[Peak], loudest: f64, color: RGBColor, top: i32, bottom: i32) -> Drawn {
        let middle = (top + bottom) / 2;
        let scale = f64::from(bottom - top) / 2.0 / loudest;
        let outline = |upper: &dyn Fn(&Peak) -> f64, lower: &dyn Fn(&Peak) -> f64| {
            let x = |column: usize| LEFT + 2 * column as i32 + 1;
            let up = |peak| middle - (upper(peak) * scale).round().max(1.0) as i32;
            let down = |peak| middle - (lower(peak) * scale).round().min(-1.0) as i32;
            let there = peaks.iter().enumerate().map(|(column, peak)| (x(column), up(peak)));
            let back = peaks.iter().enumerate().rev().map(|(column, peak)| (x(column), down(peak)));
            there.chain(back).collect::<Vec<_>>()
        };
        area.draw(&Polygon::new(outline(&|peak| peak.max, &|peak| peak.min), color.mix(0.5)))?;
        area.draw(&Polygon::new(outline(&|peak| peak.rms, &|peak| -peak.rms), color))
    }

    /// Bars: the share of packets in each stretch of time that were lost, late or discarded.
    fn packets(&self, area: &Area<'_>, top: i32, bottom: i32) -> Drawn {
        let bin_ms = bin_ms(self.side, self.total_ms);
        let count = (self.total_ms / bin_ms).ceil().max(1.0) as usize;
        let mut bins = vec![[0u32; 1 + FATES.len()]; count];
        for packet in self.side.packets.iter().filter(|packet| packet.fate != PacketOutcome::Duplicate) {
            if (0.0..self.total_ms).contains(&packet.media_ms) {
                let bin = &mut bins[((packet.media_ms / bin_ms) as usize).min(count - 1)];
                bin[0] += 1;
                if let Some(fate) = FATES.iter().position(|(fate, ..)| *fate == packet.fate) {
                    bin[1 + fate] += 1;
                }
            }
        }
        let share = |bin: &[u32], parts: &[u32]| f64::from(parts.iter().sum::<u32>()) / f64::from(bin[0].max(1));
        let worst = bins.iter().map(|bin| share(bin, &bin[1..])).fold(0.0, f64::max);
        let full = [0.1, 0.2, 0.5].into_iter().find(|full| worst <= *full).unwrap_or(1.0);
        let y = |share: f64| bottom - (share / full * f64::from(bottom - top)).round() as i32;

        name(area, "missing", top + 14)?;
        area.draw(&PathElement::new([(LEFT, top), (RIGHT, top)], GRID.stroke_width(2)))?;
        let style = text(22, FAINT, HPos::Right, VPos::Center);
        area.draw(&Text::new(format!("{:.0} %", full * 100.0), (LEFT - 14, top + 2), style.clone()))?;
        area.draw(&Text::new("0", (LEFT - 14, bottom - 4), style))?;
        for (n, bin) in bins.iter().enumerate() {
            let begin = self.x(n as f64 * bin_ms);
            let end = self.x(((n + 1) as f64 * bin_ms).min(self.total_ms)).max(begin + 2);
            // A hair between bars where there is room for one.
            let end = if end - begin >= 6 { end - 1 } else { end };
            for (fate, (_, color, _)) in FATES.iter().enumerate() {
                let (low, high) = (share(bin, &bin[1..1 + fate]), share(bin, &bin[1..2 + fate]));
                if high > low {
                    area.draw(&Rectangle::new([(begin, y(high)), (end, y(low))], color.filled()))?;
                }
            }
        }
        Ok(())
    }

    fn delays(&self, area: &Area<'_>, top: i32, bottom: i32) -> Drawn {
        let side = self.side;
        let arrived = |late: bool| {
            let packets = side.packets.iter().filter(move |packet| {
                packet.fate != PacketOutcome::Duplicate && (packet.fate == PacketOutcome::Late) == late
            });
            packets.filter_map(|packet| Some((packet.media_ms, packet.arrival_ms? - packet.media_ms)))
        };
        let mut network: Vec<f64> = arrived(false).chain(arrived(true)).map(|point| point.1).collect();
        network.retain(|delay| delay.is_finite());
        network.sort_by(f64::total_cmp);
        // A few stragglers must not flatten everything else: values above the range are drawn at its edge.
        let most_of_network = network.get(network.len().saturating_sub(1) * 995 / 1_000).copied().unwrap_or(0.0);
        let lines =
            side.delays.iter().flat_map(|row| [row.target_ms, row.playout_ms]).filter(|delay| delay.is_finite());
        let most = lines.fold(most_of_network, f64::max).max(10.0);
        let step = decimate::nice_step(most, 5.0);
        let full = (most / step).ceil() * step;
        let y = |delay: f64| bottom - (delay.clamp(0.0, full) / full * f64::from(bottom - top)).round() as i32;

        name(area, "delay, ms", top + 14)?;
        let style = text(22, FAINT, HPos::Right, VPos::Center);
        let mut tick = 0;
        while f64::from(tick) * step <= full * 1.000_001 {
            let delay = f64::from(tick) * step;
            if tick > 0 {
                area.draw(&PathElement::new([(LEFT, y(delay)), (RIGHT, y(delay))], GRID.stroke_width(2)))?;
            }
            area.draw(&Text::new(format!("{delay}"), (LEFT - 14, y(delay)), style.clone()))?;
            tick += 1;
        }
        for (late, color) in [(false, NETWORK), (true, LATE)] {
            for (at, delay) in decimate::scatter(arrived(late), self.total_ms, COLUMNS / 2, 3) {
                area.draw(&Circle::new((self.x(at), y(delay)), if late { 5 } else { 3 }, color.filled()))?;
            }
        }
        let target = side.delays.iter().map(|row| (row.at_ms, row.target_ms));
        let playout = side.delays.iter().map(|row| (row.at_ms, row.playout_ms));
        let path = |points: Vec<(f64, f64)>, color: RGBColor, width: u32| {
            let points: Vec<_> = points.into_iter().map(|(at, delay)| (self.x(at), y(delay))).collect();
            PathElement::new(points, color.stroke_width(width))
        };
        area.draw(&path(decimate::line(target, self.total_ms, COLUMNS), TARGET, 3))?;
        area.draw(&path(decimate::line(playout, self.total_ms, COLUMNS), HEARD, 4))
    }
}

/// Returns the position of a time on the axis.
pub(super) fn x_of(at_ms: f64, total_ms: f64) -> i32 {
    LEFT + (at_ms / total_ms * f64::from(RIGHT - LEFT)).round() as i32
}

/// Lines through all panels (top and bottom of each), and the times below `bottom`; `begins_us`: by the wall clock.
pub(super) fn time_axis(
    area: &Area<'_>,
    total_ms: f64,
    begins_us: Option<i64>,
    bottom: i32,
    panels: &[(i32, i32)],
) -> Drawn {
    let total_s = total_ms / 1e3;
    let step = decimate::nice_seconds(total_s, 12.0);
    let style = text(22, FAINT, HPos::Center, VPos::Top);
    // With a wall clock, labels are at whole steps of the clock.
    let begin_s = begins_us.map(|us| us.rem_euclid(86_400_000_000) as f64 / 1e6);
    let first_s = begin_s.map_or(0.0, |begin| (begin / step).ceil() * step - begin);
    let mut tick = 0;
    while first_s + f64::from(tick) * step <= total_s {
        let at_s = first_s + f64::from(tick) * step;
        let x = x_of(at_s * 1e3, total_ms);
        for &(top, bottom) in panels {
            area.draw(&PathElement::new([(x, top), (x, bottom)], GRID.stroke_width(2)))?;
        }
        let label = if let Some(begin) = begin_s {
            clock(begin + at_s, step)
        } else if total_s > 120.0 {
            let whole = at_s.round() as u64;
            format!("{}:{:02}", whole / 60, whole % 60)
        } else if tick == 0 {
            "0 s".into()
        } else {
            // The label has as many decimals as the step, at most three.
            let text = format!("{at_s:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        area.draw(&Text::new(label, (x, bottom + 14), style.clone()))?;
        tick += 1;
    }
    Ok(())
}

/// ERLE as steps with gaps, and double talk as bars from below.
pub(super) fn erle(area: &Area<'_>, rows: &[EchoRow], total_ms: f64, top: i32, bottom: i32) -> Drawn {
    name(area, "ERLE, dB", top + 14)?;
    let known = rows.iter().filter_map(|row| row.erle_db).filter(|erle| erle.is_finite());
    let (least, most) = known.fold((0.0, 10.0), |(least, most): (f64, f64), erle| (least.min(erle), most.max(erle)));
    let step = decimate::nice_step(most - least, 5.0);
    let range = [(least / step).floor() * step, (most / step).ceil() * step];
    let within = |row: &&EchoRow| (0.0..total_ms).contains(&row.at_ms);
    for row in rows.iter().filter(within).filter(|row| row.double_talk > 0.0) {
        let head = bottom - (row.double_talk.min(1.0) * f64::from(bottom - top)).round() as i32;
        let corners = [(x_of(row.at_ms, total_ms), head), (x_of((row.at_ms + 1e3).min(total_ms), total_ms), bottom)];
        area.draw(&Rectangle::new(corners, CONCEALED.mix(0.25).filled()))?;
    }
    let y = scale(area, range, step, top, bottom)?;
    steps(area, rows, |row| row.erle_db, y, TARGET, total_ms)
}

/// Draws the bulk delay of the echo.
pub(super) fn echo_delay(area: &Area<'_>, rows: &[EchoRow], total_ms: f64, top: i32, bottom: i32) -> Drawn {
    name(area, "echo after", top + 14)?;
    name(area, "ms", top + 44)?;
    let known = rows.iter().filter_map(|row| row.echo_delay_ms).filter(|delay| delay.is_finite());
    let most = known.fold(10.0, f64::max);
    let step = decimate::nice_step(most, 3.0);
    let y = scale(area, [0.0, (most / step).ceil() * step], step, top, bottom)?;
    steps(area, rows, |row| row.echo_delay_ms, y, HEARD, total_ms)
}

/// Draws a line of one value a second, with gaps where there is none.
fn steps(
    area: &Area<'_>,
    rows: &[EchoRow],
    of: impl Fn(&EchoRow) -> Option<f64>,
    y: impl Fn(f64) -> i32,
    color: RGBColor,
    total_ms: f64,
) -> Drawn {
    let value = |row: &EchoRow| of(row).filter(|value| value.is_finite() && (0.0..total_ms).contains(&row.at_ms));
    let follows = |a: &EchoRow, b: &EchoRow| b.at_ms - a.at_ms < 1.5e3;
    for stretch in rows.chunk_by(|a, b| value(a).is_some() && value(b).is_some() && follows(a, b)) {
        let known = stretch.iter().filter_map(|row| Some((row.at_ms, value(row)?)));
        let ends = known.flat_map(|(at, value)| [(at, value), ((at + 1e3).min(total_ms), value)]);
        let points: Vec<_> = ends.map(|(at, value)| (x_of(at, total_ms), y(value))).collect();
        if !points.is_empty() {
            area.draw(&PathElement::new(points, color.stroke_width(4)))?;
        }
    }
    Ok(())
}

/// The error type of drawing, which never fails.
pub(super) type DrawError = DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>;

/// Draws the lines and numbers of an axis, and returns the function that places a value on it.
pub(super) fn scale(
    area: &Area<'_>,
    [low, high]: [f64; 2],
    step: f64,
    top: i32,
    bottom: i32,
) -> Result<impl Fn(f64) -> i32, DrawError> {
    let y = move |value: f64| {
        let part = (value.clamp(low, high) - low) / (high - low);
        bottom - (part * f64::from(bottom - top)).round() as i32
    };
    let style = text(22, FAINT, HPos::Right, VPos::Center);
    for tick in 0..=((high - low) / step * 1.000_001) as i32 {
        let value = low + f64::from(tick) * step;
        area.draw(&PathElement::new([(LEFT, y(value)), (RIGHT, y(value))], GRID.stroke_width(2)))?;
        // The label has as many decimals as the step, at most two.
        let label = format!("{value:.2}");
        let label = label.trim_end_matches('0').trim_end_matches('.').to_owned();
        area.draw(&Text::new(label, (LEFT - 14, y(value)), style.clone()))?;
    }
    Ok(y)
}

/// Time of day, as exact as steps of `step` seconds need.
fn clock(seconds: f64, step: f64) -> String {
    let ms = (seconds * 1e3).round() as u64 % 86_400_000;
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    match step {
        step if step >= 60.0 => format!("{h:02}:{m:02}"),
        step if step >= 1.0 => format!("{h:02}:{m:02}:{s:02}"),
        _ => format!("{m:02}:{s:02}.{}", ms / 100 % 10),
    }
}

/// Returns whether the call is short enough for a packet to be seen as a band of its own.
pub(super) fn shows_packets(side: &SideReport, total_ms: f64) -> bool {
    total_ms / COLUMNS as f64 <= side.packet_ms.max(10.0) * 4.0
}

/// Returns the stretch of time that one bar of the packets' panel represents, in milliseconds.
pub(super) fn bin_ms(side: &SideReport, total_ms: f64) -> f64 {
    let least = (total_ms / 240.0).max(side.packet_ms * 5.0).max(1.0);
    decimate::nice_step(least, 1.0)
}

pub(super) fn name(area: &Area<'_>, name: &str, y: i32) -> Drawn {
    area.draw(&Text::new(name.to_owned(), (0, y), text(25, INK, HPos::Left, VPos::Center)))
}

pub(super) fn text(size: i32, color: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&color).pos(Pos::new(h, v))
}

/// Shortens a name to the room in the margin.
fn short(name: &str) -> String {
    if name.chars().count() <= 6 { name.to_owned() } else { name.chars().take(5).chain(['…']).collect() }
}
