//! Room: a conference of calls. Everybody hears everybody but himself.
//!
//! A room is sans-IO, as calls are: who drives the calls, in real or in virtual time, calls once a tick of 10 ms for each member
//! [`Room::play`], then [`Room::mix`], then for each member [`Room::capture`], and sends what the calls transmit. Calls of
//! any codec and rate meet at the room's rate, which each call's sound is set to
//! ([`Call::set_sound`](crate::session::Call::set_sound)).
//!
//! ```no_run
//! use dsp_core::time::Instant;
//! use host_std::room::{MemberId, Room};
//! use host_std::session::Call;
//!
//! fn tick(room: &mut Room, calls: &mut [(MemberId, Call)], now: Instant) {
//!     for (member, call) in &mut *calls {
//!         room.play(now, *member, call);
//!     }
//!     room.mix();
//!     for (member, call) in calls {
//!         room.capture(now, *member, call);
//!         // And send what `call.transmit` gives.
//!     }
//! }
//! ```
//!
//! A member whose network stalls is what his call makes of it: concealed, then silent; nobody else notices. One whose tick
//! is left out fades out. After a member has joined, a tick allocates nothing.
//!
//! Cost: see [`Conference`]; beside it a level meter and a voice detector for each member who isn't muted. Delay: none beyond
//! the tick.

mod fade;

use std::fmt;
use std::num::NonZeroU16;

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

use fade::Fade;

/// Length of a tick in ms.
pub const TICK_MS: u32 = 10;
/// Samples of the longest tick: at 48 kHz.
const LONGEST: usize = 480;
/// For the level by which members are compared.
const LEVEL_MS: u16 = 100;
/// For which a member counts as speaking after he spoke.
const HANGOVER_MS: u16 = 200;

/// Settings of a [`Room`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomConfig {
    /// The rate at which all are mixed, in Hz: 8,000, 16,000, 32,000 or 48,000.
    pub sample_rate_hz: u32,
    /// How many there can be, members and announcements together: 1 to 65,535.
    pub capacity: usize,
    /// How many are heard at once, the loudest of those who speak; `None`: all.
    pub loudest: Option<NonZeroU16>,
}

impl Default for RoomConfig {
    /// 16 kHz, 200 members, all are heard.
    fn default() -> Self {
        Self { sample_rate_hz: 16_000, capacity: 200, loudest: None }
    }
}

/// Why a room can't do what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomError {
    /// This rate, in Hz, is none of a room's.
    SampleRate(u32),
    /// The room is full, or such a config isn't possible.
    Conference(ConferenceError),
    /// This member has left.
    Left(MemberId),
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleRate(rate) => write!(f, "a room at {rate} Hz; 8000, 16000, 32000 and 48000 Hz are possible"),
            Self::Conference(error) => error.fmt(f),
            Self::Left(member) => write!(f, "member {} has left the room", member.number),
        }
    }
}

impl std::error::Error for RoomError {}

impl From<ConferenceError> for RoomError {
    fn from(error: ConferenceError) -> Self {
        Self::Conference(error)
    }
}

/// A member of a room: never that of another one, also after he has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId {
    /// Counts from 1 in the order of joining.
    number: u64,
    port: usize,
}

impl MemberId {
    /// His number: 1 for the first who joined, and so on.
    pub fn number(self) -> u64 {
        self.number
    }
}

/// What is known of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberStats {
    /// Who.
    pub id: MemberId,
    /// Level of his sound.
    pub level: Level,
    /// Whether he speaks now.
    pub speaks: bool,
    /// What his packets say of that by themselves (RFC 6464), if they do: see [`Room::tell`].
    pub told: Option<AudioLevel>,
    /// Whether he is muted, and on hold.
    pub muted: bool,
    /// Whether he is on hold.
    pub on_hold: bool,
    /// What the mixer counts of him; `heard` is whether the others hear him now.
    pub port: PortStats,
}

struct Member {
    number: u64,
    muted: bool,
    on_hold: bool,
    level: LevelMeter,
    voice: VoiceDetector,
    activity: PortActivity,
    /// The source that he is, and what his packets say of their sound.
    source: Option<Ssrc>,
    told: Option<AudioLevel>,
    /// Of his call's sound, and of what he hears.
    begins: Fade,
    hears: Fade,
    #[cfg(feature = "record")]
    track: Option<Track>,
    /// What he alone hears.
    #[cfg(feature = "record")]
    announcement: Option<(Player, Blend)>,
}

