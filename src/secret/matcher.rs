//! Finds many patterns in one pass, in any case of their letters, by the automaton of Aho and
//! Corasick.
//!
//! This is not taken from a crate, because a stream needs to know how much of a pattern its end may
//! be, which the usual crate does not tell. Patterns are few and mostly chains, so that a state has
//! a list of successors and not a table.

/// A set of patterns.
#[derive(Clone)]
pub(super) struct Matcher {
    states: Vec<MatcherState>,
    /// The successors of the first state, in which a text is nearly always, for both cases of letters.
    from_root: [u32; 256],
    /// For each first byte of a pattern, its second bytes by their five low bits, which are the same for both cases of a letter.
    second_bits: [u32; 256],
    /// How many bytes can be skipped after a pair of bytes: the distance from its last place in any pattern to the end of the window.
    shifts: Box<[u8; N_SHIFTS]>,
    /// The length of the window on the text: that of the shortest pattern.
    window: usize,
}

/// The number of pairs of bytes that are told apart.
const N_SHIFTS: usize = 4096;

/// The largest window. Beyond it, longer skips gain little.
const MAX_WINDOW: usize = 64;

/// A state of the automaton.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StateId(u32);

#[derive(Clone, Default)]
struct MatcherState {
    /// The byte that leads here.
    byte: u8,
    /// The number of bytes from the first state.
    depth: u32,
    /// The number of bytes of the longest suffix that is a proper beginning of a pattern.
    n_open: u32,
    /// The length of the longest pattern that ends here; 0 if none does.
    n_matched: u32,
    /// The state of the longest suffix that begins a pattern as well.
    fallback: u32,
    first_child: u32,
    next_sibling: u32,
}

