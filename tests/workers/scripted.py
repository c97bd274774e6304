"""A worker that is not ours: mail-handoff(7) in Python's standard library, and in it whatever a test wants to go wrong.

    scripted.py NOTES [OPTION]

It speaks a little IMAP to its clients: MAIL shows them a message, for which it becomes their user if it has to, and
BECOME tries who else it can become. Else it never touches mail or changes who it is. What it does with a client stands in
that client's variable SCRIPT, a word of those in `Worker.offered` and `Worker.served`, which a test puts there by
plugin { script = serve } and the user database. What happened is noted as files in the directory NOTES.
Without PERSISTENT_MAIL_PROCESS it serves one client on descriptors 0 and 1, as any program can.

Options, for the process as a whole: `--mute` says nothing, `--version 2` speaks another version, `--nonsense` says no protocol,
`--room N` takes N clients.
"""

import contextlib
import errno
import os
import selectors
import signal
import socket
import sys

LIMIT = 1 << 20


def escape(text):
    table = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\", "\0": "\\0"}
    return "".join(table.get(character, character) for character in text)


def unescape(text):
    table = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\", "0": "\0"}
    parts = iter(text)
    return "".join(table[next(parts)] if character == "\\" else character for character in parts)


@contextlib.contextmanager
def as_user(environment):
    """The client's user meanwhile, and its groups, where this process is nobody for good."""
    uid, gid = (int(environment.get(name, -1)) for name in ("ADVISE_SETUID", "ADVISE_SETGID"))
    if uid in (-1, os.getuid()):
        yield
        return
    groups = environment.get("ADVISE_SETEXTRAGROUPS", "")
    os.setgroups([int(group) for group in groups.split(",") if group])
    os.setresgid(-1, gid, -1)
    os.setresuid(-1, uid, -1)
    try:
        yield
    finally:
        os.setresuid(-1, os.getuid(), -1)
        os.setresgid(-1, os.getgid(), -1)
        os.setgroups([])


def become(uid):
    """Tries whether that works, and says how it went."""
    try:
        os.setresuid(-1, uid, -1)
    except OSError as why:
        return errno.errorcode[why.errno]
    os.setresuid(-1, os.getuid(), -1)
    return "it"


def first_message(home):
    """The last line of one of those in the user's INBOX."""
    new = os.path.join(home, "Maildir", "new")
    with open(os.path.join(new, min(os.listdir(new)))) as message:
        return message.read().splitlines()[-1]


class Client:
    """One client, once its environment is there."""

    def __init__(self, number, connection, environment):
        self.number = number
        self.connection = connection
        self.environment = environment
        self.script = environment.get("SCRIPT", "serve")
        self.input = b""
        self.received = 0
        self.sent = 0
        self.doing = ""
        self.is_served = False

    def say(self, text):
        data = (text + "\r\n").encode()
        self.connection.sendall(data)
        self.sent += len(data)


