//! `report.html`: one page that needs nothing else, neither fonts nor scripts nor pictures from elsewhere.
//!
//! The page is light or dark as the reader's system is. The sound is in the page too, up to [`EMBED_LIMIT`]; above it the page
//! plays the WAV files beside it. All text that came from outside is escaped.

use core::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::digits::digits_in_words;
use super::figures::{self, ms, percent};
use super::tones::tones_in_words;
use super::{CallSoundFigures, Report, SideReport, plot};
use crate::wav::to_wav;

/// Bytes of base64 up to which the sound of all sides together goes into the page.
const EMBED_LIMIT: usize = 6 << 20;

impl Report {
    /// Returns the report as a page of HTML.
    pub fn to_html(&self) -> String {
        let total_ms = self.total_ms();
        let embed = embeds(&self.sides.iter().collect::<Vec<_>>());
        let mut page = String::new();
        begin(&mut page, &self.title, "call report");
        put(&mut page, format_args!("<p class=\"lead\">{:.1} seconds", self.duration_s));
        if let Some(seed) = self.seed {
            put(&mut page, format_args!(" · seed {seed}"));
        }
        page += "</p>\n";
        settings(&mut page, &self.settings);
        page += "</header>\n";
        for (n, side) in self.sides.iter().enumerate() {
            section(&mut page, side, total_ms, embed, n == 0 && self.sides.len() > 1);
        }
        let heads: Vec<_> = self.sides.iter().map(|side| format!("{} heard {}", side.name, side.peer)).collect();
        table(&mut page, &heads, &self.sides.iter().collect::<Vec<_>>());
        self.kept.section(&mut page);
        end(&mut page);
        page
    }

    /// Returns the common time axis: as long as the call, or as the longest thing on it.
    fn total_ms(&self) -> f64 {
        let sides = self.sides.iter().map(|side| {
            let said = side.sound_ms(&side.said);
            side.heard_ms().max(said)
        });
        let duration_ms = if self.duration_s.is_finite() { self.duration_s * 1e3 } else { 0.0 };
        sides.fold(duration_ms, f64::max).max(1.0)
    }
}

/// Writes the page up to and including its header.
pub(super) fn begin(page: &mut String, title: &str, kind: &str) {
    *page += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    *page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    put(page, format_args!("<title>{}</title>\n<style>\n", escape(title)));
    *page += include_str!("style.css");
    *page += &plot_colors();
    *page += "</style>\n</head>\n<body>\n<main>\n<header>\n";
    put(page, format_args!("<div class=\"eyebrow\">Media Core · {kind}</div>\n<h1>{}</h1>\n", escape(title)));
}

/// Writes the page from the footer to the end.
pub(super) fn end(page: &mut String) {
    close(page, "The same numbers, and every packet, are in report.json.");
}

/// The same with other words in the footer.
pub(super) fn close(page: &mut String, words: &str) {
    put(page, format_args!("<footer>Made by Media Core {}. {words}</footer>\n", env!("CARGO_PKG_VERSION")));
    *page += "</main>\n<script>\n";
    *page += include_str!("script.js");
    *page += "</script>\n</body>\n</html>\n";
}

/// Names and values in a row.
pub(super) fn settings(page: &mut String, settings: &[(String, String)]) {
    if settings.is_empty() {
        return;
    }
    *page += "<dl class=\"settings\">\n";
    for (name, value) in settings {
        put(page, format_args!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value)));
    }
    *page += "</dl>\n";
}

/// Returns whether the sound of all these fits into the page.
pub(super) fn embeds(sides: &[&SideReport]) -> bool {
    let wav_bytes: usize = sides.iter().map(|side| 44 + 2 * side.heard.len()).sum();
    wav_bytes.div_ceil(3) * 4 <= EMBED_LIMIT
}

