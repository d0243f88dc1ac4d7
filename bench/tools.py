"""The tools that are compared: how each is asked for the same thing. One class per tool.

Every tool gets two jobs, the same store through TLS, its own default levels of compression unless
said otherwise, and is started as a user would start it. What a tool needs once (pgBackRest's
stanza) is prepared outside of the measurement.
"""

import dataclasses
import os
import re
import shlex
import shutil

from bench.measure import unmeasured
from bench.place import CACHE, Refused, remove
from bench.store import ACCESS_KEY, REGION, SECRET_KEY

JOBS = 2
AHEAD = 8
# What says that a backup was copied whole. No WAL is archived beside it here, and ours says so.
WHOLE = ["DONE", "WAITING_FOR_WALS"]
# The server's name in the store, and pgBackRest's stanza.
NAME = "bench"


@dataclasses.dataclass(frozen=True)
class Job:
    """What is asked of a tool, for one bucket."""

    bucket: str
    codec: str = "none"
    # Where the cluster's data lies, and the server that runs on it, if one does.
    data: str = ""
    server: object = None
    # Whether WAL goes several segments ahead of what is asked for.
    ahead: bool = False


class CloudCommands:
    """What ours and Python Barman have in common: that is the point of ours."""

    def __init__(self, place, store):
        self.place = place
        self.store = store

    def command(self, name, *words):
        raise NotImplementedError

    def environment(self, job):
        server = job.server.environment() if job.server else {}
        return {**server, **self.store.environment(), "HOME": self.place.folder}

    def prepare(self, job):
        """Nothing: a bucket is enough."""

    def backup(self, job):
        codec = [] if job.codec == "none" else ["--" + job.codec]
        return self.command("backup", "-J", str(JOBS), *codec, "--immediate-checkpoint",
                            f"s3://{job.bucket}/pg", NAME)

    def backup_id(self, job):
        """The id of the only backup in the bucket. Both catalogues have the same layout."""
        keys = self.store.sizes(job.bucket)
        records = [key for key in keys if key.endswith("/backup.info")]
        if len(records) != 1:
            raise Refused(f"{self.name} left {len(records)} records of backups")
        file = self.place.path("backup.info")
        self.store.fetch(job.bucket, records[0], file)
        with open(file, encoding="utf-8") as record:
            status = re.search(r"^status=(.*)$", record.read(), re.MULTILINE)[1]
        if status not in WHOLE:
            raise Refused(f"{self.name} left a backup that is {status}")
        return records[0].split("/")[-2]

    def verify_backup(self, job):
        self.backup_id(job)

    def restore(self, job, target, tablespace):
        return self.command("restore", *self.restore_options(), "--tablespace",
                            f"elsewhere:{tablespace}", f"s3://{job.bucket}/pg", NAME,
                            self.backup_id(job), target)

    def restore_options(self):
        return []

    def archive(self, job, path):
        return self.command("wal-archive", "--" + job.codec, *self.archive_options(job),
                            f"s3://{job.bucket}/pg", NAME, path)

    def archive_options(self, job):
        return []

    def fetch(self, job, name, target):
        spool = ["-p", str(AHEAD), "--spool-dir", self.place.path("spool")] if job.ahead else []
        return self.command("wal-restore", *spool, f"s3://{job.bucket}/pg", NAME, name, target)

    def clear_spools(self):
        for name in ["spool", "notes"]:
            self.place.fresh(name)


class Ours(CloudCommands):
    """This project's program under Barman's names."""

    name = "barman-rs"

    def __init__(self, place, store, program):
        super().__init__(place, store)
        folder = place.fresh("bin")
        os.chmod(folder, 0o755)
        shutil.copy(program, os.path.join(folder, "barman"))
        unmeasured([os.path.join(folder, "barman"), "install-links", folder])
        self.folder = folder

    def version(self):
        return unmeasured([os.path.join(self.folder, "barman"), "--version"]).strip()

    def start_up(self):
        return self.command("backup", "--version")

    def command(self, name, *words):
        return [os.path.join(self.folder, "barman-cloud-" + name), *words]

    def restore_options(self):
        return ["-J", str(JOBS)]

    def archive_options(self, job):
        if not job.ahead:
            return []
        return ["-p", str(AHEAD), "--prefetch-cache-dir", self.place.path("notes")]


class PythonBarman(CloudCommands):
    """Python Barman in the environment that scripts/setup makes, its bytecode compiled."""

    name = "Python Barman"

    def version(self):
        with open(os.path.join(CACHE, "peer/barman-version"), encoding="ascii") as file:
            return "Barman " + file.read().strip()

    def start_up(self):
        return self.command("backup", "--version")

    def command(self, name, *words):
        scripts = os.path.join(CACHE, "peer/venv/bin")
        return [os.path.join(scripts, "python"), os.path.join(scripts, "barman-cloud-" + name),
                *words]

    def environment(self, job):
        libraries = os.path.join(CACHE, "python/lib")
        return {**super().environment(job), "LD_LIBRARY_PATH": libraries}


