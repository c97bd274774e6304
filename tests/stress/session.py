"""An IMAP session that believes nothing: it keeps what it was told of its mailbox by the rules of RFC 3501, and finds each
answer that contradicts them, or contradicts what any other session was told (the `Truth`).

A message is known by its line `X-Id: CLASS-NUMBER`, and its body by the line `X-Sum`, the sum of all that follows it:
    keep   nobody ever deletes it: whoever misses it has found a fault
    move   only one client ever moves it: it is in one place at any time
    doom   whoever wants to may delete it
"""

import asyncio
import hashlib
import re

PATIENCE = 60


class Wrong(Exception):
    """The server was found out."""


class Gone(Exception):
    """The server closed the connection, which it may do only when its mailbox has gone."""


class Truth:
    """What all sessions together know. A place is (user, mailbox, uidvalidity)."""

    def __init__(self):
        self.number = 0
        self.ids = {}  # (place, uid): id
        self.gone = set()  # (place, uid) of which somebody was told that it is expunged
        self.doomed = set()  # (place, uid) that somebody has begun to delete or move
        self.required = {}  # place: {uid}, what was answered OK
        self.uidnext = {}  # place: the highest that was told
        self.counts_recent = True  # a message is recent to one session at most
        self.recent = {}  # (place, uid): the session that was told \Recent
        self.dates = {}  # id: as it was given to APPEND
        self.fewest = {}  # (user, mailbox, id): how many there must be
        self.most = {}  # (user, mailbox, id): how many there may be
        self.keywords = {}  # (place, uid, keyword): whether its only owner has set it

    def message(self, kind, random):
        """A new message and its id."""
        self.number += 1
        name = f"{kind}-{self.number}"
        body = "".join(f"{random.getrandbits(64):x} line {line}\r\n" for line in range(random.randrange(30)))
        if random.random() < 0.02:
            body += "x" * 100_000 + "\r\n"
        total = hashlib.sha1(body.encode()).hexdigest()
        return name, f"X-Id: {name}\r\nSubject: {name}\r\nX-Sum: {total}\r\n\r\n{body}".encode()

    def made(self, user, mailbox, name, fewest=1, most=1):
        key = user, mailbox, name
        self.fewest[key] = self.fewest.get(key, 0) + fewest
        self.most[key] = self.most.get(key, 0) + most

    def may_go(self, place, uid):
        """Whether somebody may have deleted it. (What was copied may have been deleted from its beginning.)"""
        return (place, uid) in self.doomed or self.ids.get((place, uid), "doom").startswith("doom")

    def is_here(self, place, uid, name):
        """Somebody was told that this UID has this id."""
        if self.ids.setdefault((place, uid), name) != name:
            raise Wrong(f"{place}: UID {uid} was {self.ids[place, uid]} and is {name}")


def verified(message):
    """The id of a message that is whole."""
    head, _, body = message.partition(b"\r\n\r\n")
    name, total = (re.search(rb"^%s: (\S+)" % key, head, re.M) for key in (b"X-Id", b"X-Sum"))
    if not name or not total or hashlib.sha1(body).hexdigest() != total[1].decode():
        raise Wrong(f"a message was changed: {message[:300]}")
    return name[1].decode()


TOKEN = re.compile(rb'[()]|"(?:[^"\\]|\\.)*"|[^\s()"\[]+(?:\[[^\]]*\](?:<\d+>)?)?')


def tree(parts):
    """A response's values as lists in lists; a literal is a bytearray."""
    stack = [[]]
    for part in parts:
        for token in [part] if isinstance(part, bytearray) else TOKEN.findall(part):
            if token == b"(":
                stack.append([])
            elif token == b")":
                last = stack.pop()
                stack[-1].append(last)
            else:
                stack[-1].append(token)
    if len(stack) != 1:
        raise Wrong(f"unbalanced: {parts}")
    return stack[0]


