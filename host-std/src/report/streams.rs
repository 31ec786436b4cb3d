//! `report.html` of a replay: a section for each stream of the capture, with its verdict, its worst moments by the clock
//! of the capture, its sound and its picture.

use super::figures::{count, ms, percent};
use super::html::{begin, embeds, end, escape, picture, player, put, put_cards, settings, table};
use crate::replay::{CaptureReport, CaptureStream, MOST_SKIPPED};

/// Returns the page.
pub(crate) fn page(report: &CaptureReport) -> String {
    let sides: Vec<_> = report.streams.iter().map(|stream| &stream.side).collect();
    let embed = embeds(&sides);
    let mut page = String::new();
    begin(&mut page, &report.capture.file, "replay");
    put(&mut page, format_args!("<p class=\"lead\">{}</p>\n", escape(&report.capture.summary())));
    settings(&mut page, &report.capture.settings);
    if !report.capture.remarks.is_empty() || !report.skipped.is_empty() {
        page += "<ul class=\"warnings\">\n";
        let skipped = report.skipped.iter().take(MOST_SKIPPED).map(|skipped| format!("Not played: {skipped}."));
        let more = report.skipped.len().saturating_sub(MOST_SKIPPED);
        let more = (more > 0).then(|| format!("Not played: {more} more streams; report.json lists them."));
        for remark in report.capture.remarks.iter().cloned().chain(skipped).chain(more) {
            put(&mut page, format_args!("<li>{}</li>\n", escape(&remark)));
        }
        page += "</ul>\n";
    }
    page += "</header>\n";
    for stream in &report.streams {
        section(&mut page, stream, embed);
    }
    let heads: Vec<_> = report.streams.iter().map(|stream| stream.numbers.name.clone()).collect();
    // A table wider than a page can't be read.
    for (heads, sides) in heads.chunks(4).zip(sides.chunks(4)) {
        table(&mut page, heads, sides);
    }
    end(&mut page);
    page
}

fn section(page: &mut String, stream: &CaptureStream, embed: bool) {
    let side = &stream.side;
    put(page, format_args!("<section class=\"side\">\n<div class=\"head\"><h2>{}</h2>", escape(&stream.numbers.name)));
    // An rtpdump may not know the addresses.
    let way = match (stream.from.as_str(), stream.to.as_str()) {
        ("unknown", "unknown") => String::new(),
        (from, to) => format!("{} → {} · ", escape(from), escape(to)),
    };
    let protection = match (stream.protection, stream.refused) {
        ("none", _) => String::new(),
        (protection, 0) => format!(" · {protection}"),
        (protection, refused) => format!(" · {protection}, {} packets refused", count(refused)),
    };
    put(page, format_args!("<p>{way}SSRC {} · {}{protection}</p></div>\n", stream.ssrc, escape(&side.codec)));
    let color = match stream.numbers.concealed_ratio {
        share if share < 0.01 => "recovered",
        share if share < 0.03 => "late",
        _ => "lost",
    };
    let (word, rest) = stream.verdict.split_once(':').unwrap_or((&stream.verdict, ""));
    let colon = if rest.is_empty() { "" } else { ":" };
    put(
        page,
        format_args!(
            "<p class=\"verdict\"><i style=\"--of:var(--{color})\"></i><b>{}</b>{colon}{}</p>\n",
            escape(word),
            escape(rest)
        ),
    );
    let numbers = &stream.numbers;
    let expected = side.statistics.packets_sent as f64;
    put_cards(
        page,
        &[
            (percent(numbers.lost as f64, expected), "", format!("packets lost, {}", count(numbers.lost))),
            (percent(numbers.late as f64, expected), "", format!("packets too late, {}", count(numbers.late))),
            (
                percent(numbers.concealed_ratio, 1.0),
                "",
                format!("made up, {} times", count(u64::from(numbers.concealment_events))),
            ),
            (percent(numbers.stretched_ratio, 1.0), "", "stretched in time".into()),
            (
                ms(numbers.mean_buffer_delay_ms),
                "ms",
                format!("in the buffer, 95 % under {}", ms(numbers.p95_buffer_delay_ms)),
            ),
            (
                ms(numbers.mean_playout_delay_ms),
                "ms",
                format!("over the fastest packet, at most {}", ms(stream.max_playout_delay_ms)),
            ),
        ],
    );
    player(page, side, embed, "");
    let pins: Vec<f64> = stream.worst.iter().map(|moment| moment.at_ms).collect();
    picture(page, side, side.heard_ms().max(1.0), &pins);
    *page += if side.begins_us.is_some() {
        "Time is that of the capture.</p>\n"
    } else {
        "Time runs from the first packet.</p>\n"
    };
    if !stream.worst.is_empty() {
        *page += "<h3>Worst moments: click to hear</h3>\n<ol class=\"worst\">\n";
        for moment in &stream.worst {
            put(
                page,
                format_args!(
                    "<li><button data-seek=\"{:.3}\">{}</button><span>{}</span></li>\n",
                    moment.at_ms / 1e3,
                    moment.when(),
                    escape(&moment.words)
                ),
            );
        }
        *page += "</ol>\n";
    }
    *page += "</section>\n";
}
