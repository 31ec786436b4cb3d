//! The reports on running calls beside the terminal: metrics, a dashboard, lines of numbers, quality reports.

use std::error::Error;
use std::future::Future;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use clap::Args as ClapArgs;
use host_std::monitoring::vq_rtcpxr::{VqReporter, VqSession, VqSnapshot};
use host_std::monitoring::{
    CallMetrics, Interval, Moment, Monitor, Watched, describe_metrics, each_interval, status_json,
};
use host_std::output::OutputFile;
use host_std::session::driver::{Command, Status};
use host_std::session::{Call, CallStats};
use host_std::web::{Dashboard, DashboardAccess, ServeConfig, serve};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle as Task;

use super::web::{escaped, reachable};
use super::{number_in, tell};

/// The content type that a Prometheus client expects.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The interval at which histograms are tidied up, whether they are read or not.
const UPKEEP: Duration = Duration::from_secs(5);
/// Texts that wait for a file; more of them are lost, and counted.
const WAITING: usize = 64;
/// The placeholder for a party that isn't disclosed (RFC 3323).
const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// Where metrics are.
#[derive(ClapArgs)]
pub(super) struct MetricsArgs {
    /// Metrics of all calls together for Prometheus, at http://ADDRESS:PORT/metrics. They name nobody; whoever reaches the
    /// address may read them
    #[arg(help_heading = "Monitoring", long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
}

impl MetricsArgs {
    /// Serves them from now on, on the runtime that this is called in, if they are wanted.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn serve(&self) -> Result<bool, Box<dyn Error>> {
        let Some(address) = self.metrics else { return Ok(false) };
        let handle = install_metrics()?;
        let for_router = handle.clone();
        let text = async move || ([(CONTENT_TYPE, PROMETHEUS)], for_router.render());
        let router = Router::new().route("/metrics", get(text));
        let here = listen("--metrics", address, router)?;
        tell(&format!("metrics: http://{}/metrics\n", SocketAddr::new(reachable(here.ip()), here.port())));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                handle.run_upkeep();
            }
        });
        Ok(true)
    }
}

/// The same where there is no runtime: one of its own, until it is dropped.
///
/// # Errors
/// Why not.
pub(super) fn serve_beside(args: &MetricsArgs) -> Result<Option<Runtime>, Box<dyn Error>> {
    if args.metrics.is_none() {
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let inside = runtime.enter();
    args.serve()?;
    drop(inside);
    Ok(Some(runtime))
}

fn install_metrics() -> Result<PrometheusHandle, Box<dyn Error>> {
    let buckets: [(&str, &[f64]); 6] = [
        ("media_core_playout_delay_seconds", &[0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.4, 0.8, 1.6]),
        ("media_core_round_trip_seconds", &[0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0]),
        ("media_core_jitter_seconds", &[0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5]),
        // Limits of user satisfaction (ITU-T G.107, table B.1).
        ("media_core_mos_listening", &[1.5, 2.0, 2.58, 3.1, 3.6, 4.03, 4.34, 4.5]),
        ("media_core_mos_conversational", &[1.5, 2.0, 2.58, 3.1, 3.6, 4.03, 4.34, 4.5]),
        ("media_core_lost_ratio", &[0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]),
    ];
    let mut builder = PrometheusBuilder::new();
    for (name, limits) in buckets {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.into()), limits)?;
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
    describe_metrics();
    Ok(handle)
}

/// Serves `router` on the runtime that this is called in; where.
fn listen(option: &str, address: SocketAddr, router: Router) -> Result<SocketAddr, Box<dyn Error>> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok((listener.local_addr()?, tokio::net::TcpListener::from_std(listener)?))
    });
    let (here, listener) = bound.map_err(|error| format!("{option}: cannot listen at {address}: {error}"))?;
    tokio::spawn(async move {
        let error = serve(listener, router, ServeConfig::default()).await;
        tracing::warn!(%error, "nobody is answered any more");
    });
    Ok(here)
}

