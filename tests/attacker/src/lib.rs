//! What somebody would do who has taken a process over: any system calls, with any arguments.
//!
//! Debug builds of worker and login have a command for it, `XBREACH`, by which tests/tests/breach.rs sees what the
//! kernel lets such a process do. In release builds nothing of this is there. It must never be in a program that
//! strangers can reach.
//!
//! A script is calls, with `;` between them. A call is words: the system call's number, and up to six arguments, each of
//! them a number, `$N` (what the Nth call answered, from 0 on), `*N` (the 32 bits where the memory is that it answered),
//! or memory: `'text` (with a NUL behind it), `x'0a0b` (bytes), `b'N` (N zero bytes), `[a|b]` (numbers and addresses of
//! memory, of 64 bits each). In place of a number, `=` makes the first argument itself the answer.
#![cfg(debug_assertions)]
#![allow(unsafe_code)]

use std::io;

/// Does what an IMAP client's line asks for whose command is `XBREACH`; what it is answered.
pub fn on_request(line: &[u8]) -> Option<String> {
    let (_, command) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    Some(format!("BREACH {}", attack(command.strip_prefix("XBREACH ")?)?))
}

/// Runs a script to its end, whatever the calls in it answer; what each answered, as the kernel has it: an error is its
/// number, negative. None is answered of a word that is none.
pub fn attack(script: &str) -> Option<String> {
    let own = std::process::id();
    let mut memory = Vec::new();
    let mut answers: Vec<i64> = Vec::new();
    for call in script.split(';') {
        let mut words = call.split_whitespace();
        let number = words.next()?;
        let mut values = [0; 6];
        for (value, word) in values.iter_mut().zip(words) {
            *value = argument(word, &answers, &mut memory)?;
        }
        let [first, second, third, fourth, fifth, sixth] = values;
        let answer = match number {
            "=" => first,
            number => {
                let number: i64 = number.parse().ok()?;
                // SAFETY: none; a process that was taken over has none either. What the scripts name is memory of this
                // call, and whoever writes them sees to the rest.
                match unsafe { libc::syscall(number, first, second, third, fourth, fifth, sixth) } {
                    -1 => -i64::from(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
                    answer => answer,
                }
            }
        };
        if std::process::id() != own {
            // A fork that came to be has shown that it can, and must not go on as a second worker.
            // SAFETY: it ends the process, and runs nothing of it.
            unsafe { libc::_exit(0) };
        }
        answers.push(answer);
    }
    let answers: Vec<String> = answers.iter().map(i64::to_string).collect();
    Some(answers.join(" "))
}

/// The value of a word. Memory stays where it is as long as `memory` is held.
fn argument(word: &str, answers: &[i64], memory: &mut Vec<Vec<u8>>) -> Option<i64> {
    let bytes = if let Some(text) = word.strip_prefix('\'') {
        [text.as_bytes(), &[0]].concat()
    } else if let Some(digits) = word.strip_prefix("x'") {
        let digits: Vec<char> = digits.chars().collect();
        let bytes = digits.chunks(2).map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).ok());
        bytes.collect::<Option<_>>()?
    } else if let Some(count) = word.strip_prefix("b'") {
        vec![0; count.parse().ok()?]
    } else if let Some(list) = word.strip_prefix('[') {
        let values = list.strip_suffix(']')?.split('|').map(|word| argument(word, answers, memory));
        values.collect::<Option<Vec<_>>>()?.into_iter().flat_map(i64::to_ne_bytes).collect()
    } else if let Some(number) = word.strip_prefix('$') {
        return answers.get(number.parse::<usize>().ok()?).copied();
    } else if let Some(number) = word.strip_prefix('*') {
        let address = *answers.get(number.parse::<usize>().ok()?)?;
        let there = memory.iter().find(|bytes| bytes.as_ptr() as i64 == address)?;
        return Some(i32::from_ne_bytes(*there.first_chunk()?).into());
    } else {
        return word.parse().ok();
    };
    let address = bytes.as_ptr() as i64;
    memory.push(bytes);
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_answered_by_what_the_kernel_said() {
        let pid = std::process::id();
        let open = format!(
            "{} ; {} 0 0 ; {} -100 '/dev/null 1 ; {} $2 'four 4 ; {} $2",
            libc::SYS_getpid,
            libc::SYS_access,
            libc::SYS_openat,
            libc::SYS_write,
            libc::SYS_close
        );
        let answers = attack(&open).unwrap();
        let answers: Vec<i64> = answers.split(' ').map(|word| word.parse().unwrap()).collect();
        let [own, absent, opened, written, closed] = answers[..] else { panic!("{answers:?}") };
        assert_eq!((own, absent, written, closed), (pid.into(), -i64::from(libc::EFAULT), 4, 0));
        assert!(opened > 2);
    }

    #[test]
    fn memory_holds_what_the_script_says() {
        let writev = libc::SYS_writev;
        let open = format!("{} -100 '/dev/null 1", libc::SYS_openat);
        assert!(attack(&format!("{open} ; {writev} $0 [x'616263|3|b'5|5] 2")).unwrap().ends_with(" 8"));
        assert_eq!(attack("= 7 ; = $0").unwrap(), "7 7");
        assert!(attack("= x'01010000 ; = *0").unwrap().ends_with(" 257"));
        assert_eq!(attack("getpid"), None);
    }

    #[test]
    fn a_fork_that_comes_to_be_does_not_go_on() {
        let child: i32 = attack(&format!("{} {}", libc::SYS_clone, libc::SIGCHLD)).unwrap().parse().unwrap();
        let mut status = -1;
        // SAFETY: it is given the address of a number that lives here.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }
}
