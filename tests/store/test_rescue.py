"""A damaged checkpoint: which file it is, and what can be done, wherever one meets it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from saved import write

from mario_tui.cli import main
from mario_tui.errors import CheckpointError
from mario_tui.presets import preset
from mario_tui.store import catalog, checkpoint, evaluations, lookup, rescue, shipped
from mario_tui.store.manifest import MANIFEST
from mario_tui.store.run import find_resumable
from mario_tui.system import installation
from mario_tui.tui import run_tree

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "world-1-1"


def flip(folder: Path) -> None:
    part = folder / "agent.bin"
    content = bytearray(part.read_bytes())
    content[5] ^= 1
    part.write_bytes(content)


def newer(folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**content, "format": 99}))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "agent.bin is damaged: its content": flip,
    "agent.bin is damaged: 3 bytes": lambda folder: (folder / "agent.bin").write_bytes(b"abc"),
    "agent.bin is missing": lambda folder: (folder / "agent.bin").unlink(),
    "manifest.json is damaged: it is no manifest": lambda folder: (folder / MANIFEST).write_text("{}"),
    "manifest.json is damaged: JSONDecodeError": lambda folder: (folder / MANIFEST).write_text("{"),
    "manifest.json is missing": lambda folder: (folder / MANIFEST).unlink(),
}


@pytest.fixture
def trained(run: Path) -> Path:
    """A run whose settings are there, with one checkpoint."""
    write(run)
    (run / "config.toml").write_text(preset("fast").to_toml())
    return run


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_the_only_one_is_damaged_it_is_said_what_can_be_done(
    trained: Path, capsys: pytest.CaptureFixture, damage: str
) -> None:
    (folder,) = lookup.step_folders(trained)
    DAMAGES[damage](folder)
    checkpoint.is_whole(folder)
    with pytest.raises(CheckpointError) as caught:
        find_resumable(trained)
    assert damage in str(caught.value)
    assert "no other checkpoint of a-run is whole: copy the file back from a backup, or train anew" in str(caught.value)
    (again,) = re.findall("'mario-tui (train --config .*)'", str(caught.value))
    assert Path(shlex.split(again)[-1]).samefile(trained / "config.toml")
    (info,) = catalog.scan().checkpoints
    assert not info.whole
    assert f"{info.problem}; {info.advice}" == str(caught.value)
    for arguments, code in ((["verify", "a-run"], 1), (["train", "--resume", "a-run"], 2)):
        assert main(arguments) == code
        assert capsys.readouterr().err == f"mario-tui: {caught.value}\n"
    assert main(["checkpoints"]) == 0
    assert str(caught.value) in capsys.readouterr().out
    text, problem = run_tree.describe(run_tree.Row(catalog.scan().runs[0]), opened=False)
    assert problem
    assert text == f"{info.problem.removeprefix(f'{folder}/')}. N{info.advice[1:]}; d moves it to the trash."


def test_where_another_one_is_whole_it_is_named(trained: Path, capsys: pytest.CaptureFixture) -> None:
    later, last = write(trained, 7), write(trained, 9)
    for folder in (later, last):
        flip(folder)
        checkpoint.is_whole(folder)
    advice = "a-run/step-000000005 is whole: use that, or copy the damaged file back from a backup"
    assert main(["verify", "a-run"]) == 1
    assert capsys.readouterr().err.endswith(f"; {advice}\n")
    assert {info.advice for info in catalog.scan().checkpoints if not info.whole} == {advice}
    assert find_resumable(trained)[0].name == "step-000000005"
    flip(trained / "step-000000005")
    checkpoint.is_whole(trained / "step-000000005")
    text, problem = run_tree.describe(run_tree.Row(catalog.scan().runs[0]), opened=False)
    assert problem
    assert (
        "3 checkpoints, 3 of them damaged: none can be used. No other checkpoint of a-run is whole: copy the file back"
        in text
    )
    assert text.endswith("; d moves the run to the trash")


@pytest.mark.parametrize("settings", [None, "", "stage = ", "no_setting = 5"])
def test_settings_that_cannot_be_read_are_not_advised(trained: Path, settings: str | None) -> None:
    (trained / "config.toml").unlink() if settings is None else (trained / "config.toml").write_text(settings)
    assert rescue.advice(trained, None).endswith("from a backup, or train anew")


def test_one_of_a_newer_version_is_not_damaged(trained: Path) -> None:
    (folder,) = lookup.step_folders(trained)
    newer(folder)
    with pytest.raises(CheckpointError) as caught:
        find_resumable(trained)
    assert str(caught.value).endswith("made by a newer mario-tui: update this one (it reads 2)")
    (info,) = catalog.scan().checkpoints
    assert (info.whole, info.problem, info.advice) == (False, str(caught.value), "")


def test_a_shipped_one_comes_back_with_the_program(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "FOLDER", trained.parent)
    assert rescue.advice(trained, None) == f"it came with mario-tui: {installation.repair()}"


def test_every_command_that_plays_says_it(home: Path, capsys: pytest.CaptureFixture) -> None:
    run = home / "checkpoints" / "hurt"
    shutil.copytree(SHIPPED, run)
    (folder,) = lookup.step_folders(run)
    with (folder / "agent.safetensors").open("r+b") as part:
        part.seek(9000)
        part.write(b"\xff\x00\xff")
    for arguments in (
        ["eval", "hurt"],
        ["eval", "--verdict", "hurt/best"],
        ["record", "hurt", "-o", "x.gif"],
        ["export", "hurt", "--name", "copy"],
        ["train", "--resume", "hurt"],
        ["train", "--resume", "hurt/step-000309583"],
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert "hurt/step-000309583/agent.safetensors is damaged: its content is not what was saved; no other" in error
        assert "train anew with its settings" in error
    assert evaluations.best(run) == folder  # by what was measured, whatever became of it


@pytest.mark.slow
def test_what_is_advised_works(trained: Path, capsys: pytest.CaptureFixture) -> None:
    small = preset("tutorial").replace(
        network="small", burn_in=20, replay_size=400, save_every=0, steps=60, record=False, threads=1
    )
    (trained / "config.toml").write_text(small.to_toml())
    flip(lookup.step_folders(trained)[0])
    assert main(["train", "--resume", "a-run"]) == 2
    (again,) = re.findall("'mario-tui (train --config .*)'", capsys.readouterr().err)
    assert main([*shlex.split(again), "--name", "again"]) == 0
    assert find_resumable(trained.with_name("again"))[1] == ""
