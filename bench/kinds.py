"""How each kind of case is carried out, and that the work was really done.

A kind is a function from a bench and a case to its *turns*: what takes turns, by name. A turn runs
once, checks its outcome and returns what it took; a check that fails ends the bench.
"""

import filecmp
import os
import re

from bench.figures import ALL_STAGES, COPY
from bench.measure import Work
from bench.place import Refused, empty, remove
from bench.server import SEGMENT, sizes_below
from bench.tools import Job, remove_objects, side_by_side

STARTS = 20
# Short commands are looked at more often, or their peak would be missed.
SHORT = 0.01


def start_up(bench, case):
    def turn(tool):
        commands = [tool.start_up()] * STARTS
        return bench.take(Work(commands, tool.environment(Job("none")), look_every=SHORT))
    return {tool.name: lambda tool=tool: turn(tool) for tool in bench.tools_of(case)}


def backup(bench, case):
    server = bench.server(case.data)
    turns = {}
    for tool in bench.tools_of(case):
        turns[tool.name] = lambda tool=tool: back_up(bench, case, tool)
    stages = ["read", "check"] + ([case.codec] if case.codec != "none" else [])
    for stage in stages:
        name = "codec alone" if stage == case.codec else f"{stage} alone"
        turns[name] = lambda stage=stage: bench.take(Work([bench.limits.stage(stage, server)]))
    if case.codec != "none":
        turns["largest file"] = lambda: bench.take(
            Work([bench.limits.largest(case.codec, server)]))
    turns["upload alone"] = lambda: upload(bench, case)
    return turns


def back_up(bench, case, tool):
    """One backup into a bucket of its own, which stays for those who read it later."""
    bench.drop(bench.key(case, tool))
    job = Job(bench.store.bucket(), case.codec, bench.server(case.data).data,
              bench.server(case.data))
    tool.prepare(job)
    figures = bench.take(Work([tool.backup(job)], tool.environment(job)))
    tool.verify_backup(job)
    figures["stored"] = sum(bench.store.sizes(job.bucket).values())
    bench.keep(case, tool, job)
    return figures


def upload(bench, case):
    """The very objects of our backup, uploaded again by a program that does nothing else."""
    if not os.path.exists(bench.place.path("objects")):
        bench.limits.take_objects(kept(bench, case, bench.tools["barman-rs"]).bucket)
    bucket = bench.store.bucket()
    command = bench.limits.upload(bucket, bench.place.path("objects"))
    figures = bench.take(Work([command], bench.store.environment()))
    figures["stored"] = sum(bench.store.sizes(bucket).values())
    bench.store.drop(bucket)
    return figures


def kept(bench, case, tool):
    """The job whose bucket has what this case reads; made now if no case made it before."""
    job = bench.kept_job(case, tool)
    if job is None:
        (archive_all if case.kind == "fetch" else back_up)(bench, case, tool)
        job = bench.kept_job(case, tool)
    return job


def restore(bench, case):
    turns = {tool.name: lambda tool=tool: restore_once(bench, case, tool)
             for tool in bench.tools_of(case)}
    turns["download alone"] = lambda: download(bench, case)
    if case.codec != "none":
        turns["codec alone"] = lambda: unpack(bench, case)
    turns["write alone"] = lambda: write(bench, case)
    turns[ALL_STAGES] = lambda: all_stages_of_restore(bench, case)
    return turns


def download(bench, case):
    """The objects of our backup, fetched by a program that does nothing else."""
    bucket = kept(bench, case, bench.tools["barman-rs"]).bucket
    return bench.take(Work([bench.limits.download(bucket)], bench.store.environment()))


def write(bench, case):
    """Files of the same sizes, filled with nothing in particular."""
    target = bench.place.another("written")
    figures = bench.take(Work([bench.limits.write(bench.server(case.data), target)]))
    empty(target)
    return figures


def unpack(bench, case):
    """The same objects, fetched already, decompressed on all cores."""
    bucket = kept(bench, case, bench.tools["barman-rs"]).bucket
    folder = bench.limits.take_objects(bucket)
    figures = bench.take(Work([bench.limits.unpack(case.codec, folder)]))
    remove(folder)
    return figures


