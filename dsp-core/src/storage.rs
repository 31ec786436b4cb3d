//! Storage: memory of a fixed length that its owner provides.
//!
//! Use it to choose where a type of this crate keeps its data, or to write a type that leaves that choice to others.
//! On a small processor it is an array whose length is known at compile time. On a host it is a boxed slice of as many
//! values as a call needs, allocated when the call is set up. Types in this crate that need memory of variable size
//! have a parameter for it, so that nothing is allocated within the crate. Passing memory in costs nothing beyond
//! moving it.
//!
//! A type that leaves the memory to its owner:
//!
//! ```
//! use dsp_core::storage::Storage;
//!
//! /// Remembers the last values.
//! struct Last<S> {
//!     values: S,
//!     next: usize,
//! }
//!
//! impl<S: Storage<i16>> Last<S> {
//!     fn push(&mut self, value: i16) {
//!         let values = self.values.as_mut();
//!         values[self.next % values.len()] = value;
//!         self.next += 1;
//!     }
//! }
//!
//! let mut small = Last { values: [0; 2], next: 0 };
//! let mut large = Last { values: vec![0; 1_000].into_boxed_slice(), next: 0 };
//! for value in 1..=3 {
//!     small.push(value);
//!     large.push(value);
//! }
//! assert_eq!(small.values, [3, 2]);
//! assert_eq!(large.values[..4], [1, 2, 3, 0]);
//! ```

/// Memory for values of one type, of a length that never changes: `[T; N]`, `&mut [T]`, `Box<[T]>`.
pub trait Storage<T>: AsRef<[T]> + AsMut<[T]> {}

impl<T, S: AsRef<[T]> + AsMut<[T]>> Storage<T> for S {}
