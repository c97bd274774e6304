//! Plays a transcript against a server. What comes and is not expected is a failure, with the place in the file.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::pattern::{Names, filled_in};
use super::{Act, Expected, Need, Protocol, Transcript, literal};
use crate::stream::Stream;

/// Where a transcript is played: a user of a server, with an empty INBOX that nobody else uses.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Where IMAP clients connect to.
    pub imap: SocketAddrV4,
    /// Where POP3 clients connect to.
    pub pop3: SocketAddrV4,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The user's mail.
    pub maildir: PathBuf,
    /// Who the third party is, by uid and gid; else whoever plays.
    pub third_party: Option<(u32, u32)>,
    /// How long to wait for what is expected.
    pub patience: Duration,
}

/// Plays it. `restart` ends the server and starts it again. An error says where, what was expected, what came, and what
/// was said before.
pub fn play(
    transcript: &Transcript,
    stage: &Stage,
    restart: &mut dyn FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let names = [("user", &stage.user), ("password", &stage.password)];
    let names = names.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    let mut player = Player { stage, names, clients: HashMap::new(), delivered: 0, heard: Vec::new() };
    for step in &transcript.steps {
        let done = if step.act == Act::Restart { restart() } else { player.act(step.line, &step.act) };
        done.map_err(|why| {
            let from = player.heard.len().saturating_sub(SHOWN);
            let said = player.heard.get(from..).unwrap_or_default().join("\n    ");
            format!("{}:{}: {why}\n  after:\n    {said}", transcript.name, step.line)
        })?;
    }
    Ok(())
}

struct Player<'a> {
    stage: &'a Stage,
    names: Names,
    clients: HashMap<String, Client>,
    delivered: u32,
    /// All that was said.
    heard: Vec<String>,
}

struct Client {
    stream: Stream,
    protocol: Protocol,
}