def all_stages_of_restore(bench, case):
    """The three of them at the same time, none of which waits for another's work."""
    bucket = kept(bench, case, bench.tools["barman-rs"]).bucket
    target = bench.place.another("written")
    commands = [bench.limits.download(bucket), bench.limits.write(bench.server(case.data), target)]
    if case.codec != "none":
        folder = bench.limits.take_objects(bucket)
        commands.append(bench.limits.unpack(case.codec, folder))
    figures = bench.take(Work([side_by_side(commands)], bench.store.environment()))
    empty(target)
    remove_objects(bench.place)
    return figures


def restore_once(bench, case, tool):
    job = kept(bench, case, tool)
    target, tablespace = (bench.place.another(name) for name in ["restored", "tablespace"])
    command = tool.restore(job, target, tablespace)
    figures = bench.take(Work([command], tool.environment(job)))
    wanted = bench.server(case.data).relation_files()
    found = {**sizes_below(target, "base"), **sizes_below(target, "pg_tblspc")}
    if found != wanted:
        differing = sorted(set(found.items()) ^ set(wanted.items()))
        raise Refused(f"{tool.name} restored other files: {differing[:5]}")
    for folder in [target, tablespace]:
        empty(folder)
    return figures


def copy(bench, case):
    server = bench.server(case.data)

    def turn():
        target = bench.place.another("copied")
        figures = bench.take(Work([bench.limits.copy(server, target)], folder=server.data))
        if len(sizes_below(target, "base")) != len(sizes_below(server.data, "base")):
            raise Refused("the copy is not complete")
        empty(target)
        return figures
    return {COPY: turn}


def archive(bench, case):
    return {tool.name: lambda tool=tool: archive_all(bench, case, tool)
            for tool in bench.tools_of(case)}


def archive_all(bench, case, tool):
    """Hands over one segment after the other, as PostgreSQL's archiver does."""
    wal = bench.wal()
    bench.drop(bench.key(case, tool))
    job = Job(bench.store.bucket(), case.codec, wal.data, ahead=case.ahead)
    tool.clear_spools()
    tool.prepare(job)
    wal.mark_all_ready()
    commands = [tool.archive(job, os.path.join("pg_wal", name)) for name in wal.names]
    work = Work(commands, tool.environment(job), wal.data,
                between=lambda number: wal.mark(wal.names[number], "done"), look_every=SHORT)
    figures = bench.take(work)
    stored = bench.store.sizes(job.bucket)
    found = {name for key in stored for name in re.findall(r"[0-9A-F]{24}(?=[-.])", key)}
    if found != set(wal.names):
        raise Refused(f"{tool.name} archived {len(found)} segments of {len(wal.names)}")
    figures["stored"] = sum(stored.values())
    bench.keep(case, tool, job)
    return figures


def fetch(bench, case):
    return {tool.name: lambda tool=tool: fetch_all(bench, case, tool)
            for tool in bench.tools_of(case)}


def fetch_all(bench, case, tool):
    """Asks for one segment after the other, as recovery does."""
    wal = bench.wal()
    job = kept(bench, case, tool)
    job = Job(job.bucket, job.codec, job.data, ahead=case.ahead)
    tool.clear_spools()
    target = bench.place.fresh("fetched")
    names = wal.names[:bench.size.fetched]
    commands = [tool.fetch(job, name, os.path.join(target, name)) for name in names]
    figures = bench.take(Work(commands, tool.environment(job), wal.data, look_every=SHORT))
    for name in names:
        if not filecmp.cmp(os.path.join(target, name), wal.path(name), shallow=False):
            raise Refused(f"{tool.name} fetched another {name}")
    remove(target)
    return figures


def gib_of(bench, case):
    """How much data a turn of this case goes through."""
    if case.kind == "archive":
        return bench.size.archived * SEGMENT / 2 ** 30
    if case.kind == "fetch":
        return bench.size.fetched * SEGMENT / 2 ** 30
    if case.kind == "start_up":
        return None
    return sum(bench.server(case.data).relation_files().values()) / 2 ** 30


def forget(bench):
    remove_objects(bench.place)
