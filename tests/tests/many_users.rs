//! As root: thousands of users, each with a uid and groups of his own, through a few processes that all share. Whatever
//! a user reaches by the names in his mailbox is what the kernel's rules give his uid and his groups, command by
//! command, while hundreds of others are served by the same processes.
//!
//! `MANY_USERS=10000` is how many there are, `MANY_SEED=1` who is in which group.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tests::held::Held;
use tests::imap::Reply;
use tests::{Imap, SHARED, Server, Site, User, root};

/// A Maildir that is nobody's own: links to it are in the mailboxes of those who may use it, and of others.
struct Place {
    name: String,
    gid: u32,
    owner: u32,
    mode: u32,
}

struct Person {
    name: String,
    uid: u32,
    groups: BTreeSet<u32>,
    /// Which places there are links to in his mailbox.
    links: Vec<usize>,
}

/// What somebody may do with a Maildir.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    Nothing,
    Read,
    Write,
}

impl Place {
    /// The kernel's rule: the owner has the owner's bits, else who is in the group the group's, and only else the
    /// others'.
    fn right(&self, person: &Person) -> Right {
        let bits = match self.mode & 0o777 {
            mode if person.uid == self.owner => mode >> 6,
            mode if person.groups.contains(&self.gid) => mode >> 3 & 7,
            mode => mode & 7,
        };
        match bits {
            7 => Right::Write,
            5 => Right::Read,
            0 => Right::Nothing,
            _ => panic!("{bits:o} is neither"),
        }
    }

    fn folder(&self, site: &Site) -> PathBuf {
        site.path("shared").join(&self.name)
    }

    /// With a message that says where it is.
    fn make(&self, site: &Site) {
        let folder = self.folder(site);
        for part in ["", "cur", "new", "tmp"] {
            let part = folder.join(part);
            fs::create_dir(&part).unwrap();
            chown(&part, Some(self.owner), Some(self.gid)).unwrap();
            // After the change of owner, which takes the group's bit away.
            fs::set_permissions(&part, Permissions::from_mode(self.mode)).unwrap();
        }
        // With UIDs: those who may only read it would have some of their own, until somebody who may write gives others.
        let files = [
            (folder.join("cur").join(LETTER), format!("Subject: x\n\nsecret of {}\n", self.name)),
            (folder.join("dovecot-uidlist"), format!("3 V1500000000 N2\n1 :{LETTER}\n")),
        ];
        for (path, text) in files {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(self.mode & 0o666)).unwrap();
            chown(&path, Some(self.owner), Some(self.gid)).unwrap();
        }
    }
}

/// Always the same numbers from the same seed.
struct Dice(u64);

impl Dice {
    /// One below `sides`.
    fn throw(&mut self, sides: usize) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// Who there is, and what they share.
struct World {
    places: Vec<Place>,
    people: Vec<Person>,
}

impl World {
    fn new(count: usize, dice: &mut Dice) -> Self {
        let places: Vec<Place> = (0..GROUPS)
            .map(|number| Place {
                name: format!("G{number}"),
                gid: FIRST_GROUP + u32::try_from(number).unwrap(),
                owner: match number / MODES.len() % 3 {
                    0 => 0,
                    1 => STRANGER,
                    _ => uid(dice.throw(count)),
                },
                mode: MODES[number % MODES.len()],
            })
            .collect();
        let mut people: Vec<Person> = Vec::new();
        for number in 0..count {
            let groups = match dice.throw(4) {
                // The very same as somebody else's.
                0 if number > 0 => people[dice.throw(number)].groups.clone(),
                _ => {
                    let many = dice.throw(MOST_GROUPS + 1);
                    (0..many).map(|_| places[dice.throw(GROUPS)].gid).collect()
                }
            };
            people.push(Person { name: format!("u{number}"), uid: uid(number), groups, links: Vec::new() });
        }
        // Whose directory it is, the files that others make in it are not: he needs what they all need.
        for place in &places {
            let owner = people.iter_mut().find(|person| person.uid == place.owner);
            match owner.map(|person| &mut person.groups) {
                Some(groups) if place.mode & 0o070 != 0 => drop(groups.insert(place.gid)),
                Some(groups) => drop(groups.remove(&place.gid)),
                None => {}
            }
        }
        for person in &mut people {
            let strange: BTreeSet<usize> = (0..STRANGE_LINKS).map(|_| dice.throw(GROUPS)).collect();
            let own = |place: &Place| place.owner == person.uid || person.groups.contains(&place.gid);
            let links = places.iter().enumerate().filter(|(it, place)| own(place) || strange.contains(it));
            person.links = links.map(|(it, _)| it).collect();
        }
        Self { places, people }
    }

