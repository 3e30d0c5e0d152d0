"""The shipped agents: found and listed everywhere beside the user's runs, and never written to."""

import json
import shutil
from pathlib import Path

import pytest

from mario_tui import paths
from mario_tui.cli import main
from mario_tui.errors import CheckpointError
from mario_tui.presets import preset
from mario_tui.store import catalog, evaluations, lookup, named, run, shipped
from mario_tui.system import installation
from mario_tui.training.run_folder import RunFolder

CLONE = Path(__file__).parents[2]
STEP = "step-000309583"


@pytest.fixture
def agents(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package's folder of agents, as a wheel has it: without the link `best`."""
    folder = tmp_path_factory.mktemp("package") / "agents"
    for name in shipped.NAMES:
        shutil.copytree(CLONE / "checkpoints" / name, folder / name, ignore=shutil.ignore_patterns("best", "*.png"))
    monkeypatch.setattr(shipped, "FOLDER", folder)
    monkeypatch.setattr(installation, "clone", lambda: None)
    return folder


def state(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of all in a folder; a folder's own time tells of names that came and went."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in (folder, *folder.rglob("*"))}


def test_a_shipped_run_is_listed_beside_the_users_and_marked(agents: Path, home: Path) -> None:
    assert lookup.runs() == []
    (listed,) = catalog.scan().runs
    assert (listed.path, listed.shipped) == (agents / "world-1-1", True)
    (info,) = listed.checkpoints
    assert info.whole
    assert info.shipped
    assert "shipped" not in info.as_json(), "its keys are a promise"
    shutil.copytree(agents / "world-1-1", home / "checkpoints" / "mine")
    assert {found.run: found.shipped for found in catalog.scan().runs} == {"world-1-1": True, "mine": False}


def test_a_users_run_takes_the_place_of_one_of_its_name(agents: Path, home: Path) -> None:
    own = home / "checkpoints" / "world-1-1"
    shutil.copytree(agents / "world-1-1", own)
    (listed,) = catalog.scan().runs
    assert (listed.path, listed.shipped) == (own, False)
    assert named.find_checkpoint("world-1-1") == own / STEP
    evaluations.annotate(own / STEP, "mine")


@pytest.mark.parametrize(
    "name", ["world-1-1", "world-1-1/best", f"world-1-1/{STEP}", f"world-1-1/{STEP}/manifest.json"]
)
def test_it_is_found_by_name_from_any_folder(
    agents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named.find_checkpoint(name) == agents / "world-1-1" / STEP


@pytest.mark.parametrize("name", ["world-1-2", "world-1-1/step-000000001", "world-1-1/../world-1-1", "agents/x"])
def test_no_other_name_leads_there(agents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        named.find_checkpoint(name)


def test_in_a_clone_its_own_run_is_found_from_any_folder_and_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert installation.clone() == CLONE
    monkeypatch.chdir(tmp_path)
    assert named.find_checkpoint("world-1-1") == CLONE / "checkpoints" / "world-1-1" / STEP
    assert catalog.scan().runs == (), "this home has none of its own"
    monkeypatch.setenv("MARIO_TUI_HOME", str(CLONE))
    assert [found.path for found in catalog.scan().runs if found.run == "world-1-1"] == [
        CLONE / "checkpoints" / "world-1-1"
    ]


def test_whatever_would_write_to_it_refuses_in_one_line(agents: Path) -> None:
    whole, checkpoint = agents / "world-1-1", agents / "world-1-1" / STEP
    before = state(agents)
    for write in (
        lambda: evaluations.annotate(checkpoint, "mine"),
        lambda: evaluations.record(checkpoint, greedy_clear=True),
        lambda: run.rename_run(whole, "mine"),
        lambda: run.trash(whole),
        lambda: run.trash(checkpoint),
        lambda: RunFolder.of_checkpoint(checkpoint, preset("fast")),
    ):
        with pytest.raises(CheckpointError, match=r"^world-1-1 is shipped with mario-tui and stays as it is: "):
            write()
    run.sweep_runs()
    assert state(agents) == before


COMMANDS = [
    ("runs", "note", "world-1-1", "mine"),
    ("runs", "rename", "world-1-1", "mine"),
    ("runs", "delete", "world-1-1"),
    ("runs", "delete", f"world-1-1/{STEP}"),
    ("train", "--resume", "world-1-1"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_command_line_says_so(agents: Path, capsys: pytest.CaptureFixture, command: tuple[str, ...]) -> None:
    before = state(agents)
    assert main(list(command)) == 2
    told = capsys.readouterr().err
    assert told.startswith("mario-tui: world-1-1 is shipped with mario-tui and stays as it is: ")
    assert "'mario-tui train --init-from world-1-1' begins a new run with its weights" in told
    assert state(agents) == before


def test_a_new_run_that_begins_with_its_weights_names_it_as_one_does(agents: Path) -> None:
    found = named.find_checkpoint("world-1-1/best")
    assert found.is_relative_to(agents)
    assert named.name_of(found) == f"world-1-1/{STEP}"
    assert named.shortest_name(found) == "world-1-1"


def test_lists_and_comparisons_have_it(agents: Path, home: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["checkpoints"]) == 0
    assert f"world-1-1/{STEP} shipped" in capsys.readouterr().out
    assert main(["verify", "world-1-1"]) == 0
    shutil.copytree(agents / "world-1-1", home / "checkpoints" / "mine")
    capsys.readouterr()
    assert main(["runs", "compare", "world-1-1", "mine", "--json"]) == 0
    one, other = json.loads(capsys.readouterr().out)
    assert one["curves"] == other["curves"]
    assert one["curves"]["reward"]


@pytest.mark.slow
def test_what_is_measured_of_it_is_printed_and_not_kept(agents: Path, capsys: pytest.CaptureFixture) -> None:
    before = state(agents)
    assert main(["eval", "world-1-1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["clears"] == 1
    assert "the result is not kept with the checkpoint: world-1-1 is shipped with mario-tui" in err
    assert state(agents) == before


def test_an_export_of_it_is_the_users_own(agents: Path, home: Path) -> None:
    assert main(["export", "world-1-1", "--name", "mine"]) == 0
    assert main(["runs", "note", "mine", "from the shipped one"]) == 0
    found = {summary.run: summary for summary in catalog.scan().runs}
    assert found["mine"].path == paths.run_dir("mine") == home / "checkpoints" / "mine"
    assert found["mine"].checkpoints[0].note == "from the shipped one"
