"""What CI runs: `nox` alone is the whole of it, with the interpreter that runs nox. `nox -s matrix` takes every one it finds."""

import functools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["lint", "types", "check", "wheel"]
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
GROUPS = nox.project.load_toml("pyproject.toml")
PARALLEL = ("-n", "3")  # two cores, and tests that wait for a server or a process meanwhile
ASIDE = [
    "chaos",
    "crash",
    "docs",
    "properties",
    "samples",
    "wheel",
]  # not of the suite: each is run by a session of its own name, a small soak by `crash`

# What has no use for an execution cache, draws its size itself, or has runs so long that to replay each step takes minutes: run once.
CACHELESS = [
    "benchmarks",
    "budgets",
    "cli",
    "codec",
    "faults",
    "killed",
    "planted",
    "runtime",
    "scale",
    "simulation",
    "stores",
    "test_architecture.py",
    "testing/test_benchmark.py",
    "testing/test_executions*",
    "testing/test_plugin.py",
    "testing/test_replay.py",
    "testing/test_replay_seeds.py",
    "typing",
]

# What workflows do, whatever store is below: run on memory by the suite, and on others by `scenarios` and `redis`.
SCENARIOS = [
    "tests/bad_input",
    "tests/children",
    "tests/client",
    "tests/combined",
    "tests/engine",
    "tests/fork",
    "tests/invariants",
    "tests/retention",
    "tests/worker/test_handover.py",
    "tests/worker/test_versions.py",
    "tests/worker/test_versions_families.py",
]


def install(session: nox.Session, group: str) -> None:
    """Install this checkout with all its extras, and the tools of `group`."""
    session.install("-e", ".[all]", *nox.project.dependency_groups(GROUPS, group))


def run_tests(session: nox.Session, *args: str, none_is_fine: bool = False, env: dict[str, str] | None = None) -> None:
    """Run pytest on `args`. To find no test is an error unless `none_is_fine`."""
    settings = {"HYPOTHESIS_PROFILE": os.environ.get("HYPOTHESIS_PROFILE", "ci"), **(env or {})}
    session.run("python", "-m", "pytest", "-q", *args, env=settings, success_codes=[0, 5] if none_is_fine else [0])


def run_suite(session: nox.Session) -> None:
    """Run the suite, and what uses the execution cache again with one of size 0, where every step replays its run."""
    if session.posargs:
        run_tests(session, *session.posargs)
        return
    for cache in ("", "0"):
        session.log("execution cache: %s", "of size 0" if cache else "as it is by default")
        env = {"DURABLE_TEST_CACHE": cache} if cache else {}
        aside = [f"--ignore-glob=tests/{name}" for name in (ASIDE + CACHELESS if cache else ASIDE)]
        run_tests(session, *PARALLEL, "-m", "not serial", *aside, "tests", env=env)
        run_tests(session, "-m", "serial", *aside, "tests", none_is_fine=True, env=env)


def run_scenarios(session: nox.Session) -> None:
    """Run the scenarios on a Redis server, unchanged. The suite has run them on memory."""
    run_tests(session, *PARALLEL, *(session.posargs or SCENARIOS), env={"DURABLE_TEST_STORE": "redis"})


def run_properties(session: nox.Session) -> None:
    """Run the property tests: the laws that hold for any program, history and crash."""
    run_tests(session, *PARALLEL, *(session.posargs or ["tests/properties"]))


def run_simulation(session: nox.Session) -> None:
    """Simulate the whole system: the given seeds (`-- 4711`), or as many as wanted (`-- --seeds 5000 --from 0`); by default 200."""
    session.run("python", "-m", "durable.testing.simulation", *session.posargs)


def run_crash(session: nox.Session) -> None:
    """Kill and stop real worker processes, and count the effects outside; a small soak."""
    run_tests(session, *PARALLEL, *(session.posargs or ["tests/crash", "tests/chaos"]))


def run_docs(session: nox.Session) -> None:
    """Run what the README and the docs show, and build the site from them (into `site/`)."""
    run_tests(session, *PARALLEL, *(session.posargs or ["tests/docs"]))
    session.install("mkdocs-material>=9.6")
    session.run("mkdocs", "build", "--strict", "--quiet", env={"NO_MKDOCS_2_WARNING": "1"})


def run_samples(session: nox.Session) -> None:
    """Run the samples and their tests."""
    run_tests(session, *PARALLEL, *(session.posargs or ["samples", "tests/samples"]))


