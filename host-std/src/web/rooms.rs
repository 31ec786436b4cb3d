//! A conference of everybody who opened the page: each call's sound goes through two rings to one thread, which mixes
//! every 10 ms.
//!
//! Rings are wait-free, so no call waits for the mixer or for another call. Both sides' ticks are counted by the same clock, so
//! the fill of a ring stays constant: 10 to 20 ms each way, which is the delay that a room adds. A ring that ran empty restarts
//! with that fill, and one that holds more than 60 ms, after a stalled tick, drops the oldest sound.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use dsp_core::time::Ssrc;
use dsp_core::wire::extension::AudioLevel;
use rtrb::{Consumer, Producer, RingBuffer};

use super::ends::RATE_HZ;
use super::{Caller, EndError, Opened, SoundEnd};
use crate::device::AudioIo;
use crate::room::{MemberId, Room, RoomConfig, RoomError, TICK_MS};
use crate::sdp::ExtensionOptions;
use crate::session::{Call, CallConfig, Contributors};

/// Samples of a tick.
const TICK: usize = (RATE_HZ / 1_000 * TICK_MS) as usize;
/// A ring that ran dry is read again from this on, in samples.
const CUSHION: usize = 2 * TICK;
/// A ring that holds more is brought back to [`CUSHION`].
const MOST: usize = 6 * TICK;
/// The capacity of a ring.
const RING: usize = 20 * TICK;
/// Ticks that are later than this are left out.
const LATEST: Duration = Duration::from_millis(100);
/// Ticks between two looks at the speakers.
const LOOK_EVERY: u64 = 5;

/// A person in a room, for the page.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Person {
    /// The number of the person, from 1 in the order of joining.
    pub number: u64,
    /// The name that the person typed: any text.
    pub name: Option<String>,
    /// Whether this is the requesting caller.
    pub you: bool,
    /// Whether the person speaks now.
    pub speaks: bool,
    /// The level of the person's sound, in dBov, -127 to 0.
    pub level_dbov: f32,
}

/// An end at which everybody who calls hears everybody else: a conference in a [`Room`](crate::room::Room).
///
/// ```no_run
/// use host_std::web::{RoomEnd, Web, WebConfig};
///
/// let web = Web::new(WebConfig::default(), RoomEnd::new(20)?);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub struct RoomEnd {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    people: Mutex<Vec<Person>>,
}

struct State {
    room: Room,
    members: HashMap<MemberId, Member>,
}

struct Member {
    name: Option<String>,
    said: Ring,
    hears: Producer<i16>,
    link: Arc<Link>,
    /// The contributors to the sound that he hears.
    contributors: Arc<Mutex<Contributors>>,
}

/// The information of a call for the room, beside its sound.
#[derive(Default)]
struct Link {
    has_source: AtomicBool,
    source: AtomicU32,
    /// The audio level of RFC 6464, and 256 for none.
    level: AtomicU32,
}

/// The reading side of a ring, with its cushion.
struct Ring {
    samples: Consumer<i16>,
    dry: bool,
}

impl Ring {
    /// A tick, or nothing while there is too little.
    fn read(&mut self, pcm: &mut [i16]) -> bool {
        let there = self.samples.slots();
        if there > MOST
            && let Ok(old) = self.samples.read_chunk(there - CUSHION)
        {
            old.commit_all();
        }
        self.dry |= there < pcm.len();
        self.dry &= there < CUSHION.max(pcm.len());
        match self.samples.read_chunk(pcm.len()) {
            Ok(chunk) if !self.dry => {
                let (first, second) = chunk.as_slices();
                pcm[..first.len()].copy_from_slice(first);
                pcm[first.len()..].copy_from_slice(second);
                chunk.commit_all();
                true
            }
            _ => false,
        }
    }
}

