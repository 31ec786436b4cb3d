//! A conference room on a server: it mixes calls, and everybody hears everybody else but not himself.
//!
//! Use a [`Room`] where this process holds all calls of a conference and each caller is to get one mixed stream, in a codec of
//! his own. Where packets of a conference come mixed or forwarded by another server, a single [`Call`](crate::session::Call) plays
//! them (`CallConfig::sources` says how many it hears at once). Without a heap use the mixer below this one,
//! [`dsp_core::conference::Conference`]; calls of browsers join by `web::RoomEnd`.
//!
//! A room does no I/O and reads no clock. Once in each tick of 10 ms its driver calls [`Room::play`] for each member, then
//! [`Room::mix`], then [`Room::capture`] for each member, and sends what the calls transmit. Set each call's sound to one channel
//! at the room's rate ([`Call::set_sound`](crate::session::Call::set_sound)), whatever codec it agrees on; the call converts.
//!
//! This example has two callers and the room's two calls ("legs"), one for each caller. In a real program, the bytes
//! between a caller and his leg go over sockets:
//!
//! ```
//! use dsp_core::time::{Duration, Instant};
//! use host_std::room::{Room, RoomConfig};
//! use host_std::session::{Call, CallConfig};
//!
//! /// Carries all that `from` has to send to `to`.
//! fn carry(now: Instant, from: &mut Call, to: &mut Call) {
//!     let mut datagram = [0; 1500];
//!     while let Some(sent) = from.transmit(now, &mut datagram) {
//!         to.receive(now, sent.channel, sent.from, &mut datagram[..sent.len]);
//!     }
//! }
//!
//! let mut room = Room::new(RoomConfig { sample_rate_hz: 16_000, capacity: 2, loudest: None })?;
//! let mut now = Instant::ZERO;
//! let mut lines = Vec::new();
//! for port in [4000, 5000] {
//!     let sound = Some((16_000, 1));
//!     let mut caller = Call::new(CallConfig { sound, ..CallConfig::new(port)? })?;
//!     let mut leg = Call::new(CallConfig { sound, ..CallConfig::new(port + 2)? })?;
//!     let answer = leg.answer(now, &caller.offer()?)?;
//!     caller.accept(now, &answer)?;
//!     lines.push((caller, leg, room.join()?));
//! }
//!
//! // The first caller makes a noise; `heard` is what the second one hears of it at the end.
//! let noise: Vec<i16> = (0..160).map(|n| if n % 40 < 20 { 3_000 } else { -3_000 }).collect();
//! let mut heard = [0; 160];
//! for _ in 0..100 {
//!     for (n, (caller, leg, member)) in lines.iter_mut().enumerate() {
//!         caller.capture(now, if n == 0 { &noise } else { &[0; 160] });
//!         carry(now, caller, leg);
//!         room.play(now, *member, leg);
//!     }
//!     room.mix();
//!     for (caller, leg, member) in &mut lines {
//!         room.capture(now, *member, leg);
//!         carry(now, leg, caller);
//!         caller.play(now, &mut heard);
//!     }
//!     now += Duration::from_millis(10);
//! }
//! assert!(heard.iter().any(|&sample| sample > 1_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! When a member's network stalls, his call conceals the loss and then falls silent; the other members notice nothing else. A member
//! whose `play` is left out in a tick fades out.
//!
//! **Cost.** Mixing 200 ports takes about 10 µs for 20 ms of sound at 16 kHz (BENCHMARKS.md). Each member who isn't
//! muted adds the cost of a level meter and a voice detector, and each call its own work. After a member has joined, a
//! tick allocates nothing. The room adds no delay beyond the tick.
//!
//! **Limits.** Sound is mono at 8, 16, 32 or 48 kHz, a tick is always 10 ms, and a room has at most 65,535 members and
//! announcements together.
//!
//! **Standards.** The audio levels in members' packets are those of RFC 6464 ([`Room::tell`]), the list of those who
//! are in a mix is that of RFC 6465 ([`Room::contributors`]), and a mixer's roles are those of RFC 3550, 7.

