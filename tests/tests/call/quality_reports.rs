//! Quality reports for SIP (RFC 6035): read back by a parser of the grammar, and beside the RFC's own examples.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dsp_core::time::Instant;
use host_std::monitoring::vq_rtcpxr::{VqAlarm, VqMetric, VqReporter, VqSession, VqSeverity, VqSnapshot};
use host_std::registry::CodecFormat;
use host_std::session::{Call, CallConfig, Identity};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use media_core_tests::road::babble;
use media_core_tests::shared;

/// A report that was read: its first line, and for each group (`""` before the first) the lines by their names.
#[derive(Debug, PartialEq)]
struct Report {
    kind: String,
    alert: BTreeMap<String, String>,
    groups: BTreeMap<String, BTreeMap<String, String>>,
}

impl Report {
    /// Lines may be folded (RFC 3261, 7.3.1); the RFC's examples are.
    fn read(text: &str) -> Self {
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match lines.last_mut() {
                Some(last) if line.starts_with([' ', '\t']) => *last += &format!(" {}", line.trim()),
                _ => lines.push(line.trim_end().into()),
            }
        }
        let mut lines = lines.iter().map(|line| line.split_once(':').unwrap_or((line, "")));
        let (kind, rest) = lines.next().expect("a first line");
        let alert = elements(rest);
        let mut report = Self {
            kind: format!("{kind}:{}", if alert.is_empty() { rest.trim() } else { "" }),
            alert,
            groups: BTreeMap::new(),
        };
        let mut group = String::new();
        for (name, value) in lines {
            match name {
                // The last example's word for it.
                "LocalMetrics" | "RemoteMetrics" | "Metrics" => {
                    group = if name == "Metrics" { "LocalMetrics".into() } else { name.into() };
                }
                // Behind all of them.
                "DialogID" => {
                    report.groups.entry(String::new()).or_default().insert(name.into(), value.trim().into());
                }
                _ => {
                    let of_group = report.groups.entry(group.clone()).or_default();
                    assert!(of_group.insert(name.into(), value.trim().into()).is_none(), "{name} twice: {text}");
                }
            }
        }
        report
    }

    #[track_caller]
    fn line(&self, group: &str, name: &str) -> &str {
        self.groups
            .get(group)
            .and_then(|group| group.get(name))
            .unwrap_or_else(|| panic!("no {group}/{name}: {self:?}"))
    }

    #[track_caller]
    fn number(&self, group: &str, line: &str, element: &str) -> f64 {
        let of_line = elements(self.line(group, line));
        let text = of_line.get(element).unwrap_or_else(|| panic!("no {element}: {self:?}"));
        text.parse().unwrap_or_else(|error| panic!("{element}={text}: {error}"))
    }
}

/// `A=1 B="two words"`.
fn elements(text: &str) -> BTreeMap<String, String> {
    let (mut found, mut rest) = (BTreeMap::new(), text.trim());
    while let Some((name, behind)) = rest.split_once('=') {
        let name = name.rsplit(' ').next().unwrap_or(name);
        let end = match behind.strip_prefix('"') {
            Some(quoted) => quoted.find('"').map_or(behind.len(), |end| end + 2),
            None => behind.find(' ').unwrap_or(behind.len()),
        };
        found.insert(name.to_owned(), behind[..end].trim_matches('"').to_owned());
        rest = &behind[end..];
    }
    found
}

