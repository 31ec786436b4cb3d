//! The calls of a server by their names, which can't be guessed; with the limits on all calls and on those of one address, and
//! the time for which finished ones are kept.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::WebConfig;
use super::problem::Problem;
use super::running::{WebCall, lock};

/// Calls whose reports are kept at most, whatever their time.
pub(super) const MOST_KEPT: usize = 32;

/// The calls, and the counts of refused requests.
#[derive(Default)]
pub(super) struct Table {
    calls: Mutex<HashMap<String, Arc<WebCall>>>,
    running: Arc<AtomicUsize>,
    /// The number of calls of each address that have not connected yet; addresses without any have no entry.
    unconnected: Arc<Mutex<HashMap<IpAddr, usize>>>,
    begun: AtomicU32,
    refused: [AtomicU32; Problem::NAMES.len()],
}

/// A place for a call, until it's dropped.
pub(super) struct CallPlace(Arc<AtomicUsize>);

impl Drop for CallPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A place among the calls of an address that have not connected yet, until it's dropped.
pub(super) struct Unconnected {
    all: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl Drop for Unconnected {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// Returns the address as it is counted: for IPv6 the network of 64 bits, since one household or machine has that.
fn counted(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(peer) => Ipv6Addr::from_bits(peer.to_bits() & !u128::from(u64::MAX)).into(),
        peer => peer,
    }
}

impl Table {
    /// Reserves a place for one more call, of at most `most`.
    pub(super) fn place(&self, most: usize) -> Option<CallPlace> {
        let one_more = |running| (running < most).then_some(running + 1);
        self.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(CallPlace(self.running.clone()))
    }

    /// Reserves a place for one more call of this address that has not connected yet, of at most `most`.
    pub(super) fn unconnected(&self, peer: IpAddr, most: usize) -> Option<Unconnected> {
        let address = counted(peer);
        let mut all = lock(&self.unconnected);
        if all.get(&address).copied().unwrap_or(0) >= most {
            return None;
        }
        *all.entry(address).or_default() += 1;
        Some(Unconnected { all: self.unconnected.clone(), address })
    }

    /// Adds a call; returns its name.
    pub(super) fn add(&self, call: Arc<WebCall>, config: &WebConfig) -> Result<String, getrandom::Error> {
        // A name of 128 bits can't be guessed, so nobody else can ask for the call.
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let name: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut calls = lock(&self.calls);
        Self::retain(&mut calls, config);
        calls.insert(name.clone(), call);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Ok(name)
    }

    /// Forgets what ended long ago.
    pub(super) fn clean(&self, config: &WebConfig) {
        Self::retain(&mut lock(&self.calls), config);
    }

    fn retain(calls: &mut HashMap<String, Arc<WebCall>>, config: &WebConfig) {
        calls.retain(|_, call| call.ended_for().is_none_or(|ended| ended < config.kept_time));
        let mut ended: Vec<_> =
            calls.iter().filter_map(|(name, call)| Some((call.ended_for()?, name.clone()))).collect();
        ended.sort();
        let mut bytes = 0usize;
        for (n, (_, name)) in ended.iter().enumerate() {
            bytes = bytes.saturating_add(calls.get(name).map_or(0, |call| call.kept_bytes()));
            if n >= MOST_KEPT || bytes > config.kept_bytes {
                calls.remove(name);
            }
        }
    }

    /// The call of this name.
    pub(super) fn find(&self, name: &str, config: &WebConfig) -> Result<Arc<WebCall>, Problem> {
        let mut calls = lock(&self.calls);
        Self::retain(&mut calls, config);
        calls.get(name).cloned().ok_or(Problem::Unknown)
    }

    /// Returns all calls that are running.
    pub(super) fn running(&self) -> Vec<Arc<WebCall>> {
        lock(&self.calls).values().filter(|call| call.ended_for().is_none()).cloned().collect()
    }

    /// Returns the number of finished calls whose numbers and reports are kept.
    pub(super) fn kept(&self) -> usize {
        lock(&self.calls).values().filter(|call| call.ended_for().is_some()).count()
    }

    /// Returns the number of calls that are running, and the number that began.
    pub(super) fn counts(&self) -> (usize, u32) {
        (self.running.load(Ordering::Acquire), self.begun.load(Ordering::Relaxed))
    }

    /// Counts a refusal.
    pub(super) fn refuse(&self, problem: &Problem) {
        self.refused[problem.number()].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the refusals by their names.
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
    #[test]
    fn an_address_has_its_own_places_until_its_calls_connect() {
        let table = Table::default();
        let [one, mapped, other]: [IpAddr; 3] =
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        let first = table.unconnected(one, 2);
        let second = table.unconnected(mapped, 2);
        assert!(first.is_some() && second.is_some() && table.unconnected(one, 2).is_none());
        assert!(table.unconnected(other, 2).is_some());
        drop(first);
        assert!(table.unconnected(one, 2).is_some());
        drop(second);
        assert!(lock(&table.unconnected).is_empty(), "addresses that nobody calls from take memory");
        // Whoever has one address of IPv6 has as many as he likes.
        let [near, nearer, far]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::ffff:0:0:1", "2001:db8:0:1::1"].map(|address| address.parse().unwrap());
        let _held = table.unconnected(near, 1);
        assert!(table.unconnected(nearer, 1).is_none() && table.unconnected(far, 1).is_some());
    }
}
