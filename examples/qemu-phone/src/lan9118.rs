//! Ethernet by an SMSC LAN9118; the registers are those of chapter 5 of its data sheet. The processor moves frames
//! through the chip's FIFOs word by word, and an interrupt tells that frames have come or that the link has changed.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use host_embedded::dscp::{EXPEDITED_FORWARDING, mark};

use crate::PORT;
use crate::registers::{ETHERNET, read, write};

const RX_DATA: usize = 0x00;
const TX_DATA: usize = 0x20;
const RX_STATUS: usize = 0x40;
const TX_STATUS: usize = 0x48;
const ID: usize = 0x50;
const IRQ_CONFIG: usize = 0x54;
const INT_STATUS: usize = 0x58;
const INT_ENABLE: usize = 0x5c;
const FIFO_INT: usize = 0x68;
const RX_CONFIG: usize = 0x6c;
const TX_CONFIG: usize = 0x70;
const HW_CONFIG: usize = 0x74;
const RX_CONTROL: usize = 0x78;
const RX_USED: usize = 0x7c;
const TX_USED: usize = 0x80;
const MAC_COMMAND: usize = 0xa4;
const MAC_DATA: usize = 0xa8;

/// Its interrupt line is on, strong and active high.
const IRQ_ON: u32 = 1 << 8 | 1 << 4 | 1;
/// Frames have come; the PHY has something to tell.
const FRAMES: u32 = 1 << 3;
const PHY: u32 = 1 << 18;
const RESET: u32 = 1;
/// Frames are stored before they are sent; 5 KiB for those that leave.
const STORE_AND_FORWARD: u32 = 1 << 20 | 5 << 16;
const TX_ON: u32 = 1 << 1;
const FAST_FORWARD: u32 = 1 << 31;
/// In the status of a frame that came: errors, and filtered out.
const BAD: u32 = 1 << 15 | 1 << 30;
/// The first and last piece of a frame to send.
const WHOLE: u32 = 1 << 13 | 1 << 12;

/// Registers of the MAC behind its command register.
mod mac {
    pub(super) const CONTROL: u32 = 1;
    pub(super) const ADDRESS_HIGH: u32 = 2;
    pub(super) const ADDRESS_LOW: u32 = 3;
    pub(super) const MII_ACCESS: u32 = 6;
    pub(super) const MII_DATA: u32 = 7;
    pub(super) const BUSY: u32 = 1 << 31;
    pub(super) const READ: u32 = 1 << 30;
    /// Receiver and transmitter on, full duplex.
    pub(super) const ON: u32 = 1 << 20 | 1 << 3 | 1 << 2;
}

/// Registers of the PHY behind the MAC.
mod phy {
    pub(super) const CONTROL: u32 = 0;
    pub(super) const STATUS: u32 = 1;
    pub(super) const INT_SOURCE: u32 = 29;
    pub(super) const INT_MASK: u32 = 30;
    /// The link is up.
    pub(super) const LINK: u32 = 1 << 2;
    /// It negotiates, and does so anew.
    pub(super) const NEGOTIATE: u32 = 1 << 12 | 1 << 9;
    /// The link has gone, or negotiation is over.
    pub(super) const CHANGES: u32 = 1 << 4 | 1 << 6;
}

/// The longest frame without its checksum.
const FRAME: usize = 1_514;

static WAKER: AtomicWaker = AtomicWaker::new();

/// The controller's interrupt: whoever waits looks by himself, and asks for interrupts again.
pub(crate) fn interrupt() {
    write(ETHERNET, INT_ENABLE, 0);
    WAKER.wake();
}

fn mac_wait() {
    while read(ETHERNET, MAC_COMMAND) & mac::BUSY != 0 {}
}

fn mac_write(register: u32, value: u32) {
    mac_wait();
    write(ETHERNET, MAC_DATA, value);
    write(ETHERNET, MAC_COMMAND, mac::BUSY | register);
    mac_wait();
}

fn mac_read(register: u32) -> u32 {
    mac_wait();
    write(ETHERNET, MAC_COMMAND, mac::BUSY | mac::READ | register);
    mac_wait();
    read(ETHERNET, MAC_DATA)
}

/// PHY 1, the one inside.
fn phy_read(register: u32) -> u32 {
    mac_write(mac::MII_ACCESS, 1 << 11 | register << 6 | 1);
    mac_read(mac::MII_DATA)
}

fn phy_write(register: u32, value: u32) {
    mac_write(mac::MII_DATA, value);
    mac_write(mac::MII_ACCESS, 1 << 11 | register << 6 | 1 << 1 | 1);
}

/// The controller, and a frame each way.
pub(crate) struct Lan9118 {
    address: [u8; 6],
    incoming: [u8; FRAME],
    outgoing: [u8; FRAME],
}