/// The order of lines and of what is in them (4.6.1), and the form of each value: `d` digits, `p` a percentage, `m` a MOS,
/// `l` a level, `w` a word, `q` in quotes.
const GRAMMAR: [(&str, &[(&str, char)]); 8] = [
    ("Timestamps", &[("START", 't'), ("STOP", 't')]),
    (
        "SessionDesc",
        &[
            ("PT", 'd'),
            ("PD", 'w'),
            ("SR", 'd'),
            ("PPS", 'd'),
            ("FD", 'd'),
            ("FO", 'd'),
            ("FPP", 'd'),
            ("FMTP", 'q'),
            ("PLC", 'd'),
            ("SSUP", 'w'),
        ],
    ),
    ("JitterBuffer", &[("JBA", 'd'), ("JBR", 'd'), ("JBN", 'd'), ("JBM", 'd'), ("JBX", 'd')]),
    ("PacketLoss", &[("NLR", 'p'), ("JDR", 'p')]),
    ("BurstGapLoss", &[("BLD", 'p'), ("BD", 'd'), ("GLD", 'p'), ("GD", 'd'), ("GMIN", 'd')]),
    ("Delay", &[("RTD", 'd'), ("ESD", 'd'), ("OWD", 'd'), ("SOWD", 'd'), ("IAJ", 'd'), ("MAJ", 'd')]),
    ("Signal", &[("SL", 'l'), ("NL", 'l'), ("RERL", 'd')]),
    (
        "QualityEst",
        &[
            ("RLQ", 'd'),
            ("RLQEstAlg", 'w'),
            ("RCQ", 'd'),
            ("RCQEstAlg", 'w'),
            ("EXTRI", 'd'),
            ("ExtRIEstAlg", 'w'),
            ("EXTRO", 'd'),
            ("ExtROEstAlg", 'w'),
            ("MOSLQ", 'm'),
            ("MOSLQEstAlg", 'w'),
            ("MOSCQ", 'm'),
            ("MOSCQEstAlg", 'w'),
            ("QoEEstAlg", 'w'),
        ],
    ),
];

fn fits(value: &str, form: char) -> bool {
    let digits =
        |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let decimal = |most, behind| {
        let (whole, part) = value.split_once('.').map_or((value, None), |(whole, part)| (whole, Some(part)));
        digits(whole, most) && part.is_none_or(|part| digits(part, behind))
    };
    match form {
        'd' => digits(value, 7),
        'p' => decimal(3, 2),
        'm' => decimal(1, 3),
        'l' => digits(value.strip_prefix('-').unwrap_or(value), 2),
        'q' => value.len() > 2 && value.starts_with('"') && value.ends_with('"'),
        't' => value.len() == 24 && value.ends_with('Z') && value.as_bytes()[10] == b'T',
        _ => !value.is_empty() && !value.contains([' ', '=', '"']),
    }
}

/// Every line of ours is one of the grammar, in its order and with its form.
#[track_caller]
fn check_grammar(text: &str) {
    assert!(text.is_ascii() && text.ends_with("\r\n") && !text.contains("\r\n\r\n"), "{text:?}");
    let lines: Vec<_> = text.split_terminator("\r\n").collect();
    let heads = [
        "CallID: ",
        "LocalID: ",
        "RemoteID: ",
        "OrigID: ",
        "LocalAddr: IP=",
        "RemoteAddr: IP=",
        "LocalGroup: ",
        "RemoteGroup: ",
    ];
    for (line, head) in lines[1..].iter().zip(heads) {
        assert!(line.starts_with(head), "{line}, not {head}");
    }
    let mut at = 0;
    for line in lines[9..].iter().filter(|line| !line.starts_with("LocalMAC") && !line.starts_with("DialogID:")) {
        if line.ends_with("Metrics:") {
            at = 0;
            continue;
        }
        let (name, rest) = line.split_once(':').unwrap();
        let place = GRAMMAR[at..].iter().position(|(own, _)| *own == name);
        at += place.unwrap_or_else(|| panic!("{name} is not where the grammar has it: {text}")) + 1;
        let (mut known, mut rest) = (GRAMMAR[at - 1].1, rest);
        while !rest.is_empty() {
            let (element, behind) = rest.split_once('=').unwrap();
            let end = match behind.strip_prefix('"') {
                Some(quoted) => quoted.find('"').unwrap() + 2,
                None => behind.find(' ').unwrap_or(behind.len()),
            };
            let place = known.iter().position(|(own, _)| *own == element);
            let place = place.unwrap_or_else(|| panic!("{element} is not where the grammar has it: {line}"));
            assert!(fits(&behind[..end], known[place].1), "{element}={}: {line}", &behind[..end]);
            known = &known[place + 1..];
            // All but the last that there is have a space behind them.
            rest = if known.is_empty() {
                &behind[end..]
            } else {
                behind[end..].strip_prefix(' ').unwrap_or_else(|| panic!("{line:?}"))
            };
        }
    }
}

/// 60 s of two calls over a network that gets bad after half of it.
struct Simulated {
    simulation: VirtualTime,
    begin: SystemTime,
}

