//! Codecs: against their vectors and other implementations, in files, and in calls that change them.

mod any_codec;
mod codec_files;
mod codec_switch;
mod comfort_noise;
mod g711;
mod g722;
mod g722_clock;
mod ilbc;
mod opus;
