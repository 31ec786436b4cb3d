//! A queue of reports that wait in a call until they are fetched: it is short, drops its oldest entry and counts those that it
//! dropped.

/// A queue of fixed size.
pub(super) struct BoundedQueue<T> {
    places: Box<[Option<T>]>,
    first: usize,
    count: usize,
    dropped: u32,
}

impl<T: Copy> BoundedQueue<T> {
    /// Creates a queue with this many places.
    pub(super) fn new(places: usize) -> Self {
        Self { places: vec![None; places].into(), first: 0, count: 0, dropped: 0 }
    }

    /// Returns the number of places.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// Bytes on the heap.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.places)
    }

    pub(super) fn dropped(&self) -> u32 {
        self.dropped
    }

    pub(super) fn push(&mut self, one: T) {
        let places = self.places.len();
        if self.count == places {
            self.pop();
            self.dropped = self.dropped.saturating_add(1);
        }
        if let Some(place) = self.places.get_mut((self.first + self.count) % places.max(1)) {
            *place = Some(one);
            self.count += 1;
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let one = self.places.get_mut(self.first)?.take()?;
        self.first = (self.first + 1) % self.places.len();
        self.count -= 1;
        Some(one)
    }
}