impl Simulated {
    fn new(codec: CodecFormat, network: NetworkConfig) -> Self {
        let calls = [4_000, 5_000].map(|port| {
            let base = CallConfig::with_identity(port, Identity::seeded(u64::from(port)));
            Call::new(CallConfig { codecs: vec![codec.clone()], metering: true, ..base }).unwrap()
        });
        let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut simulation = VirtualTime::connect(calls, addresses, network, 0.0, 1).unwrap();
        for side in 0..2 {
            let rate_hz = simulation.ends[side].sample_rate_hz();
            simulation.ends[side].speech = babble(rate_hz, 10, side as u32);
        }
        Self { simulation, begin: UNIX_EPOCH + Duration::from_secs(1_800_000_000) }
    }

    /// Until so many seconds have passed; the first side as it is then.
    fn until(&mut self, seconds: u64) -> VqSnapshot {
        self.simulation.run_until(Instant::from_millis(seconds * 1_000));
        VqSnapshot::of(&self.simulation.ends[0].call, self.begin + Duration::from_secs(seconds))
            .expect("it is agreed on")
    }
}

fn session() -> VqSession {
    VqSession::new("6dg37f1890463@pc.example.org", "Alice <sip:alice@example.org>", "sip:bill@example.net").unwrap()
}

#[test]
fn reports_of_a_call_are_its_numbers_in_the_rfcs_words() {
    let network =
        NetworkConfig { loss_percent: 5.0, burst: 2.0, delay_ms: 40.0, jitter_ms: 5.0, ..NetworkConfig::default() };
    let mut calls = Simulated::new(CodecFormat::pcmu(), network);
    let session = session().with_groups("phones", "gateways").unwrap().with_mac([0, 0x1f, 0x5b, 0xcc, 0x21, 0x0f]);
    let mut reporter = VqReporter::new(session.with_tags("8472761", "9123dh311").unwrap(), calls.until(0));
    let middle = calls.until(30);
    let first = reporter.interval(middle.clone());
    let end = calls.until(60);
    let second = reporter.interval(end.clone());
    let whole = reporter.session(&end);
    for text in [&first, &second, &whole] {
        println!("{text}");
        check_grammar(text);
    }
    let (first, second, whole) = (Report::read(&first), Report::read(&second), Report::read(&whole));
    assert_eq!((first.kind.as_str(), whole.kind.as_str()), ("VQIntervalReport:", "VQSessionReport:CallTerm"));
    for report in [&first, &second, &whole] {
        assert_eq!(report.line("", "CallID"), "6dg37f1890463@pc.example.org");
        assert_eq!(report.line("", "OrigID"), "Alice <sip:alice@example.org>");
        assert_eq!(report.line("", "LocalMAC"), "00:1f:5b:cc:21:0f");
        assert_eq!(report.line("", "LocalGroup"), "phones");
        assert_eq!(report.line("", "DialogID"), "6dg37f1890463@pc.example.org;to-tag=8472761;from-tag=9123dh311");
        let local = elements(report.line("", "LocalAddr"));
        assert_eq!((local["IP"].as_str(), local["PORT"].as_str()), ("127.0.0.1", "4000"));
        assert_eq!(elements(report.line("", "RemoteAddr"))["PORT"], "5000");
        let heard = calls.simulation.ends[1].call.sent_source(0).unwrap();
        assert_eq!(elements(report.line("", "RemoteAddr"))["SSRC"], format!("0x{:08x}", heard.0));
        let media = elements(report.line("LocalMetrics", "SessionDesc"));
        let expected = [
            ("PT", "0"),
            ("PD", "PCMU"),
            ("SR", "8000"),
            ("PPS", "50"),
            ("FD", "20"),
            ("FPP", "1"),
            ("PLC", "2"),
            ("SSUP", "off"),
        ];
        assert_eq!(media, BTreeMap::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned()))));
        assert_eq!(report.number("LocalMetrics", "JitterBuffer", "JBA"), 3.0);
        assert_eq!(report.number("LocalMetrics", "BurstGapLoss", "GMIN"), 16.0);
        let trip = report.number("LocalMetrics", "Delay", "RTD");
        assert!((75.0..=140.0).contains(&trip), "{trip}");
        let way = report.number("LocalMetrics", "Delay", "SOWD");
        assert!(way > trip / 2.0 + 20.0, "{way} {trip}");
        // Speech at its own level: 0 dBov is 6.15 dBm0.
        let level = report.number("LocalMetrics", "Signal", "SL");
        let active = end.stats.sound.unwrap().received.level.active.unwrap();
        assert!((level - (f64::from(active.hundredths_dbov()) / 100.0 + 6.15)).abs() < 1.5, "{level} {active:?}");
    }
    let times = |report: &Report, group: &str| elements(report.line(group, "Timestamps"));
    assert_eq!(times(&second, "LocalMetrics")["START"], "2027-01-15T08:00:30.000Z");
    assert_eq!(times(&second, "LocalMetrics")["STOP"], "2027-01-15T08:01:00.000Z");
    // What the other side told is of all the call, whatever the interval.
    assert_eq!(times(&second, "RemoteMetrics")["START"], "2027-01-15T08:00:00.000Z");
    let lost = |report: &Report| report.number("LocalMetrics", "PacketLoss", "NLR");
    let of = |lost: u64, expected: u64| 100.0 * lost as f64 / expected as f64;
    let (a, b) = (&middle.stats.bursts, &end.stats.bursts);
    assert!((lost(&whole) - of(b.lost, b.expected)).abs() < 0.01, "{whole:?} {b:?}");
    assert!((lost(&first) - of(a.lost, a.expected)).abs() < 0.01, "{first:?} {a:?}");
    assert!((lost(&second) - of(b.lost - a.lost, b.expected - a.expected)).abs() < 0.01, "{second:?}");
    let mos = whole.number("LocalMetrics", "QualityEst", "MOSLQ");
    assert!((mos - end.stats.mos_lq.unwrap()).abs() < 0.006, "{mos}");
    let r = whole.number("LocalMetrics", "QualityEst", "RCQ");
    assert!((r - end.stats.r_factor.unwrap()).abs() <= 1.0, "{r} {:?}", end.stats.r_factor);
    let voip = end.stats.remote_voip.unwrap();
    let theirs = whole.number("RemoteMetrics", "PacketLoss", "NLR");
    assert!((theirs - f64::from(voip.loss_rate) * 100.0 / 256.0).abs() < 0.01);
    assert_eq!(whole.number("RemoteMetrics", "QualityEst", "MOSLQ"), f64::from(voip.mos_lq_tenths.unwrap()) / 10.0);
}

