//! Questions and answers, without a loop's turn: the test plays auth at the other end of a socket.

use super::*;
use crate::client::ClientKey;
use fdpass::{Channel, Fill};
use protocol::sasl::Credentials;
use slotmap::SlotMap;

/// Questions and what became of them.
type Heard = Vec<(u32, Result<(), Verdict>)>;

struct Scene {
    io: Loop,
    auth: Auth,
    /// Auth's end.
    far: Channel,
    clients: SlotMap<ClientKey, ()>,
}

const KEY: usize = 1;
const HELLO: &str = "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t7\nCUID\t1\nCOOKIE\tabc\nDONE\n";

impl Scene {
    fn new(mechanisms: &[Method]) -> Self {
        let io = Loop::new().unwrap();
        let auth = Auth::new(4711, Protocol::Imap, mechanisms);
        let (far, _) = Channel::pair().unwrap();
        let mut scene = Self { io, auth, far, clients: SlotMap::with_key() };
        scene.connect();
        scene
    }

    fn connect(&mut self) {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        self.far = Channel::new(far).unwrap();
        self.auth.connect(near.into(), KEY, &self.io).unwrap();
    }

    fn ask(&mut self, user: &str, password: &str) -> Result<u32, Verdict> {
        let credentials = Credentials {
            authorization: Vec::new(),
            user: user.as_bytes().to_vec(),
            password: password.as_bytes().into(),
        };
        let client = self.clients.insert(());
        let attempt = Attempt { credentials, method: Method::Plain };
        self.auth.ask(client, &attempt, "192.0.2.9:143".parse().unwrap(), "192.0.2.1:4000".parse().unwrap())
    }

    /// What auth has been told since the last time.
    fn told(&mut self) -> Vec<String> {
        self.auth.flush(&self.io).unwrap();
        self.far.fill().unwrap();
        std::iter::from_fn(|| self.far.next_line().unwrap())
            .map(|line| String::from_utf8(line).unwrap())
            .collect()
    }

    /// What becomes of auth's saying `lines`.
    fn hear(&mut self, lines: &str) -> Result<Heard, Lost> {
        self.far.queue(lines, None);
        self.far.flush().unwrap();
        self.auth.proceed(Ready { key: KEY, readable: true, writable: false }, &self.io)?;
        let mut answers = Vec::new();
        while let Some(answer) = self.auth.next()? {
            answers.push((answer.id, answer.outcome));
        }
        Ok(answers)
    }
}

#[test]
fn a_question_waits_until_auth_is_ready() {
    let mut scene = Scene::new(&[Method::Plain]);
    let id = scene.ask("alice", "secret").unwrap();
    assert!(!scene.auth.is_ready());
    assert_eq!(scene.told(), ["VERSION\t1\t1", "CPID\t4711"]);
    scene.hear(HELLO).unwrap();
    assert!(scene.auth.is_ready());
    let question = format!(
        "AUTH\t{id}\tPLAIN\tservice=imap\tlip=192.0.2.9\trip=192.0.2.1\tlport=143\trport=4000\tresp=AGFsaWNlAHNlY3JldA=="
    );
    assert_eq!(scene.told(), [question]);
}

#[test]
fn answers_find_their_questions_in_any_order() {
    let mut scene = Scene::new(&[Method::Plain]);
    scene.hear(HELLO).unwrap();
    let ids: Vec<_> = (0..4).map(|_| scene.ask("alice", "secret").unwrap()).collect();
    assert!(ids.is_sorted());
    let lines = format!(
        "FAIL\t{}\tuser=alice\nOK\t{}\tuser=alice\nFAIL\t{}\ttemp\nFAIL\t{}\treason=No!\nOK\t99\tuser=x\nNEW\tx\n",
        ids[2], ids[0], ids[1], ids[3]
    );
    assert_eq!(
        scene.hear(&lines).unwrap(),
        [
            (ids[2], Err(Verdict::Failed { reason: None, why: None })),
            (ids[0], Ok(())),
            (ids[1], Err(Verdict::Temporary)),
            (ids[3], Err(Verdict::Failed { reason: Some("No!".to_owned()), why: None })),
        ]
    );
    assert_eq!(scene.hear(&lines).unwrap(), []);
}

