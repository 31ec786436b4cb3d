//! `media-core replay`: captures and traces played again.

mod captures;
mod cases;
mod files;
mod streams;
mod trace;
