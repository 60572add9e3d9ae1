"""Every call of the system that a process and its children make on files of a folder, seen and decided by its parent.

The kernel's seccomp lets a process hand its calls to another one (SECCOMP_RET_USER_NOTIF, Linux 5.5 or later), whatever
makes them: Python, the C of HDF5 or torch, the Rust of safetensors. Nothing of the command is patched.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import struct
from collections.abc import Callable
from dataclasses import dataclass

READ, OPEN, WRITE, MAKE, FLUSH, RENAME = "read", "open", "write", "make", "flush", "rename"
_X86_64 = {
    0: (READ, "fd0"), 17: (READ, "fd0"), 19: (READ, "fd0"), 295: (READ, "fd0"),  # read, pread64, readv, preadv
    1: (WRITE, "fd0"), 18: (WRITE, "fd0"), 20: (WRITE, "fd0"), 296: (WRITE, "fd0"),  # write, pwrite64, writev, pwritev
    40: (WRITE, "fd0"), 326: (WRITE, "fd2"), 77: (WRITE, "fd0"), 285: (WRITE, "fd0"),  # sendfile, copy_file_range, ...
    2: (OPEN, "path0"), 257: (OPEN, "path1"),
    83: (MAKE, "path0"), 258: (MAKE, "path1"), 85: (MAKE, "path0"),  # mkdir, mkdirat, creat
    74: (FLUSH, "fd0"), 75: (FLUSH, "fd0"),  # fsync, fdatasync
    82: (RENAME, "path1"), 264: (RENAME, "path3"), 316: (RENAME, "path3"),  # rename, renameat, renameat2
    86: (RENAME, "path1"), 265: (RENAME, "path3"), 88: (RENAME, "path1"), 266: (RENAME, "path2"),  # link, symlink
}  # fmt: skip
_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # ioctls: SECCOMP_IOCTL_NOTIF_RECV, _SEND
_CONTINUE = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Call:
    """A call on a file of the folder.

    Attributes:
        kind: read, open (for reading), write, make (a file or folder, or open for writing), flush, rename (or link).
        path: The file, absolute; of a rename the new name.
        process: Who calls.
    """

    kind: str
    path: str
    process: int


def unsupported() -> str:
    """Why calls cannot be seen here; empty if they can."""
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        return "the numbers of the system's calls are those of Linux on x86_64"
    try:
        with open("/proc/sys/kernel/seccomp/actions_avail") as file:
            return "" if "user_notif" in file.read() else "this kernel hands no calls to another process (user_notif)"
    except OSError:
        return "this kernel has no seccomp"


def hand_over() -> int:
    """From now on this process, and those that it starts, ask before each call; returns where they ask."""
    numbers = sorted(_X86_64)
    program = [(0x20, 0, 0, 0)]  # load the number of the call
    program += [(0x15, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x7FC00000)]  # allow; ask
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    if _libc.prctl(38, 1, 0, 0, 0):  # no new privileges
        raise OSError(ctypes.get_errno(), "prctl")
    listener = _libc.syscall(317, 1, 8, filter_)  # seccomp: a filter with a listener
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


def answer(listener: int, root: str, decide: Callable[[Call], int], seconds: float) -> bool:
    """Answers one call, or waits for one.

    Args:
        listener: What hand_over gave.
        root: Calls on files outside of this folder are made without asking.
        decide: The error number that a call ends with; 0 to make it.
        seconds: To wait.

    Returns:
        Whether there are processes left that may ask.
    """
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    events = poll.poll(seconds * 1000)
    if not events:
        return True
    if not events[0][1] & select.POLLIN:
        return False
    notification = bytearray(80)
    try:
        fcntl.ioctl(listener, _RECEIVE, notification)
    except OSError as error:
        if error.errno == errno.ENOENT:  # who asked was killed
            return True
        raise
    number, process, _, nr, _, _, *arguments = struct.unpack("QIIiIQ6Q", notification)
    call = _call(nr, process, arguments)
    error = decide(call) if call is not None and call.path.startswith(f"{root}/") else 0
    reply = struct.pack("QqiI", number, 0, -error, 0 if error else _CONTINUE)
    try:
        fcntl.ioctl(listener, _SEND, bytearray(reply))
    except OSError as failure:
        if failure.errno != errno.ENOENT:
            raise
    return True


def _call(nr: int, process: int, arguments: list[int]) -> Call | None:
    kind, where = _X86_64[nr]
    place = int(where[-1])
    try:
        if where.startswith("fd"):
            return Call(kind, os.readlink(f"/proc/{process}/fd/{arguments[place]}"), process)
        folder = ctypes.c_int(arguments[place - 1]).value if nr in (257, 258, 264, 265, 266, 316) else -100
        at = f"/proc/{process}/cwd" if folder == -100 else f"/proc/{process}/fd/{folder}"
        path = os.path.normpath(os.path.join(os.readlink(at), _text(process, arguments[place])))
    except OSError:  # it is gone, or gives a descriptor or an address that is none
        return None
    flags = arguments[place + 1] if kind == OPEN else 0
    return Call(MAKE if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else kind, path, process)


def _text(process: int, address: int) -> str:
    """The text that ends with a zero byte at an address of another process; a path of at most 4096 bytes."""
    text = b""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        while b"\0" not in text and len(text) < 4096:
            memory.seek(address + len(text))
            text += memory.read(min(256, 4096 - (address + len(text)) % 4096))
    return os.fsdecode(text.partition(b"\0")[0])