class PgBackRest:
    """pgBackRest, small files bundled, at the levels that ours has for the same codec."""

    name = "pgBackRest"
    CODECS = {"none": ("none", None), "gzip": ("gz", 6), "zstd": ("zst", 3), "lz4": ("lz4", 1)}

    def __init__(self, place, store):
        self.place = place
        self.store = store
        # It starts itself anew for its workers, by the name it was started with.
        again = place.path("pgbackrest")
        self.words = program_words(again)
        place.write("pgbackrest", "#!/bin/sh\nexec " + " ".join(
            f"'{word}'" for word in self.words) + ' "$@"\n')
        os.chmod(again, 0o755)

    def version(self):
        return unmeasured([*self.words, "version"]).strip()

    def start_up(self):
        return [*self.words, "version"]

    def environment(self, job):
        return {"HOME": self.place.folder}

    def configuration(self, job):
        codec, level = self.CODECS[job.codec]
        lines = {"repo1-type": "s3", "repo1-path": "/pg", "repo1-s3-bucket": job.bucket,
                 "repo1-s3-endpoint": "localhost", "repo1-storage-port": self.store.https_port,
                 "repo1-storage-ca-file": self.store.authority, "repo1-s3-region": REGION,
                 "repo1-s3-key": ACCESS_KEY, "repo1-s3-key-secret": SECRET_KEY,
                 "repo1-s3-uri-style": "path", "repo1-bundle": "y", "process-max": JOBS,
                 "compress-type": codec, "start-fast": "y", "archive-check": "n",
                 "archive-mode-check": "n", "expire-auto": "n", "log-level-file": "off",
                 "log-level-console": "warn", "repo1-retention-full": 99,
                 "lock-path": self.place.path("lock"), "spool-path": self.place.path("spool"),
                 "archive-async": "y" if job.ahead else "n"}
        if level is not None:
            lines["compress-level"] = level
        text = "[global]\n" + "".join(f"{name}={value}\n" for name, value in lines.items())
        text += f"[{NAME}]\npg1-path={job.data}\n"
        if job.server:
            text += f"pg1-socket-path={job.server.folder}\npg1-user=bench\n"
        return self.place.write(f"pgbackrest-{job.bucket}{'-ahead' * job.ahead}.conf", text)

    def command(self, job, *words):
        return [*self.words, f"--config={self.configuration(job)}", f"--stanza={NAME}", *words]

    def prepare(self, job):
        online = [] if job.server else ["--no-online"]
        unmeasured(self.command(job, *online, "stanza-create"), self.environment(job))

    def backup(self, job):
        return self.command(job, "--type=full", "backup")

    def verify_backup(self, job):
        said = unmeasured(self.command(job, "info"), self.environment(job))
        if "status: ok" not in said or "full backup" not in said:
            raise Refused(f"pgBackRest left no backup: {said}")

    def restore(self, job, target, tablespace):
        return self.command(job, f"--pg1-path={target}",
                            f"--tablespace-map=elsewhere={tablespace}", "restore")

    def archive(self, job, path):
        return self.command(job, "archive-push", path)

    def fetch(self, job, name, target):
        return self.command(job, "archive-get", name, target)

    def clear_spools(self):
        for name in ["spool", "lock"]:
            self.place.fresh(name)


def program_words(name):
    """The words that start pgBackRest: Debian's newest in the cache, else this system's.

    What comes with a loader of its own is told that it is called `name`.
    """
    root = os.path.join(CACHE, "pgbackrest")
    loader = os.path.join(root, "usr/lib64/ld-linux-x86-64.so.2")
    if os.path.exists(loader):
        return [loader, "--library-path", os.path.join(root, "usr/lib/x86_64-linux-gnu"),
                "--argv0", name, os.path.join(root, "usr/bin/pgbackrest")]
    found = shutil.which("pgbackrest")
    if not found:
        raise Refused("pgBackRest is missing: scripts/setup bench")
    return [found]


class Limits:
    """The stages of a backup or restore, each alone; no tool of anybody's."""

    def __init__(self, place, store, program):
        self.place = place
        self.store = store
        self.program = os.path.join(place.fresh("limits"), "limits")
        shutil.copy(program, self.program)

    def stage(self, name, server):
        return [self.program, name, *server.folders_to_read()]

    def largest(self, codec, server):
        return [self.program, "largest", codec, *server.folders_to_read()]

    def upload(self, bucket, folder):
        return [self.program, "upload", f"s3://{bucket}/limit", folder]

    def download(self, bucket):
        return [self.program, "download", f"s3://{bucket}/pg"]

    def unpack(self, codec, folder):
        return [self.program, "un" + codec, folder]

    def write(self, server, target):
        return [self.program, "write", target, *server.folders_to_read()]

    def take_objects(self, bucket):
        """Copies the objects of a bucket into a folder."""
        folder = self.place.fresh("objects")
        for number, (key, _) in enumerate(self.store.sizes(bucket).items()):
            self.store.fetch(bucket, key, os.path.join(folder, str(number)))
        return folder

    def copy(self, server, target):
        """Two copying programs, each with half of the bytes."""
        halves = [[], []]
        sizes = [0, 0]
        files = server.relation_files()
        for path, size in sorted(files.items(), key=lambda entry: -entry[1]):
            smaller = sizes.index(min(sizes))
            halves[smaller].append(path)
            sizes[smaller] += size
        for number, half in enumerate(halves):
            self.place.write(f"half-{number}", "\0".join(half))
        # Both would make the same directories, and one of them fail.
        folders = sorted({os.path.dirname(path).lstrip("/") for path in files} - {""})
        self.place.write("folders", "\0".join(folders))
        make = f"(cd '{target}' && xargs -0 mkdir -p) <'{self.place.path('folders')}'"
        line = "cp --reflink=never --parents --target-directory"
        one, two = (f"xargs -0 {line} '{target}' <'{self.place.path(f'half-{number}')}'"
                    for number in range(2))
        return ["sh", "-c", f"{make} && {{ ({one}) & first=$!; ({two}) && wait $first; }}"]


def side_by_side(commands):
    """One command that runs all of these at the same time, and fails when one of them does."""
    begin = "".join(f"{shlex.join(command)} & all=\"$all $!\"; " for command in commands)
    return ["sh", "-c", begin + "for one in $all; do wait $one || failed=1; done; exit $failed"]


def remove_objects(place):
    remove(place.path("objects"))
