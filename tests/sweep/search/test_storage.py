"""Studies kept in files and on real servers: the same searches, found again, and no password anywhere."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from seqtune.cli import app
from seqtune.config.yaml_file import FileError, parse_yaml, read_yaml
from seqtune.runs.directory import RunDirectory, run_directories
from seqtune.runs.record import record
from seqtune.sweep.execution.driver import read_plan
from seqtune.sweep.planning.plan import Plan
from seqtune.sweep.planning.storage_url import resolve_storage
from seqtune.sweep.search.cell_search import CellSearch
from seqtune.sweep.search.directory import claim
from seqtune.sweep.search.storage import check_server, open_storage
from seqtune.sweep.search.studies import Studies
from tests.sweep.planning.test_storage_url import kept_in
from tests.sweep.search.test_studies import work
from tests.sweep.servers import (
    PASSWORD,
    PostgreSQL,
    free_port,
    postgresql,
    programs,
    with_password,
)
from tests.sweep.sweeps import SMALL, plan_of, write
from tests.waiting import HANG_SECONDS, wait_until

ROOT = Path(__file__).parents[3]
VARIABLE = "SEQTUNE_TEST_STUDIES"
PASSWORD_IN_URL = quote(PASSWORD, safe="")


@pytest.fixture(scope="session")
def server() -> Iterator[PostgreSQL]:
    """A PostgreSQL, if its programs are there."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgresql(found) as server:
        yield server


@pytest.fixture
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A `search.storage` of each kind, as it stands in a file, with nothing in it."""
    match request.param:
        case "postgresql":
            yield with_password(request.getfixturevalue("server").database())
        case _:
            yield request.param


def claimed(text: str, root: Path) -> Plan:
    """The plan of a text whose directory is claimed, as `drive` does it."""
    plan = plan_of(text)
    root.mkdir(parents=True, exist_ok=True)
    claim(root, plan=plan, source=parse_yaml(text, name="s.yaml"))
    return plan


def broken_off(text: str, root: Path) -> None:
    """A sweep whose driver dies in mid-run, twice: in its search and in its confirm runs."""
    work(Studies(claimed(text, root), root=root), runs=3, epochs=1)
    work(Studies(claimed(text, root), root=root), runs=2, epochs=2)
    studies = Studies(claimed(text, root), root=root)
    work(studies)
    assert studies.done


def retried(text: str, root: Path) -> None:
    """A sweep whose second run is lost, and done again."""
    studies = Studies(claimed(text, root), root=root)
    work(studies, runs=1)
    proposal = studies.next()
    assert proposal is not None
    directory = studies.directory(proposal)
    recording = record(proposal.spec, directory=directory, sweep=studies.position(proposal))
    studies.on_measurement(proposal.name, next(recording))
    recording.close()
    directory.end("failed", reason="lost: its worker died")
    studies.close(proposal.name)
    studies = Studies(claimed(text, root), root=root, retry={"lost"})
    work(studies)
    assert studies.done
    assert {each.info()["state"] for each in run_directories(root / "runs")} == {"finished"}


ONE_CELL = SMALL.replace("[1, 2]", "[1]").replace("confirm: {seeds: 2}", "confirm: {seeds: 1}")
SCENARIOS: dict[str, tuple[str, Callable[[str, Path], None]]] = {
    "search": (ONE_CELL, broken_off),
    "grid": (
        ONE_CELL.replace("{log: [3.0e-3, 1.0e-1]}", "{choice: [0.01, 0.03, 0.1]}").replace(
            "trials: 4,", "sampler: grid,"
        ),
        broken_off,
    ),
    "promotion": (ONE_CELL.replace("kind: asha", "kind: asha, type: promotion"), broken_off),
    "retry": (
        ONE_CELL.replace("kind: asha, grace_period: 1, reduction_factor: 2", "kind: none"),
        retried,
    ),
}


QUICK = ("search",)


def outcome(root: Path) -> dict[str, tuple[str, list[float]]]:
    """How every run ended, and its excess after each epoch."""
    return {
        run.name: (
            run.info()["state"],
            [each.metrics["valid/excess"] for each in run.measurements()],
        )
        for run in run_directories(root / "runs")
    }


@pytest.fixture(scope="module")
def in_journal(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What each scenario comes to with the studies in the journal."""

    @functools.cache
    def expected(scenario: str) -> dict[str, Any]:
        text, carry_out = SCENARIOS[scenario]
        root = tmp_path_factory.mktemp("journal") / "results"
        carry_out(text, root)
        return outcome(root)

    return expected


