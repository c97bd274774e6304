"""All that Python's poplib can do, against one mailbox of three messages.

    pop3_session.py HOST PORT FOLDER

FOLDER has the messages as files, whose names are in the order of the mailbox.
"""

import os
import poplib
import socket
import sys


def refused(work, *arguments):
    try:
        work(*arguments)
    except poplib.error_proto as error:
        return error.args[0]
    raise AssertionError(f"{work.__name__}{arguments} was not refused")


def connect(host, port):
    client = poplib.POP3(host, port, timeout=20)
    client.user("alice")
    client.pass_("secret")
    return client


def main():
    host, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    letters = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            letters.append(file.read().replace(b"\n", b"\r\n"))

    stranger = poplib.POP3(host, port, timeout=20)
    before = stranger.capa()
    assert before["SASL"] == ["PLAIN", "LOGIN"] and before["EXPIRE"] == ["NEVER"], before
    assert stranger.utf8().startswith(b"+OK")
    stranger.user("alice")
    assert b"[AUTH]" in refused(stranger.pass_, "wrong")
    assert stranger.quit().startswith(b"+OK")

    one = connect(host, port)
    after = one.capa()
    assert set(after) >= {"TOP", "UIDL", "RESP-CODES", "PIPELINING", "UTF8", "LANG", "IMPLEMENTATION"}, after
    assert one.stat() == (3, sum(map(len, letters))), one.stat()
    assert [int(row.split()[1]) for row in one.list()[1]] == [len(letter) for letter in letters]
    ids = [row.split()[1] for row in one.uidl()[1]]
    assert len(set(ids)) == 3 and one.uidl(2).split()[2] == ids[1]
    for number, letter in enumerate(letters, 1):
        assert b"".join(line + b"\r\n" for line in one.retr(number)[1]) == letter
    head, body = letters[0].split(b"\r\n\r\n", 1)
    assert one.top(1, 0)[1] == head.split(b"\r\n") + [b""]
    assert one.top(1, 1)[1] == head.split(b"\r\n") + [b"", body.split(b"\r\n")[0]]
    for number in ("0", "4", "-1", "+1", "1x", "4294967297", "99999999999999999999"):
        refused(one.dele, number)
        refused(one.retr, number)
    one.dele(1)
    assert one.stat()[0] == 2
    refused(one.retr, 1)
    one.rset()
    assert one.stat()[0] == 3

    two = connect(host, port)
    assert two.stat()[0] == 3
    one.dele(1)
    one.dele(3)
    two.dele(3)
    # Whoever goes without QUIT has deleted nothing.
    lost = connect(host, port)
    lost.dele(2)
    lost.sock.shutdown(socket.SHUT_RDWR)
    lost.close()
    assert one.quit().startswith(b"+OK")
    # What the other one deleted keeps its number, and so does what is left.
    refused(two.retr, 1)
    assert b"".join(line + b"\r\n" for line in two.retr(2)[1]) == letters[1]
    assert two.quit().startswith(b"+OK")

    last = connect(host, port)
    assert last.stat() == (1, len(letters[1])) and last.uidl()[1] == [b"1 " + ids[1]]
    last.quit()


main()
