//! Storage: memory of a fixed length that somebody else owns or gives away.
//!
//! On a small processor it is an array whose length is known when the program is made; on a host it is a boxed slice of
//! as many values as are needed, taken when a call is agreed on.

/// Memory for values of one type, of a length that never changes: `[T; N]`, `&mut [T]`, `Box<[T]>`.
pub trait Storage<T>: AsRef<[T]> + AsMut<[T]> {}

impl<T, S: AsRef<[T]> + AsMut<[T]>> Storage<T> for S {}
