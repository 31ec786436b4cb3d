//! The sound that was kept beside a report: recordings, and forks to second destinations. The numbers are the same for people, in
//! HTML and in JSON.

use std::fmt;

use serde::Serialize;

use super::html::{escape, put};

/// A recording, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordingRow {
    /// The files, the oldest first.
    pub files: Vec<String>,
    /// Samples that were refused because the disk was too slow: silence in the file.
    pub refused_samples: u64,
    /// Samples that came after their place was written: silence in the file.
    pub late_samples: u64,
    /// The reason why it ended before its time; `None` if it didn't.
    pub ended_early: Option<String>,
}

/// A second destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ForkRow {
    /// The destination of its first stream.
    pub to: String,
    /// The streams: one for each party or caller, or one for a mix.
    pub streams: usize,
    /// Packets that were sent.
    pub packets: u64,
    /// Packets that the system refused.
    pub refused_packets: u64,
    /// Pieces of sound that were dropped because the thread was too slow.
    pub dropped_pieces: u64,
}

/// All that was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeptReport {
    /// Recordings: those that were asked for, and a conference's mix.
    pub recordings: Vec<RecordingRow>,
    /// Forks.
    pub forks: Vec<ForkRow>,
}

impl KeptReport {
    /// Returns whether nothing was kept.
    pub fn is_empty(&self) -> bool {
        self.recordings.is_empty() && self.forks.is_empty()
    }

    /// A section of a page; nothing if nothing was kept.
    pub(super) fn section(&self, page: &mut String) {
        if self.is_empty() {
            return;
        }
        *page += "<section>\n<h2>What was kept</h2>\n<ul>\n";
        for line in self.lines() {
            put(page, format_args!("<li>{}</li>\n", escape(&line)));
        }
        *page += "</ul>\n</section>\n";
    }

    fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let recordings = self.recordings.iter().map(|recording| {
            let mut line = format!("recorded: {}", recording.files.join(", "));
            if recording.refused_samples > 0 {
                line += &format!("; the disk was too slow for {} samples", recording.refused_samples);
            }
            if recording.late_samples > 0 {
                line += &format!("; {} samples came too late", recording.late_samples);
            }
            if let Some(why) = &recording.ended_early {
                line += &format!("; ended early: {why}");
            }
            line
        });
        let forks = self.forks.iter().map(|fork| {
            let streams = if fork.streams == 1 { "stream" } else { "streams" };
            let mut line = format!(
                "forked to {}: {} {streams}, {} packets, {} pieces dropped",
                fork.to, fork.streams, fork.packets, fork.dropped_pieces
            );
            if fork.refused_packets > 0 {
                line += &format!(", {} packets refused", fork.refused_packets);
            }
            line
        });
        recordings.chain(forks)
    }
}

/// Writes a line each for the terminal.
impl fmt::Display for KeptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_and_words_tell_the_same() {
        let kept = KeptReport {
            recordings: vec![RecordingRow {
                files: vec!["a<1>.wav".into(), "a-002.wav".into()],
                refused_samples: 3,
                ended_early: Some("no space left".into()),
                ..RecordingRow::default()
            }],
            forks: vec![ForkRow {
                to: "127.0.0.1:4000".into(),
                streams: 2,
                packets: 7,
                refused_packets: 1,
                dropped_pieces: 5,
            }],
        };
        let text = kept.to_string();
        assert_eq!(
            text,
            "recorded: a<1>.wav, a-002.wav; the disk was too slow for 3 samples; ended early: no space left\n\
             forked to 127.0.0.1:4000: 2 streams, 7 packets, 5 pieces dropped, 1 packets refused\n"
        );
        let mut page = String::new();
        kept.section(&mut page);
        assert!(text.lines().all(|line| page.contains(&escape(line))), "{page}");
        let mut none = String::new();
        KeptReport::default().section(&mut none);
        assert!(none.is_empty());
    }
}