class Worker:
    def __init__(self, notes, options):
        self.notes = notes
        self.options = options
        self.link = socket.socket(fileno=0)
        self.link.setblocking(True)
        self.input = b""
        self.descriptors = []
        self.clients = {}
        self.waiting = []
        self.greeted = False
        self.stopping = False
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.link, selectors.EVENT_READ, None)

    # --- What happened, for the test to see, and for one process to know of another.

    def note(self, name):
        """Whether this is the first time."""
        try:
            os.close(os.open(os.path.join(self.notes, name), os.O_CREAT | os.O_EXCL, 0o666))
            return True
        except FileExistsError:
            return False

    def noted(self, name):
        return os.path.exists(os.path.join(self.notes, name))

    def working_for(self, number):
        """Tells the master for whom this works, as long as it does."""
        descriptor = os.environ.get("WORKING_FD")
        if descriptor:
            os.pwrite(int(descriptor), number.to_bytes(4, "little"), 0)

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)

    # --- The link.

    def tell(self, word, **fields):
        if self.link:
            line = word + "".join(f"\t{key}={escape(str(value))}" for key, value in fields.items())
            self.link.sendall(line.encode() + b"\n")

    def run(self):
        if "--nonsense" in self.options:
            self.link.sendall(b"* PREAUTH ready\r\n")
        elif "--mute" not in self.options:
            version = self.option("--version", "1")
            self.tell(f"VERSION\tmail-handoff\t{version}\t0")
            self.tell("hello", program="scripted 1", clients=self.option("--room", "0"), identity="none")
        if "CONNECTION_ID" in os.environ:
            self.take(int(os.environ["CONNECTION_ID"]), 3, dict(os.environ))
        while self.link or self.clients:
            for key, _ in self.selector.select(0.01 if self.waiting else None):
                if key.data is None:
                    self.hear()
                else:
                    self.read(key.data)
            self.waiting = [client for client in self.waiting if not self.late(client)]
            if self.stopping and not self.clients:
                break

    def option(self, name, default):
        return self.options[self.options.index(name) + 1] if name in self.options else default

    def hear(self):
        data, descriptors, _, _ = socket.recv_fds(self.link, 65536, 16)
        self.descriptors += descriptors
        if not data:
            return self.unlink()
        self.input += data
        while self.link:
            message, rest = self.next_message()
            if message is None:
                break
            self.input = rest
            self.obey(*message)

    def next_message(self):
        """A whole message: its word, its fields and its lines; and what is behind it."""
        line, end, rest = self.input.partition(b"\n")
        if not end:
            return None, self.input
        word, *fields = line.decode().split("\t")
        values = dict(field.split("=", 1) for field in fields if "=" in field)
        lines = []
        for _ in range(int(values.get("lines", 0))):
            line, end, rest = rest.partition(b"\n")
            if not end:
                return None, self.input
            lines.append(line.decode())
        return (word, {key: unescape(value) for key, value in values.items()}, lines), rest

    def obey(self, word, fields, lines):
        number = int(fields.get("id", 0))
        client = self.clients.get(number)
        if not self.greeted:
            assert word == "VERSION", word
            self.greeted = True
        elif word == "client":
            environment = dict(map(unescape, line.split("=", 1)) for line in lines)
            self.take(number, self.descriptors.pop(0), environment)
        elif word == "serve":
            self.served(client)
        elif word == "withdraw":
            self.note(f"withdrawn-{number}")
            self.end(client, "withdrawn")
        elif word == "kick" and client:
            client.say("* BYE " + fields["text"])
            self.end(client, "kicked")
        elif word == "stop":
            self.stopping = True
            for client in list(self.clients.values()):
                client.say("* BYE Server shutting down.")
                self.end(client, "stopped")
        elif word == "report":
            for client in self.clients.values():
                user = client.environment["USER"]
                self.tell("state", id=client.number, user=user, mailbox="", doing=client.doing, idle=0,
                          **{"in": client.received, "out": client.sent})
            self.tell("reported")
        elif word == "ping":
            self.tell("pong", number=fields["number"])

    def unlink(self):
        """Goes on without a master, with those whom it was told to serve."""
        if self.link:
            self.selector.unregister(self.link)
            self.link.close()
            self.link = None
        for client in list(self.clients.values()):
            if not client.is_served:
                self.forget(client)

    # --- A client on its way.

    def take(self, number, descriptor, environment):
        client = Client(number, socket.socket(fileno=descriptor), environment)
        self.clients[number] = client
        self.note(f"offered-{number}")
        self.working_for(number)
        self.offered(client)
        self.working_for(0)

    def offered(self, client):
        script, number = client.script, client.number
        if script.endswith("-once"):
            script = script.removesuffix("-once") if self.note(f"{script}-{number}") else "serve"
        if script == "refuse":
            self.tell("refused", id=number, text="no\troom")
            self.forget(client)
        elif script == "silence":
            pass
        elif script == "die":
            self.die()
        elif script == "late":
            self.waiting.append(client)
        elif script == "gone":
            self.end(client, "error")
        elif script == "nonsense":
            self.link.sendall(b"ready\tid=\\x\n")
        elif script == "binary":
            self.link.sendall(bytes(range(256)) * 16 + b"\n")
        elif script == "endless":
            self.pour(b"x" * LIMIT)
        elif script == "descriptor":
            with open("/dev/null", "rb") as null:
                socket.send_fds(self.link, [b"pong\tnumber=1\n"], [null.fileno()])
        elif script == "unlink":
            self.unlink()
        elif script == "flood":
            self.pour(b"pong\tnumber=7\nnews\tof=nothing\n" * 50000)
            self.tell("ready", id=number)
        elif script == "babble":
            self.tell("ready", id=number)
            self.pour(b"gone\tid=4000000000\treason=logout\n" * 50000)
        elif script == "wrong":
            for other in (4000000000, 4294967295):
                self.tell("ready", id=other)
                self.tell("refused", id=other, text="not mine")
                self.tell("gone", id=other, reason="logout")
                self.tell("state", id=other, user="nobody")
            self.tell("ready", id=number)
            self.tell("ready", id=number)
        else:
            self.tell("ready", id=number)

    def pour(self, data):
        try:
            self.link.sendall(data)
        except OSError:
            self.note("cut-off")

    def late(self, client):
        """Whether it may be told now."""
        if self.noted("go"):
            self.tell("ready", id=client.number)
            return True
        return client.number not in self.clients

    def served(self, client):
        self.note(f"served-{client.number}")
        client.is_served = True
        client.connection.setblocking(True)
        if client.script == "die-served":
            self.working_for(client.number)
            self.die()
        tag = client.environment.get("IMAPLOGINTAG", "*")
        client.say(f"{tag} OK [WORKER {os.getpid()}] Logged in")
        if client.script == "full":
            self.tell("full")
        if client.script == "wrong":
            self.tell("refused", id=client.number, text="too late")
        self.selector.register(client.connection, selectors.EVENT_READ, client)

    # --- A client that is served.

    def read(self, client):
        try:
            data = client.connection.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            return self.end(client, "closed")
        client.received += len(data)
        client.input += data
        while b"\n" in client.input and client.number in self.clients:
            line, _, client.input = client.input.partition(b"\n")
            words = line.decode().split()
            client.doing = words[1] if len(words) > 1 else ""
            self.command(client, words[0] if words else "*", client.doing.upper())

    def command(self, client, tag, word):
        if word == "LOGOUT":
            client.say("* BYE Logging out")
            client.say(f"{tag} OK Logged out")
            return self.end(client, "logout")
        if word == "ENV":
            for key, value in sorted(client.environment.items()):
                client.say(f"* ENV {key}={escape(value)}")
        elif word == "PROCESS":
            client.say(f"* PID {os.getpid()} UID {os.getuid()} GID {os.getgid()}")
        elif word == "MAIL":
            with as_user(client.environment):
                client.say(f"* MAIL {first_message(client.environment['HOME'])}")
        elif word.startswith("BECOME="):
            client.say(f"* BECAME {become(int(word.partition('=')[2]))}")
        elif word == "UNLINK":
            self.unlink()
        elif word == "NONSENSE":
            self.link.sendall(b"\xff\xfe\tlines=x\n")
        elif word == "OPEN":
            self.tell("open")
        elif word == "DIE":
            self.working_for(client.number)
            self.die()
        client.say(f"{tag} OK {word} done")

    def end(self, client, reason):
        if client:
            counts = {"in": client.received, "out": client.sent}
            self.tell("gone", id=client.number, reason=reason, **counts)
            if client.script == "gone-twice":
                self.tell("gone", id=client.number, reason=reason, **counts)
            self.forget(client)

    def forget(self, client):
        self.clients.pop(client.number, None)
        if client.connection in self.selector.get_map():
            self.selector.unregister(client.connection)
        client.connection.close()


class Alone:
    """One client on descriptors 0 and 1, for a program that was never told of the hand-off."""

    def run(self):
        for line in sys.stdin.buffer:
            tag, word = (line.decode().split() + ["", ""])[:2]
            if word == "ENV":
                for key, value in sorted(os.environ.items()):
                    self.say(f"* ENV {key}={escape(value)}")
            elif word == "PROCESS":
                self.say(f"* PID {os.getpid()} UID {os.getuid()} GID {os.getgid()}")
            elif word == "LOGOUT":
                self.say("* BYE Logging out")
            self.say(f"{tag} OK {word} done")
            if word == "LOGOUT":
                break

    def say(self, text):
        sys.stdout.buffer.write((text + "\r\n").encode())
        sys.stdout.buffer.flush()


def main():
    if "PERSISTENT_MAIL_PROCESS" in os.environ:
        Worker(sys.argv[1], sys.argv[2:]).run()
    else:
        Alone().run()


if __name__ == "__main__":
    main()
