//! Remarks on a capture as a whole: its contents other than sound, and warnings for a reader.

use super::find::Kinds;
use crate::replay::capture::CaptureCounts;
use crate::replay::link;
use crate::replay::streams::MOST_SOURCES;

/// Describes the contents of a capture without RTP.
pub(super) fn instead(kinds: &Kinds, counts: &CaptureCounts) -> String {
    if counts.packets == 0 {
        return counts.broken.map_or("it is empty".into(), |(at, problem)| format!("at byte {at}, {problem}"));
    }
    let mut parts = vec![format!("{} packets", counts.packets)];
    let mut add = |count: u64, what: &str| {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    };
    add(counts.not_udp, "not UDP");
    add(kinds.refused, "refused by SRTP with these keys");
    add(kinds.rtp, "that look like RTP, but follow no sequence");
    add(kinds.rtcp, "RTCP");
    add(kinds.forgotten, "of too many sources");
    add(kinds.other, "other UDP");
    let link = counts.link_type.map_or(String::new(), |link| format!(" {link}{}", link::name(link)));
    add(counts.unknown_link, &format!("of a link type that is not read here,{link}"));
    add(counts.fragments, "fragments that don't make whole packets");
    add(counts.joined, "more fragments that were put together");
    add(counts.cut, "captured only in part");
    add(counts.malformed, "malformed");
    parts.join(", ")
}

/// Returns the warnings that a reader needs before trusting the numbers.
pub(super) fn remarks(kinds: &Kinds, counts: &CaptureCounts) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut add = |count: u64, text: String| {
        if count > 0 {
            remarks.push(text);
        }
    };
    if let Some((at, problem)) = counts.broken {
        add(1, format!("the file breaks off at byte {at}: {problem}; what is before it is played"));
    }
    add(counts.cut, format!("{} packets were captured only in part and count as lost (snap length)", counts.cut));
    add(counts.fragments, format!("{} IP fragments don't make whole packets, which count as lost", counts.fragments));
    add(counts.malformed, format!("{} malformed packets are skipped", counts.malformed));
    let link = counts.link_type.unwrap_or_default();
    let name = link::name(link);
    add(
        counts.unknown_link,
        format!("{} packets of link type {link}{name} are skipped: not read here", counts.unknown_link),
    );
    add(
        counts.untimed,
        format!(
            "{} packets have no time (pcapng simple packets): they are taken to come when they were due",
            counts.untimed
        ),
    );
    add(kinds.refused, format!("{} packets were refused by SRTP: another key, a replay, or damaged", kinds.refused));
    add(
        kinds.out_of_order,
        format!("{} packets are out of the order of time: they are played as they stand", kinds.out_of_order),
    );
    match kinds.left_out {
        0 => add(kinds.forgotten, format!("{} packets of what hardly was RTP are left out", kinds.forgotten)),
        left_out => add(
            kinds.forgotten,
            format!(
                "at least {left_out} more sources, with {} packets, are left out: no more than {MOST_SOURCES} are looked at",
                kinds.forgotten
            ),
        ),
    }
    remarks
}
