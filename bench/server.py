"""One PostgreSQL 15 of the bench: made, filled, started and stopped in the run's folder.

Nothing listens on a network, so every server has the usual port in a folder of its own. fsync is
off: what survives a crash of this machine is not what is measured.
"""

import os

from bench.measure import unmeasured
from bench.place import Refused, remove

# Debian's, in the version that the issue of the bench names.
BIN = "/usr/lib/postgresql/15/bin"
USER = "bench"
SEGMENT = 16 * 1024 ** 2


class Server:
    """A data directory, a tablespace beside it, and the programs that work with them."""

    def __init__(self, place, name):
        if not os.path.exists(os.path.join(BIN, "pgbench")):
            raise Refused("PostgreSQL 15 is missing: scripts/setup bench")
        self.name = name
        self.folder = place.fresh(name)
        self.data = os.path.join(self.folder, "data")
        self.tablespace = os.path.join(self.folder, "tablespace")
        os.mkdir(self.tablespace, mode=0o700)
        self.runs = False

    def program(self, name, *words):
        return unmeasured([os.path.join(BIN, name), *words], self.environment(), self.folder)

    def environment(self):
        return {"PGHOST": self.folder, "PGPORT": "5432", "PGUSER": USER, "PGDATABASE": "postgres",
                "HOME": self.folder}

    def initialise(self):
        self.program("initdb", "-D", self.data, "-U", USER, "-A", "trust", "--no-sync",
                     "--data-checksums", "--no-locale", "--encoding=UTF8")

    def start(self, **settings):
        """Starts it. Nothing goes on in the background that would differ from run to run."""
        settings = {"unix_socket_directories": self.folder, "listen_addresses": "",
                    "fsync": "off", "autovacuum": "off", "max_wal_size": "16GB",
                    "checkpoint_timeout": "1h", "shared_buffers": "512MB",
                    "maintenance_work_mem": "512MB", "log_checkpoints": "off", **settings}
        # Through the file: a path may have spaces.
        with open(os.path.join(self.data, "postgresql.auto.conf"), "w", encoding="utf-8") as file:
            for name, value in settings.items():
                file.write(f"{name} = '{value}'\n")
        self.program("pg_ctl", "-w", "-D", self.data, "-l", os.path.join(self.folder, "log"),
                     "start")
        self.runs = True

    def stop(self, mode="fast"):
        if self.runs:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as file:
                server = int(file.readline())
            self.program("pg_ctl", "-w", "-t", "300", "-D", self.data, "-m", mode, "stop")
            self.runs = False
            # pg_ctl left it to us, who adopt orphans.
            os.waitpid(server, 0)

    def remove(self):
        self.stop("immediate")
        remove(self.folder)

    def sql(self, *statements):
        words = [word for statement in statements for word in ("-c", statement)]
        return self.program("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                            *words).strip()

    def relation_files(self):
        """Sizes of the files of all relations, by their paths below the data directory.

        They do not change while the server idles, and every backup has to have them.
        """
        found = {}
        for top in ["base", "pg_tblspc"]:
            found.update(sizes_below(self.data, top))
        return found

    def folders_to_read(self):
        """What is nearly all of a backup: no WAL, no logs."""
        return [os.path.join(self.data, "base"), os.path.join(self.data, "global"),
                self.tablespace]


def sizes_below(data, top):
    """Sizes of the relation files below a folder of a data directory, through its links."""
    found = {}
    for folder, _, names in os.walk(os.path.join(data, top), followlinks=True):
        for name in names:
            # Relation files are called by a number and perhaps a fork.
            if name[0].isdigit():
                path = os.path.join(folder, name)
                found[os.path.relpath(path, data)] = os.stat(path).st_size
    return found
