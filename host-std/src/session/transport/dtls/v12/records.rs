//! Records of DTLS 1.2 (RFC 6347, 4.1), their protection by AES-GCM (RFC 5288), and handshake messages in fragments (4.2.3).

use std::collections::BTreeMap;

use dimpl::crypto::{Aad, Buf, Cipher, Nonce, TmpBuf};

pub(super) const HANDSHAKE: u8 = 22;
pub(super) const ALERT: u8 = 21;
pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
/// DTLS 1.2 on the wire.
pub(super) const VERSION: [u8; 2] = [0xfe, 0xfd];
/// The bytes before a record; below are those before a fragment in it.
const RECORD_HEADER: usize = 13;
pub(super) const MESSAGE_HEADER: usize = 12;
/// The nonce that a protected record has in it, and its tag.
const EXPLICIT_NONCE: usize = 8;
const TAG: usize = 16;
/// The fewest bytes of a fragment that is written after others in a datagram.
const LEAST_FRAGMENT: usize = 32;
/// The longest message: a certificate followed by some others.
const MAX_MESSAGE: usize = 16_384;
/// The number of messages ahead of the next one that are kept; below is the limit of bytes for all of them.
const AHEAD: u16 = 8;
const MAX_AHEAD: usize = 32_768;

/// A record as it came.
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    pub(super) epoch: u16,
    sequence: [u8; 8],
    pub(super) body: &'a [u8],
}

impl Record<'_> {
    /// Returns the record as it came.
    pub(super) fn to_datagram(&self) -> Vec<u8> {
        let len = (self.body.len() as u16).to_be_bytes();
        [&[self.kind][..], &VERSION, &self.sequence, &len, self.body].concat()
    }
}

/// Returns the records of a datagram, as far as they are whole.
pub(super) fn records(mut datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (header, rest) = datagram.split_at_checked(RECORD_HEADER)?;
        let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let (body, rest) = rest.split_at_checked(len)?;
        datagram = rest;
        // Other versions have a different record format.
        let sequence: [u8; 8] = header[3..11].try_into().ok()?;
        let epoch = u16::from_be_bytes([sequence[0], sequence[1]]);
        (header[1] == 0xfe).then_some(Record { kind: header[0], epoch, sequence, body })
    })
}

/// The protection of records in one direction.
pub(super) struct RecordProtection {
    cipher: Box<dyn Cipher>,
    salt: [u8; 4],
}

impl RecordProtection {
    pub(super) fn new(cipher: Box<dyn Cipher>, salt: [u8; 4]) -> Self {
        Self { cipher, salt }
    }

    fn nonce(&self, explicit: [u8; 8]) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.salt);
        nonce[4..].copy_from_slice(&explicit);
        Nonce(nonce)
    }

    /// Returns the content of a record; `None` if it isn't the other side's.
    pub(super) fn open(&mut self, record: &Record<'_>) -> Option<Vec<u8>> {
        let (explicit, sealed) = record.body.split_first_chunk::<EXPLICIT_NONCE>()?;
        let len = u16::try_from(sealed.len().checked_sub(TAG)?).ok()?;
        let mut bytes = sealed.to_vec();
        let mut room = TmpBuf::new(&mut bytes);
        self.cipher.decrypt(&mut room, aad(record.sequence, record.kind, len), self.nonce(*explicit)).ok()?;
        let len = room.len();
        bytes.truncate(len);
        Some(bytes)
    }
}

fn aad(sequence: [u8; 8], kind: u8, len: u16) -> Aad {
    Aad(sequence.into_iter().chain([kind]).chain(VERSION).chain(len.to_be_bytes()).collect())
}

/// A piece of a flight, as it is sent again if that must be.
pub(super) struct Item {
    pub(super) epoch: u16,
    pub(super) kind: u8,
    /// A handshake message with its header, or the content of a record of another kind.
    pub(super) bytes: Vec<u8>,
}

/// Writes records, each with a number of its own.
#[derive(Default)]
pub(super) struct RecordWriter {
    /// The next number of each epoch.
    next: [u64; 2],
    pub(super) protection: Option<RecordProtection>,
}

impl RecordWriter {
    /// Returns the flight in datagrams of at most this many bytes.
    pub(super) fn datagrams(&mut self, flight: &[Item], mtu: usize) -> Vec<Vec<u8>> {
        let (mut all, mut datagram) = (Vec::new(), Vec::new());
        for item in flight {
            let growth = RECORD_HEADER + if item.epoch == 0 { 0 } else { EXPLICIT_NONCE + TAG };
            if item.kind != HANDSHAKE {
                if datagram.len() + growth + item.bytes.len() > mtu {
                    all.push(std::mem::take(&mut datagram));
                }
                self.write(item.epoch, item.kind, &item.bytes, &mut datagram);
                continue;
            }
            let (header, body) = item.bytes.split_at(MESSAGE_HEADER);
            let mut offset = 0;
            loop {
                let left = body.len() - offset;
                let headers = datagram.len() + growth + MESSAGE_HEADER;
                if headers + left.min(LEAST_FRAGMENT) > mtu && !datagram.is_empty() {
                    all.push(std::mem::take(&mut datagram));
                    continue;
                }
                let room = mtu.saturating_sub(headers);
                let len = left.min(room.max(LEAST_FRAGMENT));
                // Kind, length and number of the message; then which part of it this is.
                let mut fragment = header[..6].to_vec();
                fragment.extend_from_slice(&u24(offset));
                fragment.extend_from_slice(&u24(len));
                fragment.extend_from_slice(&body[offset..offset + len]);
                self.write(item.epoch, HANDSHAKE, &fragment, &mut datagram);
                offset += len;
                if offset == body.len() {
                    break;
                }
            }
        }
        if !datagram.is_empty() {
            all.push(datagram);
        }
        all
    }