def marks_of(storage: str, *, scenario: str) -> tuple[pytest.MarkDecorator, ...]:
    if storage != "sqlite":
        return pytest.mark.slow, pytest.mark.cluster
    return () if scenario in QUICK else (pytest.mark.slow,)


@pytest.mark.parametrize(
    ("storage", "scenario"),
    [
        pytest.param(
            storage,
            scenario,
            marks=marks_of(storage, scenario=scenario),
        )
        for storage in ("sqlite", "postgresql")
        for scenario in SCENARIOS
    ],
    indirect=["storage"],
)
def test_a_search_comes_to_the_same_wherever_its_studies_are(
    storage: str, scenario: str, tmp_path: Path, in_journal: Callable[[str], dict[str, Any]]
):
    """The same proposals to the last digit, so the same runs: the hash of a run knows no storage."""
    text, carry_out = SCENARIOS[scenario]
    root = tmp_path / "results"
    carry_out(text.replace("search:  {", f"search:  {{storage: '{storage}', "), root)
    assert outcome(root) == in_journal(scenario)
    assert not (root / "studies.journal").exists()


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_two_directories_in_one_storage_do_not_mix(storage: str, tmp_path: Path):
    text = ONE_CELL.replace("search:  {", f"search:  {{storage: '{storage}', ")
    other = text.replace("trials: 4", "trials: 5")
    roots = tmp_path / "one", tmp_path / "other"
    for each, root in zip((text, other), roots, strict=True):
        work(Studies(claimed(each, root), root=root), runs=2, epochs=2)
    for each, root in zip((text, other), roots, strict=True):
        work(Studies(claimed(each, root), root=root))
    assert [len(run_directories(root / "runs")) for root in roots] == [4 + 1, 5 + 1]
    names = [json.loads((root / "plan.json").read_text())["studies"] for root in roots]
    kept = open_storage(storage, root=tmp_path)
    assert {each.study_name for each in kept.get_all_studies()} == {
        f"{name}/layers=1" for name in names
    }
    assert len(set(names)) == 2


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_what_was_proposed_and_never_begun_is_forgotten_on_the_server(storage: str, tmp_path: Path):
    text = ONE_CELL.replace("search:  {", f"search:  {{storage: '{storage}', ")
    kept = open_storage(storage, root=tmp_path)
    for tuned in ("{log: [3.0e-3, 1.0e-1]}", "{choice: [0.01, 0.02]}"):
        plan = claimed(text.replace("{log: [3.0e-3, 1.0e-1]}", tuned), tmp_path)
        proposal = Studies(plan, root=tmp_path).next()
        assert proposal is not None
        assert plan.cells[0].tune["optimizer.lr"].takes(proposal.tuned["optimizer.lr"])
        assert len(kept.get_all_studies()) == 1


