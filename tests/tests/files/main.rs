//! Files that the command line reads and writes.

mod capture;
mod pages;
mod process;
mod report;
mod resample_files;
mod strange;
