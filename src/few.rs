//! A list that keeps its first elements in place.

/// A list that needs no allocation for its first `N` elements; most of what an answer or a call consists of has very few.
#[derive(Debug, Clone)]
pub(crate) struct Few<T, const N: usize> {
    first: [Option<T>; N],
    n_first: usize,
    more: Vec<T>,
}

impl<T, const N: usize> Few<T, N> {
    pub(crate) fn push(&mut self, element: T) {
        match self.first.get_mut(self.n_first) {
            Some(slot) => {
                *slot = Some(element);
                self.n_first += 1;
            }
            None => self.more.push(element),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.n_first + self.more.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.n_first == 0 && self.more.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().flatten().chain(&self.more)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().flatten().chain(&mut self.more)
    }

    /// Returns the first element; that alone is moved.
    #[cfg(feature = "http")]
    pub(crate) fn into_first(mut self) -> Option<T> {
        match self.first.first_mut() {
            Some(slot) => slot.take(),
            None => self.more.into_iter().next(),
        }
    }

    /// Returns the element of a list of one.
    #[cfg(feature = "http")]
    pub(crate) fn only(&self) -> Option<&T> {
        self.iter().next().filter(|_| self.len() == 1)
    }
}

impl<T, const N: usize> Default for Few<T, N> {
    #[inline]
    fn default() -> Self {
        Self {
            first: [const { None }; N],
            n_first: 0,
            more: Vec::new(),
        }
    }
}

impl<T, const N: usize> Extend<T> for Few<T, N> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        elements.into_iter().for_each(|element| self.push(element));
    }
}

impl<T, const N: usize> FromIterator<T> for Few<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut few = Self::default();
        few.extend(elements);
        few
    }
}

impl<T, const N: usize> IntoIterator for Few<T, N> {
    type Item = T;
    type IntoIter = std::iter::Chain<
        std::iter::Flatten<std::array::IntoIter<Option<T>, N>>,
        std::vec::IntoIter<T>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().flatten().chain(self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_beyond_its_place_keeps_its_order() {
        for n in 0..5 {
            let few: Few<usize, 2> = (0..n).collect();
            assert_eq!((few.len(), few.is_empty()), (n, n == 0));
            assert_eq!(
                few.iter().copied().collect::<Vec<_>>(),
                (0..n).collect::<Vec<_>>()
            );
            assert_eq!(
                few.into_iter().collect::<Vec<_>>(),
                (0..n).collect::<Vec<_>>()
            );
        }
    }
}