/// A conference of calls.
///
/// Three who need no call: each hears the two others, and nobody hears who is muted.
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
    /// By port.
    members: Vec<Option<Member>>,
    joined: u64,
    tick: u64,
    tick_samples: usize,
    /// Ports of announcements, and what they play.
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
    /// An empty room.
    ///
    /// # Errors
    /// [`RoomError::SampleRate`], and a capacity that isn't possible.
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

    /// The rate at which all are mixed, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.config.sample_rate_hz
    }

    /// Ticks that were mixed.
    pub fn ticks(&self) -> u64 {
        self.tick
    }

    /// Somebody joins, and fades in with his first tick.
    ///
    /// # Errors
    /// The room is full.
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

    /// A member leaves; what was heard of him fades out.
    ///
    /// # Errors
    /// He has left before.
    pub fn leave(&mut self, member: MemberId) -> Result<(), RoomError> {
        self.member(member)?;
        self.members[member.port] = None;
        Ok(self.conference.leave(member.port)?)
    }

    /// Whether nobody hears him; he hears the others.
    ///
    /// # Errors
    /// He has left.
    pub fn set_muted(&mut self, member: MemberId, muted: bool) -> Result<(), RoomError> {
        let state = self.member(member)?;
        state.muted = muted;
        let silent = muted || state.on_hold;
        Ok(self.conference.set_muted(member.port, silent)?)
    }

    /// Whether he is on hold: he hears nothing but what is played to him ([`Room::announce_to`]), and nobody hears him.
    ///
    /// # Errors
    /// He has left.
    pub fn set_on_hold(&mut self, member: MemberId, on_hold: bool) -> Result<(), RoomError> {
        let state = self.member(member)?;
        state.on_hold = on_hold;
        let silent = on_hold || state.muted;
        Ok(self.conference.set_muted(member.port, silent)?)
    }

    /// The gain with which the others hear him, in hundredths of a dB up to 1,805.
    ///
    /// # Errors
    /// He has left; the gain is too high.
    pub fn set_gain(&mut self, member: MemberId, hundredths_db: i16) -> Result<(), RoomError> {
        self.member(member)?;
        Ok(self.conference.set_gain(member.port, hundredths_db)?)
    }

    /// Whether he is heard before others where only the loudest are.
    ///
    /// # Errors
    /// He has left.
    pub fn set_priority(&mut self, member: MemberId, priority: FloorPriority) -> Result<(), RoomError> {
        self.member(member)?;
        Ok(self.conference.set_priority(member.port, priority)?)
    }

    /// Which source a member is, and what its last packet says of its sound (RFC 6464), as [`Call::source_level`] has it: who
    /// says that he doesn't speak is taken at his word. To be said before each [`play`](Self::play); a member of whom it isn't
    /// said is named to nobody.
    ///
    /// # Errors
    /// He has left.
    ///
    /// [`Call::source_level`]: crate::session::Call::source_level
    pub fn tell(&mut self, member: MemberId, source: Ssrc, level: Option<AudioLevel>) -> Result<(), RoomError> {
        let state = self.member(member)?;
        (state.source, state.told) = (Some(source), level);
        Ok(())
    }

    /// Who is in what a member hears, and how loud each of them is, for [`Call::set_contributors`] (RFC 6465): where there are more
    /// than 15, the loudest. On hold there is nobody.
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

    /// Takes a tick of what a member's call plays: what he says. `None` if he has left.
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

    /// The same of a member without a call: up to a tick of his sound at the room's rate; what is shorter ends in silence.
    /// Whether he is there.
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
            // His own detector hears him before codec and network: where it hears nobody, nobody speaks. How loud he is, and
            // that he speaks, isn't taken on his word, or whoever says so would have the floor.
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

    /// Mixes the ticks that were taken, and what is announced to all.
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

    /// Gives a member's call what he hears: all others, as its microphone.
    pub fn capture<M: Media>(&mut self, captured_at: Instant, member: MemberId, media: &mut M) {
        let mut pcm = [0; LONGEST];
        let pcm = &mut pcm[..self.tick_samples];
        if self.hear(member, pcm) {
            media.capture(captured_at, pcm);
        }
    }

    /// Writes what a member hears in this tick: all others, or on hold what is played to him. Whether he is there.
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

    /// Who speaks: the member who was the loudest speaker for 300 ms, until another one is.
    pub fn active_speaker(&self) -> Option<MemberId> {
        let port = self.conference.active_speaker()?;
        self.members[port].as_ref().map(|member| MemberId { number: member.number, port })
    }

    /// All who are there.
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

    /// What the limiter of the mix does.
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
    /// Plays a file to all, beside what they hear of each other. It takes the place of a member until it ends.
    ///
    /// # Errors
    /// The room is full.
    pub fn announce(&mut self, player: Player) -> Result<(), RoomError> {
        let port = self.conference.join()?;
        self.conference.set_priority(port, FloorPriority::Always)?;
        self.announcements.push((port, player));
        Ok(())
    }

    /// Plays a file to one member: mixed with what he hears, or instead of it; on hold there is nothing else.
    ///
    /// # Errors
    /// He has left.
    pub fn announce_to(&mut self, member: MemberId, player: Player, blend: Blend) -> Result<(), RoomError> {
        self.member(member)?.announcement = Some((player, blend));
        Ok(())
    }

    /// Records the mix of all, announcements too; `None`: no longer.
    pub fn set_track(&mut self, track: Option<Track>) {
        self.track = track;
    }

    /// Gives the mix of all on as [`Party::Far`], or what each member says as [`Party::Member`] where the fork wants
    /// [`Forked::Sources`], at the times of ticks since the room began; `None`: no longer.
    pub fn set_fork(&mut self, fork: Option<ForkTap>) {
        self.fork = fork;
    }

    /// Records what a member says, by itself; on the same time line as the mix.
    ///
    /// # Errors
    /// He has left.
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
