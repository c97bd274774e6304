"""What a client does at random, and what it checks of it beside what its session does (session.py)."""

import asyncio
import poplib
import random
import re
import time

from session import Gone, Session, Wrong, verified

FIXED = ["INBOX", "Work"]
PASSING = ["Passing1", "Passing2", "Passing3"]
FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft"]

class Client:
    """One user's client: what it does at random, and what it knows across its sessions."""

    def __init__(self, run, user, number):
        self.run, self.truth, self.user, self.number = run, run.truth, user, number
        self.random = random.Random(f"{run.options['seed']} {user} {number}")
        self.session = None
        self.done = 0

    async def connect(self):
        self.session = Session(self.truth, self.user, f"{self.user}-{self.number}")
        await self.session.connect(self.run.host, self.run.imap)

    async def live(self):
        await self.connect()
        while time.monotonic() < self.run.end and self.done < self.run.options["commands"]:
            if self.session.place is None:
                await self.session.select(self.random.choice(FIXED), self.random.choice(["SELECT"] * 3 + ["EXAMINE"]))
            action = self.random.choices(self.run.actions, self.run.weights)[0]
            try:
                await action(self)
            except Gone as gone:
                if self.session.place and self.session.place[1] in FIXED:
                    raise Wrong(f"closed: {gone}") from None
                await self.connect()
            self.done += 1
        if self.session.place is None or self.session.place[1] not in FIXED:
            await self.session.select(self.random.choice(FIXED))

    # What it knows of its mailbox.

    def numbers(self, most=5):
        """Some numbers of messages, and the set that means them."""
        count = len(self.session.uids)
        first = self.random.randint(1, count)
        last = min(count, first + self.random.randrange(most))
        return range(first, last + 1), f"{first}:{last}" if last > first else f"{first}"

    def name(self, uid):
        return self.truth.ids.get((self.session.place, uid), "")

    def some(self, kind, most=5):
        """UIDs of some messages of a kind."""
        all_of_it = [uid for uid in self.session.uids if uid and self.name(uid).startswith(kind)]
        return sorted(self.random.sample(all_of_it, min(len(all_of_it), self.random.randint(1, most))))

    # What it does.

    async def noop(self):
        await self.session.ask(self.random.choice(["NOOP", "CHECK"]))

    async def fetch(self):
        session = self.session
        if not session.uids:
            return
        items = self.random.choice(
            ["FLAGS", "UID FLAGS", "UID BODY.PEEK[] RFC822.SIZE INTERNALDATE", "UID BODY[]", "UID ENVELOPE BODYSTRUCTURE"]
        )
        numbers, wanted = self.numbers()
        asked = {session.uids[number - 1] or -number for number in numbers}
        if self.random.random() < 0.5 and all(uid > 0 for uid in asked):
            status = await session.ask(f"UID FETCH {','.join(map(str, sorted(asked)))} ({items})")
        else:
            status = await session.ask(f"FETCH {wanted} ({items})")
        answered = session.answered | {-number for number in numbers if session.answered and session.uids[number - 1 : number]}
        missing = {uid for uid in asked if uid > 0} - answered
        kept = [uid for uid in missing if self.name(uid).startswith("keep")]
        if kept:
            await session.ask("NOOP")
        if kept or (missing and status.startswith("OK") and "EXPUNGEISSUED" not in status and not self.went(missing)):
            session.wrong(f"of {asked} nothing was said about {missing}: {status}")

    def went(self, uids):
        """Whether all of these may have been deleted."""
        return all(self.truth.may_go(self.session.place, uid) for uid in uids)

    async def store(self):
        session = self.session
        if not session.uids or not session.can_write:
            return
        numbers, wanted = self.numbers()
        uids = [session.uids[number - 1] for number in numbers]
        silent = self.random.choice(["", ".SILENT"])
        sign = self.random.choice("+-")
        is_own = self.random.random() < 0.6
        flag = session.keyword if is_own else self.random.choice(FLAGS)
        if is_own and None in uids:
            return
        for uid in uids if is_own else []:
            self.truth.keywords.pop((session.place, uid, flag), None)
        place = session.place
        if self.random.random() < 0.5 and None not in uids:
            status = await session.ask(f"UID STORE {','.join(map(str, uids))} {sign}FLAGS{silent} ({flag})")
        else:
            status = await session.ask(f"STORE {wanted} {sign}FLAGS{silent} ({flag})")
        if not status.startswith("OK"):
            if "[LIMIT]" not in status and not any(self.went([uid]) for uid in uids):
                session.wrong(f"STORE: {status}")
            return
        for uid in uids:
            if uid in session.uids:
                at = session.uids.index(uid)
                if silent and session.flags[at] is not None and not {uid, -at - 1} & session.answered:
                    change = set.add if sign == "+" else set.discard
                    change(session.flags[at], flag.lower())
                if is_own and not self.went([uid]):
                    self.truth.keywords[place, uid, flag] = sign == "+"
                if is_own and not silent and session.flags[at] is not None and (flag in session.flags[at]) != (sign == "+"):
                    session.wrong(f"UID {uid}: {sign}{flag} gave {session.flags[at]}")

    async def doom(self):
        session = self.session
        uids = self.some("doom")
        if not uids or not session.can_write:
            return
        place = session.place
        self.truth.doomed |= {(place, uid) for uid in uids}
        if self.random.random() < 0.5:
            await session.ask(f"UID STORE {','.join(map(str, uids))} +FLAGS (\\Deleted)")
        else:
            for uid in uids:
                if uid in session.uids:
                    status = await session.ask(f"STORE {session.uids.index(uid) + 1} +FLAGS.SILENT (\\Deleted)")
                    if status.startswith("OK") and uid in session.uids and (flags := session.flags[session.uids.index(uid)]) is not None:
                        flags.add("\\deleted")

    async def expunge(self):
        session = self.session
        if not session.can_write:
            return
        before = [uid for uid, flags in zip(session.uids, session.flags) if uid and flags and "\\deleted" in flags]
        if "UIDPLUS" in session.capabilities and before and self.random.random() < 0.5:
            before = before[:3]
            status = await session.ask(f"UID EXPUNGE {','.join(map(str, before))}")
        else:
            status = await session.ask("EXPUNGE")
        if status.startswith("OK") and (left := set(before) & set(session.uids)):
            session.wrong(f"EXPUNGE left {left}")

    async def idle(self):
        await self.session.ask("IDLE", news=lambda: asyncio.sleep(self.random.random() / 10))

    async def append(self):
        session = self.session
        if len(session.uids) > self.run.options["messages"]:
            return
        kind = self.random.choice(["keep", "doom", "doom", "doom", f"move-{self.number}"])
        mailbox = self.random.choice(FIXED * 3 + PASSING) if kind == "doom" else self.random.choice(FIXED)
        name, message = self.truth.message(kind, self.random)
        flags = self.random.choice(["", "(\\Seen) ", "(\\Flagged $Label1) "])
        date = ""
        if self.random.random() < 0.5:
            date = f'"{self.random.randint(10, 28)}-Nov-2024 {self.random.randint(10, 23)}:15:00 +0000"'
            self.truth.dates[name] = date.encode()
        # Before it is sent: somebody else may see it before its sender is told.
        self.truth.made(self.user, mailbox, name, fewest=0)
        status = await session.ask(f"APPEND {mailbox} {flags}{date}", message, wait=self.random.random() < 0.5)
        if not status.startswith("OK"):
            if mailbox in FIXED:
                session.wrong(f"APPEND: {status}")
            return
        self.truth.made(self.user, mailbox, name, most=0)
        if code := re.search(r"\[APPENDUID (\d+) (\d+)\]", status):
            self.is_made((self.user, mailbox, int(code[1])), int(code[2]), name)

    def is_made(self, place, uid, name):
        self.truth.is_here(place, uid, name)
        # A copy of what may be deleted may be marked as deleted, too.
        if place[1] in FIXED and not name.startswith("doom"):
            self.truth.required.setdefault(place, set()).add(uid)

    async def copy(self):
        session = self.session
        kind = self.random.choice(["keep", "doom"])
        uids = self.some(kind, 3)
        mailbox = self.random.choice(FIXED * 3 + PASSING) if kind == "doom" else self.random.choice(FIXED)
        if not uids or len(session.uids) > self.run.options["messages"]:
            return
        source = session.place
        names = [self.name(uid) for uid in uids]
        for name in names:
            self.truth.made(self.user, mailbox, name, fewest=0)
        if self.random.random() < 0.5:
            status = await session.ask(f"UID COPY {','.join(map(str, uids))} {mailbox}")
        else:
            numbers = ",".join(str(session.uids.index(uid) + 1) for uid in uids)
            status = await session.ask(f"COPY {numbers} {mailbox}")
        if status.startswith("OK"):
            for name in names if kind == "keep" else []:
                self.truth.made(self.user, mailbox, name, most=0)
        elif kind == "keep":
            session.wrong(f"COPY: {status}")
        self.copied(source, mailbox, status, names if status.startswith("OK") else None)

    def copied(self, source, mailbox, status, names=None):
        code = re.search(r"\[COPYUID (\d+) (\S+) (\S+)\]", status)
        for old, new in zip(listed(code[2]), listed(code[3]), strict=True) if code else []:
            name = self.truth.ids.get((source, old))
            if name is None or (names and name not in names):
                self.session.wrong(f"{status}: UID {old} was not to be copied")
            self.is_made((self.user, mailbox, int(code[1])), new, name)

    async def move(self):
        session = self.session
        uids = self.some(f"move-{self.number}-", 2) or self.some("doom", 2)
        if not uids or not session.can_write or "MOVE" not in session.capabilities:
            return
        source = session.place
        mailbox = next(name for name in FIXED if name != source[1])
        self.truth.doomed |= {(source, uid) for uid in uids}
        for uid in uids:
            self.truth.made(self.user, mailbox, self.name(uid), fewest=0)
        status = await session.ask(f"UID MOVE {','.join(map(str, uids))} {mailbox}")
        if status.startswith("OK") and "EXPUNGEISSUED" not in status and (left := set(uids) & set(session.uids)):
            session.wrong(f"MOVE left {left}")
        self.copied(source, mailbox, " ".join([status, *session.history[-40:]]) if "COPYUID" in status else self.untagged_code())

    def untagged_code(self):
        """What MOVE says in an untagged OK (RFC 6851)."""
        for line in reversed(self.session.history):
            if line.startswith("C: "):
                return ""
            if "COPYUID" in line:
                return line
        return ""

    async def search(self):
        session = self.session
        numbers = len(session.uids)
        if not numbers:
            return
        await session.ask("SEARCH ALL")
        missing = set(range(1, numbers + 1)) - set(session.found or [])
        if not all(session.uids[number - 1] is None or self.went([session.uids[number - 1]]) for number in missing):
            session.wrong(f"SEARCH ALL among {numbers} found {session.found}")
        known = {uid for uid in session.uids if uid and self.name(uid).startswith("keep")}
        await session.ask("UID SEARCH NOT DELETED")
        if session.found is None or not known <= set(session.found):
            session.wrong(f"UID SEARCH found {session.found}")

    async def status(self):
        mailbox = self.random.choice(FIXED)
        before = dict(self.truth.uidnext)
        await self.session.ask(f"STATUS {mailbox} (MESSAGES UIDNEXT UIDVALIDITY)")
        values = self.session.status_values
        place = self.user, mailbox, values["UIDVALIDITY"]
        if place == self.session.place:
            return  # which a server may answer from what the session knows
        self.session.has_uidnext(place, values["UIDNEXT"], before.get(place, 0))

    async def reselect(self):
        if self.session.place and self.random.random() < 0.3:
            await self.session.ask("CLOSE")
        await self.session.select(self.random.choice(FIXED), self.random.choice(["SELECT"] * 3 + ["EXAMINE"]))

    async def reconnect(self):
        if self.random.random() < 0.5:
            self.session.writer.write(b"x FETCH 1:* BODY.PEEK[]\r\n")
            self.session.drop()
        else:
            self.session.forget_mailbox()
            await self.session.ask("LOGOUT")
            self.session.drop()
        await self.connect()

    async def passing(self):
        """Mailboxes that come and go under those who have them selected."""
        name = self.random.choice(PASSING)
        verb = self.random.choice(["CREATE", "DELETE", "RENAME", "SELECT", "LIST"])
        if verb == "SELECT":
            await self.session.select(name)
        elif verb == "LIST":
            await self.session.ask('LIST "" *')
        else:
            if self.session.place and self.session.place[1] in PASSING:
                # What becomes of one's own selected mailbox is another story.
                await self.session.select("INBOX")
            await self.session.ask(f"{verb} {name}" + (f" {self.random.choice(PASSING)}" if verb == "RENAME" else ""))

    async def pop3(self):
        await asyncio.to_thread(self.pop3_session)

    def pop3_session(self):
        try:
            pop3 = poplib.POP3(self.run.host, self.run.pop3, timeout=60)
            pop3.user(self.user)
            pop3.pass_("secret")
            count = pop3.stat()[0]
            uidls = [line.split()[1] for line in pop3.uidl()[1]]
            if len(set(uidls)) != count:
                raise Wrong(f"POP3: {count} messages have {uidls}")
            for number in sorted({self.random.randint(1, count) for _ in range(3)}) if count else []:
                try:
                    name = verified(b"\r\n".join(pop3.retr(number)[1]) + b"\r\n")
                except poplib.error_proto as why:
                    if "-ERR" not in str(why):
                        raise
                    continue
                if self.run.uidls.setdefault((self.user, uidls[number - 1]), name) != name:
                    raise Wrong(f"POP3: {uidls[number - 1]} is {name} and was another")
            pop3.quit()
        except poplib.error_proto as why:
            # Nothing may fail; but the session may find the mailbox locked by another one.
            if "-ERR" not in str(why):
                raise Wrong(f"POP3: {why}") from None


def listed(text):
    """The numbers of a set, in its order."""
    for part in text.split(","):
        first, _, last = part.partition(":")
        yield from range(int(first), int(last or first) + 1)


# A line of ours may be long.
poplib._MAXLINE = 1 << 20
