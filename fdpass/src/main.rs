//! fdpass(1): sends descriptors over a unix socket, and receives one for a program that it then becomes.
#![forbid(unsafe_code)]

fn main() {}
