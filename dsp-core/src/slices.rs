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

/// `len` values from `from` on go to `to`, in pieces as long as they are moved by: no piece overlaps where it goes. A program
/// that moves nothing else needs no `memmove`, which is longer than all others of its kind.
#[inline(never)]
pub(crate) fn move_within(of: &mut [i16], from: usize, len: usize, to: usize) {
    debug_assert!(from + len <= of.len() && to + len <= of.len(), "{len} from {from} to {to} of {}", of.len());
    let mut done = 0;
    while done < len && from != to {
        let piece = from.abs_diff(to).min(len - done);
        if to < from {
            // From the front on.
            let (before, rest) = split_mut(of, from + done);
            copy(part_mut(before, to + done, piece), part(rest, 0, piece));
        } else {
            let begin = len - done - piece;
            let (before, rest) = split_mut(of, to + begin);
            copy(part_mut(rest, 0, piece), part(before, from + begin, piece));
        }
        done += piece;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_is_what_was_there() {
        for (from, len, to) in [(0, 0, 9), (3, 7, 3), (3, 7, 0), (8, 2, 1), (0, 7, 3), (0, 3, 7), (1, 1, 0), (0, 9, 1)]
        {
            let mut moved: [i16; 10] = core::array::from_fn(|n| n as i16);
            let mut direct = moved;
            move_within(&mut moved, from, len, to);
            direct.copy_within(from..from + len, to);
            assert_eq!(moved, direct, "{len} from {from} to {to}");
        }
    }

    #[test]
    #[should_panic(expected = "2 values from 9 of 10")]
    fn a_part_that_is_not_there_is_a_fault_of_the_caller() {
        part(&[0; 10], 9, 2);
    }
}
