"""Running whole processes and counting what they took.

A *work* is a row of commands, one after another, as a user, a cron job or PostgreSQL starts them.
Counted are the time from the first start to the last end, the CPU of every process that the
commands started, and the most memory that all of them together held at a moment: the sum of their
proportional set sizes, sampled. Processes that a tool leaves in the background count as well:
this process adopts orphans (prctl(2), PR_SET_CHILD_SUBREAPER) and ends them after the last command.
"""

import ctypes
import dataclasses
import os
import signal
import subprocess
import threading
import time

from bench.place import Refused

# What a command inherits: nothing of the caller's settings of Python, PostgreSQL or Amazon.
INHERITED = {name: os.environ[name] for name in ["PATH", "LANG", "TZ"] if name in os.environ}
PR_SET_CHILD_SUBREAPER = 36
SELF = os.readlink("/proc/self/exe")
TICKS = os.sysconf("SC_CLK_TCK")
# How long what a tool left in the background may take to end.
PATIENCE_SECONDS = 30


@dataclasses.dataclass
class Work:
    """Commands to run one after another, with the variables they get."""

    commands: list
    environment: dict = dataclasses.field(default_factory=dict)
    folder: str = "/"
    # Called after each command with its number: what PostgreSQL does between two of them.
    between: object = None
    # Seconds between two looks at the memory; a look costs CPU, so long runs are seen less often.
    look_every: float = 0.05


@dataclasses.dataclass
class Usage:
    """What a work took."""

    wall: float
    cpu: float
    memory: int


def adopt_orphans():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def measured(work, output):
    """Runs a work; its output goes to the file `output`, whose end is shown when it fails."""
    services = set(children(os.getpid()))
    cpu = 0.0
    with open(output, "wb") as sink, Watch(services, work.look_every) as watch:
        begun = time.monotonic()
        for number, command in enumerate(work.commands):
            cpu += run(command, work, sink)
            if work.between:
                work.between(number)
        wall = time.monotonic() - begun
    return Usage(wall, cpu + end_background(services), watch.peak)


def run(command, work, sink):
    process = subprocess.Popen(command, cwd=work.folder, stdin=subprocess.DEVNULL, stdout=sink,
                               stderr=sink, env={**INHERITED, **work.environment})
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        # An interrupted bench leaves nothing running.
        process.kill()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        with open(sink.name, "rb") as file:
            end = file.read()[-3000:].decode(errors="replace")
        raise Refused(f"exit status {process.returncode}: {' '.join(command)}\n{end}")
    return usage.ru_utime + usage.ru_stime


def unmeasured(command, environment=None, folder="/"):
    """Runs a command that only prepares something; returns what it printed."""
    done = subprocess.run(command, cwd=folder, env={**INHERITED, **(environment or {})},
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-3000:].decode(errors="replace")
        raise Refused(f"exit status {done.returncode}: {' '.join(command)}\n{said}")
    return done.stdout.decode(errors="replace")


def end_background(services):
    """Ends what the commands left running, and returns the CPU of all orphans."""
    cpu = 0.0
    deadline = time.monotonic() + PATIENCE_SECONDS
    asked = set()
    while True:
        rest = [child for child in children(os.getpid()) if child not in services]
        if not rest:
            return cpu
        for child in rest:
            if child not in asked:
                os.kill(child, signal.SIGTERM)
                asked.add(child)
            pid, _, usage = os.wait4(child, os.WNOHANG)
            if pid:
                cpu += usage.ru_utime + usage.ru_stime
        if time.monotonic() > deadline:
            raise Refused(f"processes do not end: {rest}")
        time.sleep(0.01)


class Watch:
    """Looks at the memory of all processes below this one that are no services."""

    def __init__(self, services, every):
        self.services = services
        self.every = every
        self.peak = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def look(self):
        while not self.over.wait(self.every):
            roots = [child for child in children(os.getpid()) if child not in self.services]
            # A child that is still this program has not become the command yet.
            found = [process for process in below(roots) if program(process) != SELF]
            self.peak = max(self.peak, sum(pss(process) for process in found))


def below(roots):
    """These processes and all that descend from them."""
    waiting, found = list(roots), []
    while waiting:
        process = waiting.pop()
        found.append(process)
        waiting.extend(children(process))
    return found


def children(process):
    """The processes whose parent this one is, zombies included."""
    found = []
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/children", encoding="ascii") as file:
                found.extend(int(child) for child in file.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def program(process):
    """The executable that a process runs; nothing when it has ended."""
    try:
        return os.readlink(f"/proc/{process}/exe")
    except OSError:
        return ""


def pss(process):
    """Proportional set size in bytes: what is shared is divided among those who share it."""
    try:
        with open(f"/proc/{process}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass
    return 0


def cpu_of(process):
    """CPU seconds that a running process has used so far, and its children that have ended."""
    with open(f"/proc/{process}/stat", "rb") as file:
        fields = file.read().rsplit(b")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def cpu_of_all_below():
    """CPU seconds of this process and all it has started."""
    own = os.times()
    return sum(own[:4]) + sum(cpu_of(child) for child in children(os.getpid()))


def cpu_of_machine():
    """CPU seconds that anybody has used on any core since the machine started."""
    with open("/proc/stat", encoding="ascii") as file:
        # user, nice, system, then idle and waiting, then interrupts and what a host took away.
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS
