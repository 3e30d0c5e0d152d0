"""What a path or a name means."""

import os
from pathlib import Path

import pytest
from saved import write

from mario_tui import paths
from mario_tui.errors import CheckpointError, InputError
from mario_tui.store import evaluations, lookup, named
from mario_tui.store.manifest import MANIFEST, Manifest


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp/x", "../x", ".hidden", "a" * 65, "a b", "x.lock", "a\nb"])
def test_names_with_path_parts_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="run name"):
        paths.run_dir(name)


def test_checkpoints_are_found_by_folder_run_name_and_link(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    assert named.find_checkpoint(one) == one
    assert named.find_checkpoint(one / "manifest.json") == one
    assert named.find_checkpoint(run) == other
    assert named.find_checkpoint("a-run") == other
    assert named.find_checkpoint("a-run/step-000000001") == one
    evaluations.record(one, greedy_clear=True)
    assert named.find_checkpoint(run / "best") == one
    for missing in ("nothing", run / "step-000000009", run / "config.toml"):
        with pytest.raises(CheckpointError):
            named.find_checkpoint(missing)


def test_a_run_is_told_from_a_checkpoint(run: Path) -> None:
    folder = write(run)
    evaluations.record(folder, greedy_clear=True)
    assert named.find_run("a-run") == run
    assert named.find_run(run) == run
    for one in (folder, run / "best", "a-run/best", folder / "manifest.json"):
        assert named.find_run(one) is None


@pytest.mark.parametrize("name", ["", "x" * 300, "~nobody-of-this-name/x", "a\0b"])
def test_names_that_no_file_can_have_are_one_line(name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        named.find_checkpoint(name)
    assert "\n" not in str(caught.value)


def test_checkpoints_come_in_the_order_in_which_they_were_saved(run: Path) -> None:
    """Whatever the clock said, and after a run was resumed from an earlier checkpoint."""
    years = ("2099", "2030", "2020", "2021")
    saved = [write(run, step, created=f"{year}-01-01") for step, year in zip((10, 30, 20, 30), years, strict=True)]
    assert lookup.step_folders(run) == saved
    assert [found.sequence for found in lookup.read_manifests(run).values() if isinstance(found, Manifest)] == [
        1,
        2,
        3,
        4,
    ]
    assert lookup.next_sequence(run) == 5


def test_the_weights_of_an_earlier_moment_come_before_what_was_saved_meanwhile(run: Path) -> None:
    later = write(run, 20, sequence=2)
    evaluated = write(run, 10, sequence=1)
    assert lookup.step_folders(run) == [evaluated, later]


@pytest.mark.parametrize("damaged", [0, 1, 2, 3, 4])
def test_one_whose_manifest_cannot_be_read_comes_after_those_of_fewer_steps(run: Path, damaged: int) -> None:
    folders = [write(run, step) for step in (10, 20, 20, 20, 30)]
    (folders[damaged] / MANIFEST).write_text("{")
    os.utime(folders[damaged], (0, 0))
    assert lookup.step_folders(run) == folders


def test_several_that_cannot_be_read_keep_the_order_of_their_names(run: Path) -> None:
    folders = [write(run, step) for step in (10, 20, 20, 30)]
    for folder in folders:
        (folder / MANIFEST).unlink()
    assert lookup.step_folders(run) == folders
    assert lookup.next_sequence(run) == 1
    assert write(run, 40) == lookup.step_folders(run)[-1]