mod config;
mod fade;

use std::fmt;

use dsp_core::conference::{
    Conference, ConferenceConfig, ConferenceError, FloorPriority, LimiterStats, Port, PortActivity, PortStats,
};
use dsp_core::front::Media;
use dsp_core::process::level::{Level, LevelConfig, LevelMeter};
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};
use dsp_core::receive::Played;
use dsp_core::time::{Instant, Ssrc};
use dsp_core::wire::extension::AudioLevel;

#[cfg(feature = "record")]
use crate::player::{Blend, Player};
#[cfg(feature = "record")]
use crate::record::fork::{ForkTap, Forked, Party};
#[cfg(feature = "record")]
use crate::record::recorder::Track;
use crate::session::Contributors;

pub use config::{RoomConfig, RoomError};
use fade::Fade;

/// Length of a tick in ms.
pub const TICK_MS: u32 = 10;
/// Samples of the longest tick: at 48 kHz.
const LONGEST: usize = 480;
/// Time constant, in ms, of the level by which members are compared.
const LEVEL_MS: u16 = 100;
/// Time in ms for which a member still counts as speaking after his speech has ended.
const HANGOVER_MS: u16 = 200;

/// The name of a member in his room. No other member of the room gets the same one, not even after he has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId {
    /// Counts from 1 in the order of joining.
    number: u64,
    port: usize,
}

impl MemberId {
    /// Returns the member's number: 1 for the first who joined, 2 for the second, and so on.
    pub fn number(self) -> u64 {
        self.number
    }
}

/// The known state of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberStats {
    /// The member in question.
    pub id: MemberId,
    /// The level of the member's sound, over the last 100 ms.
    pub level: Level,
    /// Whether the member speaks now.
    pub speaks: bool,
    /// The level and the voice flag that the member's own packets carry (RFC 6464), where they do: see [`Room::tell`].
    pub told: Option<AudioLevel>,
    /// Whether the member is muted: the others don't hear him.
    pub muted: bool,
    /// Whether the member is on hold: he doesn't hear the others, and they don't hear him.
    pub on_hold: bool,
    /// The mixer's counts for the member; `heard` says whether the others hear him now.
    pub port: PortStats,
}

struct Member {
    number: u64,
    muted: bool,
    on_hold: bool,
    level: LevelMeter,
    voice: VoiceDetector,
    activity: PortActivity,
    /// The member's RTP source, and what his packets say of their sound.
    source: Option<Ssrc>,
    told: Option<AudioLevel>,
    /// Ramps of the sound of his call, and of what he hears.
    begins: Fade,
    hears: Fade,
    #[cfg(feature = "record")]
    track: Option<Track>,
    /// The announcement that only he hears.
    #[cfg(feature = "record")]
    announcement: Option<(Player, Blend)>,
}

/// A conference of calls: see the [module's page](self) for how it is driven.
///
/// This example has three members whose sound doesn't come from calls. Each hears the two others, and nobody hears one
/// who is muted:
///
/// ```
/// use host_std::room::{Room, RoomConfig};
///
/// let mut room = Room::new(RoomConfig { sample_rate_hz: 8_000, capacity: 3, loudest: None })?;
/// let (anna, bert, carla) = (room.join()?, room.join()?, room.join()?);
/// let mut heard = [0; 80];
/// for tick in 0..40 {
///     room.set_muted(bert, tick >= 20)?;
///     room.say(anna, &[1_000; 80]);
///     room.say(bert, &[2_000; 80]);
///     room.mix();
///     room.hear(carla, &mut heard);
///     if tick == 19 {
///         assert_eq!(heard, [3_000; 80]);
///     }
/// }
/// assert_eq!(heard, [1_000; 80]);
/// # Ok::<(), host_std::room::RoomError>(())
/// ```
pub struct Room {
    config: RoomConfig,
    conference: Conference<Vec<Port<LONGEST>>, LONGEST>,
    /// The members, by the number of their port.
    members: Vec<Option<Member>>,
    joined: u64,
    tick: u64,
    tick_samples: usize,
    /// The ports of announcements, and their players.
    #[cfg(feature = "record")]
    announcements: Vec<(usize, Player)>,
    #[cfg(feature = "record")]
    track: Option<Track>,
    #[cfg(feature = "record")]
    fork: Option<ForkTap>,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.members.iter().flatten().count();
        write!(f, "Room({members} of {} at {} Hz)", self.config.capacity, self.config.sample_rate_hz)
    }
}

impl Room {
    /// Creates an empty room, whose memory is all allocated.
    ///
    /// # Errors
    /// [`RoomError::SampleRate`] if the rate isn't 8,000, 16,000, 32,000 or 48,000 Hz; [`RoomError::Conference`] if the capacity
    /// is 0 or more than 65,535.
    pub fn new(config: RoomConfig) -> Result<Self, RoomError> {
        let rate_hz = config.sample_rate_hz;
        if ![8_000, 16_000, 32_000, 48_000].contains(&rate_hz) {
            return Err(RoomError::SampleRate(rate_hz));
        }
        if config.capacity > usize::from(u16::MAX) {
            return Err(ConferenceError::Ports(config.capacity).into());
        }
        let tick_samples = (rate_hz / 1_000 * TICK_MS) as usize;
        let conference = ConferenceConfig {
            sample_rate_hz: rate_hz,
            frame_samples: tick_samples,
            loudest: config.loudest,
            meters: true,
        };
        Ok(Self {
            config,
            conference: Conference::new(conference, vec![Port::EMPTY; config.capacity])?,
            members: (0..config.capacity).map(|_| None).collect(),
            joined: 0,
            tick: 0,
            tick_samples,
            #[cfg(feature = "record")]
            announcements: Vec::new(),
            #[cfg(feature = "record")]
            track: None,
            #[cfg(feature = "record")]
            fork: None,
        })
    }

