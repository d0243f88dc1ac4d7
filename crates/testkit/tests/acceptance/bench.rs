//! The bench computes and writes what it should: `scripts/bench --self-test`. Nothing is measured.

use testkit::process::Program;
use testkit::tools::checkout;

#[test]
fn the_bench_passes_its_own_tests() {
    let script = Program::new(checkout().join("scripts/bench"));
    script.arg("--self-test").run().success();
}
