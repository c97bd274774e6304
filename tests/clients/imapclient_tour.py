"""A tour through IMAPClient, by two connections of one user: HOST PORT, and where the library is.

Each step says what it expects; the first one that is not met ends the tour.
"""

import datetime
import sys

sys.path.insert(0, sys.argv[3])

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

HOST, PORT = sys.argv[1], int(sys.argv[2])
LETTER = (
    "From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>\r\nTo: alice@example.org\r\n"
    "Subject: {subject}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\n"
    "Message-ID: <{subject}@example.org>\r\n\r\nGr\u00fc\u00dfe, {subject}\r\n"
)


def connect():
    client = IMAPClient(HOST, port=PORT, ssl=False)
    client.login("alice", "secret")
    return client


def refused(work, *arguments):
    try:
        work(*arguments)
    except IMAPClientError:
        return True
    return False


one, two = connect(), connect()

for word in (b"IMAP4REV1", b"IDLE", b"UIDPLUS", b"MOVE", b"NAMESPACE", b"CHILDREN", b"ENABLE"):
    assert one.has_capability(word.decode()), (word, one.capabilities())
separator = one.namespace().personal[0][1]
nested = separator.join(["Pläne", "日本語"])

# Mailboxes, with names in other alphabets.
one.create_folder("Pläne")
one.create_folder(nested)
one.subscribe_folder(nested)
assert refused(one.create_folder, "Pläne")
names = {name: flags for flags, _, name in one.list_folders()}
assert {"INBOX", "Pläne", nested} <= set(names), names
assert b"\\HasChildren" in names["Pläne"] and b"\\HasNoChildren" in names[nested], names
assert nested in [name for _, _, name in two.list_sub_folders()]
assert one.folder_exists(nested) and not one.folder_exists("Nowhere")

# Messages come in, with flags and a date of their own.
one.select_folder("Pläne")
when = datetime.datetime(2020, 2, 29, 12, 30, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
answer = one.append("Pläne", LETTER.format(subject="first").encode(), [b"\\Seen", b"$Forwarded"], when)
assert b"APPENDUID" in answer, answer
for subject in ("second", "third", "fourth"):
    one.append("Pläne", LETTER.format(subject=subject).encode())
one.noop()
uids = one.search()
assert len(uids) == 4 and uids == sorted(uids), uids
fetched = one.fetch(uids, ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[]"])
first = fetched[uids[0]]
assert set(first[b"FLAGS"]) >= {b"\\Seen", b"$Forwarded"}, first[b"FLAGS"]
assert first[b"INTERNALDATE"] == when.astimezone().replace(tzinfo=None), first[b"INTERNALDATE"]
assert first[b"BODY[]"] == LETTER.format(subject="first").encode()
assert first[b"RFC822.SIZE"] == len(first[b"BODY[]"])
assert first[b"ENVELOPE"].subject == b"first" and first[b"ENVELOPE"].from_[0].mailbox == b"zoe"
assert first[b"BODYSTRUCTURE"][0].lower() == b"text"

# Looking for them.
assert one.search(["SUBJECT", "third"]) == [uids[2]]
assert one.search(["TEXT", "GRÜSSE"], charset="UTF-8") in (uids, []), "sharp s is two letters in upper case"
assert one.search(["TEXT", "GRÜ"], charset="UTF-8") == uids
assert one.search(["FROM", "Zoë"], charset="UTF-8") == uids
assert one.search(["BEFORE", datetime.date(2020, 3, 1)]) == [uids[0]]
assert one.search(["SENTON", datetime.date(2026, 11, 2)]) == uids
assert one.search(["OR", "SEEN", ["SUBJECT", "second"], "NOT", "DELETED"]) == uids[:2]
assert one.search(["KEYWORD", "$Forwarded"]) == [uids[0]]

# The other one sees it all.
two.select_folder("Pläne", readonly=True)
assert two.search() == uids
one.add_flags(uids[:2], [b"\\Flagged"])
two.noop()
assert two.search(["FLAGGED"]) == uids[:2]

# Copied, moved, expunged.
one.copy(uids[:2], nested)
assert one.folder_status(nested, ["MESSAGES", "UNSEEN"]) == {b"MESSAGES": 2, b"UNSEEN": 1}
one.move(uids[3:], nested)
one.delete_messages(uids[2:3])
one.uid_expunge(uids[2:3])
two.noop()
assert two.search() == uids[:2], two.search()
two.select_folder(nested)
assert [mail[b"ENVELOPE"].subject for mail in two.fetch(two.search(), ["ENVELOPE"]).values()] == [b"first", b"second", b"fourth"]

# IDLE hears of what the other one does.
two.idle()
one.append(nested, LETTER.format(subject="fifth").encode())
heard = []
while (4, b"EXISTS") not in heard:
    answers = two.idle_check(timeout=30)
    assert answers, heard
    heard += answers
two.idle_done()

# Away with them.
two.unselect_folder()
renamed = separator.join(["Pläne", "한국어"])
one.rename_folder(nested, renamed)
assert one.folder_status(renamed, ["MESSAGES"])[b"MESSAGES"] == 4
one.unsubscribe_folder(nested)
one.delete_folder(renamed)
one.close_folder()
one.delete_folder("Pläne")
assert [name for _, _, name in two.list_folders() if "Pl" in name] == []
two.logout()
one.logout()