/// The statistics, a column for each of `sides`.
pub(super) fn table(page: &mut String, heads: &[String], sides: &[&SideReport]) {
    *page += "<section>\n<h2>Statistics</h2>\n<table>\n<thead><tr><th></th>";
    for head in heads {
        put(page, format_args!("<th>{}</th>", escape(head)));
    }
    *page += "<th></th></tr></thead>\n";
    for group in figures::TABLE {
        let mut rows = String::new();
        for figure in group.figures {
            let values: Vec<_> = sides.iter().map(|side| (side, (figure.value)(side))).collect();
            // None of the values is known, so nothing is written.
            if values.iter().all(|(_, value)| value.is_none()) {
                continue;
            }
            put(&mut rows, format_args!("<tr><th>{}<small>{}</small></th>", figure.name, figure.unit));
            for (side, value) in values {
                let value = value.unwrap_or_else(|| "–".into());
                put(&mut rows, format_args!("<td data-side=\"{}\">{}</td>", escape(&side.name), value));
            }
            put(&mut rows, format_args!("<td>{}</td></tr>\n", figure.explanation));
        }
        if !rows.is_empty() {
            let columns = sides.len() + 2;
            put(
                page,
                format_args!("<tbody>\n<tr class=\"group\"><th colspan=\"{columns}\">{}</th></tr>\n", group.name),
            );
            *page += &rows;
            *page += "</tbody>\n";
        }
    }
    *page += "</table>\n</section>\n";
}

fn section(page: &mut String, side: &SideReport, total_ms: f64, embed: bool, play_both: bool) {
    put(page, format_args!("<section class=\"side\">\n<div class=\"head\"><h2>What {} heard</h2>", escape(&side.name)));
    put(page, format_args!("<p>spoken by {} · {}</p></div>\n", escape(&side.peer), escape(&side.codec)));
    cards(page, side);
    player(page, side, embed, if play_both { "<button id=\"both\" hidden></button>" } else { "" });
    picture(page, side, total_ms, &[]);
    *page += "Time runs from the first sample sent; what was heard is later by the playout delay.</p>\n";
    sound(page, side);
    *page += "</section>\n";
}

/// Writes the quality of this side's sound: its defects in sentences, and the levels.
fn sound(page: &mut String, side: &SideReport) {
    let Some(CallSoundFigures { microphone, sent, received }) = &side.sound else { return };
    put(page, format_args!("<h3>The sound on {}'s side</h3>\n", escape(&side.name)));
    if side.findings.is_empty() {
        *page += "<p class=\"good\">Nothing is wrong: no clipping, no howling, sound both ways.</p>\n";
    } else {
        *page += "<ul class=\"findings\">\n";
        for finding in &side.findings {
            put(page, format_args!("<li>{}.</li>\n", escape(&finding.words)));
        }
        *page += "</ul>\n";
    }
    *page += "<div class=\"scroll\"><table class=\"sound\">\n<thead><tr><th></th><th>RMS</th><th>Peak</th><th>Active speech</th><th>Active</th>\
              <th>Clipped</th><th>Silent</th><th>DC</th></tr></thead>\n<tbody>\n";
    let places = [("Microphone", microphone.as_ref()), ("Sent", Some(sent)), ("Received", Some(received))];
    for (name, figures) in places {
        let Some(figures) = figures else { continue };
        let level = |level: Option<f64>| level.map_or("silence".into(), |level| format!("{level:.1} dBov"));
        put(
            page,
            format_args!(
                "<tr><th>{name}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:+.2} %</td></tr>\n",
                level(figures.rms_dbov),
                level(figures.peak_dbov),
                figures.active_level_dbov.map_or("–".into(), |level| format!("{level:.1} dBov")),
                percent(figures.activity, 1.0),
                percent(figures.clipped.share, 1.0),
                percent(figures.silent.share, 1.0),
                figures.dc_share * 100.0,
            ),
        );
    }
    *page += "</tbody>\n</table></div>\n<p class=\"note\">The microphone before the capture chain, what was sent behind it, and what \
              was received before the volume. Active speech by ITU-T P.56; clipped and silent are shares of the time, in \
              blocks of 10 ms.</p>\n";
}

