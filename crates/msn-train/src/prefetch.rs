//! Work done ahead on threads of its own, handed over in order.

use std::{
    ops::Range,
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

/// Finished items that wait for each worker.
const AHEAD: usize = 2;

/// Items in their order, as they come in.
pub(crate) struct Prefetched<T> {
    workers: Vec<Receiver<T>>,
    next: usize,
    /// Time spent waiting for items.
    pub waited: Duration,
}

impl<T> Prefetched<T> {
    /// The next item; `None` after the last.
    pub fn next(&mut self) -> Option<T> {
        let began = Instant::now();
        let worker = self.next % self.workers.len();
        let item = self.workers[worker].recv().ok();
        self.next += 1;
        self.waited += began.elapsed();
        item
    }
}

/// Makes the items of `range` with `make` on so many threads (at least one), up to two a thread
/// ahead of `consume`. Each thread has a state of its own. What `make` gives must depend on the
/// index alone; then nothing depends on the number of threads.
pub(crate) fn prefetch<S: Default, T: Send, R>(
    workers: usize,
    range: Range<usize>,
    make: &(impl Fn(&mut S, usize) -> T + Sync),
    consume: impl FnOnce(&mut Prefetched<T>) -> R,
) -> R {
    let workers = workers.max(1);
    std::thread::scope(|scope| {
        let start = |worker: usize| {
            let (sender, receiver) = sync_channel(AHEAD);
            let mine = (range.start + worker..range.end).step_by(workers);
            scope.spawn(move || {
                let mut state = S::default();
                for index in mine {
                    // Where nobody listens any more, there is nothing left to do.
                    if sender.send(make(&mut state, index)).is_err() {
                        break;
                    }
                }
            });
            receiver
        };
        let mut items = Prefetched {
            workers: (0..workers).map(start).collect(),
            next: 0,
            waited: Duration::ZERO,
        };
        consume(&mut items)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_and_whoever_stops_early_does_not_hang() {
        for workers in [0, 1, 2, 3, 7] {
            let square = |calls: &mut usize, i: usize| {
                *calls += 1;
                i * i
            };
            let all = prefetch(workers, 3..20, &square, |items| {
                std::iter::from_fn(|| items.next()).collect::<Vec<_>>()
            });
            assert_eq!(all, (3..20).map(|i| i * i).collect::<Vec<_>>(), "{workers}");
            let first = prefetch(workers, 0..1000, &square, |items| items.next());
            assert_eq!(first, Some(0));
            assert_eq!(prefetch(workers, 5..5, &square, |items| items.next()), None);
        }
    }
}