PARTS = {
    "tests": run_suite,
    "scenarios": run_scenarios,
    "properties": run_properties,
    "simulate": run_simulation,
    "crash": run_crash,
    "docs": run_docs,
    "samples": run_samples,
}


@nox.session
def check(session: nox.Session) -> None:
    """Run all the tests, in one environment: the sessions below, from `tests` to `samples`."""
    install(session, "test")
    for name, run in PARTS.items():
        if name != "simulate":  # the suite has simulated its own seeds, on every core
            session.log("--- %s", name)
            run(session)


def session_of(name: str, run: Callable[[nox.Session], None]) -> None:
    """Make a part of `check` a session of its own as well."""

    @nox.session(name=name)
    @functools.wraps(run)
    def alone(session: nox.Session) -> None:
        install(session, "test")
        run(session)


for part in PARTS.items():
    session_of(*part)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style and the format."""
    session.install(*nox.project.dependency_groups(GROUPS, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, strictly, with both checkers."""
    install(session, "types")
    session.run("mypy")
    session.run("pyright")


@nox.session(python=PYTHONS)
def matrix(session: nox.Session) -> None:
    """Run the suite with each interpreter that is found."""
    install(session, "test")
    run_suite(session)


@nox.session
def redis(session: nox.Session) -> None:
    """Run all that concerns Redis on each server that is found (or `-- valkey`), and the scenarios with Sentinel and on a cluster too."""
    install(session, "test")
    listed = session.run("python", "-m", "tests.redis_server", silent=True) or ""
    for server in session.posargs or [line.split("\t")[0] for line in str(listed).splitlines()]:
        env = {"DURABLE_TEST_REDIS_SERVER": server, "DURABLE_TEST_STORE": "redis"}
        session.log("server: %s", server)
        run_tests(session, *PARALLEL, "tests/stores", "tests/samples", "tests/properties", *SCENARIOS, env=env)
        run_tests(session, "tests/faults", "tests/crash", "-k", "not sqlite", env=env)
        for store in ("sentinel", "cluster"):
            run_tests(session, *PARALLEL, "tests/samples", *SCENARIOS, env={**env, "DURABLE_TEST_STORE": store})


@nox.session
def chaos(session: nox.Session) -> None:
    """Soak workers on Redis in faults: 20,000 runs in some minutes, or `-- --runs 1000 --seed 7`. The seed is printed."""
    install(session, "test")
    session.run("python", "-m", "tests.chaos", *session.posargs)


@nox.session
def planted(session: nox.Session) -> None:
    """Look for every planted bug with the test kit; the suite looks for some. `-- table` writes the table of the docs anew."""
    install(session, "test")
    if session.posargs == ["table"]:
        session.run("python", "-m", "tests.planted.make_table")
        return
    run_tests(session, *PARALLEL, *(session.posargs or ["tests/planted"]), env={"DURABLE_PLANTED": "all"})


@nox.session
def scale(session: nox.Session) -> None:
    """Do much of one thing at once, on a file as in memory; the suite does a tenth of it on the file."""
    install(session, "test")
    run_tests(session, *(session.posargs or ["tests/scale"]), env={"DURABLE_SCALE": "all"})


@nox.session
def bench(session: nox.Session) -> None:
    """Measure: everything (an hour), or `-- --quick` (minutes), or `-- W2 W3 --store sqlite-full`. See tests/benchmarks/README.md."""
    install(session, "test")
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it elsewhere, and hold the stores inside it to the conformance suite."""
    out = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(out, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(out), silent=True)
    (built,) = out.glob("*.whl")

    elsewhere = Path(session.create_tmp()).resolve() / "elsewhere"
    shutil.rmtree(elsewhere, ignore_errors=True)
    shutil.copytree("tests/wheel", elsewhere)
    session.run("python", "-m", "venv", str(elsewhere / "venv"))
    scripts = elsewhere / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    python = str(scripts / "python")
    session.run(python, "-m", "pip", "install", "--quiet", f"{built}[cli,testing]", external=True)
    with session.chdir(elsewhere):
        session.run(python, "-m", "pytest", "-q", "-c", "pytest.ini", ".", "--ignore=venv", external=True)
        session.run(str(scripts / "durable"), "--version", external=True)
        session.run(str(scripts / "durable"), "demo", "--help", external=True)