/// Writes the sound, with the files beside it.
pub(super) fn player(page: &mut String, side: &SideReport, embed: bool, beside: &str) {
    if side.heard.is_empty() || (!embed && side.wav_file.is_empty()) {
        return;
    }
    *page += "<div class=\"player\"><audio controls preload=\"metadata\" src=\"";
    if embed {
        *page += "data:audio/wav;base64,";
        STANDARD.encode_string(to_wav(&side.heard, side.sample_rate_hz, side.channels.max(1).into()), page);
    } else {
        *page += &url(&side.wav_file);
    }
    put(page, format_args!("\"></audio>{beside}</div>\n"));
}

/// The picture with pins at times in ms, its legend, and a note that the caller ends.
pub(super) fn picture(page: &mut String, side: &SideReport, total_ms: f64, pins: &[f64]) {
    let part = |x: i32| f64::from(x) / f64::from(plot::WIDTH);
    let (left, right) = (part(plot::LEFT), part(plot::RIGHT));
    put(
        page,
        format_args!(
            "<div class=\"scroll\"><div class=\"plot\" data-left=\"{left:.5}\" data-right=\"{right:.5}\" \
             data-total=\"{:.3}\">\n",
            total_ms / 1e3
        ),
    );
    *page += &plot::side(side, total_ms);
    for (n, at_ms) in pins.iter().enumerate() {
        let x = left + (right - left) * (at_ms / total_ms).clamp(0.0, 1.0);
        let seek = at_ms / 1e3;
        put(
            page,
            format_args!(
                "<span class=\"pin\" style=\"left:{:.3}%\" data-seek=\"{seek:.3}\">{}</span>",
                x * 100.0,
                n + 1
            ),
        );
    }
    // More digits than that can't be read.
    for digit in side.digits.iter().take(500) {
        let x = left + (right - left) * (digit.start_ms / total_ms).clamp(0.0, 1.0);
        let seek = digit.start_ms / 1e3;
        put(
            page,
            format_args!(
                "<span class=\"digit\" style=\"left:{:.3}%\" data-seek=\"{seek:.3}\" title=\"{} at {seek:.3} s\">{}</span>",
                x * 100.0,
                escape(&digit.digit),
                escape(&digit.digit)
            ),
        );
    }
    for tone in side.tones.iter().take(500) {
        let at = |ms: f64| (ms / total_ms).clamp(0.0, 1.0);
        let begin = at(tone.start_ms);
        let end = at(tone.duration_ms.map_or(total_ms, |duration_ms| tone.start_ms + duration_ms));
        put(
            page,
            format_args!(
                "<span class=\"tone\" style=\"left:{:.3}%;width:{:.3}%\" data-seek=\"{:.3}\" title=\"{tone}\">{}</span>",
                (left + (right - left) * begin) * 100.0,
                (right - left) * (end - begin) * 100.0,
                tone.start_ms / 1e3,
                tone.tone,
            ),
        );
    }
    *page += "<div class=\"playhead\"></div></div></div>\n";
    legend(page, side);
    let bin_ms = plot::bin_ms(side, total_ms);
    let bin = if bin_ms < 1e3 { format!("{bin_ms} ms") } else { format!("{} s", bin_ms / 1e3) };
    *page += "<p class=\"note\">";
    if !side.packets.is_empty() {
        put(page, format_args!("A bar under <em>missing</em> is the share of packets in {bin}. "));
    }
    if !plot::shows_packets(side, total_ms) {
        *page += "Bars behind a waveform are shares of the time. ";
    }
    if !side.digits.is_empty() {
        let words = digits_in_words(&side.digits);
        put(page, format_args!("Digits, framed in the picture where they begin: {}. ", escape(&words)));
    }
    if !side.tones.is_empty() {
        put(page, format_args!("Tones, as bars as long as they lasted: {}. ", tones_in_words(&side.tones)));
    }
    if side.delays_relative {
        *page += "The two ends share no clock: delays are those above the fastest packet. ";
    }
}

