"""Runs a program as root of a user namespace, as services and containers have them.

    nested.py [--forbid] FIRST OUTSIDE COUNT PROGRAM [ARG ...]

COUNT ids from FIRST on are those from OUTSIDE on. With --forbid, no further namespace can be made in it.
"""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000


def write(path, text):
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def main():
    words = sys.argv[1:]
    forbid = words[0] == "--forbid"
    if forbid:
        words.pop(0)
    extent, program = " ".join(words[:3]), words[3:]
    own = os.getpid()
    ready, made = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.read(ready, 1)
        for ids in ("uid_map", "gid_map"):
            write(f"/proc/{own}/{ids}", extent)
        os._exit(0)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
        os.kill(helper, 9)
        raise OSError(ctypes.get_errno(), "no user namespace")
    os.write(made, b".")
    if os.waitpid(helper, 0)[1] != 0:
        sys.exit("nested.py: the ids could not be mapped")
    if forbid:
        write("/proc/sys/user/max_user_namespaces", "0")
    os.execvp(program[0], program)


main()