    /// All of it on disk, with a password file in which there are thousands, whether they come or not.
    fn site(&self) -> Site {
        let users = self.people.iter().map(|person| {
            User::new(&person.name, person.uid).with_groups(&Vec::from_iter(person.groups.iter().copied()))
        });
        let site = Site::with_users(users);
        let mut file = fs::File::options().append(true).open(site.path("users")).unwrap();
        let others = (self.people.len()..LINES)
            .map(|number| format!("u{number}:{{PLAIN}}secret:{0}:{0}::/nonexistent::\n", uid(number)));
        file.write_all(others.collect::<String>().as_bytes()).unwrap();
        fs::create_dir(site.path("shared")).unwrap();
        for place in &self.places {
            place.make(&site);
        }
        for (number, person) in self.people.iter().enumerate() {
            site.deliver(&person.name, "", format!("Subject: x\n\nsecret of {}\n", person.name));
            let link = |name: &str, to: &Path| symlink(to, site.maildir(&person.name, name)).unwrap();
            for place in person.links.iter().map(|it| &self.places[*it]) {
                link(&format!(".{}", place.name), &place.folder(&site));
            }
            let neighbour = &self.people[(number + 1) % self.people.len()];
            link(".Neighbour", &site.maildir(&neighbour.name, ""));
            link(".Home", &site.home(&neighbour.name));
        }
        site
    }
}

/// Somebody who is logged in.
struct Session<'a> {
    imap: Imap,
    person: &'a Person,
}

/// Everybody's next command, and all answers after that: each process has many commands of different users at once.
fn all(
    sessions: &mut [Session],
    command: impl Fn(&Person) -> Option<String>,
    mut check: impl FnMut(&Person, Reply),
) {
    let tags: Vec<Option<String>> = sessions
        .iter_mut()
        .map(|session| command(session.person).map(|command| session.imap.begin(&command)))
        .collect();
    for (session, tag) in sessions.iter_mut().zip(tags) {
        if let Some(tag) = tag {
            let reply = session.imap.reply(&tag);
            check(session.person, reply);
        }
    }
}

/// What was appended to each place, by the UID that the server gave it.
type Written = BTreeMap<String, BTreeMap<u32, u32>>;

/// Some of the users come, do whatever they can, and go.
fn visit(server: &Server, world: &World, people: &[Person], written: &mut Written) {
    let mut sessions: Vec<Session> =
        people.iter().map(|person| Session { imap: server.login(&person.name), person }).collect();
    own_mail(&mut sessions);
    let most = people.iter().map(|person| person.links.len()).max().unwrap();
    for turn in 0..most {
        let place = |person: &Person| Some(&world.places[*person.links.get(turn)?]);
        let command = |wanted: Right, text: &'static str| {
            move |person: &Person| {
                let place = place(person).filter(|place| place.right(person) >= wanted)?;
                Some(text.replace("PLACE", &place.name))
            }
        };
        all(&mut sessions, command(Right::Nothing, "SELECT PLACE"), |person, reply| {
            let place = place(person).unwrap();
            let expected = match place.right(person) {
                Right::Nothing => "NO ",
                Right::Read => "OK [READ-ONLY]",
                Right::Write => "OK [READ-WRITE]",
            };
            assert!(reply.status.starts_with(expected), "{}", told(person, place, &reply));
        });
        all(&mut sessions, command(Right::Read, "FETCH 1 BODY.PEEK[TEXT]"), |person, reply| {
            let place = place(person).unwrap();
            let text = reply.untagged.join("\n");
            assert!(
                text.contains(&format!("secret of {}\r\n", place.name)),
                "{}",
                told(person, place, &reply)
            );
        });
        all(&mut sessions, command(Right::Read, "STORE 1 FLAGS.SILENT (\\Flagged)"), |person, reply| {
            let place = place(person).unwrap();
            let expected = if place.right(person) == Right::Write { "OK " } else { "NO " };
            assert!(reply.status.starts_with(expected), "{}", told(person, place, &reply));
        });
        let append = |person: &Person| place(person).map(|place| append(person, &place.name));
        all(&mut sessions, append, |person, reply| {
            let place = place(person).unwrap();
            let arrived = appended(&reply);
            assert_eq!(
                arrived.is_some(),
                place.right(person) == Right::Write,
                "{}",
                told(person, place, &reply)
            );
            if let Some(number) = arrived {
                let other = written.entry(place.name.clone()).or_default().insert(number, person.uid);
                assert_eq!(other, None, "{}", told(person, place, &reply));
            }
        });
    }
    own_mail(&mut sessions);
}

