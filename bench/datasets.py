"""The databases that are backed up, and the WAL that is archived; one entry each.

`pgbench` is what everybody measures with, and flatters every codec: its rows are mostly blanks.
`mixed` is a log of events whose text, numbers and digests compress about three to one.
"""

import dataclasses
import os
import shutil

from bench.place import GIB, MIB, remove
from bench.server import SEGMENT

# So many tables in one transaction fit into the default number of locks.
TABLES_AT_ONCE = 250


@dataclasses.dataclass(frozen=True)
class Size:
    """How large everything is: as published, or small for a try."""

    scale: int
    tables: int
    events: int
    archived: int
    fetched: int


PUBLISHED = Size(scale=200, tables=2000, events=450_000, archived=64, fetched=32)
QUICK = Size(scale=10, tables=100, events=30_000, archived=8, fetched=4)

# The events are written once and then copied, which is faster. A copy comes a hundred megabytes
# later, where no codec looks for it any more.
COPIES = 9
EVENTS = """
CREATE TABLE event AS SELECT id, now() + id * interval '1 second' AS at,
    (ARRAY['login','logout','order','payment','refund','search','view','error'])
        [1 + (random() * 7)::int] AS kind,
    (random() * 1e6)::int AS customer, round((random() * 1000)::numeric, 2) AS amount,
    md5(id::text) AS digest, repeat(' ', 40) AS remark,
    (SELECT string_agg((ARRAY['the','order','of','customer','was','paid','by','card','and',
            'sent','to','an','address','in','city','after','three','days','because','stock',
            'item','ran','out','supplier','returned','invoice','number','with','discount',
            'for','early','delivery'])[1 + get_byte(dice, n) % 32], ' ')
        FROM (SELECT decode(md5('note' || id), 'hex') AS dice) AS thrown,
            generate_series(0, 15) AS n) AS note
FROM generate_series(1::bigint, {events}) AS id;
DO $$ BEGIN FOR n IN 1..{copies} LOOP
    INSERT INTO event SELECT id + n * {events}, at, kind, customer, amount, digest, remark, note
        FROM event WHERE id <= {events};
END LOOP; END $$;
ALTER TABLE event ADD PRIMARY KEY (id)
"""

SMALL_TABLES = """
DO $$ BEGIN FOR n IN {first}..{last} LOOP
    EXECUTE format('CREATE TABLE small_%s (id int PRIMARY KEY, note text)', n);
    EXECUTE format('INSERT INTO small_%s SELECT i, md5(i::text) FROM generate_series(1, 20) i', n);
END LOOP; END $$
"""


def fill_pgbench(server, size):
    server.sql(f"CREATE TABLESPACE elsewhere LOCATION '{server.tablespace}'")
    server.program("pgbench", "-i", "-q", "-s", str(size.scale), "--index-tablespace=elsewhere")
    for first in range(1, size.tables + 1, TABLES_AT_ONCE):
        last = min(first + TABLES_AT_ONCE - 1, size.tables)
        server.sql(SMALL_TABLES.format(first=first, last=last))


def fill_mixed(server, size):
    # One statement for psql is one transaction: a table that is new in it needs no WAL.
    server.sql(EVENTS.format(events=size.events, copies=COPIES))


FILLINGS = {"pgbench": fill_pgbench, "mixed": fill_mixed}


def fill(server, size):
    """Makes the data of the server's name, and leaves it running, ready to write WAL."""
    server.initialise()
    # New tables need no WAL then, which halves the time.
    server.start(wal_level="minimal", max_wal_senders="0")
    FILLINGS[server.name](server, size)
    server.stop()
    server.start(wal_level="replica", wal_keep_size="4GB")


def settle(server):
    """Vacuum and checkpoint, so that later readers find nothing to do."""
    server.sql("VACUUM (FREEZE)", "CHECKPOINT")
    server.stop()
    # A server that archives nothing is not backed up; where its WAL goes does not matter here.
    server.start(wal_level="replica", archive_mode="on", archive_command="true")
    server.sql("CHECKPOINT")


class Wal:
    """A data directory with nothing but finished segments that wait for the archiver.

    It has what tools look at: the control file, `pg_wal` and the archiver's marks.
    """

    def __init__(self, place, server, count):
        """Lets pgbench write the segments; its server must be running."""
        self.data = place.fresh("wal")
        self.count = count
        first = current_segment(server)
        while current_segment(server) - first <= count + 1:
            server.program("pgbench", "-N", "-n", "-M", "prepared", "-c", "4", "-j", "1",
                           "-T", "4")
        self.names = [segment_name(number) for number in range(first + 1, first + 1 + count)]
        for folder in ["pg_wal/archive_status", "global"]:
            os.makedirs(os.path.join(self.data, folder), mode=0o700)
        for name in self.names:
            shutil.copy(os.path.join(server.data, "pg_wal", name), self.path(name))
        for name in ["PG_VERSION", "global/pg_control"]:
            shutil.copy(os.path.join(server.data, name), os.path.join(self.data, name))

    def path(self, name):
        return os.path.join(self.data, "pg_wal", name)

    def mark(self, name, state):
        """Marks a segment `ready` to be archived or `done`, as PostgreSQL does."""
        marks = os.path.join(self.data, "pg_wal/archive_status", name)
        for old in ["ready", "done"]:
            remove(f"{marks}.{old}")
        with open(f"{marks}.{state}", "wb"):
            pass

    def mark_all_ready(self):
        for name in self.names:
            self.mark(name, "ready")


def current_segment(server):
    return int(server.sql("SELECT (pg_current_wal_lsn() - '0/0')::bigint")) // SEGMENT


def segment_name(number):
    """On the first timeline."""
    per_log = 2 ** 32 // SEGMENT
    return f"00000001{number // per_log:08X}{number % per_log:08X}"


def total_bytes(server):
    return sum(server.relation_files().values())


def needed_bytes(size):
    """Room on the disk: data, three tools' copies of it in the store, a restored one."""
    pgbench = size.scale * 19 * MIB + size.tables * 64 * 1024
    mixed = size.events * (COPIES + 1) * 300
    segments = size.archived * SEGMENT
    return 6 * pgbench + 2 * mixed + 4 * segments + 2 * GIB
