//! A client's responses in a SASL exchange: there and back, and never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::sasl::{Credentials, Exchange, Progress, decode, encode};

fuzz_target!(|input: &[u8]| {
    if let Ok(response) = decode(input) {
        assert_eq!(decode(encode(&response).expose()).as_ref(), Ok(&response));
        if let Ok(credentials) = Credentials::from_plain(&response) {
            assert_eq!(credentials.to_plain(), Ok(response));
        }
    }
    for mechanism in ["PLAIN", "LOGIN"] {
        let mut exchange = Exchange::new(mechanism);
        for line in input.split_inclusive(|&byte| byte == b'\n') {
            exchange = match (exchange, decode(line)) {
                (Some(exchange), Ok(response)) => match exchange.step(response) {
                    Ok(Progress::Ask(next)) => Some(next),
                    Ok(Progress::Done(credentials)) => {
                        assert!(!credentials.user.is_empty());
                        None
                    }
                    Err(_) => None,
                },
                _ => None,
            };
        }
    }
});
