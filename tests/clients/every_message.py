"""Fetches each message of alice's INBOX whole, in halves, in pieces and part by part, by IMAP and by POP3, and compares it
with what was delivered.

    every_message.py HOST IMAP-PORT POP3-PORT FOLDER

FOLDER has the messages as files, whose names are in the order of the mailbox.
"""

import email
import imaplib
import os
import poplib
import sys


def only(response):
    """The literal of a response that has one."""
    status, data = response
    assert status == "OK", response
    literals = [part[1] for part in data if isinstance(part, tuple)]
    assert len(literals) == 1, data
    return literals[0]


def decoded(part):
    """What a part holds; where the last line's end belongs to is a matter of taste."""
    return part.get_payload(decode=True).replace(b"\r\n", b"\n").rstrip(b"\n")


def check_imap(imap, number, letter):
    def fetch(section):
        return only(imap.fetch(str(number), f"(BODY.PEEK[{section}])"))

    status, data = imap.fetch(str(number), "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY)")
    said = b"".join(part if isinstance(part, bytes) else b"".join(part) for part in data)
    assert status == "OK" and b"RFC822.SIZE %d" % len(letter) in said, said
    assert fetch("") == letter
    assert fetch("HEADER") + fetch("TEXT") == letter
    pieces = [only(imap.fetch(str(number), f"(BODY.PEEK[]<{at}.1000>)")) for at in range(0, len(letter), 1000)]
    assert b"".join(pieces) == letter
    message = email.message_from_bytes(letter)
    if message.get_content_maintype() == "multipart":
        for position, part in enumerate(message.get_payload(), 1):
            if not part.is_multipart():
                alone = email.message_from_bytes(fetch(f"{position}.MIME") + fetch(position))
                assert alone.get_content_type() == part.get_content_type(), position
                assert decoded(alone) == decoded(part), position


def main():
    host, imap_port, pop3_port, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    letters = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            letters.append(file.read().replace(b"\n", b"\r\n"))

    imap = imaplib.IMAP4(host, imap_port)
    imap.login("alice", "secret")
    assert imap.select("INBOX") == ("OK", [str(len(letters)).encode()])
    for number, letter in enumerate(letters, 1):
        check_imap(imap, number, letter)
    imap.logout()

    pop3 = poplib.POP3(host, pop3_port)
    pop3.user("alice")
    pop3.pass_("secret")
    for number, letter in enumerate(letters, 1):
        assert b"".join(line + b"\r\n" for line in pop3.retr(number)[1]) == letter, number
        assert int(pop3.list(number).split()[2]) == len(letter), number
    pop3.quit()


main()
