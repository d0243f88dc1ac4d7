//! Where the programs are that `scripts/setup` put in place, and which checks exist for which
//! PostgreSQL major.
//!
//! The packages differ: the builds for 13 and 14 hold three programs only, the build of 16 has no
//! contrib modules. Clients of newer majors serve older servers; what was found to work is the
//! table in `Tools::of`, tried on 2026-11-21.

use std::path::{Path, PathBuf};

/// The PostgreSQL majors that are supported and tested.
pub const MAJORS: [u32; 6] = [13, 14, 15, 16, 17, 18];

/// The programs for one PostgreSQL major.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The major they serve.
    pub major: u32,
    /// Creates a data directory; of the same major.
    pub initdb: PathBuf,
    /// The server; of the same major.
    pub postgres: PathBuf,
    /// The terminal client; of a newer major.
    pub psql: PathBuf,
    /// The load generator; of a newer major.
    pub pgbench: PathBuf,
    /// Checks heaps and indexes of a running server. Absent where the server lacks the amcheck
    /// module (16) or its module is too old for the program (13).
    pub pg_amcheck: Option<PathBuf>,
    /// Checks files against a `backup_manifest`; to be called with `--no-parse-wal`.
    pub pg_verifybackup: PathBuf,
    /// Checks every page of a stopped server's files. 16's serves 13 to 15 too: their
    /// `pg_control` has the same version, 1300 (PostgreSQL source, `pg_control.h`).
    pub pg_checksums: PathBuf,
    /// The folder of its own major that a borrowed `pg_checksums` wants to see in each tablespace.
    pub(crate) borrowed_tablespace_folder: Option<&'static str>,
    /// What `LD_LIBRARY_PATH` must be for the server and initdb, if anything.
    pub library_path: Option<PathBuf>,
}

impl Tools {
    /// The programs for `major`; panics when they are not set up.
    pub fn of(major: u32) -> Tools {
        assert!(
            MAJORS.contains(&major),
            "PostgreSQL {major} is not one of {MAJORS:?}"
        );
        let own = programs_of(major);
        let newest = programs_of(18);
        let borrowed = !own.join("pg_checksums").exists();
        let checks = if borrowed {
            programs_of(16)
        } else {
            own.clone()
        };
        let server_alone = !own.join("psql").exists();
        let tools = Tools {
            major,
            initdb: own.join("initdb"),
            postgres: own.join("postgres"),
            psql: newest.join("psql"),
            pgbench: newest.join("pgbench"),
            pg_amcheck: (![13, 16].contains(&major)).then(|| newest.join("pg_amcheck")),
            pg_verifybackup: checks.join("pg_verifybackup"),
            pg_checksums: checks.join("pg_checksums"),
            // `PG_` major `_` catalogue version (PostgreSQL source, `relpath.h`, `catversion.h`).
            borrowed_tablespace_folder: borrowed.then_some("PG_16_202307071"),
            library_path: server_alone.then(|| own.join("../lib")),
        };
        for program in [&tools.postgres, &tools.psql, &tools.pg_checksums] {
            require(program);
        }
        tools
    }

    /// Another program of exactly this major, such as `pg_waldump`, where its package has it.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        Some(programs_of(self.major).join(name)).filter(|path| path.exists())
    }
}

/// The top of the checkout that the tests were built from.
pub fn checkout() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders below the top")
}

/// A path in the folder that `scripts/setup` fills; panics when nothing is there.
pub fn cached(name: &str) -> PathBuf {
    let path = checkout().join(".cache").join(name);
    require(&path);
    path
}

fn programs_of(major: u32) -> PathBuf {
    let debian = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
    if major == 15 && debian.join("postgres").exists() {
        return debian;
    }
    checkout().join(format!(".cache/postgres-{major}/bin"))
}

fn require(path: &Path) {
    assert!(
        path.exists(),
        "{} is missing: run `scripts/setup test` first",
        path.display()
    );
}