    fn write(&mut self, epoch: u16, kind: u8, bytes: &[u8], datagram: &mut Vec<u8>) {
        let number = &mut self.next[usize::from(epoch.min(1))];
        let mut sequence = number.to_be_bytes();
        sequence[..2].copy_from_slice(&epoch.to_be_bytes());
        *number += 1;
        let body = match &mut self.protection {
            Some(protection) if epoch > 0 => {
                let mut sealed = Buf::new();
                sealed.extend_from_slice(bytes);
                let nonce = protection.nonce(sequence);
                if protection.cipher.encrypt(&mut sealed, aad(sequence, kind, bytes.len() as u16), nonce).is_err() {
                    return;
                }
                [&sequence[..], &sealed].concat()
            }
            _ if epoch > 0 => return,
            _ => bytes.to_vec(),
        };
        datagram.push(kind);
        datagram.extend_from_slice(&VERSION);
        datagram.extend_from_slice(&sequence);
        // The datagram is no longer than the MTU, except for the least fragment.
        datagram.extend_from_slice(&(body.len() as u16).to_be_bytes());
        datagram.extend_from_slice(&body);
    }
}

pub(super) fn u24(value: usize) -> [u8; 3] {
    let [_, bytes @ ..] = (value as u32).to_be_bytes();
    bytes
}

fn read_u24(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// A handshake message that has come whole.
pub(super) struct Message {
    pub(super) kind: u8,
    /// The epoch of the records that it came in.
    pub(super) epoch: u16,
    /// The message as if it had come in one fragment: the bytes that are hashed.
    pub(super) bytes: Vec<u8>,
}

impl Message {
    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[MESSAGE_HEADER..]
    }
}

struct Partial {
    kind: u8,
    epoch: u16,
    body: Vec<u8>,
    /// The bytes that have come.
    come: Vec<bool>,
    missing: usize,
}

/// Puts fragments together, in any order.
#[derive(Default)]
pub(super) struct Reassembly {
    next: u16,
    partial: BTreeMap<u16, Partial>,
}

impl Reassembly {
    /// Takes the fragments of a record; whether one of them is of a message that was taken before.
    pub(super) fn push(&mut self, epoch: u16, mut bytes: &[u8]) -> bool {
        let mut repeats = false;
        while let Some((header, rest)) = bytes.split_at_checked(MESSAGE_HEADER) {
            let (kind, number) = (header[0], u16::from_be_bytes([header[4], header[5]]));
            let [total, offset, len] = [&header[1..4], &header[6..9], &header[9..12]].map(read_u24);
            let Some((fragment, rest)) = rest.split_at_checked(len) else { break };
            bytes = rest;
            if number < self.next {
                repeats = true;
            } else {
                self.keep(number, Fragment { kind, epoch, total, offset, bytes: fragment });
            }
        }
        repeats
    }

    fn keep(&mut self, number: u16, fragment: Fragment<'_>) {
        let Fragment { kind, epoch, total, offset, bytes } = fragment;
        if total > MAX_MESSAGE || offset + bytes.len() > total || number - self.next >= AHEAD {
            return;
        }
        let is_same = |known: &Partial| (known.kind, known.epoch, known.body.len()) == (kind, epoch, total);
        if !self.partial.get(&number).is_some_and(is_same) {
            // Another message of that number is forged. It isn't known which one is; the other side repeats its own.
            self.partial.remove(&number);
            let held: usize = self.partial.values().map(|partial| partial.body.len()).sum();
            if held + total > MAX_AHEAD {
                self.partial.clear();
            }
        }
        let partial = self.partial.entry(number).or_insert_with(|| Partial {
            kind,
            epoch,
            body: vec![0; total],
            come: vec![false; total],
            missing: total,
        });
        for (at, byte) in (offset..).zip(bytes) {
            if !std::mem::replace(&mut partial.come[at], true) {
                partial.body[at] = *byte;
                partial.missing -= 1;
            }
        }
    }

    /// Returns the bytes of incomplete messages.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.partial.values().map(|partial| partial.body.len()).sum()
    }

    /// Returns the next message, if it has come whole.
    pub(super) fn pop(&mut self) -> Option<Message> {
        self.partial.get(&self.next).filter(|partial| partial.missing == 0)?;
        let Partial { kind, epoch, body, .. } = self.partial.remove(&self.next)?;
        let bytes = message(kind, self.next, &body);
        self.next = self.next.checked_add(1)?;
        Some(Message { kind, epoch, bytes })
    }
}

struct Fragment<'a> {
    kind: u8,
    epoch: u16,
    total: usize,
    offset: usize,
    bytes: &'a [u8],
}

/// Returns a message with its header, in one fragment.
pub(super) fn message(kind: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&u24(body.len()));
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&u24(0));
    bytes.extend_from_slice(&u24(body.len()));
    bytes.extend_from_slice(body);
    bytes
}
