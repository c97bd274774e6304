//! How clients come in: listening sockets that other logins share, and the number of those that may be in at
//! once.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ioloop::Interest;
use slotmap::KeyData;
use strangers::Networks;
use wire::Protocol;
use wire::login::{FromLogin, TooMany};

use super::{Due, Login, Source, number};
use crate::client::{Client, ClientKey, State};
use crate::conversation::{Conversation, Departure};
use crate::imap::Imap;
use crate::pop3::Pop3;
use crate::settings::Settings;

impl Login {
    /// Takes clients in that wait at a listener; that there are none is nothing special, another login was
    /// quicker.
    pub(super) fn accept(&mut self, number: usize, now: Instant) {
        for _ in 0..ACCEPTS {
            let Some(listener) = self.listeners.get(number).filter(|_| !self.paused) else { return };
            match listener.accept() {
                Ok((socket, remote)) => self.admit(socket, remote, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => {
                    log::error!("accepting clients, none for {} s: {error}", PAUSE.as_secs());
                    self.pause(now);
                    return;
                }
            }
        }
    }

    fn admit(&mut self, socket: TcpStream, remote: SocketAddr, now: Instant) {
        // A client that is gone already has no address of ours either.
        let Ok(local) = socket.local_addr() else { return };
        if self.settings.process_per_connection {
            self.close_door();
        }
        if self.strangers() >= self.settings.max_connections {
            self.displace(now);
        }
        // Without it answers come late, and that is all.
        let _ = socket.set_nodelay(true);
        let (local, remote) = (canonical(local), canonical(remote));
        log::debug!("Connected: rip={}, lip={}", remote.ip(), local.ip());
        let [allowed, refused] = &self.offers;
        let Settings { disable_plaintext_auth, trusted, .. } = &self.settings;
        let in_the_clear = !disable_plaintext_auth || is_local(local.ip(), remote.ip(), trusted);
        let offers = Rc::clone(if in_the_clear { allowed } else { refused });
        let conversation: Box<dyn Conversation> = match self.settings.protocol {
            Protocol::Imap => Box::new(Imap::new(offers)),
            Protocol::Pop3 => Box::new(Pop3::new(offers)),
        };
        let Self { clients, timers, settings, .. } = self;
        let key = clients.insert_with_key(|key| {
            let timer = timers.set(now + settings.timeout, Due::Client(key));
            Client::new(socket, (local, remote), conversation, now, timer)
        });
        if let Some(master) = &mut self.master {
            master.say(&FromLogin::Stranger { id: number(key), remote: remote.ip() }, None);
        }
        self.settle(key, now);
    }

    /// Sends the oldest away: of those about whom auth is not asked, if there is one.
    fn displace(&mut self, now: Instant) {
        let rank = |(key, client): (ClientKey, &Client)| match client.state {
            State::Talking | State::Leaving => Some((0, client.since, key)),
            State::Asking { .. } | State::Proven { .. } => Some((1, client.since, key)),
            State::HandedOver { .. } | State::Greeting { .. } => None,
        };
        if let Some((_, _, key)) = self.clients.iter().filter_map(rank).min() {
            self.send_away(key, Departure::Displaced, now);
            self.remove(key);
        }
    }

    /// The master counts one too many. Who has proved meanwhile who he is stays.
    pub(super) fn close(&mut self, id: u64, code: TooMany, now: Instant) {
        let key = ClientKey::from(KeyData::from_ffi(id));
        let state = self.clients.get(key).map(|client| client.state);
        if matches!(state, Some(State::Talking | State::Asking { .. })) {
            let why = match code {
                TooMany::FromAddress => Departure::Crowded,
                TooMany::InAll => Departure::Displaced,
            };
            self.send_away(key, why, now);
            self.settle(key, now);
        }
    }

    /// Out of descriptors or memory: the clients that wait would be told of again at once, and for ever.
    fn pause(&mut self, now: Instant) {
        for listener in &self.listeners {
            // It fails only where the loop has nothing to forget.
            let _ = self.io.unwatch(listener);
        }
        self.paused = true;
        self.timers.set(now + PAUSE, Due::Listen);
    }

    /// Goes on after a pause.
    pub(super) fn listen(&mut self) {
        self.paused = false;
        for (number, listener) in self.listeners.iter().enumerate() {
            if let Err(error) = self.io.watch(listener, Source::Listener(number).key(), Interest::Read) {
                log::error!("listening: {error}");
            }
        }
    }

    /// Takes no more clients.
    pub(super) fn close_door(&mut self) {
        for listener in self.listeners.drain(..) {
            // It fails in a pause, when it is not watched.
            let _ = self.io.unwatch(&listener);
        }
    }
}

/// An IPv4 client of an IPv6 listener is an IPv4 client.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether a client is on this host, where nobody listens in, or on one that is treated as this one.
fn is_local(local: IpAddr, remote: IpAddr, trusted: &Networks) -> bool {
    remote.is_loopback() || remote == local || trusted.contain(remote)
}

/// How many clients are taken in before others have their turn.
const ACCEPTS: usize = 16;

/// How long no client is taken in when one could not be.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_on_this_host_is_local_in_every_notation() {
        let local = |local: &str, remote: &str| {
            let [local, remote] =
                [local, remote].map(|text| canonical(SocketAddr::new(text.parse().unwrap(), 1)));
            is_local(local.ip(), remote.ip(), &"198.51.100.0/24 2001:db8:1::/48".parse().unwrap())
        };
        assert!(local("192.0.2.9", "127.0.0.1"));
        assert!(local("::", "::1"));
        assert!(local("::ffff:127.0.0.1", "::ffff:127.0.0.2"));
        assert!(local("192.0.2.9", "::ffff:192.0.2.9"));
        assert!(local("192.0.2.9", "::ffff:198.51.100.7"));
        assert!(local("2001:db8::1", "2001:db8:1::2"));
        assert!(!local("192.0.2.9", "192.0.2.1"));
        assert!(!local("2001:db8::1", "2001:db8::2"));
    }
}