/// Writes the few numbers that summarise the call's quality.
fn cards(page: &mut String, side: &SideReport) {
    let s = &side.statistics;
    let sent = s.packets_sent as f64;
    let mut cards: Vec<(String, &str, String)> = vec![
        (percent(s.packets_lost as f64, sent), "", "packets lost".into()),
        (percent(s.packets_late as f64, sent), "", "packets too late".into()),
        (
            percent(s.concealed_ms, side.heard_ms()),
            "",
            format!("concealed, {} times", figures::count(s.concealment_events)),
        ),
    ];
    if s.recovered_ms > 0.0 {
        cards.push((percent(s.recovered_ms, side.heard_ms()), "", "recovered from other packets".into()));
    }
    if let Some(mos) = s.mos_cq.or(s.mos_lq) {
        let kind = if s.mos_cq.is_some() { "conversation" } else { "listening" };
        cards.push((format!("{mos:.1}"), "MOS", format!("{kind}, by the E-model")));
    }
    if let Some(delay) = s.playout_delay_ms {
        cards.push((ms(delay.mean), "ms", format!("playout delay ({}–{})", ms(delay.min), ms(delay.max))));
    }
    cards.push((ms(s.jitter_ms), "ms", "jitter".into()));
    if let Some(erle) = side.echo.and_then(|echo| echo.erle_db) {
        cards.push((
            format!("{erle:.1}"),
            "dB",
            format!("echo taken out of {}'s microphone (ERLE)", escape(&side.name)),
        ));
    }
    put_cards(page, &cards);
}

/// Writes numbers with their units and names.
pub(super) fn put_cards(page: &mut String, cards: &[(String, &str, String)]) {
    *page += "<div class=\"cards\">\n";
    for (value, unit, what) in cards {
        put(page, format_args!("<div class=\"card\"><b>{value} <small>{unit}</small></b><span>{what}</span></div>\n"));
    }
    *page += "</div>\n";
}

/// Writes the legend of the colours that occur.
fn legend(page: &mut String, side: &SideReport) {
    *page += "<ul class=\"legend\">\n";
    let mut entry = |mark: &str, color, words: &str| {
        let of = plot::css_name(color);
        put(page, format_args!("<li><i class=\"{mark}\" style=\"--of:var(--{of})\"></i>{words}</li>\n"));
    };
    for (fate, color, words) in plot::FATES {
        if side.packets.iter().any(|packet| packet.fate == fate) {
            entry("", color, words);
        }
    }
    for (cause, color, words) in plot::CAUSES {
        if side.play.iter().any(|row| row.cause == cause) {
            entry("", color, words);
        }
    }
    if side.packets.iter().any(|packet| packet.arrival_ms.is_some()) {
        let (color, words) = plot::NETWORK_DELAY;
        entry("dot", color, words);
    }
    if !side.delays.is_empty() {
        for (color, words) in plot::DELAY_LINES {
            entry("line", color, words);
        }
    }
    if !side.echo_per_second.is_empty() {
        for (color, words) in plot::ECHO_LINES {
            entry("line", color, words);
        }
        entry("", plot::DOUBLE_TALK.0, plot::DOUBLE_TALK.1);
    }
    *page += "</ul>\n";
}

/// Style that lets the page's light or dark palette rule the colours in the pictures.
fn plot_colors() -> String {
    let mut style = String::new();
    for (color, name) in plot::PALETTE {
        let value = format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2);
        for what in ["fill", "stroke"] {
            put(&mut style, format_args!(".plot [{what}=\"{value}\"] {{ {what}: var(--{name}); }}\n"));
        }
    }
    style
}

pub(super) fn put(page: &mut String, text: core::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = page.write_fmt(text);
}

/// Escapes `text` for HTML, between tags or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}

