"""The temporary folder of one run: what is in it, who owns it, and that it goes away.

Everything that a run starts or writes lies below one folder: the servers, the store, what is
restored. The checkout is only read.
"""

import os
import pwd
import shutil
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.realpath(os.path.join(TOP, ".cache"))
GIB = 1024 ** 3
MIB = 1024 ** 2


class Refused(Exception):
    """The run cannot go on; the text says what to do."""


class Place:
    """Paths below the folder of a run."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def fresh(self, *names):
        """An empty folder at that path, whatever was there."""
        path = self.path(*names)
        remove(path)
        os.makedirs(path, mode=0o700)
        return path

    def another(self, name):
        """A new empty folder, beside those of that name."""
        return tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def empty(path):
    """Gives the space of all files below a folder back, and leaves the files.

    ext4 keeps inodes that were just freed back for minutes, and looks at each of them before it
    takes another: whoever made many files next would pay for what was removed before.
    """
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            if not os.path.islink(file):
                os.truncate(file, 0)


def create(near, needed_bytes):
    """A new folder below `near`, owned by whoever the servers run as."""
    free = shutil.disk_usage(near).free
    if free < needed_bytes:
        raise Refused(f"{near} needs {needed_bytes / GIB:.0f} GiB and has {free / GIB:.0f} GiB: "
                      "name another folder with --near")
    folder = tempfile.mkdtemp(prefix="barman-bench-", dir=near)
    os.chmod(folder, 0o755)
    account = servers_account()
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def servers_account():
    """PostgreSQL and pgBackRest refuse to run as root: root becomes somebody else for them."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def words_before(account):
    """What to put before a command line so that it runs under this account.

    A checkout in root's home cannot be entered by others. The account therefore keeps one
    capability, to read everything; it writes nowhere but into its own folder.
    """
    if account is None:
        return []
    read = "+dac_read_search"
    return ["setpriv", "--reuid", account.pw_name, "--regid", str(account.pw_gid),
            "--clear-groups", "--inh-caps", read, "--ambient-caps", read,
            "--securebits", "+no_setuid_fixup", "--"]
