//! What is done to sound: echo, noise, level, tones, rates, rooms.

mod active_level;
mod blocks;
mod capture_chain;
mod conference;
mod device_rates;
mod dtmf;
mod echo_hours;
mod kept;
mod recorded_calls;
mod resample;
mod rooms;
mod tones;
mod voice;