/// A call that nothing is heard of has no metrics of what is heard, and none is made up.
#[test]
fn what_is_not_known_is_left_out() {
    let mut calls =
        Simulated::new(CodecFormat::opus(), NetworkConfig { loss_percent: 100.0, ..NetworkConfig::default() });
    let reporter = VqReporter::new(session().begun_by_remote(), calls.until(0));
    let text = reporter.session(&calls.until(10));
    check_grammar(&text);
    for missing in ["PacketLoss", "BurstGapLoss", "Delay", "Signal", "QualityEst", "RemoteMetrics", "DialogID"] {
        assert!(!text.contains(missing), "{missing}: {text}");
    }
    assert!(
        text.contains("OrigID: sip:bill@example.net\r\n")
            && text.contains("PD=opus SR=48000 PPS=50 FD=20 FPP=1 FMTP=\"useinbandfec=1\" "),
        "{text}"
    );
}

#[test]
fn an_alarm_goes_off_once_and_is_over_once() {
    let network = NetworkConfig { loss_percent: 8.0, burst: 2.0, ..NetworkConfig::default() };
    let mut calls = Simulated::new(CodecFormat::pcmu(), network);
    let mut reporter = VqReporter::new(session(), calls.until(0));
    let mut alarm = VqAlarm::new(VqMetric::NetworkLoss, 2.0, 5.0);
    let now = calls.until(20);
    let severity = alarm.look(reporter.last(), &now.stats).expect("8 % are lost");
    assert_eq!(severity, VqSeverity::Critical);
    let text = reporter.alert(alarm.metric(), severity, &now);
    check_grammar(&text);
    assert!(text.starts_with("VQAlertReport: Type=NLR Severity=Critical Dir=local\r\n"), "{text}");
    assert!(Report::read(&text).number("LocalMetrics", "PacketLoss", "NLR") > 5.0);
    assert_eq!(alarm.look(reporter.last(), &now.stats), None, "told again");
    // Without anything heard nobody knows: that is no change.
    reporter.interval(now.clone());
    assert_eq!(alarm.look(reporter.last(), &now.stats), None);
    // As if there had been no loss since.
    let mut later = now.stats;
    later.bursts.expected += 1_000;
    assert_eq!(alarm.look(&now.stats, &later), Some(VqSeverity::Clear));
    assert_eq!(alarm.look(&now.stats, &later), None);
    // Less of a quality is worse; and near a limit nothing goes back and forth.
    let mut mos = VqAlarm::new(VqMetric::MosLq, 4.0, 3.0);
    assert!(mos.look(&Default::default(), &now.stats) >= Some(VqSeverity::Warning));
}

