//! Media Core on SIP desk phones.
#![no_std]
