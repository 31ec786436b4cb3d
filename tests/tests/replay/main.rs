//! `media-core replay`: captures and traces played again.

mod captures;
mod cases;
mod files;
mod own_calls;
mod streams;
mod trace;