/// All that may be told of one call.
#[derive(ClapArgs)]
pub(super) struct MonitoringArgs {
    #[command(flatten)]
    metrics: MetricsArgs,
    /// A page that shows how the call goes, at http://127.0.0.1:PORT/, for this machine's users. With another address it is
    /// there, for whoever has the token in the address that is printed
    #[arg(help_heading = "Monitoring", long, value_parser = place, value_name = "[ADDRESS:]PORT")]
    dashboard: Option<SocketAddr>,
    /// Write the numbers of the call to this file while it runs, a line of JSON each time
    #[arg(help_heading = "Monitoring", long, value_name = "FILE")]
    stats_file: Option<PathBuf>,
    /// How often --stats-file and --vq-report are written, in seconds
    #[arg(help_heading = "Monitoring", long, default_value_t = 5.0,
        value_parser = |s: &str| number_in(s, 0.1, 86_400.0), value_name = "S")]
    stats_every: f64,
    /// Write quality reports for SIP (RFC 6035, application/vq-rtcpxr) to this file: one of each --stats-every, and one of
    /// the whole call at its end, each with an empty line behind it. They have addresses in them
    #[arg(help_heading = "Monitoring", long, value_name = "FILE")]
    vq_report: Option<PathBuf>,
}

/// `PORT` or `ADDRESS:PORT`.
fn place(text: &str) -> Result<SocketAddr, String> {
    let of_port = text.parse::<u16>().map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    of_port.or_else(|_| text.parse()).map_err(|_| "must be a port, or an address and a port".into())
}

/// The parts that have been prepared before the call.
pub(super) struct Monitoring {
    monitor: Option<Monitor>,
    metrics: bool,
    every: Duration,
    stats: Option<Lines>,
    reports: Option<Lines>,
    codec: Arc<Mutex<String>>,
}

/// The parts that follow a running call.
pub(super) struct Following {
    tasks: Vec<Task<()>>,
    reports: Option<(VqReporter, Lines, Task<()>)>,
    stats: Option<Lines>,
}

impl MonitoringArgs {
    /// Opens the requested outputs, on the runtime that this is called in; before the call, so that errors are reported first.
    ///
    /// # Errors
    /// Why something can't.
    pub(super) fn start(&self) -> Result<Monitoring, Box<dyn Error>> {
        let metrics = self.metrics.serve()?;
        let monitor = self.dashboard.map(dashboard).transpose()?;
        let lines = |path: &Option<PathBuf>| path.clone().map(Lines::start).transpose();
        let (stats, reports) = (lines(&self.stats_file)?, lines(&self.vq_report)?);
        let every = Duration::from_secs_f64(self.stats_every);
        Ok(Monitoring { monitor, metrics, every, stats, reports, codec: Arc::default() })
    }
}

/// Serves the page, and tells where it is.
fn dashboard(address: SocketAddr) -> Result<Monitor, Box<dyn Error>> {
    let token = if address.ip().is_loopback() { None } else { Some(token()?) };
    let secret = token.as_ref().map_or_else(String::new, |token| format!("#token={}", escaped(token)));
    let monitor = Monitor::new();
    let access = DashboardAccess { token, ..DashboardAccess::default() };
    let here = listen("--dashboard", address, Dashboard::new(monitor.clone(), access).router("/"))?;
    let here = SocketAddr::new(reachable(here.ip()), here.port());
    tell(&format!("dashboard: http://{here}/{secret}\n"));
    if !is_loopback(here.ip()) {
        tell("media-core: mind: the dashboard's token and numbers go over the network as they are, without TLS\n");
    }
    Ok(monitor)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// 128 random bits.
fn token() -> Result<String, Box<dyn Error>> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Monitoring {
    /// Returns the place where the codec is reported as it changes.
    pub(super) fn codec(&self) -> Arc<Mutex<String>> {
        self.codec.clone()
    }

    /// Follows a call that is about to run, its sound of this rate.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(super) fn follow(
        self,
        call: &Call,
        rate_hz: u32,
        status: &watch::Receiver<Status>,
        commands: &mpsc::Sender<Command>,
    ) -> Result<Following, Box<dyn Error>> {
        let mut tasks = Vec::new();
        if let Some(monitor) = &self.monitor {
            let codec = self.codec.clone();
            let words = move || codec.lock().unwrap_or_else(PoisonError::into_inner).clone();
            monitor.watch(Watched::new("media-core", rate_hz, words), status.clone());
        }
        if self.metrics {
            tasks.push(tokio::spawn(CallMetrics::begin(rate_hz).follow(status.clone())));
        }
        if let Some(lines) = &self.stats {
            tasks.push(tokio::spawn(write_stats(lines.writer(), status.clone(), self.every, rate_hz)));
        }
        let mut reports = None;
        if let Some(lines) = self.reports {
            let session = VqSession::new(&token()?, ANONYMOUS, ANONYMOUS)?;
            if let Some(begin) = VqSnapshot::of(call, SystemTime::now()) {
                let reporter = VqReporter::new(session, begin);
                let each = write_reports(reporter.clone(), lines.writer(), commands.downgrade(), self.every);
                reports = Some((reporter, lines, tokio::spawn(each)));
            }
        }
        Ok(Following { tasks, reports, stats: self.stats })
    }
}