    /// Returns the rate at which the room mixes, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.config.sample_rate_hz
    }

    /// Returns the number of ticks of 10 ms that the room has mixed.
    pub fn ticks(&self) -> u64 {
        self.tick
    }

    /// Adds a member, whose sound fades in with the first tick.
    ///
    /// # Errors
    /// [`RoomError::Conference`] if the room is full.
    pub fn join(&mut self) -> Result<MemberId, RoomError> {
        let port = self.conference.join()?;
        let sample_rate_hz = self.config.sample_rate_hz;
        let level = LevelConfig { sample_rate_hz, time_constant_ms: LEVEL_MS };
        let voice = VoiceConfig { sample_rate_hz, hangover_ms: HANGOVER_MS, ..VoiceConfig::default() };
        let (Ok(level), Ok(voice)) = (LevelMeter::new(level), VoiceDetector::new(voice)) else {
            return Err(RoomError::SampleRate(sample_rate_hz));
        };
        self.joined += 1;
        self.members[port] = Some(Member {
            number: self.joined,
            muted: false,
            on_hold: false,
            level,
            voice,
            activity: PortActivity::NONE,
            source: None,
            told: None,
            begins: Fade::of_call(sample_rate_hz),
            hears: Fade::new(sample_rate_hz),
            #[cfg(feature = "record")]
            track: None,
            #[cfg(feature = "record")]
            announcement: None,
        });
        Ok(MemberId { number: self.joined, port })
    }

    /// Removes a member, whose sound fades out.
    ///
    /// # Errors
    /// [`RoomError::Left`] if the member has left before.
    pub fn leave(&mut self, member: MemberId) -> Result<(), RoomError> {
        self.member(member)?;
        self.members[member.port] = None;
        Ok(self.conference.leave(member.port)?)
    }

    /// Mutes a member, so that nobody hears him while he hears the others, or unmutes him.
    ///
    /// # Errors
    /// [`RoomError::Left`] if the member has left.
    pub fn set_muted(&mut self, member: MemberId, muted: bool) -> Result<(), RoomError> {
        let state = self.member(member)?;
        state.muted = muted;
        let silent = muted || state.on_hold;
        Ok(self.conference.set_muted(member.port, silent)?)
    }

    /// Puts a member on hold, or takes him off it. On hold he hears nothing but sound that is played to him alone
    /// (`Room::announce_to`, with the cargo feature `record`), and nobody hears him.
    ///
    /// # Errors
    /// [`RoomError::Left`] if the member has left.
    pub fn set_on_hold(&mut self, member: MemberId, on_hold: bool) -> Result<(), RoomError> {
        let state = self.member(member)?;
        state.on_hold = on_hold;
        let silent = on_hold || state.muted;
        Ok(self.conference.set_muted(member.port, silent)?)
    }

    /// Sets the gain with which the others hear a member, in hundredths of a decibel: at most 1,805, which is 18.05 dB.
    ///
    /// # Errors
    /// [`RoomError::Left`] if the member has left; [`RoomError::Conference`] if the gain is higher than that.
    pub fn set_gain(&mut self, member: MemberId, hundredths_db: i16) -> Result<(), RoomError> {
        self.member(member)?;
        Ok(self.conference.set_gain(member.port, hundredths_db)?)
    }

    /// Sets whether a member is heard before others in a room where only the loudest are heard ([`RoomConfig::loudest`]).
    ///
    /// # Errors
    /// [`RoomError::Left`] if the member has left.
    pub fn set_priority(&mut self, member: MemberId, priority: FloorPriority) -> Result<(), RoomError> {
        self.member(member)?;
        Ok(self.conference.set_priority(member.port, priority)?)
    }

    /// Tells the room which RTP source a member is, and the level in the source's last packet (RFC 6464): [`Call::source_level`]
    /// has both. A member whose packets say that he doesn't speak is believed. Call this before each [`play`](Self::play). A
    /// member for whom it was never called is left out of [`contributors`](Self::contributors).
    ///
    /// # Errors
    /// [`RoomError::Left`] if the member has left.
    ///
    /// [`Call::source_level`]: crate::session::Call::source_level
    pub fn tell(&mut self, member: MemberId, source: Ssrc, level: Option<AudioLevel>) -> Result<(), RoomError> {
        let state = self.member(member)?;
        (state.source, state.told) = (Some(source), level);
        Ok(())
    }

    /// Returns the sources in the sound that a member hears, and their levels, for [`Call::set_contributors`] (RFC 6465). These
    /// are the 15 loudest at most, and none while the member is on hold.
    ///
    /// [`Call::set_contributors`]: crate::session::Call::set_contributors
    pub fn contributors(&self, listener: MemberId) -> Contributors {
        let mut loudest = Contributors::default();
        let hears = |member: &Member| member.number == listener.number && !member.on_hold;
        if !self.members.get(listener.port).and_then(Option::as_ref).is_some_and(hears) {
            return loudest;
        }
        for (port, member) in self.members.iter().enumerate() {
            let Some(member) = member.as_ref().filter(|_| port != listener.port) else { continue };
            let heard = || self.conference.stats(port).is_ok_and(|stats| stats.heard);
            if let Some(source) = member.source.filter(|_| !member.muted && !member.on_hold && heard()) {
                let level = member.activity.level.hundredths_dbov();
                loudest.push_loudest(source, AudioLevel::from_hundredths(level, false).level_dbov);
            }
        }
        loudest
    }

    /// Takes a member's sound of this tick from `media`, his call, and returns the call's playback result. `None` if the member
    /// has left.
    pub fn play<M: Media>(&mut self, now: Instant, member: MemberId, media: &mut M) -> Option<Played> {
        let mut played = None;
        self.take(member, |pcm, begins| {
            let tick = media.play(now, pcm);
            // A packet of 20 ms is made in one tick and heard in two: nothing new is no silence yet.
            let made = tick.decoded + tick.recovered + tick.concealed + tick.noise + tick.inserted;
            begins.begin(made > 0 || tick.silence == 0, pcm);
            played = Some(tick);
        });
        played
    }

    /// Takes a member's sound of this tick where it doesn't come from a call: mono at the room's rate, followed by
    /// silence if it is shorter than a tick and cut off if it is longer. Returns whether the member is there.
    pub fn say(&mut self, member: MemberId, pcm: &[i16]) -> bool {
        self.take(member, |frame, _| {
            let samples = pcm.len().min(frame.len());
            frame[..samples].copy_from_slice(&pcm[..samples]);
            frame[samples..].fill(0);
        })
    }

    fn take(&mut self, id: MemberId, fill: impl FnOnce(&mut [i16], &mut Fade)) -> bool {
        let Ok(frame) = self.conference.frame(id.port) else { return false };
        let Some(member) = self.members[id.port].as_mut().filter(|member| member.number == id.number) else {
            return false;
        };
        fill(frame, &mut member.begins);
        if member.muted || member.on_hold {
            member.activity = PortActivity::NONE;
        } else {
            member.level.hear(frame);
            // His own detector hears him before codec and network, so where it reports no speech, there is none. His level and
            // his speech aren't believed from that report, since a member could get the floor by claiming them.
            let denied = member.told.is_some_and(|told| !told.voice);
            let probability = if member.voice.hear(frame).speech && !denied { u8::MAX } else { 0 };
            member.activity = PortActivity { level: member.level.rms_dbov(), probability };
        }
        #[cfg(feature = "record")]
        {
            if let Some(track) = &mut member.track {
                track.write(self.tick * self.tick_samples as u64, frame);
            }
            if let Some(fork) = self.fork.as_mut().filter(|fork| fork.forked() == Forked::Sources) {
                fork.give(Party::Member(id.number), 0, Instant::from_millis(self.tick * u64::from(TICK_MS)), frame);
            }
        }
        let _ = self.conference.set_activity(id.port, member.activity);
        true
    }

    /// Mixes the members' sound of this tick, and the announcements to all of them.
    pub fn mix(&mut self) {
        #[cfg(feature = "record")]
        self.announce_tick();
        self.conference.mix();
        #[cfg(feature = "record")]
        if self.track.is_some() || self.fork.is_some() {
            let mut mix = [0; LONGEST];
            let mix = &mut mix[..self.tick_samples];
            self.conference.all(mix);
            if let Some(track) = &mut self.track {
                track.write(self.tick * self.tick_samples as u64, mix);
            }
            if let Some(fork) = self.fork.as_mut().filter(|fork| fork.forked() != Forked::Sources) {
                fork.give(Party::Far, 0, Instant::from_millis(self.tick * u64::from(TICK_MS)), mix);
            }
        }
        self.tick += 1;
    }

    /// Gives a member's call the sum of all others' sound, as if the call's microphone had captured it.
    pub fn capture<M: Media>(&mut self, captured_at: Instant, member: MemberId, media: &mut M) {
        let mut pcm = [0; LONGEST];
        let pcm = &mut pcm[..self.tick_samples];
        if self.hear(member, pcm) {
            media.capture(captured_at, pcm);
        }
    }

    /// Writes to `pcm` the sound for a member in this tick: the sum of all others, or the sound that is played to him alone while
    /// he is on hold. Returns whether the member exists; if not, `pcm` stays as it was.
    pub fn hear(&mut self, id: MemberId, pcm: &mut [i16]) -> bool {
        let Some(member) = self.members.get_mut(id.port).and_then(Option::as_mut) else { return false };
        if member.number != id.number {
            return false;
        }
        if member.on_hold && member.hears.is_silent() {
            pcm.fill(0);
        } else if self.conference.others(id.port, pcm).is_err() {
            return false;
        }
        member.hears.apply(!member.on_hold, pcm);
        #[cfg(feature = "record")]
        if let Some((player, blend)) = &mut member.announcement
            && !player.play(pcm, *blend)
        {
            member.announcement = None;
        }
        true
    }

    /// Returns the active speaker: the member who was the loudest for 300 ms, until another has been the loudest for as long.
    pub fn active_speaker(&self) -> Option<MemberId> {
        let port = self.conference.active_speaker()?;
        self.members[port].as_ref().map(|member| MemberId { number: member.number, port })
    }

    /// Returns the statistics of all members who are in the room.
    pub fn members(&self) -> impl Iterator<Item = MemberStats> + '_ {
        self.members.iter().enumerate().filter_map(|(port, member)| {
            let member = member.as_ref()?;
            Some(MemberStats {
                id: MemberId { number: member.number, port },
                level: member.activity.level,
                speaks: member.activity.probability > 127,
                told: member.told,
                muted: member.muted,
                on_hold: member.on_hold,
                port: self.conference.stats(port).unwrap_or_default(),
            })
        })
    }

    /// Returns the statistics of the limiter, which keeps the mix below full scale.
    pub fn limiter(&self) -> LimiterStats {
        self.conference.limiter()
    }

    fn member(&mut self, id: MemberId) -> Result<&mut Member, RoomError> {
        let member = self.members.get_mut(id.port).and_then(Option::as_mut);
        member.filter(|member| member.number == id.number).ok_or(RoomError::Left(id))
    }
}