def test_studies_that_are_elsewhere_are_not_begun_again(tmp_path: Path):
    in_file = kept_in("sqlite")
    claimed(SMALL, tmp_path)
    work(Studies(claimed(in_file, tmp_path), root=tmp_path), runs=1)  # nothing had begun
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    message = (
        "s.yaml: search.storage: is journal, but the studies of its runs are in sqlite; put it back"
    )
    with pytest.raises(FileError, match=message):
        claimed(SMALL, tmp_path)
    elsewhere = kept_in("'postgresql://ada:s3cret@db/studies'")
    with pytest.raises(FileError, match="is postgresql://db/studies, but the studies of its runs"):
        claimed(elsewhere, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_directory_of_before_the_choice_keeps_its_journal(tmp_path: Path):
    work(Studies(claimed(SMALL, tmp_path), root=tmp_path), runs=1)
    plan_file = tmp_path / "plan.json"
    data = json.loads(plan_file.read_text())
    assert (data.pop("storage"), data.pop("studies")) == ("journal", "small")
    plan_file.write_text(json.dumps(data))
    with pytest.raises(FileError, match="is sqlite, but the studies of its runs are in journal"):
        claimed(kept_in("sqlite"), tmp_path)
    studies = Studies(claimed(SMALL, tmp_path), root=tmp_path)
    assert studies.progress["layers=1"].search == {"finished": 1}


def test_a_password_in_the_file_is_not_in_its_copy(tmp_path: Path):
    claimed(kept_in("'postgresql://ada:s3cret@db/studies'"), tmp_path)
    assert "storage: 'postgresql://ada:***@db/studies'" in (tmp_path / "sweep.yaml").read_text()
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["storage"] == "postgresql://db/studies"
    assert re.fullmatch(r"small@[0-9a-f]{8}", plan["studies"])
    assert not holding("s3cret", tmp_path)
    copy = read_plan(read_yaml(tmp_path / "sweep.yaml"))
    with pytest.raises(
        FileError, match="this copy of the file does not contain the password; write"
    ):
        resolve_storage(copy.sweep.storage)


def holding(secret: str, root: Path) -> list[Path]:
    """Files that hold a text, as it is or as a URL has it."""
    forms = secret.encode(), quote(secret, safe="").encode(), json.dumps(secret).strip('"').encode()
    files = [path for path in root.rglob("*") if path.is_file()]
    return [path for path in files if any(form in path.read_bytes() for form in forms)]


def test_sqlite_takes_a_folder_of_any_name(tmp_path: Path):
    root = tmp_path / "50% of {x}, #1: größe?"
    root.mkdir()
    open_storage("sqlite", root=root)
    assert [path.name for path in root.iterdir()] == ["studies.sqlite"]


def test_a_file_that_is_no_database_is_told(tmp_path: Path):
    (tmp_path / "studies.sqlite").write_text("a thesis" * 1000)
    with pytest.raises(
        FileError, match=r"^search.storage: .*studies.sqlite: file is not a database$"
    ):
        open_storage("sqlite", root=tmp_path)


def test_a_server_that_is_not_there_is_told_before_anything_is_written(tmp_path: Path):
    port = free_port()
    urls = {
        f"postgresql://ada:s3cret@127.0.0.1:{port}/studies": (
            f"search.storage: postgresql://ada:***@127.0.0.1:{port}/studies: connection failed"
        ),
    }
    for url, message in urls.items():
        file = write(tmp_path / "s.yaml", kept_in(f"'{url}'"))
        done = CliRunner().invoke(app, ["sweep", str(file), "--out", str(tmp_path / "results")])
        assert done.exit_code == 2
        *_, line = done.stderr.splitlines()
        assert line.startswith(message)
        assert "refused" in line
        assert "s3cret" not in done.output
        assert not (tmp_path / "results").exists()


def test_a_driver_that_is_not_installed_is_told_with_the_command():
    url, command = "postgresql://ada:s3cret@db/x", "pip install 'seqtune[postgresql]'"
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from seqtune.sweep.search.storage import check_server, FileError\n"
        f"try: check_server({url!r})\n"
        "except FileError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    shown = url.replace("s3cret", "***")
    line = f"search.storage: {shown}: its driver is not installed; write: {command}\n"
    assert (done.stdout, done.stderr) == (line, "")


@pytest.mark.slow
@pytest.mark.cluster
def test_what_a_database_refuses_is_told_without_the_password(server: PostgreSQL):
    database = server.database()
    for url, message in {
        with_password(
            database, password="s3cret"
        ): 'password authentication failed for user "seqtune"',
        with_password(f"127.0.0.1:{server.port}/nowhere"): 'database "nowhere" does not exist',
    }.items():
        with pytest.raises(FileError, match=message) as caught:
            check_server(url)
        assert str(caught.value).startswith("search.storage: postgresql://seqtune:***@127.0.0.1:")
        assert "\n" not in str(caught.value)
        assert not any(each in str(caught.value) for each in ("s3cret", PASSWORD))


@pytest.mark.slow
@pytest.mark.cluster
def test_a_database_takes_cells_with_long_names(server: PostgreSQL):
    plan = plan_of(SMALL)
    kept = open_storage(with_password(server.database()), root=Path())
    for end in ("one", "other", "one"):
        cell = replace(plan.cells[0], name="x" * 600 + end)
        CellSearch(cell, plan=plan, storage=kept, name="small@12345678")
    names = {each.study_name for each in kept.get_all_studies()}
    assert [len(name) for name in names] == [512, 512]
    assert all(name.startswith("small@12345678/xxx") for name in names)


@pytest.mark.slow
@pytest.mark.cluster
def test_sweeps_that_begin_at_once_make_the_tables_together(server: PostgreSQL):
    code = (
        "import sys, time; from seqtune.sweep.search.storage import check_server; print('here', flush=True); "
        "sys.stdin.readline(); check_server(sys.argv[1])"
    )
    command = [sys.executable, "-c", code, with_password(server.database())]
    pipe = subprocess.PIPE
    sweeps = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)
    ]
    for each in sweeps:
        assert each.stdout is not None
        assert each.stdout.readline() == "here\n"
    for each in sweeps:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    assert [(*each.communicate(), each.returncode) for each in sweeps] == [("", "", 0)] * 4


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("storage", ["sqlite", "postgresql"], indirect=True)
def test_a_process_that_is_forked_leaves_its_parents_storage_alone(storage: str, tmp_path: Path):
    code = """
import multiprocessing, sys
from pathlib import Path
from optuna.study import StudyDirection
from seqtune.sweep.search.storage import open_storage
kept = open_storage(sys.argv[1], root=Path(sys.argv[2]))
kept.create_new_study([StudyDirection.MINIMIZE], "before")
for _ in range(3):
    child = multiprocessing.get_context("fork").Process(target=lambda: None)
    child.start()
    child.join()
    assert child.exitcode == 0
kept.create_new_study([StudyDirection.MINIMIZE], "after")
print(sorted(each.study_name for each in kept.get_all_studies()))
"""
    command = [sys.executable, "-c", code, storage, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout == "['after', 'before']\n", done.stderr


def sweeping(file: Path, root: Path, *, address: str) -> subprocess.Popen[str]:
    """`seqtune sweep` in a process of its own, on the tests' cluster."""
    words = ["-m", "seqtune", "sweep", str(file), "--out", str(root), "--address", address]
    return subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(root: Path, *, runs: int, process: subprocess.Popen[str]) -> None:
    """Waits until so many runs have ended."""
    wait_until(
        lambda: len([each for each in run_directories(root / "runs") if ended(each)]) >= runs,
        process=process,
    )


def ended(run: RunDirectory) -> bool:
    return run.exists() and run.info()["state"] != "running"


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_a_killed_driver_goes_on_and_writes_no_password_anywhere(
    ray_address: str, storage: str, tmp_path: Path
):
    file, root = write(tmp_path / "s.yaml", kept_in(f"'{storage}'")), tmp_path / "results"
    process = sweeping(file, root, address=ray_address)
    wait_for(root, runs=5, process=process)
    process.send_signal(signal.SIGKILL)
    said = "".join(process.communicate())
    before = {name: found for name, found in outcome(root).items() if found[0] != "running"}
    process = sweeping(file, root, address=ray_address)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    note = f"note: {file} holds a password, which its copy in {root} does not; better write storage: {{env: NAME}}"
    assert (note in err.splitlines()) == (PASSWORD_IN_URL in storage)
    for line in err.splitlines():  # nothing of Ray's, Optuna's or the server's own
        assert line == note or re.match(
            r"small: 2 cells|\d+/12 layers=\d (search|confirm) \d: ", line
        )
    after = outcome(root)
    assert len(after) == 12
    assert {name: after[name] for name in before} == before
    assert not holding(PASSWORD, root)
    assert not any(each in said + out + err for each in (PASSWORD, PASSWORD_IN_URL))


@pytest.mark.slow
@pytest.mark.cluster
def test_a_server_that_goes_in_mid_sweep_is_told_and_the_same_command_goes_on(
    ray_address: str, server: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(VARIABLE, with_password(server.database()))
    text = kept_in(f"{{env: {VARIABLE}}}").replace("batches_per_epoch: 5", "batches_per_epoch: 50")
    file, root = write(tmp_path / "s.yaml", text), tmp_path / "results"
    process = sweeping(file, root, address=ray_address)
    wait_for(root, runs=2, process=process)
    server.stop()
    _, err = process.communicate(timeout=HANG_SECONDS)
    server.start()
    assert process.returncode == 2
    *_, line = err.splitlines()
    assert line.startswith("search.storage: postgresql://seqtune:***@127.0.0.1:")
    assert line.endswith("what was measured is kept; the same command resumes the sweep")
    assert PASSWORD not in err
    process = sweeping(file, root, address=ray_address)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    assert len(run_directories(root / "runs")) == 12
    assert not holding(PASSWORD, root)
