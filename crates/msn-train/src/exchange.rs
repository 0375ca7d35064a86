//! Threads that give each other what each of them has.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// As many meetings as the threads want, of the same threads each time.
#[derive(Debug)]
pub(crate) struct Exchange<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    given: Vec<Option<T>>,
    /// What was given in a meeting that not all have left.
    all: Option<Vec<T>>,
    left: usize,
    broken: bool,
}

/// Somebody will not come any more.
#[derive(Debug)]
pub(crate) struct Broken;

impl<T: Clone> Exchange<T> {
    pub fn new(threads: usize) -> Self {
        Self {
            state: Mutex::new(State {
                given: (0..threads).map(|_| None).collect(),
                all: None,
                left: 0,
                broken: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Gives `own` as thread number `index`; what all threads gave, in their order. Waits for them.
    pub fn meet(&self, index: usize, own: T) -> Result<Vec<T>, Broken> {
        // The meeting before may still have somebody in it.
        let mut state = self.wait(self.lock(), |state| state.all.is_none())?;
        state.given[index] = Some(own);
        if state.given.iter().all(Option::is_some) {
            state.all = Some(state.given.iter_mut().filter_map(Option::take).collect());
            self.changed.notify_all();
        }
        let mut state = self.wait(state, |state| state.all.is_some())?;
        let all = state.all.clone().unwrap_or_default();
        state.left += 1;
        if state.left == state.given.len() {
            (state.left, state.all) = (0, None);
            self.changed.notify_all();
        }
        Ok(all)
    }

    /// Ends all waiting for a thread that will not come, now and later.
    pub fn end(&self) {
        self.lock().broken = true;
        self.changed.notify_all();
    }

    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State<T>>,
        ready: impl Fn(&State<T>) -> bool,
    ) -> Result<MutexGuard<'a, State<T>>, Broken> {
        loop {
            // Who came in time has its meeting, also where another has left it and ended the next.
            if ready(&state) {
                return Ok(state);
            }
            if state.broken {
                return Err(Broken);
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_meeting_has_what_all_gave_in_it_and_an_end_ends_waiting() {
        for threads in [1, 2, 3, 7] {
            let exchange = Exchange::new(threads);
            std::thread::scope(|scope| {
                for index in 0..threads {
                    let exchange = &exchange;
                    scope.spawn(move || {
                        for round in 0..500 {
                            let all = exchange.meet(index, (round, index)).unwrap();
                            let expected: Vec<_> = (0..threads).map(|i| (round, i)).collect();
                            assert_eq!(all, expected);
                        }
                        if index == 0 {
                            exchange.end();
                        } else {
                            exchange.meet(index, (0, 0)).unwrap_err();
                        }
                    });
                }
            });
        }
    }
}
