//! The pace at which a running call is reported.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::session::driver::Status;

/// Calls `tell` with the status of a driver at this interval (of 1 ms at least), and once more, with the last numbers and `true`, when
/// the call is over. It runs on the task that awaits it, beside the driver's, and returns when the call is over.
///
/// ```
/// use std::time::Duration;
///
/// use host_std::monitoring::each_interval;
/// use host_std::session::driver::{Ended, Status};
/// use tokio::sync::watch;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let (status, shown) = watch::channel(Status::default());
/// tokio::spawn(async move {
///     tokio::time::sleep(Duration::from_millis(50)).await;
///     status.send_modify(|status| status.ended = Some(Ended::HungUp.reason()));
/// });
/// let (mut lines, mut last) = (0, false);
/// each_interval(shown, Duration::from_millis(10), |_, is_last| {
///     lines += 1;
///     last = is_last;
/// })
/// .await;
/// assert!(lines >= 2 && last);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn each_interval(mut status: watch::Receiver<Status>, every: Duration, mut tell: impl FnMut(&Status, bool)) {
    let mut ticks = interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is now, when nothing has happened yet.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let now = *status.borrow_and_update();
                tell(&now, false);
            }
            () = over(&mut status) => break,
        }
    }
    let last = *status.borrow();
    tell(&last, true);
}

/// Waits until the driver is gone.
async fn over(status: &mut watch::Receiver<Status>) {
    while status.changed().await.is_ok() {}
}