#[test]
fn what_was_not_answered_is_asked_again_on_the_next_link() {
    let mut scene = Scene::new(&[Method::Plain]);
    scene.hear(HELLO).unwrap();
    let answered = scene.ask("alice", "secret").unwrap();
    let open = scene.ask("bob", "secret").unwrap();
    let cancelled = scene.ask("carol", "secret").unwrap();
    scene.hear(&format!("OK\t{answered}\tuser=alice\n")).unwrap();
    scene.auth.cancel(cancelled);
    assert_eq!(scene.told().last(), Some(&format!("CANCEL\t{cancelled}")));
    scene.connect();
    assert!(!scene.auth.is_ready());
    assert_eq!(scene.told().len(), 2);
    scene.hear(HELLO).unwrap();
    let told = scene.told();
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with(&format!("AUTH\t{open}\tPLAIN\t")));
}

#[test]
fn where_only_login_is_configured_name_and_password_go_apart() {
    let mut scene = Scene::new(&[Method::Login]);
    scene.hear(HELLO).unwrap();
    let id = scene.ask("alice", "secret").unwrap();
    let told = scene.told();
    assert!(told.last().unwrap().starts_with(&format!("AUTH\t{id}\tLOGIN\t")));
    assert!(told.last().unwrap().ends_with("\tresp=YWxpY2U="));
    assert_eq!(scene.hear(&format!("CONT\t{id}\tUGFzc3dvcmQ6\n")).unwrap(), []);
    assert_eq!(scene.told(), [format!("CONT\t{id}\tc2VjcmV0")]);
}

#[test]
fn what_fits_into_no_question_is_nobodys_password() {
    let mut scene = Scene::new(&[Method::Plain]);
    let failed = Err(Verdict::Failed { reason: None, why: Some("no user name".to_owned()) });
    assert_eq!(scene.ask("al\0ice", "secret"), failed);
    assert_eq!(scene.ask("alice", &"x".repeat(8000)), failed);
    assert!(scene.ask("alice", &"x".repeat(4000)).is_ok());
}

#[test]
fn what_is_not_the_protocol_ends_the_link() {
    for lines in ["hello\n", "DONE\n", "VERSION\tx\n", "\n"] {
        let mut scene = Scene::new(&[Method::Plain]);
        assert!(matches!(scene.hear(lines), Err(Lost::Malformed)), "{lines}");
    }
    let mut scene = Scene::new(&[Method::Plain]);
    assert!(matches!(scene.hear("VERSION\t2\t0\n"), Err(Lost::Version(2, 1))));
    for lines in ["OK\n", "FAIL\tx\n", "CONT\n", "\x01\n", "ok\t1\n"] {
        let mut scene = Scene::new(&[Method::Plain]);
        scene.hear(HELLO).unwrap();
        assert!(matches!(scene.hear(lines), Err(Lost::Malformed)), "{lines}");
    }
}

#[test]
fn what_auth_said_before_it_went_counts() {
    let mut scene = Scene::new(&[Method::Plain]);
    scene.hear(HELLO).unwrap();
    let id = scene.ask("alice", "secret").unwrap();
    scene.far.queue(format!("OK\t{id}\tuser=alice\n"), None);
    scene.far.flush().unwrap();
    scene.far = Channel::pair().unwrap().0;
    assert!(scene.auth.flush(&scene.io).is_ok());
    scene.auth.proceed(Ready { key: KEY, readable: true, writable: true }, &scene.io).unwrap();
    assert_eq!(scene.auth.next().unwrap().map(|answer| answer.id), Some(id));
    assert!(matches!(scene.auth.next(), Err(Lost::Closed)));
    assert_eq!(scene.far.fill().unwrap(), Fill::Ended);
}
