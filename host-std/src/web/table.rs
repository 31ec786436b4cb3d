//! The calls of a server by their names, which nobody can guess; how many there may be, and for how long what is left
//! of one is kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::problem::Problem;
use super::running::{WebCall, lock};

/// Calls whose reports are kept at most, whatever their time.
const MOST_KEPT: usize = 32;

/// The calls, and what was refused.
#[derive(Default)]
pub(super) struct Table {
    calls: Mutex<HashMap<String, Arc<WebCall>>>,
    running: Arc<AtomicUsize>,
    begun: AtomicU32,
    refused: [AtomicU32; Problem::NAMES.len()],
}

/// A place for a call, until it's dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Table {
    /// A place for one more, of so many.
    pub(super) fn place(&self, most: usize) -> Option<Place> {
        let one_more = |running| (running < most).then_some(running + 1);
        self.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Place(self.running.clone()))
    }

    /// One more call; its name.
    pub(super) fn add(&self, call: Arc<WebCall>, kept: Duration) -> Result<String, getrandom::Error> {
        // 128 bits: who doesn't know it can't ask for another's call.
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let name: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut calls = lock(&self.calls);
        Self::clean(&mut calls, kept);
        calls.insert(name.clone(), call);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Ok(name)
    }

    /// Forgets what ended long ago.
    fn clean(calls: &mut HashMap<String, Arc<WebCall>>, kept: Duration) {
        calls.retain(|_, call| call.ended_for().is_none_or(|ended| ended < kept));
        let mut ended: Vec<_> =
            calls.iter().filter_map(|(name, call)| Some((call.ended_for()?, name.clone()))).collect();
        ended.sort();
        for (_, name) in ended.iter().skip(MOST_KEPT) {
            calls.remove(name);
        }
    }

    /// The call of this name.
    pub(super) fn find(&self, name: &str, kept: Duration) -> Result<Arc<WebCall>, Problem> {
        let mut calls = lock(&self.calls);
        Self::clean(&mut calls, kept);
        calls.get(name).cloned().ok_or(Problem::Unknown)
    }

    /// All that run.
    pub(super) fn running(&self) -> Vec<Arc<WebCall>> {
        lock(&self.calls).values().filter(|call| call.ended_for().is_none()).cloned().collect()
    }

    /// How many run now, and how many began.
    pub(super) fn counts(&self) -> (usize, u32) {
        (self.running.load(Ordering::Acquire), self.begun.load(Ordering::Relaxed))
    }

    /// Counts a refusal.
    pub(super) fn refuse(&self, problem: &Problem) {
        self.refused[problem.number()].fetch_add(1, Ordering::Relaxed);
    }

    /// The refusals by their names.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        Problem::NAMES.into_iter().zip(self.refused.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_places_as_there_are() {
        let table = Table::default();
        let places = [table.place(2), table.place(2)];
        assert!(places.iter().all(Option::is_some) && table.place(2).is_none());
        drop(places);
        assert!(table.place(1).is_some() && table.counts() == (0, 0));
    }
}
