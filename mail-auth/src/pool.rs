//! Threads for what would hold everybody else up: slow hashes, other programs, the system's databases.
//!
//! A pool starts a thread only when all that it has are at work, never more than its limit, and refuses work beyond
//! its queue instead of growing. What a thread is done with comes back through one channel, and one byte on a socket
//! wakes the loop. A job that panics becomes an answer like any other.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use thiserror::Error;

type Job<T> = Box<dyn FnOnce() -> T + Send>;

/// The queue is full: too much was asked at once.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("too many requests at once")]
pub(crate) struct Full;

/// Where the answers of all pools come out; readable when there are some.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    receiver: Receiver<T>,
    bell: UnixStream,
}

/// What a pool needs to say that an answer is there.
#[derive(Debug)]
pub(crate) struct Bell<T> {
    sender: Sender<T>,
    bell: Arc<UnixStream>,
}

/// Some threads and what waits for them.
pub(crate) struct Pool<T> {
    shared: Arc<Shared<T>>,
    bell: Bell<T>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    work: Condvar,
    threads: usize,
    queue: usize,
}

struct State<T> {
    jobs: VecDeque<(Job<T>, T)>,
    started: usize,
    idle: usize,
}

/// A place where answers come out, and what rings there.
///
/// # Errors
/// Those of socketpair(2).
pub(crate) fn answers<T>() -> io::Result<(Answers<T>, Bell<T>)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    let (sender, receiver) = channel();
    Ok((Answers { receiver, bell: ours }, Bell { sender, bell: Arc::new(theirs) }))
}

impl<T> Answers<T> {
    /// Those that have come.
    pub(crate) fn take(&mut self) -> Vec<T> {
        let mut rings = [0; 256];
        // Any outcome but bytes means that there are no more; an answer that comes after this rings again.
        while matches!((&self.bell).read(&mut rings), Ok(count) if count > 0) {}
        self.receiver.try_iter().collect()
    }
}

impl<T> AsFd for Answers<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl<T> Clone for Bell<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), bell: Arc::clone(&self.bell) }
    }
}

impl<T: Send + 'static> Pool<T> {
    /// At most `threads` of them, and at most `queue` jobs that wait.
    pub(crate) fn new(threads: usize, queue: usize, bell: Bell<T>) -> Self {
        let state = Mutex::new(State { jobs: VecDeque::new(), started: 0, idle: 0 });
        Self { shared: Arc::new(Shared { state, work: Condvar::new(), threads, queue }), bell }
    }

    /// Has `job` done; its answer comes out at [`Answers`], or `otherwise` if it panics.
    ///
    /// # Errors
    /// [`Full`], also where no thread can be started.
    pub(crate) fn submit(&self, job: impl FnOnce() -> T + Send + 'static, otherwise: T) -> Result<(), Full> {
        let mut state = self.shared.lock();
        if state.jobs.len() >= self.shared.queue {
            return Err(Full);
        }
        if state.jobs.len() >= state.idle && state.started < self.shared.threads {
            let (shared, bell) = (Arc::clone(&self.shared), self.bell.clone());
            match thread::Builder::new().spawn(move || shared.work(&bell)) {
                Ok(_) => state.started += 1,
                Err(error) => log::error!("starting a thread: {error}"),
            }
        }
        if state.started == 0 {
            return Err(Full);
        }
        state.jobs.push_back((Box::new(job), otherwise));
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.shared.threads).finish_non_exhaustive()
    }
}

impl<T> Shared<T> {
    /// What a thread does until the program ends.
    fn work(&self, bell: &Bell<T>) {
        loop {
            let (job, otherwise) = self.next();
            let answer = catch_unwind(AssertUnwindSafe(job)).unwrap_or(otherwise);
            if bell.sender.send(answer).is_err() {
                return;
            }
            // A full socket rings loud enough.
            let _ = (&*bell.bell).write(&[0]);
        }
    }

    fn next(&self) -> (Job<T>, T) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return job;
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Nothing that holds the lock can panic half-way, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ioloop::{Interest, Loop};

    fn wait(answers: &mut Answers<u32>, count: usize) -> Vec<u32> {
        let mut io = Loop::new().unwrap();
        io.watch(&answers, 1, Interest::Read).unwrap();
        let (mut all, mut ready) = (Vec::new(), Vec::new());
        while all.len() < count {
            io.wait(None, &mut ready).unwrap();
            all.extend(answers.take());
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn every_job_is_answered_once() {
        let (mut answers, bell) = answers().unwrap();
        let pools = [Pool::new(3, 1000, bell.clone()), Pool::new(1, 1000, bell)];
        for number in 0..1000 {
            pools[(number % 2) as usize].submit(move || number, u32::MAX).unwrap();
        }
        assert_eq!(wait(&mut answers, 1000), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_job_that_panics_is_answered_too_and_its_thread_goes_on() {
        let (mut answers, bell) = answers().unwrap();
        let pool = Pool::new(1, 10, bell);
        pool.submit(|| panic!("as this test wants"), 7).unwrap();
        pool.submit(|| 8, 0).unwrap();
        assert_eq!(wait(&mut answers, 2), [7, 8]);
    }

    #[test]
    fn a_full_queue_refuses_and_a_slow_job_holds_up_none_of_another_thread() {
        let (mut answers, bell) = answers().unwrap();
        let pool = Pool::new(2, 2, bell);
        let (go, gate) = std::sync::mpsc::channel::<()>();
        pool.submit(move || gate.recv().map_or(0, |()| 1), 0).unwrap();
        pool.submit(|| 2, 0).unwrap();
        assert_eq!(wait(&mut answers, 1), [2]);
        let (halt, gate) = std::sync::mpsc::channel::<()>();
        pool.submit(move || gate.recv().map_or(0, |()| 3), 0).unwrap();
        while pool.shared.lock().idle > 0 || !pool.shared.lock().jobs.is_empty() {
            thread::yield_now();
        }
        pool.submit(|| 4, 0).unwrap();
        pool.submit(|| 5, 0).unwrap();
        assert_eq!(pool.submit(|| 6, 0), Err(Full));
        go.send(()).unwrap();
        halt.send(()).unwrap();
        assert_eq!(wait(&mut answers, 4), [1, 3, 4, 5]);
    }
}