impl Following {
    /// Waits after the call until everything about it is written; returns the output that could not be written.
    pub(super) async fn finish(self, call: &Call) -> Option<String> {
        for task in self.tasks {
            let _ = task.await;
        }
        let mut failed = None;
        if let Some((reporter, lines, each)) = self.reports {
            // It waits for the next interval, which is none.
            each.abort();
            let _ = each.await;
            if let Some(end) = VqSnapshot::of(call, SystemTime::now()) {
                lines.writer().write(format!("{}\r\n", reporter.session(&end)));
            }
            failed = lines.finish().err();
        }
        failed.or(self.stats.and_then(|lines| lines.finish().err()))
    }
}

/// A line each time, and one at the end.
fn write_stats(
    to: Writer,
    status: watch::Receiver<Status>,
    every: Duration,
    rate_hz: u32,
) -> impl Future<Output = ()> + Send {
    let mut before = CallStats::default();
    each_interval(status, every, move |status, _| {
        let interval = Interval::between(&before, &status.stats);
        let mut line = status_json(status, rate_hz);
        line["at"] = json!(time(SystemTime::now()));
        line["interval"] = json!(Moment::between(&before, status));
        line["interval"]["packets_received"] = json!(interval.received);
        line["interval"]["packets_lost"] = json!(interval.lost);
        line["interval"]["packets_sent"] = json!(interval.sent);
        before = status.stats;
        to.write(format!("{line}\n"));
    })
}

fn time(at: SystemTime) -> String {
    host_std::monitoring::date_time(at)
}

/// A report each time, as long as the driver takes commands.
async fn write_reports(mut reporter: VqReporter, to: Writer, commands: mpsc::WeakSender<Command>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let (answer, answered) = oneshot::channel();
        let look = move |call: &mut Call, _| drop(answer.send(VqSnapshot::of(call, SystemTime::now())));
        let Some(commands) = commands.upgrade() else { return };
        if commands.send(Command::Change(Box::new(look))).await.is_err() {
            return;
        }
        drop(commands);
        match answered.await {
            Ok(Some(now)) => to.write(format!("{}\r\n", reporter.interval(now))),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// A file that grows by texts, each of which is in it at once. A thread of its own writes it: a disk may be slow.
struct Lines {
    writer: Writer,
    thread: JoinHandle<Result<(), String>>,
    path: PathBuf,
}

/// The writer of such a file.
#[derive(Clone)]
struct Writer {
    texts: std_mpsc::SyncSender<String>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    /// Writes without waiting. Text for which there is no room is lost, and reported at the end: the disk has been too slow for
    /// this many texts.
    fn write(&self, text: String) {
        if self.texts.try_send(text).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Lines {
    fn start(path: PathBuf) -> Result<Self, Box<dyn Error>> {
        let cannot = |error| format!("cannot write {}: {error}", path.display());
        let mut file = OutputFile::in_place(&path).map_err(cannot)?;
        let (texts, written) = std_mpsc::sync_channel::<String>(WAITING);
        let named = path.clone();
        let thread = std::thread::spawn(move || {
            for text in written {
                let wrote = file.write_all(text.as_bytes()).and_then(|()| file.flush());
                wrote.map_err(|error| format!("{}: {error}", named.display()))?;
            }
            file.finish().map_err(|error| format!("{}: {error}", named.display()))
        });
        Ok(Self { writer: Writer { texts, lost: Arc::default() }, thread, path })
    }

    fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// All is written; why not.
    fn finish(self) -> Result<(), String> {
        let Self { writer: Writer { texts, lost }, thread, path } = self;
        drop(texts);
        thread.join().unwrap_or_else(|_| Err(format!("{}: the writer has failed", path.display())))?;
        match lost.load(Ordering::Relaxed) {
            0 => Ok(()),
            lost => Err(format!("{}: the disk was too slow, and {lost} texts are missing", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        assert_eq!(place("8088"), Ok("127.0.0.1:8088".parse().unwrap()));
        assert_eq!(place("0.0.0.0:1"), Ok("0.0.0.0:1".parse().unwrap()));
        assert_eq!(place("[::1]:1"), Ok("[::1]:1".parse().unwrap()));
        assert!(place("localhost").is_err() && place("70000").is_err());
    }
}