impl Lan9118 {
    /// Switches the controller on.
    ///
    /// # Panics
    /// If it isn't there.
    pub(crate) fn start(address: [u8; 6]) -> Self {
        let id = read(ETHERNET, ID);
        assert!(id >> 16 == 0x0118, "no LAN9118, but {id:08x}");
        write(ETHERNET, HW_CONFIG, RESET);
        while read(ETHERNET, HW_CONFIG) & RESET != 0 {}
        write(ETHERNET, HW_CONFIG, STORE_AND_FORWARD);
        // An interrupt for each frame, none for free room.
        write(ETHERNET, FIFO_INT, 0xff00_0000);
        write(ETHERNET, RX_CONFIG, 0);
        write(ETHERNET, TX_CONFIG, TX_ON);
        let [a, b, c, d, e, f] = address;
        mac_write(mac::ADDRESS_LOW, u32::from_le_bytes([a, b, c, d]));
        mac_write(mac::ADDRESS_HIGH, u32::from_le_bytes([e, f, 0, 0]));
        mac_write(mac::CONTROL, mac::ON);
        phy_write(phy::INT_MASK, phy::CHANGES);
        phy_write(phy::CONTROL, phy::NEGOTIATE);
        write(ETHERNET, INT_STATUS, u32::MAX);
        write(ETHERNET, IRQ_CONFIG, IRQ_ON);
        Self { address, incoming: [0; FRAME], outgoing: [0; FRAME] }
    }

    /// Interrupts are wanted again: what came before is seen by whoever looks now.
    fn listen() {
        write(ETHERNET, INT_STATUS, FRAMES | PHY);
        write(ETHERNET, INT_ENABLE, FRAMES | PHY);
    }

    /// The length of the next good frame, which lies in `incoming` then.
    fn next_frame(&mut self) -> Option<usize> {
        loop {
            if read(ETHERNET, RX_USED) >> 16 & 0xff == 0 {
                return None;
            }
            let status = read(ETHERNET, RX_STATUS);
            // With its checksum of four bytes.
            let bytes = (status >> 16 & 0x3fff) as usize;
            let len = bytes.saturating_sub(4);
            if status & BAD != 0 || len > FRAME {
                Self::skip(bytes.div_ceil(4));
                continue;
            }
            let whole = self.incoming.get_mut(..len)?;
            for chunk in whole.chunks_mut(4) {
                let word = read(ETHERNET, RX_DATA).to_le_bytes();
                chunk.copy_from_slice(&word[..chunk.len()]);
            }
            (len.div_ceil(4)..bytes.div_ceil(4)).for_each(|_| {
                read(ETHERNET, RX_DATA);
            });
            return Some(len);
        }
    }

    /// Leaves a frame of so many words out.
    fn skip(words: usize) {
        if words < 4 {
            // The controller's own way is for longer ones.
            (0..words).for_each(|_| {
                read(ETHERNET, RX_DATA);
            });
        } else {
            write(ETHERNET, RX_CONTROL, FAST_FORWARD);
            while read(ETHERNET, RX_CONTROL) & FAST_FORWARD != 0 {}
        }
    }

    /// Whether a whole frame has room in the FIFO. What was sent before is acknowledged.
    fn has_room() -> bool {
        while read(ETHERNET, TX_USED) >> 16 & 0xff > 0 {
            read(ETHERNET, TX_STATUS);
        }
        read(ETHERNET, TX_USED) & 0xffff > FRAME as u32 + 16
    }
}

impl Driver for Lan9118 {
    type RxToken<'a> = Incoming<'a>;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        if !Self::has_room() {
            cx.waker().wake_by_ref();
            return None;
        }
        let mut len = self.next_frame();
        if len.is_none() {
            WAKER.register(cx.waker());
            Self::listen();
            // One that came in between.
            len = self.next_frame();
        }
        let len = len?;
        Some((Incoming(self.incoming.get_mut(..len)?), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Outgoing<'_>> {
        if Self::has_room() {
            return Some(Outgoing(&mut self.outgoing));
        }
        // Frames leave within 120 us each.
        cx.waker().wake_by_ref();
        None
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        WAKER.register(cx.waker());
        // Reading it acknowledges it.
        phy_read(phy::INT_SOURCE);
        let up = phy_read(phy::STATUS) & phy::LINK != 0;
        Self::listen();
        if up { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame that came.
pub(crate) struct Incoming<'a>(&'a mut [u8]);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame to send.
pub(crate) struct Outgoing<'a>(&'a mut [u8; FRAME]);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        // The stack has been told how long frames are.
        let len = len.min(FRAME);
        let frame = &mut self.0[..len];
        let result = f(frame);
        // The stack lets no socket say so.
        mark(frame, PORT..=PORT, EXPEDITED_FORWARDING);
        write(ETHERNET, TX_DATA, WHOLE | len as u32);
        write(ETHERNET, TX_DATA, len as u32);
        for chunk in frame.chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            write(ETHERNET, TX_DATA, u32::from_le_bytes(word));
        }
        result
    }
}
