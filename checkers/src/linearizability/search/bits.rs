//! Small sets of slots of the window.

/// A set of small numbers. Windows differ in width: most fit into one word.
pub(super) trait Bits: Clone + Eq + Send + 'static {
    /// The empty set, with room for numbers below 64 times this.
    fn none(words: usize) -> Self;

    fn words(&self) -> &[u64];

    fn words_mut(&mut self) -> &mut [u64];

    /// What it takes besides its own size.
    fn heap_bytes(&self) -> usize;

    #[inline]
    fn has(&self, at: u32) -> bool {
        self.words()[at as usize / 64] >> (at % 64) & 1 == 1
    }

    #[inline]
    fn insert(&mut self, at: u32) {
        self.words_mut()[at as usize / 64] |= 1 << (at % 64);
    }

    #[inline]
    fn remove(&mut self, at: u32) {
        self.words_mut()[at as usize / 64] &= !(1 << (at % 64));
    }

    #[inline]
    fn add(&mut self, other: &Self) {
        self.words_mut().iter_mut().zip(other.words()).for_each(|(word, other)| *word |= other);
    }

    #[inline]
    fn subtract(&mut self, other: &Self) {
        self.words_mut().iter_mut().zip(other.words()).for_each(|(word, other)| *word &= !other);
    }

    #[inline]
    fn keep(&mut self, other: &Self) {
        self.words_mut().iter_mut().zip(other.words()).for_each(|(word, other)| *word &= other);
    }

    #[inline]
    fn is_subset(&self, other: &Self) -> bool {
        self.words().iter().zip(other.words()).all(|(word, other)| word & !other == 0)
    }

    /// Its members, the lowest first.
    fn members(&self) -> impl Iterator<Item = u32> {
        let words = self.words().iter().enumerate();
        words.flat_map(|(at, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }
}

impl<const N: usize> Bits for [u64; N] {
    fn none(words: usize) -> Self {
        debug_assert!(words <= N);
        [0; N]
    }

    #[inline]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

/// For windows of any width.
impl Bits for Box<[u64]> {
    fn none(words: usize) -> Self {
        vec![0; words].into_boxed_slice()
    }

    fn words(&self) -> &[u64] {
        self
    }

    fn words_mut(&mut self) -> &mut [u64] {
        self
    }

    fn heap_bytes(&self) -> usize {
        // The allocator's own share.
        size_of_val(&**self) + 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets<B: Bits>(words: usize) {
        let mut one = B::none(words);
        let mut other = B::none(words);
        [3, 64, 127].into_iter().for_each(|at| one.insert(at));
        other.insert(64);
        assert!(other.is_subset(&one) && !one.is_subset(&other));
        assert_eq!(one.members().collect::<Vec<_>>(), [3, 64, 127]);
        one.subtract(&other);
        assert!(!one.has(64) && one.has(127));
        one.add(&other);
        one.remove(3);
        assert_eq!(one.members().collect::<Vec<_>>(), [64, 127]);
        one.keep(&other);
        assert_eq!(one.members().collect::<Vec<_>>(), [64]);
    }

    #[test]
    fn narrow_and_wide_sets_are_alike() {
        sets::<[u64; 2]>(2);
        sets::<[u64; 4]>(2);
        sets::<Box<[u64]>>(2);
    }
}
