//! Signals to oneself only: workers of one base user could otherwise end each other.
//!
//! kill is not the only way: a descriptor can be told whom to signal, a process can be given a limit that ends it, or
//! so little of the processor that it might as well be ended.

use libc as c;

use crate::filter::{Filter, When};

impl Filter {
    /// Refuses signals to any process but `own`, and what comes to the same.
    #[must_use]
    pub fn signals_to_self(self, own: u32) -> Self {
        // Signal 0 is none: it asks whether there is such a process, as whoever finds a lock does.
        let filter = self.refuse_when(c::SYS_kill, &[When::is_not(0, own), When::is_not(1, 0)]);
        let filter =
            SENDING.iter().fold(filter, |filter, &call| filter.refuse_when(call, &[When::is_not(0, own)]));
        // 0 is the caller for these.
        let another = |argument| [When::is_not(argument, 0), When::is_not(argument, own)];
        let filter = LIMITING
            .iter()
            .fold(filter, |filter, &(call, argument)| filter.refuse_when(call, &another(argument)));
        let filter = OWNERS.iter().fold(filter, |filter, &command| {
            filter.refuse_when(c::SYS_fcntl, &[When::is(1, command.unsigned_abs())])
        });
        let filter = OWNER_REQUESTS
            .iter()
            .fold(filter, |filter, &request| filter.refuse_when(c::SYS_ioctl, &[When::is(1, request)]));
        // By a group or by all processes of a user: only by a process.
        let filter = filter
            .refuse_when(c::SYS_setpriority, &[When::is_not(0, PRIO_PROCESS)])
            .refuse_when(c::SYS_ioprio_set, &[When::is_not(0, IOPRIO_WHO_PROCESS)]);
        filter.refuse(&[c::SYS_pidfd_open, c::SYS_pidfd_send_signal])
    }
}

const SENDING: [i64; 4] = [c::SYS_tkill, c::SYS_tgkill, c::SYS_rt_sigqueueinfo, c::SYS_rt_tgsigqueueinfo];

/// A call, and which argument names the process.
const LIMITING: [(i64, u8); 7] = [
    (c::SYS_prlimit64, 0),
    (c::SYS_sched_setscheduler, 0),
    (c::SYS_sched_setparam, 0),
    (c::SYS_sched_setattr, 0),
    (c::SYS_sched_setaffinity, 0),
    (c::SYS_setpriority, 1),
    (c::SYS_ioprio_set, 1),
];

/// Whom a descriptor signals, and by what: F_SETOWN, F_SETSIG, F_SETOWN_EX.
const OWNERS: [i32; 3] = [c::F_SETOWN, 10, 15];

/// The same by ioctl: FIOSETOWN, SIOCSPGRP.
const OWNER_REQUESTS: [u32; 2] = [0x8901, 0x8902];

const PRIO_PROCESS: u32 = 0;
const IOPRIO_WHO_PROCESS: u32 = 1;
