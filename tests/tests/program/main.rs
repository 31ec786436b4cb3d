//! The command line as its user meets it, in running calls between processes.

mod cli;
mod early_media;
mod offers;
mod reoffer;
