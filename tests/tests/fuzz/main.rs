//! Fuzz targets: any bytes, any order of steps, any damage. On stable, with the default engine, under `cargo test`;
//! `BOLERO_RANDOM_TEST_TIME_MS` sets the time of each.

mod calls;
mod capture;
mod cn;
mod codec_switch;
mod dtls;
mod g711_plc;
mod g722;
mod ilbc;
mod opus;
mod opus_file;
mod phone_sdp;
#[cfg(unix)]
mod program;
mod receive;
mod resample;
mod sdp;
mod sources;
mod srtp;
mod turn;
mod voice;
mod wav;
mod web;
mod wire;
