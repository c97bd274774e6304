"""Says something in another process's name: writes standard input into every unix socket that process PID shares with
process PEER, which made both ends of it. Prints on how many it was heard.

    inject.py PID PEER [--descriptor]

With --descriptor, one of /dev/null rides on the first byte. Needs root.
"""

import ctypes
import os
import socket
import struct
import sys

PIDFD_GETFD = 438


def links(pid, peer):
    """Copies of the sockets."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    for name in os.listdir(f"/proc/{pid}/fd"):
        copy = libc.syscall(PIDFD_GETFD, process, int(name), 0)
        if copy < 0:
            continue
        try:
            link = socket.socket(fileno=copy)
            credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            continue
        if link.family == socket.AF_UNIX and struct.unpack("3i", credentials)[0] == peer:
            yield link


def say(link, data):
    if "--descriptor" in sys.argv:
        with open("/dev/null", "rb") as null:
            data = data[socket.send_fds(link, [data], [null.fileno()]):]
    while data:
        data = data[link.send(data, socket.MSG_NOSIGNAL):]


def main():
    data = sys.stdin.buffer.read()
    heard = 0
    for link in links(int(sys.argv[1]), int(sys.argv[2])):
        heard += 1
        try:
            say(link, data)
        except OSError:
            # Who does not want to hear it all closes its end, or reads no more.
            pass
    print(heard)


main()
