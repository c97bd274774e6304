"""Many clients of a few users do at random what is legal, several in each mailbox, and check every answer (client.py, session.py).

    stress.py HOST IMAP-PORT POP3-PORT HOMES [--option=value...]

HOMES has a folder for each user with a Maildir in it. In the end all sessions have to agree with each other and with what is
on the disk. `--seed` repeats a run as far as the server's timing does; `--outside=1` has another program change the
Maildirs at the same time; `--without=MOVE,COPY` leaves commands out.
"""

import asyncio
import os
import pathlib
import random
import re
import sys
import time

from client import FIXED, Client
from session import Session, Truth, Wrong

SYSTEM_LETTERS = {"S": "\\seen", "R": "\\answered", "F": "\\flagged", "D": "\\draft", "T": "\\deleted"}
SYSTEM = set(SYSTEM_LETTERS.values())


class Run:
    ACTIONS = {
        "noop": 8, "fetch": 20, "store": 20, "doom": 5, "expunge": 5, "idle": 6, "append": 12, "copy": 6, "move": 5,
        "search": 4, "status": 4, "reselect": 3, "reconnect": 1, "passing": 4, "pop3": 0.3,
    }  # fmt: skip

    def __init__(self, host, imap, pop3, homes, options):
        self.host, self.imap, self.pop3, self.homes, self.options = host, int(imap), int(pop3), pathlib.Path(homes), options
        self.truth, self.uidls = Truth(), {}
        self.truth.counts_recent = options["recent"] == 1
        self.random = random.Random(options["seed"])
        without = options["without"].lower().split(",")
        chosen = {name: weight for name, weight in self.ACTIONS.items() if name not in without}
        self.actions = [getattr(Client, name) for name in chosen]
        self.weights = list(chosen.values())

    def maildir(self, user, mailbox):
        return self.homes / user / "Maildir" / ("" if mailbox == "INBOX" else f".{mailbox}")

    def files(self, user, mailbox):
        for part in "new", "cur":
            yield from sorted((self.maildir(user, mailbox) / part).iterdir())

    def deliver(self, user, mailbox, kind):
        name, message = self.truth.message(kind, self.random)
        folder = self.maildir(user, mailbox)
        for part in "", "tmp", "new", "cur":
            if not (folder / part).exists():
                (folder / part).mkdir(mode=0o700)
                os.chown(folder / part, *self.owner(user))
        path = folder / "tmp" / f"{int(time.time())}.M{self.truth.number}P{os.getpid()}.outside"
        path.write_bytes(message.replace(b"\r\n", b"\n"))
        os.chown(path, *self.owner(user))
        path.rename(folder / "new" / path.name)
        self.truth.made(user, mailbox, name)

    def owner(self, user):
        found = (self.homes / user).stat()
        return found.st_uid, found.st_gid

    async def outside(self, users):
        """Another program: delivers, marks, deletes."""
        while True:
            await asyncio.sleep(0.01)
            user, mailbox = self.random.choice(users), self.random.choice(FIXED)
            files = list(self.files(user, mailbox))
            what = self.random.choice(["deliver", "mark", "mark", "mark", "remove"])
            try:
                if what == "deliver" and len(files) < self.options["messages"]:
                    self.deliver(user, mailbox, self.random.choice(["keep", "doom", "doom", "doom"]))
                elif what == "mark" and files:
                    path = self.random.choice(files)
                    base, _, flags = path.name.partition(":2,")
                    flags = "".join(sorted(set(flags) ^ {self.random.choice("FRS")}))
                    path.rename(self.maildir(user, mailbox) / "cur" / f"{base}:2,{flags}")
                elif what == "remove" and files:
                    path = self.random.choice(files)
                    name = re.search(rb"^X-Id: (\S+)", path.read_bytes(), re.M)[1].decode()
                    if name.startswith("doom"):
                        self.truth.doomed |= {key for key, other in self.truth.ids.items() if other == name}
                        self.removed.add((user, mailbox, name))
                        path.unlink()
            except FileNotFoundError:
                pass

    async def go(self):
        options = self.options
        users = [f"u{number}" for number in range(1, options["users"] + 1)]
        self.removed = set()
        for user in users:
            for mailbox in FIXED:
                for kind in ["keep", "doom", "doom"] * (options["messages"] // 6):
                    self.deliver(user, mailbox, kind)
        clients = [Client(self, users[number % len(users)], number) for number in range(options["clients"])]
        self.end = time.monotonic() + options["seconds"]
        outside = asyncio.create_task(self.outside(users)) if options["outside"] else None
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.live())
        if outside:
            outside.cancel()
        for user in users:
            for mailbox in FIXED:
                await self.settle(user, mailbox, [c for c in clients if c.session.place[:2] == (user, mailbox)])
        done = sum(client.done for client in clients)
        print(f"{done} things done by {len(clients)} clients, {self.truth.number} messages, {len(self.truth.gone)} expunged")

    def flags_on_disk(self, user, mailbox, name):
        """The system flags of each message with this id."""
        return [
            {SYSTEM_LETTERS[letter] for letter in path.name.partition(":2,")[2] if letter in SYSTEM_LETTERS}
            for path in self.files(user, mailbox)
            if b"X-Id: %s\r\n" % name.encode() in path.read_bytes().replace(b"\r", b"").replace(b"\n", b"\r\n")
        ]

    async def settle(self, user, mailbox, clients):
        """All that have a mailbox selected, one that comes anew, and the disk have to agree."""
        fresh = Session(self.truth, user, f"{user}-99999")
        await fresh.connect(self.host, self.imap)
        await fresh.select(mailbox, "EXAMINE")
        await fresh.ask("UID FETCH 1:* (UID FLAGS BODY.PEEK[] RFC822.SIZE INTERNALDATE)")
        for client in clients:
            session = client.session
            for _ in range(50):
                await session.ask("NOOP")
                if None in session.uids:
                    await session.ask("FETCH 1:* (UID FLAGS)")
                differs = [
                    (one, other)
                    for one, other in zip(zip(session.uids, session.flags), zip(fresh.uids, fresh.flags))
                    if one[0] != other[0] or one[1] not in (None, other[1])
                ]
                if session.uids == fresh.uids and not differs:
                    break
                await asyncio.sleep(0.1)
            else:
                only = set(session.uids) ^ set(fresh.uids)
                disk = [self.flags_on_disk(user, mailbox, self.truth.ids.get((fresh.place, one[0]), "")) for one, _ in differs]
                session.wrong(f"does not agree with a new session: {only} {differs}, disk {disk}")
        for uid, flags in zip(fresh.uids, fresh.flags):
            name = self.truth.ids.get((fresh.place, uid))
            if flags & SYSTEM not in self.flags_on_disk(user, mailbox, name):
                fresh.wrong(f"{name}, UID {uid}, has flags {flags}, and on the disk {self.flags_on_disk(user, mailbox, name)}")
        names = [self.truth.ids.get((fresh.place, uid)) for uid in fresh.uids]
        on_disk = [re.search(rb"^X-Id: (\S+)", path.read_bytes(), re.M)[1].decode() for path in self.files(user, mailbox)]
        if sorted(names) != sorted(on_disk):
            fresh.wrong(f"does not agree with the disk: {sorted(names)} {sorted(on_disk)}")
        for (owner, place, name), fewest in self.truth.fewest.items():
            if (owner, place) != (user, mailbox):
                continue
            count, most = names.count(name), self.truth.most[owner, place, name]
            if count > most or (name.startswith("keep") and count < fewest):
                fresh.wrong(f"{name} is there {count} times, and should be {fewest} to {most} times")
            everywhere = sum(value for key, value in self.truth.fewest.items() if key[0] == user and key[2] == name)
            if name.startswith("move") and everywhere:
                self.moved = getattr(self, "moved", {})
                self.moved.setdefault((user, name), 0)
                self.moved[user, name] += count
        for (place, uid, keyword), is_set in self.truth.keywords.items():
            if place == fresh.place and uid in fresh.uids:
                if (keyword in fresh.flags[fresh.uids.index(uid)]) != is_set:
                    fresh.wrong(f"UID {uid}: {keyword} was {is_set} at last")
        if mailbox == FIXED[-1]:
            for (owner, name), count in getattr(self, "moved", {}).items():
                if owner == user and count != 1:
                    fresh.wrong(f"{name}, which only one client moved, is there {count} times")
        fresh.drop()


def main():
    options = {
        "seed": random.randrange(10**6), "users": 3, "clients": 30, "seconds": 5.0, "commands": 10**9, "messages": 60,
        "outside": 0, "recent": 1, "without": "",
    }  # fmt: skip
    for argument in sys.argv[5:]:
        key, _, value = argument.removeprefix("--").partition("=")
        options[key] = type(options[key])(value)
    print(f"seed {options['seed']}", flush=True)
    try:
        asyncio.run(Run(*sys.argv[1:5], options).go())
    except BaseExceptionGroup as group:
        sys.exit(f"stress: seed {options['seed']}: " + "\n".join(f"{type(why).__name__}: {why}" for why in group.exceptions))
    except Wrong as why:
        sys.exit(f"stress: seed {options['seed']}: {why}")


main()
