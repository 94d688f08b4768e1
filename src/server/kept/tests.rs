use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// A value of some size, which may be busy, and gives up half when it is to shrink.
#[derive(Clone)]
struct Thing(Arc<(AtomicUsize, AtomicBool)>);

impl Thing {
    fn of(n_bytes: usize) -> Self {
        Self(Arc::new((
            AtomicUsize::new(n_bytes),
            AtomicBool::new(false),
        )))
    }

    fn busy(self, is_busy: bool) -> Self {
        self.0.1.store(is_busy, Ordering::SeqCst);
        self
    }

    fn grow(&self, n_bytes: usize) {
        self.0.0.fetch_add(n_bytes, Ordering::SeqCst);
    }
}

impl Keepable for Thing {
    fn n_bytes(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    fn is_busy(&self) -> bool {
        self.0.1.load(Ordering::SeqCst)
    }

    fn shrink(&self) {
        let half = self.n_bytes() / 2;
        self.0.0.store(half, Ordering::SeqCst);
    }
}

/// Two kinds that share a keeper; ids have one byte, which counts.
fn shelves(max: usize, max_bytes: usize) -> (Keeper, Shelf<Thing>, Shelf<Thing>) {
    let keeper = Keeper::new(KeptLimits {
        max,
        max_bytes,
        max_age: Duration::from_secs(100),
    });
    let things = keeper.shelf(Kind::Run, usize::MAX);
    let others = keeper.shelf(Kind::Response, usize::MAX);
    (keeper, things, others)
}

#[test]
fn number_of_a_kind_is_bounded_and_the_longest_unasked_goes_first() {
    let (_, things, others) = shelves(2, usize::MAX);
    others.insert("a", Thing::of(1));
    for id in ["a", "b"] {
        things.insert(id, Thing::of(1));
    }
    assert!(things.get("a").is_some());
    things.insert("c", Thing::of(1));
    assert!(things.get("a").is_some() && things.get("b").is_none());
    assert_eq!(things.dropped("b"), Some(Why::Number));
    assert_eq!((things.dropped("a"), things.dropped("x")), (None, None));
    assert!(others.get("a").is_some());
    // What comes again was not dropped, and what was taken away neither.
    things.insert("b", Thing::of(1));
    assert_eq!(
        (things.dropped("b"), things.dropped("c")),
        (None, Some(Why::Number))
    );
    assert!(things.remove("b").is_some());
    assert_eq!(things.dropped("b"), None);
}

#[test]
fn bytes_of_all_kinds_are_bounded_together() {
    let (keeper, things, others) = shelves(100, 100);
    things.insert("a", Thing::of(40));
    others.insert("b", Thing::of(40));
    assert!(things.get("a").is_some());
    things.insert("c", Thing::of(40));
    assert_eq!(others.dropped("b"), Some(Why::Bytes));
    assert_eq!(keeper.n_bytes(), 82);
    // In place of an earlier one of its id.
    things.insert("a", Thing::of(10));
    assert_eq!(keeper.n_bytes(), 52);
    // One that is larger than all of the room leaves its reason.
    things.insert("d", Thing::of(200));
    assert_eq!(things.dropped("d"), Some(Why::Bytes));
    assert_eq!(keeper.n_bytes(), 0);
}

#[test]
fn grown_entry_is_counted_when_told() {
    let (keeper, things, _) = shelves(100, 100);
    let grown = things.get_or_insert_with("a", || Thing::of(10));
    things.insert("b", Thing::of(10));
    grown.grow(85);
    assert_eq!(keeper.n_bytes(), 22);
    things.changed("a");
    assert_eq!(
        (things.dropped("b"), keeper.n_bytes()),
        (Some(Why::Bytes), 96)
    );
}

#[test]
fn busy_entry_shrinks_and_stays() {
    let (keeper, things, _) = shelves(1, 100);
    let busy = things.get_or_insert_with("a", || Thing::of(60).busy(true));
    things.insert("b", Thing::of(60));
    assert!(things.get("a").is_some() && things.get("b").is_some());
    assert_eq!(keeper.n_bytes(), 92);
    busy.busy(false);
    things.insert("c", Thing::of(1));
    assert_eq!(things.dropped("a"), Some(Why::Number));
}

#[tokio::test(start_paused = true)]
async fn unused_entry_is_dropped() {
    let (keeper, things, _) = shelves(100, 100);
    things.insert("a", Thing::of(1));
    things.insert("b", Thing::of(1));
    things.insert("c", Thing::of(1).busy(true));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(things.get("b").is_some());
    tokio::time::advance(Duration::from_secs(60)).await;
    keeper.sweep();
    assert_eq!(things.dropped("a"), Some(Why::Age));
    assert_eq!(keeper.n_bytes(), 4);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(things.get("b").is_none() && things.get("c").is_some());
}