class Session:
    """One connection, one command at a time."""

    def __init__(self, truth, user, name):
        self.truth, self.user, self.name = truth, user, name
        self.tags = 0
        self.place = None  # the selected mailbox
        self.can_write = False
        self.uids, self.flags, self.highest = [], [], 0
        self.answered = set()  # the UIDs, or numbers where these are not known, of which this command told something
        self.found, self.status_values, self.selecting = None, {}, {}
        self.capabilities = set()
        self.history = []

    def wrong(self, what):
        last = "\n    ".join(self.history[-12:])
        raise Wrong(f"{self.name} in {self.place}: {what}; it has seen\n    {last}\n  and knows {self.uids[-40:]}")

    async def connect(self, host, port):
        self.reader, self.writer = await asyncio.open_connection(host, port, limit=1 << 26)
        await self.parts()
        status = await self.ask(f"LOGIN {self.user} secret")
        if not status.startswith("OK"):
            self.wrong(f"login: {status}")
        await self.ask("CAPABILITY")

    def drop(self):
        self.writer.transport.abort()

    async def parts(self):
        """One response: bytes, and a bytearray for each literal."""
        parts = []
        while True:
            try:
                line = await asyncio.wait_for(self.reader.readuntil(b"\r\n"), PATIENCE)
            except asyncio.IncompleteReadError as end:
                raise Gone(f"{self.name}: {end.partial!r}, {self.history[-3:]}") from None
            except ConnectionError:
                raise Gone(f"{self.name}: reset, {self.history[-3:]}") from None
            except asyncio.TimeoutError:
                self.wrong("no answer")
            literal = re.search(rb"\{(\d+)\}\r\n$", line)
            if not literal:
                parts.append(line[:-2])
                shown = b" ".join(bytes(part[:90]) for part in parts)
                self.history.append("S: " + shown.decode(errors="replace").replace("\r\n", "|"))
                return parts
            parts.append(line[: literal.start()])
            parts.append(bytearray(await asyncio.wait_for(self.reader.readexactly(int(literal[1])), PATIENCE)))

    async def ask(self, command, literal=None, wait=True, news=None):
        """Sends a command, and takes all up to the status that ends it."""
        self.tags += 1
        tag = f"t{self.tags}"
        verb = command.split(" ")[0]
        self.answered, self.found = set(), None
        self.history.append(f"C: {tag} {command[:300]}")
        line = f"{tag} {command}"
        if literal is None:
            self.writer.write(f"{line}\r\n".encode())
        elif wait:
            self.writer.write(f"{line} {{{len(literal)}}}\r\n".encode())
        else:
            self.writer.write(f"{line} {{{len(literal)}+}}\r\n".encode() + literal + b"\r\n")
        while True:
            parts = await self.parts()
            if parts[0].startswith(b"+"):
                if literal is not None:
                    self.writer.write(literal + b"\r\n")
                elif news:
                    await news()
                    self.writer.write(b"DONE\r\n")
            elif parts[0].startswith(b"* "):
                self.untagged(parts, verb)
            elif parts[0].startswith(tag.encode() + b" "):
                return parts[0].decode(errors="replace").partition(" ")[2]
            else:
                self.wrong(f"neither tagged nor untagged: {parts}")

    def untagged(self, parts, verb):
        words = parts[0].split(b" ", 3)
        word = words[1].upper()
        if word.isdigit():
            number, what = int(word), words[2].upper()
            if what == b"EXISTS":
                self.exists(number)
            elif what == b"EXPUNGE":
                self.expunged(number, verb)
            elif what == b"FETCH":
                self.fetched(number, tree([words[3], *parts[1:]])[0])
        elif word == b"CAPABILITY":
            self.capabilities = set(parts[0].decode().upper().split()[2:])
        elif word == b"SEARCH":
            self.found = [int(number) for number in parts[0].split()[2:]]
        elif word == b"STATUS":
            values = tree(parts)[-1]
            self.status_values = {values[at].decode(): int(values[at + 1]) for at in range(0, len(values), 2)}
        elif word == b"OK" and (code := re.match(rb"\* OK \[(UIDVALIDITY|UIDNEXT) (\d+)", parts[0], re.I)):
            self.selecting[code[1].upper().decode()] = int(code[2])

    def exists(self, count):
        if count < len(self.uids):
            self.wrong(f"{count} EXISTS where there were {len(self.uids)}")
        for _ in range(count - len(self.uids)):
            self.uids.append(None)
            self.flags.append(None)

    def expunged(self, number, verb):
        if verb in ("FETCH", "STORE", "SEARCH"):
            self.wrong(f"EXPUNGE during {verb}")
        if not 1 <= number <= len(self.uids):
            self.wrong(f"EXPUNGE of {number} of {len(self.uids)}")
        uid = self.uids.pop(number - 1)
        self.flags.pop(number - 1)
        if uid is None or self.place is None:
            return
        self.truth.gone.add((self.place, uid))
        name = self.truth.ids.get((self.place, uid), "?")
        if name.startswith("keep"):
            self.wrong(f"{name}, UID {uid}, which nobody has deleted, is expunged")
        if name.startswith("move") and (self.place, uid) not in self.truth.doomed:
            self.wrong(f"{name}, UID {uid}, which nobody has moved, is expunged")

    def fetched(self, number, values):
        if not 1 <= number <= len(self.uids):
            self.wrong(f"FETCH of {number} of {len(self.uids)}")
        items = {bytes(values[at]).upper(): values[at + 1] for at in range(0, len(values), 2)}
        if b"UID" in items:
            self.has_uid(number, int(items[b"UID"]))
        uid = self.uids[number - 1]
        self.answered.add(uid or -number)
        if b"FLAGS" in items:
            self.has_flags(number, uid, {flag.decode().lower() for flag in items[b"FLAGS"]})
        body = items.get(b"BODY[]")
        if body == b"NIL" and self.truth.may_go(self.place, uid):
            return  # it has gone meanwhile
        if body is not None:
            name = verified(body)
            if int(items.get(b"RFC822.SIZE", len(body))) != len(body):
                self.wrong(f"UID {uid}: the size is wrong")
        else:
            header = next((value for key, value in items.items() if key.startswith(b"BODY[HEADER.F")), None)
            # It is empty or NIL where the message has gone meanwhile.
            name = header is not None and b":" in header and bytes(header).decode().split(":", 1)[1].strip()
        if name and uid and self.place:
            self.truth.is_here(self.place, uid, name)
            date = items.get(b"INTERNALDATE")
            if date and self.truth.dates.get(name, date) != date:
                self.wrong(f"{name} has {date} and was given {self.truth.dates[name]}")

    def has_uid(self, number, uid):
        before = self.uids[number - 1]
        if before is None:
            lower = next((other for other in reversed(self.uids[: number - 1]) if other), 0)
            higher = next((other for other in self.uids[number:] if other), 1 << 32)
            if not lower < uid < higher:
                self.wrong(f"UID {uid} of {number} is between {lower} and {higher}")
            self.uids[number - 1] = uid
            self.highest = max(self.highest, uid)
        elif before != uid:
            self.wrong(f"{number} had UID {before} and has {uid}")

    def has_flags(self, number, uid, flags):
        if "\\recent" in flags and uid and self.can_write and self.place and self.truth.counts_recent:
            if self.truth.recent.setdefault((self.place, uid), self) is not self:
                self.wrong(f"UID {uid} is recent to {self.truth.recent[self.place, uid].name} too")
        flags.discard("\\recent")
        self.flags[number - 1] = flags
        own = self.truth.keywords.get((self.place, uid, self.keyword)) if uid else None
        if own is not None and own != (self.keyword in flags):
            self.wrong(f"UID {uid}: {self.keyword} was {own} and flags are {flags}")

    def has_uidnext(self, place, value, before):
        """UIDNEXT of a mailbox, and what anybody had been told before it was asked for."""
        if value < before:
            self.wrong(f"{place}: UIDNEXT was {before} and is {value}")
        self.truth.uidnext[place] = max(value, self.truth.uidnext.get(place, 0))

    @property
    def keyword(self):
        return f"$own{self.name.rpartition('-')[2]}"

    def forget_mailbox(self):
        self.place, self.uids, self.flags, self.highest = None, [], [], 0

    async def select(self, mailbox, verb="SELECT"):
        """Selects a mailbox and learns its UIDs; False if it is not to be had."""
        self.forget_mailbox()
        self.selecting = {}
        gone = {(place, uid) for place, uid in self.truth.gone if place[:2] == (self.user, mailbox)}
        required = {
            place: uids - {uid for other, uid in self.truth.doomed if other == place}
            for place, uids in self.truth.required.items()
            if place[:2] == (self.user, mailbox)
        }
        uidnext = dict(self.truth.uidnext)
        status = await self.ask(f"{verb} {mailbox}")
        if not status.startswith("OK"):
            self.forget_mailbox()
            return False
        self.can_write = "[READ-WRITE]" in status.upper()
        place = self.place = self.user, mailbox, self.selecting["UIDVALIDITY"]
        self.has_uidnext(place, self.selecting["UIDNEXT"], uidnext.get(place, 0))
        if self.uids:
            await self.ask("UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-Id)])")
        known = set(self.uids)
        if back := {uid for other, uid in gone if other == place} & known:
            self.wrong(f"UIDs {back} were expunged, and are back")
        missing = required.get(place, set()) - known
        missing -= {uid for other, uid in self.truth.doomed if other == place}
        if missing:
            self.wrong(f"UIDs {missing} were answered OK and are not there")
        return True