#[cfg(feature = "record")]
impl Room {
    /// Plays a file to all members, added to the sound that they hear of each other. Until it ends it takes up one place of
    /// [`RoomConfig::capacity`].
    ///
    /// # Errors
    /// [`RoomError::Conference`] if the room is full.
    pub fn announce(&mut self, player: Player) -> Result<(), RoomError> {
        let port = self.conference.join()?;
        self.conference.set_priority(port, FloorPriority::Always)?;
        self.announcements.push((port, player));
        Ok(())
    }

    /// Plays a file to one member: mixed with what he hears, or instead of it. A member on hold hears nothing else.
    ///
    /// # Errors
    /// [`RoomError::Left`] if the member has left.
    pub fn announce_to(&mut self, member: MemberId, player: Player, blend: Blend) -> Result<(), RoomError> {
        self.member(member)?.announcement = Some((player, blend));
        Ok(())
    }

    /// Records the mix of all members, with announcements; `None` ends the recording.
    pub fn set_track(&mut self, track: Option<Track>) {
        self.track = track;
    }

    /// Gives the mix of all members to a fork as [`Party::Far`], or, where the fork wants [`Forked::Sources`], what
    /// each member says as [`Party::Member`]. Times count from the room's first tick. `None` ends the fork.
    pub fn set_fork(&mut self, fork: Option<ForkTap>) {
        self.fork = fork;
    }

    /// Records the sound of one member, on the same time line as the mix; `None` ends the recording.
    ///
    /// # Errors
    /// [`RoomError::Left`] if the member has left.
    pub fn set_member_track(&mut self, member: MemberId, track: Option<Track>) -> Result<(), RoomError> {
        self.member(member)?.track = track;
        Ok(())
    }

    fn announce_tick(&mut self) {
        let conference = &mut self.conference;
        self.announcements.retain_mut(|(port, player)| {
            if player.is_over() {
                let _ = conference.leave(*port);
                return false;
            }
            if let Ok(frame) = conference.frame(*port) {
                let samples = player.read(frame);
                frame[samples..].fill(0);
            }
            true
        });
    }
}
