"""One process at a time: locks of the system, which open when their holder ends, however that ends.

Processes of several machines that see one folder exclude each other too, as far as its file server has locks.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


def take(path: Path, *, wait: bool) -> Callable[[], None] | None:
    """Locks a name for this process until it lets go or ends. Where a file system has no locks, a warning says so.

    Args:
        path: The lock file, which says who holds it; the folder above it is made too.
        wait: Whether to wait until another process has let go of it.

    Returns:
        Lets go, and removes the lock file; None if another process has the lock.

    Raises:
        OSError: The lock file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, blocking=wait, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        logger.warning("%s: this file system has no locks: see that no other process writes here", path.parent)
        return lambda: None
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    path.write_text(f"host {socket.gethostname()}, process {os.getpid()}, since {since}\n")

    def let_go() -> None:
        path.unlink(missing_ok=True)  # while it is ours: who waits for it sees that its file is gone, and tries again
        lock.release()

    return let_go


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Holds a lock inside the `with` block.

    Args:
        path: The lock file.
        wait: Whether to wait until another process has let go of it.

    Yields:
        Whether this process has the lock.
    """
    let_go = take(path, wait=wait)
    try:
        yield let_go is not None
    finally:
        if let_go is not None:
            let_go()


def holder(path: Path) -> str:
    """Who holds a lock, for messages: host, process, since when."""
    try:
        return path.read_text().strip() or "just begun"
    except OSError:
        return "unknown"