impl Player<'_> {
    fn act(&mut self, line: usize, act: &Act) -> Result<(), String> {
        match act {
            Act::Connect(who, protocol, mailbox) => self.connect(who, *protocol, mailbox.as_deref()),
            Act::Send(who, text) => self.send(who, &filled_in(text, &self.names)),
            Act::Expect(who, expected) => {
                let mut open = vec![true; expected.len()];
                while is_waiting(expected, &open) {
                    self.take(who, expected, &mut open)?;
                }
                Ok(())
            }
            Act::Until(who, command, expected) => self.until(line, who, command, expected),
            Act::Close(who) => {
                self.clients.remove(who).map(drop).ok_or_else(|| format!("{who} is not connected"))
            }
            Act::End(who) => match self.hear(who)? {
                None => Ok(()),
                Some(response) => Err(format!("expected: the end of the connection\n  got:      {response}")),
            },
            Act::Deliver(folder, names) => self.deliver(folder, names),
            Act::Shell(command) => self.shell(&filled_in(command, &self.names)),
            Act::Restart => Ok(()),
        }
    }

    fn connect(&mut self, who: &str, protocol: Protocol, mailbox: Option<&str>) -> Result<(), String> {
        let address = if protocol == Protocol::Imap { self.stage.imap } else { self.stage.pop3 };
        let stream = Stream::connect(address, None).ok_or_else(|| format!("nobody listens at {address}"))?;
        stream.wait_at_most(self.stage.patience);
        self.clients.insert(who.to_owned(), Client { stream, protocol });
        let Stage { user, password, .. } = self.stage;
        let (mut commands, wanted) = match protocol {
            Protocol::Imap => (vec![format!("open LOGIN {user} {password}")], "open OK"),
            Protocol::Pop3 => (vec![format!("USER {user}"), format!("PASS {password}")], "+OK"),
        };
        commands.extend(mailbox.map(|mailbox| format!("open SELECT {mailbox}")));
        // The greeting.
        self.hear(who)?;
        for command in commands {
            self.send(who, &command)?;
            let mut answer = self.hear(who)?.unwrap_or_default();
            while answer.starts_with("* ") {
                answer = self.hear(who)?.unwrap_or_default();
            }
            if !answer.starts_with(wanted) {
                return Err(format!("{who} is refused: {answer}"));
            }
        }
        Ok(())
    }

    fn send(&mut self, who: &str, text: &str) -> Result<(), String> {
        let client = self.clients.get_mut(who).ok_or_else(|| format!("{who} is not connected"))?;
        client.stream.send(format!("{text}\r\n").as_bytes());
        self.heard.push(format!("{who} C: {text}"));
        Ok(())
    }

    /// The next response, with its literals; none at the end of the connection.
    fn hear(&mut self, who: &str) -> Result<Option<String>, String> {
        let client = self.clients.get_mut(who).ok_or_else(|| format!("{who} is not connected"))?;
        let mut line = || {
            let line = client.stream.try_line().map_err(|why| format!("nothing came: {why}"))?;
            Ok::<_, String>(line.map(|line| String::from_utf8_lossy(&line).into_owned()))
        };
        let Some(mut response) = line()? else { return Ok(None) };
        while let Some(length) = literal(&response).filter(|_| client.protocol == Protocol::Imap) {
            response += "\r\n";
            let bytes = client.stream.exactly(length).ok_or("the end of the connection in a literal")?;
            response += &String::from_utf8_lossy(&bytes);
            response += &String::from_utf8_lossy(&client.stream.line().unwrap_or_default());
        }
        self.heard.push(format!("{who} S: {response}"));
        Ok(Some(response))
    }

    /// Takes one response, which must be one of those that are expected and still `open`.
    fn take(&mut self, who: &str, expected: &[Expected], open: &mut [bool]) -> Result<(), String> {
        let got = self.hear(who);
        let Ok(Some(response)) = got else {
            let came = got.err().unwrap_or_else(|| "the end of the connection".to_owned());
            return Err(complaint(expected, open, &came));
        };
        if self.is_expected(&response, who, expected, open) {
            return Ok(());
        }
        Err(complaint(expected, open, &response))
    }

    fn is_expected(&mut self, response: &str, who: &str, expected: &[Expected], open: &mut [bool]) -> bool {
        let in_order = self.clients.get(who).is_some_and(|client| client.protocol == Protocol::Pop3);
        for (index, one) in expected.iter().enumerate() {
            let earlier = expected.iter().zip(open.iter()).take(index);
            let mut before = earlier.filter(|(other, open)| **open && other.need == Need::Once);
            let is_due = !before.any(|(other, _)| in_order || one.has_its_place() || other.has_its_place());
            let can_be = open.get(index).is_some_and(|open| *open) && is_due && one.need != Need::Rest;
            if can_be && one.patterns.iter().any(|pattern| pattern.matches(response, &mut self.names)) {
                if let (Need::Once, Some(open)) = (one.need, open.get_mut(index)) {
                    *open = false;
                }
                return true;
            }
        }
        expected.iter().any(|one| one.need == Need::Rest) && !is_news(response, in_order)
    }

    /// What is waited for may come with any of the answers, or between them.
    fn until(&mut self, line: usize, who: &str, command: &str, expected: &[Expected]) -> Result<(), String> {
        let deadline = Instant::now() + self.stage.patience;
        let mut open = vec![true; expected.len()];
        let answered = format!("until{line} OK");
        while is_waiting(expected, &open) {
            if Instant::now() > deadline {
                return Err(complaint(expected, &open, "the same answer again and again"));
            }
            self.send(who, &format!("until{line} {command}"))?;
            loop {
                let response = self.hear(who)?.ok_or("the connection was closed")?;
                if response.starts_with(&answered) {
                    break;
                }
                if !self.is_expected(&response, who, expected, &mut open) {
                    return Err(complaint(expected, &open, &response));
                }
            }
            sleep(STEP);
        }
        Ok(())
    }

    /// Who has flags was seen before, and is recent to nobody any more.
    fn deliver(&mut self, folder: &str, names: &[String]) -> Result<(), String> {
        let (old, new): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.contains(':'));
        old.iter().try_for_each(|name| self.put(folder, name))?;
        if !old.is_empty() {
            let mailbox = folder.strip_prefix('.').unwrap_or("INBOX");
            self.connect("visitor", Protocol::Imap, Some(mailbox))?;
            self.clients.remove("visitor");
        }
        new.iter().try_for_each(|name| self.put(folder, name))
    }

    fn put(&mut self, folder: &str, name: &str) -> Result<(), String> {
        self.delivered += 1;
        let folder = if folder.is_empty() { "." } else { folder };
        let (name, information) = name.split_at(name.find(':').unwrap_or(name.len()));
        let file = format!("{}.M{}P1.{name}", 1_700_000_000 + self.delivered, self.delivered);
        let place = if information.is_empty() { "new" } else { "cur" };
        self.shell(&format!(
            "mkdir -p {folder}/cur {folder}/new {folder}/tmp
             printf 'From: bob@example.org\\nSubject: {name}\\n\\nThis is {name}.\\n' >{folder}/tmp/{file}
             mv {folder}/tmp/{file} {folder}/{place}/{file}{information}"
        ))
    }

    fn shell(&mut self, command: &str) -> Result<(), String> {
        let mut shell = Command::new("sh");
        shell.args(["-ec", command]).current_dir(&self.stage.maildir);
        if let Some((uid, gid)) = self.stage.third_party {
            shell.uid(uid).gid(gid);
        }
        let output = shell.output().map_err(|why| why.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(said)
    }
}

fn is_waiting(expected: &[Expected], open: &[bool]) -> bool {
    expected.iter().zip(open).any(|(one, open)| *open && one.need == Need::Once)
}

/// What a client must not overlook: answers, and what concerns the numbers of messages.
fn is_news(response: &str, is_pop3: bool) -> bool {
    if is_pop3 {
        return response.starts_with("+OK") || response.starts_with("-ERR");
    }
    let mut words = response.split(' ').skip(1);
    let is_numbered = words.next().is_some_and(|word| word.parse::<u32>().is_ok());
    !response.starts_with("* ") || (is_numbered && words.next() != Some("RECENT"))
}

/// What was expected, with the lines where it stands, instead of `got`.
fn complaint(expected: &[Expected], open: &[bool], got: &str) -> String {
    let waiting = expected.iter().zip(open).filter(|(one, open)| **open && one.need == Need::Once);
    let texts: Vec<String> = waiting.map(|(one, _)| format!("{}: {}", one.line, one.text)).collect();
    format!("expected: {}\n  got:      {got}", texts.join("\n            "))
}

/// How many lines of what was said before a failure shows.
const SHOWN: usize = 12;
const STEP: Duration = Duration::from_millis(50);