/// Returns a relative path as a URL (RFC 3986, 2): everything but unreserved characters and `/` by its bytes.
fn url(path: &str) -> String {
    // A colon in the first segment would read as a scheme; percent-encoded it can't.
    let mut url = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => url.push(char::from(byte)),
            byte => put(&mut url, format_args!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{DelayRow, EchoFigures, EchoRow, PacketOutcome, PacketRow, PlayCause, PlayRow};

    fn report(name: &str, seconds: usize) -> Report {
        let side = SideReport {
            name: name.into(),
            peer: name.into(),
            codec: name.into(),
            sample_rate_hz: 48_000,
            channels: 1,
            heard: vec![100; 48_000 * seconds],
            wav_file: "a heard:\"1\".wav".into(),
            packet_ms: 20.0,
            packets: vec![PacketRow { seq: 1, media_ms: 0.0, arrival_ms: None, fate: PacketOutcome::LostInNetwork }],
            delays: vec![DelayRow { at_ms: 0.0, target_ms: 40.0, playout_ms: f64::NAN }],
            echo: Some(EchoFigures { erle_db: Some(20.0), ..EchoFigures::default() }),
            ..SideReport::default()
        };
        Report {
            title: name.into(),
            settings: vec![(name.into(), name.into())],
            seed: Some(1),
            duration_s: seconds as f64,
            sides: vec![side.clone(), side],
            kept: super::super::KeptReport::default(),
        }
    }

    #[test]
    fn text_from_outside_is_escaped() {
        let page = report("<img src=x onerror=\"alert('&')\">", 1).to_html();
        assert!(!page.contains("<img"), "a tag got through");
        assert!(page.contains("&lt;img src=x onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;"));
    }

    #[test]
    fn long_sound_is_linked() {
        let short = report("a", 1).to_html();
        assert_eq!(short.matches("src=\"data:audio/wav;base64,UklGR").count(), 2);
        // 2 sides x 33 s x 96,000 bytes a second, by 4/3 for base64: 8.4 MB.
        let long = report("a", 33).to_html();
        assert!(!long.contains("data:audio"));
        assert_eq!(long.matches("src=\"a%20heard%3A%221%22.wav\"").count(), 2);
        assert!(long.len() < 100_000, "{}", long.len());
    }

    #[test]
    fn nothing_from_elsewhere() {
        let page = report("a", 1).to_html();
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http:") && !outside.contains("https:") && !outside.contains("url("));
    }

    #[test]
    fn an_empty_call_is_still_a_page() {
        let page = Report { sides: vec![SideReport::default()], ..Report::default() }.to_html();
        assert!(page.contains("</html>"));
    }

    #[test]
    fn numbers_that_are_none_do_no_harm() {
        let mut report = report("a", 1);
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            report.duration_s = odd.min(1e6);
            for side in &mut report.sides {
                side.packet_ms = odd;
                for fate in [PacketOutcome::LostInNetwork, PacketOutcome::Late, PacketOutcome::Played] {
                    side.packets.push(PacketRow { seq: 0, media_ms: odd, arrival_ms: Some(odd), fate });
                    side.packets.push(PacketRow { seq: 0, media_ms: 10.0, arrival_ms: Some(odd), fate });
                }
                side.play.push(PlayRow { at_ms: odd, duration_ms: odd, cause: PlayCause::Concealed });
                side.play.push(PlayRow { at_ms: 0.0, duration_ms: odd, cause: PlayCause::Concealed });
                side.delays.push(DelayRow { at_ms: odd, target_ms: odd, playout_ms: odd });
                side.delays.push(DelayRow { at_ms: 1.0, target_ms: odd, playout_ms: odd });
                let row = EchoRow { at_ms: odd, erle_db: Some(odd), echo_delay_ms: Some(odd), double_talk: odd };
                side.echo_per_second.push(row);
                side.echo_per_second.push(EchoRow { at_ms: 1.0, ..row });
            }
            assert!(report.to_html().contains("</html>"), "{odd}");
            assert!(serde_json::from_str::<serde_json::Value>(&report.to_json()).is_ok(), "{odd}");
        }
    }
}
