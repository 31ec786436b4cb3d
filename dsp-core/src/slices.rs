//! Parts of slices whose bounds a caller has seen to, without a way to panic in a release build.
//!
//! An index that the compiler cannot prove costs a small processor a check, a call that panics and the place in the source that
//! the panic would tell. These functions keep the check, which costs nothing more, and give an empty part where it
//! fails. No caller asks for such a part: builds with debug assertions, as those of the tests, panic there as an
//! index would.

/// `len` values from `begin` on.
#[inline(always)]
pub(crate) fn part<T>(of: &[T], begin: usize, len: usize) -> &[T] {
    let part = of.get(begin..).and_then(|rest| rest.get(..len));
    debug_assert!(part.is_some(), "{len} values from {begin} of {}", of.len());
    part.unwrap_or_default()
}

/// The same, to be written.
#[inline(always)]
pub(crate) fn part_mut<T>(of: &mut [T], begin: usize, len: usize) -> &mut [T] {
    debug_assert!(begin + len <= of.len(), "{len} values from {begin} of {}", of.len());
    of.get_mut(begin..).and_then(|rest| rest.get_mut(..len)).unwrap_or_default()
}

/// What lies before `at`, and the rest.
#[inline(always)]
pub(crate) fn split_mut<T>(of: &mut [T], at: usize) -> (&mut [T], &mut [T]) {
    debug_assert!(at <= of.len(), "{at} of {}", of.len());
    of.split_at_mut_checked(at).unwrap_or_default()
}

/// `len` samples from `from` on go to `to`. Out of line, and not generic: `copy_within` is free of panics only where the
/// compiler puts it in line.
#[inline(never)]
pub(crate) fn move_within(of: &mut [i16], from: usize, len: usize, to: usize) {
    debug_assert!(from + len <= of.len() && to + len <= of.len(), "{len} from {from} to {to} of {}", of.len());
    let Some(end) = from.checked_add(len) else { return };
    if end <= of.len() && to <= of.len() - len {
        of.copy_within(from..end, to);
    }
}

/// The values of `from`, which are as many as those of `to`.
#[inline(always)]
pub(crate) fn copy<T: Copy>(to: &mut [T], from: &[T]) {
    debug_assert_eq!(to.len(), from.len());
    if to.len() == from.len() {
        to.copy_from_slice(from);
    }
}
