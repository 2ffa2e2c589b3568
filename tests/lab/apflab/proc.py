# SPDX-License-Identifier: GPL-2.0
"""Processes that end when the lab ends, however it ends, and locks that do the same."""

import contextlib
import fcntl
import os
import queue
import subprocess
import threading

from .errors import LabError
from .progress import say

_jobs = queue.Queue()
_lock = threading.Lock()
_thread = None


def _serve():
    while True:
        args, kwargs, answer = _jobs.get()
        try:
            answer.put((subprocess.Popen(args, **kwargs), None))
        except BaseException as e:  # handed to the caller, who knows what to do
            answer.put((None, e))


def spawn(args, **kwargs):
    """Popen whose child is killed as soon as this process is gone, even by SIGKILL.

    The kernel sends the parent-death signal when the *thread* that forked ends, so one
    thread that lives as long as the process does all the forking.
    """
    global _thread
    with _lock:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_serve, name="lab-spawn", daemon=True)
            _thread.start()
    # a session of its own: Ctrl-C is for us, who then end the children in the right order
    kwargs.setdefault("start_new_session", True)
    answer = queue.Queue()
    _jobs.put((["setpriv", "--pdeathsig", "KILL", "--", *map(str, args)], kwargs, answer))
    child, error = answer.get()
    if error:
        raise error
    return child


def end(child, grace_sec=3):
    """Terminate, then kill; never leaves a zombie."""
    if child is None or child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(grace_sec)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


# Prefix for what mounts and forks: all of it is gone when the prefix is killed.
CONTAINED = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]


def call(args, what, **kwargs):
    """Run a local command, fail with the end of its output."""
    child = spawn(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                  stderr=subprocess.STDOUT, text=True, errors="replace", **kwargs)
    try:
        out, _ = child.communicate()
    except BaseException:
        end(child, grace_sec=0.1)
        raise
    if child.returncode:
        raise LabError(f"{what} failed (exit {child.returncode}):\n{out[-6000:]}")
    return out


@contextlib.contextmanager
def locked(path, what):
    """Hold an exclusive lock file; the kernel drops it when the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another lab to finish {what}")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def tried(path):
    """Hold a lock file if nobody else does: True or False."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(fd)