/// His own is his, and his neighbour's is not, by whatever command.
fn own_mail(sessions: &mut [Session]) {
    let always = |text: &'static str| move |_: &Person| Some(text.to_owned());
    for command in
        ["SELECT Neighbour", "EXAMINE Home", "STATUS Neighbour (MESSAGES UIDNEXT)", "LIST \"\" Neighbour/%"]
    {
        all(sessions, always(command), |person, reply| {
            let told = format!("{}: {command}: {reply:?}", person.name);
            assert!(reply.untagged.is_empty(), "{told}");
            assert!(reply.status.starts_with("NO ") || command.starts_with("LIST"), "{told}");
        });
    }
    let refused =
        |person: &Person, reply: Reply| assert_eq!(appended(&reply), None, "{}: {reply:?}", person.name);
    all(sessions, |person| Some(append(person, "Neighbour")), refused);
    all(sessions, always("SELECT INBOX"), |person, reply| {
        assert!(reply.status.starts_with("OK [READ-WRITE]"), "{}: {reply:?}", person.name);
    });
    all(sessions, always("COPY 1 Neighbour"), |person, reply| {
        assert!(reply.status.starts_with("NO "), "{}: {reply:?}", person.name);
    });
    all(sessions, always("FETCH 1:* BODY.PEEK[TEXT]"), |person, reply| {
        let text = reply.ok().untagged.join("\n");
        assert!(text.contains(&format!("secret of {}\r\n", person.name)), "{}: {text}", person.name);
        assert_eq!(text.matches("secret of").count(), 1, "{}: {text}", person.name);
    });
    all(sessions, |person| Some(append(person, "INBOX")), |_, reply| drop(reply.ok()));
}

fn append(person: &Person, mailbox: &str) -> String {
    let text = format!("Subject: x\r\n\r\nwritten by {}\r\n", person.uid);
    format!("APPEND {mailbox} {{{}+}}\r\n{text}", text.len())
}

/// The UID that it has, if it was.
fn appended(reply: &Reply) -> Option<u32> {
    let (_, code) = reply.status.strip_prefix("OK [APPENDUID ")?.split_once(' ')?;
    code.split(']').next()?.parse().ok()
}

fn told(person: &Person, place: &Place, reply: &Reply) -> String {
    let Person { uid, groups, .. } = person;
    let Place { name, gid, owner, mode } = place;
    format!("uid {uid} with groups {groups:?} at {name}, {owner}:{gid} {mode:o}: {reply:?}")
}

/// What lies in each place is what those who may have put there, and bears their names.
fn assert_all_is_in_place(site: &Site, world: &World, written: &Written) {
    for place in &world.places {
        let folder = place.folder(site);
        let mut writers: Vec<u32> =
            written.get(&place.name).into_iter().flat_map(|by| by.values().copied()).collect();
        writers.sort_unstable();
        let mut found = Vec::new();
        for path in files(&folder) {
            let meta = fs::metadata(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with(LETTER) || name == "dovecot-uidlist" && meta.uid() == place.owner {
                assert_eq!((meta.uid(), meta.gid()), (place.owner, place.gid), "{}", path.display());
                continue;
            }
            let told = format!("{}: {}:{} {:o}", path.display(), meta.uid(), meta.gid(), meta.mode());
            let by = world.people.iter().find(|person| person.uid == meta.uid());
            let by =
                by.filter(|person| place.right(person) == Right::Write).unwrap_or_else(|| panic!("{told}"));
            // Who is not in the group cannot give it to the group, unless the directory does.
            let shared = place.mode & 0o2000 != 0 || by.groups.contains(&place.gid);
            let (gid, bits) = if shared { (place.gid, 0o666) } else { (by.uid, 0o606) };
            assert_eq!((meta.gid(), meta.mode() & 0o777), (gid, place.mode & bits), "{told}");
            if path.parent().is_some_and(|part| part.ends_with("cur") || part.ends_with("new")) {
                let text = fs::read_to_string(&path).unwrap();
                assert!(text.ends_with(&format!("written by {}\n", meta.uid())), "{told}: {text}");
                found.push(meta.uid());
            } else {
                assert!(path.parent() == Some(&folder), "{told}");
            }
        }
        found.sort_unstable();
        assert_eq!(found, writers, "{}", place.name);
    }
    for person in &world.people {
        for path in files(&site.home(&person.name)) {
            let meta = fs::symlink_metadata(&path).unwrap();
            if !meta.is_symlink() {
                assert_eq!((meta.uid(), meta.gid()), (person.uid, person.uid), "{}", path.display());
                assert_eq!(meta.mode() & 0o077, 0, "{}: {:o}", path.display(), meta.mode());
            }
        }
    }
}

/// The UIDs that were told stand for the messages that they were told for.
fn assert_uids_are_right(server: &Server, world: &World, written: &Written) {
    for (name, by) in written {
        let place = world.places.iter().find(|place| place.name == *name).unwrap();
        let may = |person: &&Person| {
            place.right(person) == Right::Write
                && person.links.iter().any(|it| world.places[*it].name == *name)
        };
        let person = world.people.iter().find(may).unwrap();
        let mut client = server.login(&person.name);
        client.ask(&format!("SELECT {name}")).ok();
        let reply = client.ask("UID FETCH 2:* BODY.PEEK[TEXT]").ok();
        let told: BTreeMap<u32, u32> = reply
            .named("FETCH")
            .iter()
            .map(|line| {
                let number = |text: &str| text.split([' ', ')', '\r']).next().unwrap().parse().unwrap();
                let after = |mark: &str| number(line.split_once(mark).unwrap().1);
                (after("(UID "), after("written by "))
            })
            .collect();
        assert_eq!(told, *by, "{name}");
    }
}

/// Every file below a directory, links not followed.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => all.extend(files(&entry.path())),
            false => all.push(entry.path()),
        }
    }
    all
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn uid(number: usize) -> u32 {
    20_001 + u32::try_from(number).unwrap()
}

