//! The two sizes of a transport's memory of sources: for a call that hears one source at a time, as most calls do, and for one
//! that hears as many as a call can.

/// A part of a transport, of either size.
pub(super) enum BySources<One, Many> {
    /// One source at a time.
    One(Box<One>),
    /// The size for as many sources as a call can hear.
    Many(Box<Many>),
}

/// Evaluates an expression that is the same for both sizes.
macro_rules! either {
    ($self:expr, $part:ident => $what:expr) => {
        match $self {
            BySources::One($part) => $what,
            BySources::Many($part) => $what,
        }
    };
}
pub(super) use either;

impl<One, Many> BySources<One, Many> {
    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        either!(self, part => size_of_val(&**part))
    }
}