impl Matcher {
    pub(super) fn new<'a>(patterns: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut matcher = Self {
            states: vec![MatcherState::default()],
            from_root: [0; 256],
            second_bits: [0; 256],
            shifts: Box::new([0; N_SHIFTS]),
            window: 0,
        };
        let patterns: Vec<&[u8]> = patterns.into_iter().collect();
        for pattern in &patterns {
            matcher.add(pattern);
        }
        matcher.set_window(&patterns);
        matcher.link();
        matcher
    }

    /// Says whether a pattern begins with a byte.
    pub(super) fn begins(&self, byte: u8) -> bool {
        let first = self.from_root.get(usize::from(byte));
        first.is_some_and(|state| *state != 0)
    }

    /// Says whether a pattern may begin with two bytes. The answer may be a wrong yes, but never a
    /// wrong no.
    pub(super) fn may_begin(&self, first: u8, second: u8) -> bool {
        let seconds = self.second_bits.get(usize::from(first));
        seconds.is_some_and(|seconds| seconds >> (second & 31) & 1 == 1)
    }

    /// Says whether a text may contain a pattern. The answer may be a wrong yes, but never a wrong
    /// no.
    ///
    /// By the algorithm of Wu and Manber, it reads every sixth byte of most texts, or fewer.
    pub(super) fn may_be_in(&self, text: &[u8]) -> bool {
        let Some(n_before) = self.window.checked_sub(2) else {
            return true;
        };
        let mut begin = 0;
        while let Some([one, other]) = text.get(begin + n_before..begin + n_before + 2) {
            let n_passed = self.shifts.get(pair(*one, *other)).copied().unwrap_or(0);
            begin += usize::from(n_passed);
            if n_passed == 0 {
                if let Some([first, second]) = text.get(begin..begin + 2)
                    && self.may_begin(*first, *second)
                {
                    return true;
                }
                begin += 1;
            }
        }
        false
    }

    /// Moves on by one byte.
    pub(super) fn step(&self, state: StateId, byte: u8) -> StateId {
        let byte = byte.to_ascii_lowercase();
        let mut at = state.0;
        while at != 0 {
            match self.child(at, byte) {
                0 => at = self.state(at).map_or(0, |state| state.fallback),
                next => return StateId(next),
            }
        }
        StateId(self.from_root.get(usize::from(byte)).copied().unwrap_or(0))
    }

    /// Returns how many bytes at the end of the text are in a pattern.
    pub(super) fn depth(&self, state: StateId) -> usize {
        self.state(state.0).map_or(0, |state| state.depth as usize)
    }

    /// Returns how many bytes at the end of the text are in a pattern that is not complete.
    pub(super) fn n_open(&self, state: StateId) -> usize {
        self.state(state.0).map_or(0, |state| state.n_open as usize)
    }

    /// Returns the length of the longest pattern that ends here; 0 if none does.
    pub(super) fn n_matched(&self, state: StateId) -> usize {
        self.state(state.0)
            .map_or(0, |state| state.n_matched as usize)
    }

    fn state(&self, at: u32) -> Option<&MatcherState> {
        self.states.get(at as usize)
    }

    fn state_mut(&mut self, at: u32) -> Option<&mut MatcherState> {
        self.states.get_mut(at as usize)
    }

    fn child(&self, at: u32, byte: u8) -> u32 {
        let mut child = self.state(at).map_or(0, |state| state.first_child);
        while let Some(state) = self.state(child).filter(|_| child != 0) {
            if state.byte == byte {
                return child;
            }
            child = state.next_sibling;
        }
        0
    }

    fn add(&mut self, pattern: &[u8]) {
        if let Some(&first) = pattern.first() {
            let seconds = pattern.get(1).map_or(u32::MAX, |second| 1 << (second & 31));
            for first in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
                if let Some(slot) = self.second_bits.get_mut(usize::from(first)) {
                    *slot |= seconds;
                }
            }
        }
        let mut at = 0;
        let mut depth = 0;
        for byte in pattern.iter().map(u8::to_ascii_lowercase) {
            depth += 1;
            let known = self.child(at, byte);
            if known != 0 {
                at = known;
                continue;
            }
            // Cannot overflow: 2^32 states would not fit into memory.
            let new = u32::try_from(self.states.len()).unwrap_or(0);
            self.states.push(MatcherState {
                byte,
                depth,
                next_sibling: self.state(at).map_or(0, |state| state.first_child),
                ..MatcherState::default()
            });
            if let Some(state) = self.state_mut(at) {
                state.first_child = new;
            }
            if at == 0 {
                for byte in [byte, byte.to_ascii_uppercase()] {
                    if let Some(slot) = self.from_root.get_mut(usize::from(byte)) {
                        *slot = new;
                    }
                }
            }
            at = new;
        }
        if let Some(state) = self.state_mut(at) {
            state.n_matched = depth;
        }
    }

    /// Computes the window and how far a text can be skipped.
    fn set_window(&mut self, patterns: &[&[u8]]) {
        let shortest = patterns.iter().map(|pattern| pattern.len()).min();
        self.window = shortest.unwrap_or(0).min(MAX_WINDOW);
        let longest_shift = u8::try_from(self.window.saturating_sub(1)).unwrap_or(0);
        self.shifts.fill(longest_shift);
        for pattern in patterns {
            let pairs = pattern.windows(2).take(self.window.saturating_sub(1));
            for (n_after, bytes) in (0..longest_shift).rev().zip(pairs) {
                if let [one, other] = bytes
                    && let Some(shift) = self.shifts.get_mut(pair(*one, *other))
                {
                    *shift = n_after.min(*shift);
                }
            }
        }
    }

    /// Computes the fallback of each state (the failure links of Aho–Corasick).
    ///
    /// States nearest to the root come first, because each needs those before it.
    fn link(&mut self) {
        let mut order = vec![0];
        let mut n_done = 0;
        while let Some(&at) = order.get(n_done) {
            n_done += 1;
            let fallback = self.state(at).map_or(0, |state| state.fallback);
            let mut child = self.state(at).map_or(0, |state| state.first_child);
            while child != 0 {
                let (byte, next) = self
                    .state(child)
                    .map_or((0, 0), |state| (state.byte, state.next_sibling));
                let target = match at {
                    // A single byte has no shorter suffix; a step from the root would lead back to
                    // the child itself.
                    0 => StateId(0),
                    _ => self.step(StateId(fallback), byte),
                };
                let n_inherited = self.n_matched(target);
                let n_open_inherited = self.state(target.0).map_or(0, |state| state.n_open);
                if let Some(state) = self.state_mut(child) {
                    state.fallback = target.0;
                    state.n_open = match state.first_child {
                        0 => n_open_inherited,
                        _ => state.depth,
                    };
                    // A shorter pattern may end where a longer one is still going on: that is a
                    // match too.
                    if state.n_matched == 0 {
                        state.n_matched = u32::try_from(n_inherited).unwrap_or(0);
                    }
                }
                order.push(child);
                child = next;
            }
        }
    }
}

/// Hashes two bytes, equally for both cases of a letter.
const fn pair(one: u8, other: u8) -> usize {
    ((one | 0x20) as usize * 29 + (other | 0x20) as usize) % N_SHIFTS
}