/// A server with that many users, which says who they are.
fn start(count: usize, together: usize, settings: &str) -> (World, Server) {
    let count = number("MANY_USERS").map_or(count, |count| usize::try_from(count).unwrap());
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = number("MANY_SEED").unwrap_or_else(clock);
    println!("MANY_USERS={count} MANY_SEED={seed}");
    // A seed of 0 would stay 0.
    let world = World::new(count, &mut Dice(seed << 1 | 1));
    let server = world.site().start(&format!(
        "{SHARED}protocols = imap\nmail_max_connections = {}\nmail_max_userip_connections = 0\n\
         fsync_disable = yes\n{settings}",
        together / WORKERS + together / 10
    ));
    (world, server)
}

#[test]
fn each_of_many_users_has_the_rights_of_his_groups_and_no_others() {
    if !root("each_of_many_users_has_the_rights_of_his_groups_and_no_others") {
        return;
    }
    let settings =
        format!("max_mail_processes = {WORKERS}\nmail_worker_idle_time = 1h\nmail_jail = namespace\n");
    let (world, server) = start(USERS, TOGETHER, &settings);
    let mut written = Written::new();
    let mut before = None;
    for people in world.people.chunks(TOGETHER) {
        visit(&server, &world, people, &mut written);
        server.wait_for_sessions(0);
        before.get_or_insert_with(|| Held::at_rest(&server));
    }
    before.unwrap().assert_no_more(&server, GROWTH);
    let workers = server.status("worker");
    assert!(workers.len() <= WORKERS, "{workers:?}");
    for row in &workers {
        assert!(row["share"] == "all" && row["identity"] == "switching", "{row}");
        assert!(row["jail"].as_str().unwrap().starts_with("namespace, "), "{row}");
    }
    assert_all_is_in_place(&server.site, &world, &written);
    assert_uids_are_right(&server, &world, &written);
}

#[test]
fn where_users_in_groups_are_apart_they_have_the_same_rights() {
    if !root("where_users_in_groups_are_apart_they_have_the_same_rights") {
        return;
    }
    let settings = "max_mail_processes = 1000\nmail_worker_idle_time = 1\nmail_jail = filter\n";
    let (world, server) = start(USERS_APART, TOGETHER_APART, settings);
    let mut written = Written::new();
    for people in world.people.chunks(TOGETHER_APART) {
        visit(&server, &world, people, &mut written);
        let shared = server.status("worker").into_iter().filter(|row| row["share"] == "all");
        assert!(shared.count() <= WORKERS);
        server.wait_for_sessions(0);
    }
    assert_all_is_in_place(&server.site, &world, &written);
    assert_uids_are_right(&server, &world, &written);
}

/// How many users there are, and how many of them are there at once.
const USERS: usize = 1200;
const TOGETHER: usize = 300;
/// Where most of them have a process of their own.
const USERS_APART: usize = 160;
const TOGETHER_APART: usize = 80;
/// Processes that all share.
const WORKERS: usize = 3;
/// How many users the password file has at least.
const LINES: usize = 10_000;
/// In kilobytes. What a user had open is kept for ten seconds after him, and the C library keeps what it once had: this is
/// bounded by how many come within ten seconds, not by how many there are.
const GROWTH: u64 = 32 * 1024;
const GROUPS: usize = 64;
const FIRST_GROUP: u32 = 32_001;
const MOST_GROUPS: usize = 16;
/// Links to places that are chosen without regard to his groups.
const STRANGE_LINKS: usize = 4;
/// Where the group may more than others, and where it may less.
const MODES: [u32; 8] = [0o2770, 0o770, 0o2750, 0o750, 0o700, 0o705, 0o2707, 0o2770];
/// Nobody who has mail.
const STRANGER: u32 = 50_001;
/// The name of the message that is in each place from the beginning.
const LETTER: &str = "1500000000.M1P1.shared";