/// Writes as much as there is room for.
fn write(ring: &mut Producer<i16>, pcm: &[i16]) -> usize {
    let room = pcm.len().min(ring.slots());
    ring.write_chunk_uninit(room).map_or(0, |chunk| chunk.fill_from_iter(pcm[..room].iter().copied()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under this lock leaves no inconsistent state for others.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RoomEnd {
    /// Creates an empty room for this many callers, with its thread, which ends when this is dropped.
    ///
    /// # Errors
    /// A [`RoomError`](crate::room::RoomError) if the capacity is 0 or more than 65,535; an [`std::io::Error`] if the system
    /// has no thread to give.
    pub fn new(capacity: usize) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let room = Room::new(RoomConfig { sample_rate_hz: RATE_HZ, capacity, ..RoomConfig::default() })?;
        let state = Mutex::new(State { room, members: HashMap::new() });
        let shared = Arc::new(Shared { state, people: Mutex::default() });
        let weak = Arc::downgrade(&shared);
        thread::Builder::new().name("room".into()).spawn(move || run(&weak))?;
        Ok(Self { shared })
    }
}

/// Ticks until the room is no longer used.
fn run(shared: &Weak<Shared>) {
    let begin = Instant::now();
    let mut tick = 0u64;
    let mut pcm = [0; TICK];
    loop {
        let due = begin + Duration::from_millis(tick * u64::from(TICK_MS));
        let now = Instant::now();
        if let Some(wait) = due.checked_duration_since(now) {
            thread::sleep(wait);
        } else if now - due > LATEST {
            tick = (now - begin).as_millis() as u64 / u64::from(TICK_MS);
        }
        let Some(shared) = shared.upgrade() else { return };
        lock(&shared.state).tick(&mut pcm);
        if tick.is_multiple_of(LOOK_EVERY) {
            shared.look();
        }
        tick += 1;
    }
}

impl State {
    fn tick(&mut self, pcm: &mut [i16; TICK]) {
        let Self { room, members } = self;
        for (&id, member) in &mut *members {
            if member.link.has_source.load(Ordering::Acquire) {
                let source = Ssrc(member.link.source.load(Ordering::Relaxed));
                let level = u8::try_from(member.link.level.load(Ordering::Relaxed)).ok();
                let level = level.and_then(|level| AudioLevel::parse(&[level]));
                let _ = room.tell(id, source, level);
            }
            let said = if member.said.read(pcm) { &pcm[..] } else { &[] };
            room.say(id, said);
        }
        room.mix();
        for (&id, member) in &mut *members {
            if room.hear(id, pcm) {
                write(&mut member.hears, pcm);
            }
        }
    }
}

impl Shared {
    /// Notes the people present and the speakers, for pages and for the list of contributors in the packets.
    fn look(&self) {
        let state = lock(&self.state);
        let mut people: Vec<_> = (state.room.members())
            .map(|stats| Person {
                number: stats.id.number(),
                name: state.members.get(&stats.id).and_then(|member| member.name.clone()),
                you: false,
                speaks: stats.speaks,
                level_dbov: f32::from(stats.level.hundredths_dbov().max(-12_700)) / 100.0,
            })
            .collect();
        for (&id, member) in &state.members {
            *lock(&member.contributors) = state.room.contributors(id);
        }
        drop(state);
        people.sort_by_key(|person| person.number);
        *lock(&self.people) = people;
    }

    fn leave(&self, id: MemberId) {
        let mut state = lock(&self.state);
        state.members.remove(&id);
        let _ = state.room.leave(id);
    }
}

impl SoundEnd for RoomEnd {
    fn open(&self, caller: &Caller) -> Result<Opened, EndError> {
        let (said, from_call) = RingBuffer::new(RING);
        let (hears, to_call) = RingBuffer::new(RING);
        let link = Arc::new(Link::default());
        let contributors = Arc::new(Mutex::new(Contributors::default()));
        let id = {
            let mut state = lock(&self.shared.state);
            let id = state.room.join().map_err(|error| match error {
                RoomError::Conference(_) => EndError::Busy("the room is full".into()),
                error => EndError::Broken(error.into()),
            })?;
            let said = Ring { samples: from_call, dry: true };
            let (link, contributors) = (link.clone(), contributors.clone());
            state.members.insert(id, Member { name: caller.name.clone(), said, hears, link, contributors });
            id
        };
        let place = Place { shared: self.shared.clone(), id };
        let shared = self.shared.clone();
        let follow = move |call: &mut Call| {
            if let Some((source, level)) = call.source_level(0) {
                link.level.store(level.map_or(256, |level| u32::from(level.to_bytes()[0])), Ordering::Relaxed);
                link.source.store(source.0, Ordering::Relaxed);
                link.has_source.store(true, Ordering::Release);
            }
            if call.takes_contributors(0) {
                call.set_contributors(0, &lock(&contributors));
            }
        };
        let people = move || {
            let mut people = lock(&shared.people).clone();
            people.iter_mut().for_each(|person| person.you = person.number == id.number());
            people
        };
        Ok(Opened {
            audio: Box::new(Seat { said, hears: Ring { samples: to_call, dry: true } }),
            follow: Some(Box::new(follow)),
            people: Some(Box::new(people)),
            place: Some(Box::new(place)),
        })
    }

    fn prepare(&self, config: &mut CallConfig) {
        config.extensions = ExtensionOptions::mixer();
    }

    fn words(&self) -> String {
        "everybody else in the room".into()
    }

    fn is_room(&self) -> bool {
        true
    }
}

/// The place of a member, until it is dropped.
struct Place {
    shared: Arc<Shared>,
    id: MemberId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.leave(self.id);
    }
}

/// The end of a call in the room.
struct Seat {
    said: Producer<i16>,
    hears: Ring,
}

impl AudioIo for Seat {
    fn sample_rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn read(&mut self, pcm: &mut [i16]) -> usize {
        if self.hears.read(pcm) {
            return pcm.len();
        }
        pcm.fill(0);
        0
    }

    fn write(&mut self, pcm: &[i16]) -> usize {
        write(&mut self.said, pcm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_that_ran_dry_waits_for_its_cushion_and_a_long_one_is_cut() {
        let (mut to, from) = RingBuffer::new(RING);
        let mut ring = Ring { samples: from, dry: true };
        let mut pcm = [0; TICK];
        write(&mut to, &[1; TICK]);
        assert!(!ring.read(&mut pcm), "one tick is no cushion");
        write(&mut to, &[2; TICK]);
        assert!(ring.read(&mut pcm) && pcm == [1; TICK]);
        assert!(ring.read(&mut pcm) && pcm == [2; TICK]);
        assert!(!ring.read(&mut pcm));
        write(&mut to, &[3; TICK]);
        assert!(!ring.read(&mut pcm), "it ran dry");
        for n in 4..12 {
            write(&mut to, &[n; TICK]);
        }
        assert!(ring.read(&mut pcm) && pcm == [10; TICK], "{}", pcm[0]);
    }

    #[test]
    fn who_is_in_the_room_hears_the_others_and_not_himself() {
        let room = RoomEnd::new(2).unwrap();
        let mut ends = ["Ann", "Bo"].map(|name| room.open(&Caller { name: Some(name.into()) }).unwrap());
        assert!(matches!(room.open(&Caller::default()), Err(EndError::Busy(_))));
        let mut loudest = [0; 2];
        let begin = Instant::now();
        for tick in 1..100u32 {
            thread::sleep((begin + Duration::from_millis(10) * tick).saturating_duration_since(Instant::now()));
            // The first speaks, the second is silent.
            ends[0].audio.write(&std::array::from_fn::<_, TICK, _>(|n| if n % 96 < 48 { 8_000 } else { -8_000 }));
            ends[1].audio.write(&[0; TICK]);
            for (end, loudest) in ends.iter_mut().zip(&mut loudest) {
                let mut pcm = [0; TICK];
                end.audio.read(&mut pcm);
                *loudest = pcm.iter().fold(*loudest, |most: i16, sample| most.max(sample.saturating_abs()));
            }
        }
        assert!(loudest[0] == 0 && loudest[1] > 7_000, "{loudest:?}");
        let people = ends[1].people.as_ref().unwrap()();
        assert_eq!(people.iter().map(|person| person.name.as_deref()).collect::<Vec<_>>(), [Some("Ann"), Some("Bo")]);
        assert!(!people[0].you && people[1].you && people[0].level_dbov > -20.0, "{people:?}");
        drop(ends);
        assert!(lock(&room.shared.state).members.is_empty());
        // A place is free when the sound of who left has faded out, a tick later.
        let free = (0..100).any(|_| {
            room.open(&Caller::default()).is_ok() || {
                thread::sleep(Duration::from_millis(10));
                false
            }
        });
        assert!(free);
    }
}
