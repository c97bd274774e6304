//! The lines of our own protocols, from any of their ends: each message goes there and back, and no bytes are a panic.
//!
//! The first byte of the input says which direction of which protocol the rest is.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use wire::auth::{self, FromAuth, ToAuth};
use wire::control::{self, Answer, Request};
use wire::handoff::{self, FromWorker, ToWorker};
use wire::login::{self, FromLogin, ToLogin};
use wire::{Assembler, Bad, Record};

/// What reads a protocol's lines, and its name.
type Protocol = (fn() -> Assembler, &'static str);

const HANDOFF: Protocol = (handoff::assembler, handoff::NAME);
const LOGIN: Protocol = (login::assembler, login::NAME);
const CONTROL: Protocol = (control::assembler, control::NAME);
const AUTH: Protocol = (auth::assembler, auth::NAME);

fuzz_target!(|input: &[u8]| {
    let Some((&which, lines)) = input.split_first() else { return };
    match which % 8 {
        0 => link(HANDOFF, lines, |record| ToWorker::parse(&record), ToWorker::to_bytes),
        1 => link(HANDOFF, lines, |record| FromWorker::parse(&record), FromWorker::to_bytes),
        2 => link(LOGIN, lines, |record| FromLogin::parse(&record), FromLogin::to_bytes),
        3 => link(LOGIN, lines, |record| ToLogin::parse(&record), ToLogin::to_bytes),
        4 => link(CONTROL, lines, |record| Request::parse(&record), Request::to_bytes),
        5 => link(CONTROL, lines, Answer::parse, Answer::to_bytes),
        6 => link(AUTH, lines, |record| FromAuth::parse(&record), FromAuth::to_bytes),
        _ => link(AUTH, lines, |record| ToAuth::parse(&record), ToAuth::to_bytes),
    }
});

fn link<M: Debug + PartialEq>(
    (assembler, name): Protocol,
    lines: &[u8],
    parse: fn(Record) -> Result<Option<M>, Bad>,
    to_bytes: fn(&M) -> Vec<u8>,
) {
    // A peer may say anything at first, too.
    read(assembler(), lines).ok();
    let greeted = [&Assembler::version_line(name, 1, 0), lines].concat();
    let Ok(records) = read(assembler(), &greeted) else { return };
    for record in records {
        let again = [Assembler::version_line(name, 1, 7), record.to_bytes()].concat();
        assert_eq!(read(assembler(), &again).as_deref(), Ok(std::slice::from_ref(&record)));
        if let Ok(Some(message)) = parse(record) {
            let again = [Assembler::version_line(name, 1, 7), to_bytes(&message)].concat();
            let record = read(assembler(), &again).unwrap().remove(0);
            assert_eq!(parse(record), Ok(Some(message)));
        }
    }
}

fn read(mut assembler: Assembler, bytes: &[u8]) -> Result<Vec<Record>, Bad> {
    let mut records = Vec::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        records.extend(assembler.push(line.strip_suffix(b"\n").unwrap_or(line))?);
    }
    Ok(records)
}
