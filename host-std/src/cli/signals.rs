//! The system's signals to the program: to end (Ctrl-C, a service manager, a closed terminal), and not to make a file longer than
//! its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Outcome;

/// Makes a file at its limit (`ulimit -f`) an error of the write, as a full disk is, instead of a silent end of the program.
pub(super) fn survive_file_limits() {
    #[cfg(unix)]
    {
        let flag = Arc::new(AtomicBool::new(false));
        // Without it the program works, except for that message.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag);
    }
}

/// Whether somebody has asked the program to end.
#[derive(Clone)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens from now on. The first request is only noted; a second one ends the program at once.
    pub(super) fn listen() -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        {
            use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                // The order matters: the first one finds the flag unset, and sets it.
                let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&asked));
                let _ = signal_hook::flag::register(signal, Arc::clone(&asked));
            }
        }
        Self(asked)
    }

    /// Returns whether the program should end.
    pub(super) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails where the program should end: for what is worth nothing unless it's whole.
    pub(super) fn check(&self) -> Outcome {
        if self.asked() { Err("ended on request: nothing is written".into()) } else { Ok(()) }
    }
}

/// Ctrl-C, and where there are such things the signals of a service manager and of a closed terminal: all of them end
/// the call with a goodbye, and leave a WAV file whole.
pub(super) async fn asked_to_end() {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use tokio::signal::unix::{SignalKind, signal};
        // The runtime installs its handler before it knows whom to tell: what comes between the two is noted here.
        let noted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let _ = signal_hook::flag::register(signal, Arc::clone(&noted));
        }
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        if let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) {
            if noted.load(Ordering::Relaxed) {
                return;
            }
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