/// What would end a line or mean something else is refused where it is given.
#[test]
fn texts_of_others_stay_within_their_line() {
    for call_id in ["", "a b", "a\r\nLocalID: x", "a@b@c", "ä", "a;b"] {
        assert!(VqSession::new(call_id, "sip:a@b", "sip:c@d").is_err(), "{call_id:?}");
    }
    for party in ["", "alice", "Alice <sip:a@b", "sip:a@b\r\nx", "Alice sip:a@b", "<>", "Älice <sip:a@b>", "sip:"] {
        let error = VqSession::new("1", party, "sip:c@d").expect_err(party);
        assert!(error.to_string().contains("LocalID"), "{error}");
        assert!(VqSession::new("1", "sip:c@d", party).is_err(), "{party:?}");
    }
    assert!(VqSession::new("1", "\"Alice, A.\" <sip:a@b;transport=tcp>", "tel:+123").is_ok());
    assert!(session().with_groups("a", "b\nc").is_err() && session().with_groups("", "b").is_err());
    assert!(session().with_tags("a b", "c").is_err() && session().with_tags("a", "c;d").is_err());
}

/// The four examples of 4.7 are read by the same parser; and what they say by our names is what ours say.
#[test]
fn the_rfcs_own_examples_are_read() {
    let Some(path) = shared("standards/rfc6035.txt") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let mut examples: Vec<String> = Vec::new();
    let mut within = false;
    for line in text.lines() {
        let own = line.strip_prefix("       ").filter(|own| !own.trim().is_empty());
        match own {
            Some(own) if own.starts_with("VQ") && own.contains("Report: ") => {
                within = true;
                examples.push(format!("{own}\n"));
            }
            Some(own) if within => *examples.last_mut().unwrap() += &format!("{own}\n"),
            // A new page: its head and foot begin the line.
            None if within
                && (line.trim().is_empty() || line.starts_with("Pendleton") || line.starts_with("RFC 6035")) => {}
            _ => within = false,
        }
    }
    assert_eq!(examples.len(), 4, "{examples:?}");
    let reports: Vec<_> = examples.iter().map(|example| Report::read(example)).collect();
    let kinds: Vec<_> = reports.iter().map(|report| report.kind.as_str()).collect();
    assert_eq!(kinds, ["VQSessionReport:CallTerm", "VQAlertReport:", "VQSessionReport:CallTerm", "VQAlertReport:"]);
    assert_eq!((reports[1].alert["Type"].as_str(), reports[3].alert["Severity"].as_str()), ("NLR", "Warning"));
    assert_eq!(reports[1].number("LocalMetrics", "PacketLoss", "NLR"), 10.0);
    for report in &reports {
        assert_eq!(report.line("", "CallID"), "6dg37f1890463");
        assert!(report.line("", "DialogID").starts_with("1890463548@alice.example.org;to-tag=8472761;"));
        for group in ["LocalMetrics", "RemoteMetrics"] {
            assert_eq!(report.number(group, "JitterBuffer", "JBX"), 120.0);
            assert_eq!(report.number(group, "Delay", "RTD"), 200.0);
            assert!(report.number(group, "Signal", "SL") < 0.0);
            // Each of their lines and elements is one of the grammar above but for the last example's EXTR.
            for (name, value) in &report.groups[group] {
                let (_, known) = GRAMMAR.iter().find(|(own, _)| own == name).unwrap_or_else(|| panic!("{name}"));
                for element in elements(value).keys().filter(|element| *element != "EXTR") {
                    assert!(known.iter().any(|(own, _)| own == element), "{name}: {element}");
                }
            }
        }
    }
    assert_eq!(elements(reports[2].line("LocalMetrics", "SessionDesc"))["FMTP"], "annexb=no");
}
