"""What somebody would do who has taken over a program that we did not write: runs scripts as tests/attacker has them, one
a line of standard input, each in a process of its own, and prints what the calls of each answered.

    attacker.py [SCRIPT]

With SCRIPT, each process runs that first.
"""

import ctypes
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def argument(word, answers, memory):
    """The value of a word; memory stays where it is as long as `memory` is held."""
    if word[0] in "$*":
        answer = answers[int(word[1:])]
        return answer if word[0] == "$" else ctypes.c_int.from_address(answer).value
    if word[0] == "'":
        data = os.fsencode(word[1:]) + b"\0"
    elif word[:2] == "x'":
        data = bytes.fromhex(word[2:])
    elif word[:2] == "b'":
        data = bytes(int(word[2:]))
    elif word[0] == "[":
        values = [argument(part, answers, memory) for part in word[1:-1].split("|")]
        data = b"".join(value.to_bytes(8, sys.byteorder, signed=True) for value in values)
    else:
        return int(word)
    memory.append(ctypes.create_string_buffer(data, len(data)))
    return ctypes.addressof(memory[-1])


def attack(script):
    own, answers, memory = os.getpid(), [], []
    for call in script.split(";"):
        number, *words = call.split()
        values = [argument(word, answers, memory) for word in words]
        if number == "=":
            answer = values[0]
        else:
            values = [int(number), *values] + [0] * (6 - len(values))
            answer = libc.syscall(*map(ctypes.c_long, values))
            if answer == -1:
                answer = -ctypes.get_errno()
        if os.getpid() != own:
            os._exit(0)
        answers.append(answer)
    return answers


def main():
    for script in sys.stdin:
        ours, theirs = os.pipe()
        os.set_inheritable(theirs, True)
        child = os.fork()
        if child == 0:
            for first in sys.argv[1:]:
                attack(first)
            os.write(theirs, " ".join(map(str, attack(script))).encode())
            os._exit(0)
        os.close(theirs)
        answer = os.read(ours, 4096).decode()
        os.close(ours)
        _, status = os.waitpid(child, 0)
        # One that says nothing became another program, or was killed.
        print(answer or ("killed" if status else "0"), flush=True)


main()
