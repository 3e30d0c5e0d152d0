"""Checkpoints are written whole or not at all, and what is damaged is named."""

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mario_tui import paths
from mario_tui.errors import CheckpointError, InputError
from mario_tui.store import catalog, checkpoint, evaluations, lookup
from mario_tui.store.manifest import MANIFEST, read_manifest
from mario_tui.store.run import find_resumable, rename_run, run_lock, sweep_run, trash
from mario_tui.system import files

HEADER = {"stage": "1-1", "action_set": "tutorial"}


def write(run: Path, step: int = 5, **parts: bytes) -> Path:
    parts = parts or {"agent.bin": b"weights" * 100, "trainer.json": b"{}"}
    (run / "config.toml").parent.mkdir(parents=True, exist_ok=True)
    (run / "config.toml").touch()
    return checkpoint.write(
        run, step, {name: (lambda path, data=data: path.write_bytes(data)) for name, data in parts.items()}, HEADER
    )


@pytest.fixture
def run(home: Path) -> Path:
    return home / "checkpoints" / "a-run"


def test_what_is_written_verifies(run: Path) -> None:
    folder = write(run)
    manifest = checkpoint.verify(folder)
    assert folder.name == "step-000000005"
    assert manifest["step"] == 5
    assert manifest["stage"] == "1-1"
    assert manifest["parts"]["agent.bin"]["bytes"] == 700


def test_a_second_save_at_a_step_has_a_name_of_its_own(run: Path) -> None:
    assert [write(run).name for _ in range(3)] == ["step-000000005", "step-000000005-2", "step-000000005-3"]
    assert [folder.name for folder in lookup.step_folders(run)][-1] == "step-000000005-3"


def test_a_failed_save_leaves_nothing(run: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        checkpoint.write(run, 5, {"agent.bin": fail}, HEADER)
    assert list(run.iterdir()) == []


@pytest.mark.parametrize("look", ["_sha256", "_check_size"])
def test_parts_that_a_training_takes_out_while_one_looks_are_no_damage(
    run: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    parts = {name: lambda path: path.write_bytes(b"rows") for name in ("agent.bin", "replay.bin")}
    folder = checkpoint.write(run, 5, parts, HEADER)
    as_it_is, looks = getattr(checkpoint, look), []

    def meanwhile(*arguments: Any) -> Any:
        looks.append(arguments[0])
        if len(looks) == 1:
            checkpoint.drop_parts(folder, ["replay.bin"])
        return as_it_is(*arguments)

    monkeypatch.setattr(checkpoint, look, meanwhile)
    assert checkpoint.verify(folder)["parts"].keys() == {"agent.bin"}
    (folder / "agent.bin").unlink()
    with pytest.raises(CheckpointError, match=r"agent\.bin is missing"):
        checkpoint.verify(folder)


def test_a_checkpoint_that_goes_while_one_lists_them_is_not_listed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = write(run), write(run)
    (run / "config.toml").write_text("")
    as_it_is = read_manifest

    def meanwhile(folder: Path) -> Any:
        if folder == first and first.exists():
            shutil.rmtree(first)
        return as_it_is(folder)

    monkeypatch.setattr(catalog, "read_manifest", meanwhile)
    assert [(info.path, info.whole) for info in catalog.list_checkpoints()] == [(second, True)]


def test_one_that_goes_while_one_looks_is_said_to_be_gone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(run)
    monkeypatch.setattr(checkpoint, "_sha256", lambda path: shutil.rmtree(path.parent) or "")
    with pytest.raises(CheckpointError, match="is gone: deleted, or replaced"):
        checkpoint.verify(folder)
    with pytest.raises(CheckpointError, match="is gone"):
        evaluations.annotate(folder, "text")
    evaluations.record(folder, greedy_clear=True, greedy_x=3000)
    assert evaluations.read(run) == {}


def test_a_save_that_was_cut_off_is_never_listed_and_is_swept(run: Path) -> None:
    write(run)
    (run / ".step-000000009.part").mkdir()
    assert [info.step for info in catalog.list_checkpoints()] == [5]
    sweep_run(run)
    assert not (run / ".step-000000009.part").exists()


@pytest.mark.parametrize("at", [0, 350, -1])
def test_a_flipped_bit_is_named(run: Path, at: int) -> None:
    part = write(run) / "agent.bin"
    content = bytearray(part.read_bytes())
    content[at] ^= 1
    part.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"agent\.bin is damaged"):
        checkpoint.verify(part.parent)


def test_a_missing_or_short_part_shows_in_the_list(run: Path) -> None:
    missing, short = write(run, 1), write(run, 2)
    (missing / "agent.bin").unlink()
    os.truncate(short / "agent.bin", 10)
    problems = {info.step: info.problem for info in catalog.list_checkpoints()}
    assert problems[1].endswith("agent.bin is missing")
    assert "10 bytes instead of 700" in problems[2]
    with pytest.raises(CheckpointError, match=r"agent\.bin"):
        find_resumable(run)[0]


def test_the_newest_whole_checkpoint_is_found_behind_a_damaged_one(run: Path) -> None:
    whole, damaged = write(run, 1), write(run, 2)
    (damaged / "agent.bin").write_bytes(b"x" * 700)
    assert find_resumable(run)[0] == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "newer mario-tui"),
        ({"format": "1"}, "no manifest"),
        ({"parts": []}, "list of parts"),
        ({"parts": {"../../etc/passwd": {"bytes": 1, "sha256": ""}}}, "outside its folder"),
        ({"parts": {"/etc/passwd": {"bytes": 1, "sha256": ""}}}, "outside its folder"),
        ({"step": "many"}, "'step'"),
        ({"step": 10**400}, "that many steps"),
        ({"stage": None}, "'stage'"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(run: Path, change: dict, message: str) -> None:
    folder = write(run)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(CheckpointError, match=message):
        checkpoint.verify(folder)
    assert catalog.list_checkpoints()[0].whole is False


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["format", "parts", "step", "stage", "bytes"]) | st.text(max_size=3), inner, max_size=4
    ),
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_no_manifest_gives_a_traceback(home: Path, content: bytes) -> None:
    folder = home / "checkpoints" / "odd" / "step-000000001"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.verify(folder)
    assert "\n" not in str(caught.value)


def test_a_file_is_replaced_in_one_step(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = home / "file"
    files.write_atomically(target, "old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        files.write_atomically(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in home.iterdir()] == ["file"]


def test_trash_keeps_what_it_takes(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    evaluations.record(one, greedy_clear=True, greedy_x=3161)
    evaluations.record(other, greedy_clear=False, greedy_x=500)
    assert (run / "best").resolve() == one
    moved = trash(one)
    checkpoint.verify(moved)
    assert (run / "best").resolve() == other
    trash(run)
    assert catalog.run_summaries() == []
    assert len(list((run.parent / ".trash").iterdir())) == 2


def test_the_best_of_each_stage_comes_first(home: Path) -> None:
    folder = home / "checkpoints"
    a, b = write(folder / "a", 1), write(folder / "a", 2)
    c = write(folder / "b", 3)
    evaluations.record(a, robust_clear_rate=0.9)
    evaluations.record(c, robust_clear_rate=0.5, greedy_clear=True)
    listed = catalog.list_checkpoints()
    assert listed[0].path == a
    assert {info.path for info in listed} == {a, b, c}
    assert set(listed[0].as_json()) == {
        "path", "run", "stage", "step", "created", "size_bytes", "whole", "best", "greedy_clear", "robust_clear_rate",
        "mean_reward",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp/x", "../x", ".hidden", "a" * 65, "a b", "x.lock", "a\nb"])
def test_names_with_path_parts_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="run name"):
        paths.run_dir(name)


def test_checkpoints_are_found_by_folder_run_name_and_link(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    assert lookup.find_checkpoint(one) == one
    assert lookup.find_checkpoint(one / "manifest.json") == one
    assert lookup.find_checkpoint(run) == other
    assert lookup.find_checkpoint("a-run") == other
    assert lookup.find_checkpoint("a-run/step-000000001") == one
    evaluations.record(one, greedy_clear=True)
    assert lookup.find_checkpoint(run / "best") == one
    for missing in ("nothing", run / "step-000000009", run / "config.toml"):
        with pytest.raises(CheckpointError):
            lookup.find_checkpoint(missing)


def test_evaluations_noted_at_once_are_all_kept(run: Path) -> None:
    folders = [write(run, step) for step in range(1, 5)]

    def note(folder: Path) -> None:
        for x in range(25):
            evaluations.record(folder, greedy_x=x)

    threads = [threading.Thread(target=note, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert evaluations.read(run) == {folder.name: {"greedy_x": 24} for folder in folders}


def test_a_new_checkpoint_inherits_no_measurements_of_a_deleted_one(run: Path) -> None:
    folder = write(run)
    evaluations.record(folder, greedy_clear=True, robust_clear_rate=1.0)
    trash(folder)
    assert write(run) == folder
    (info,) = catalog.list_checkpoints()
    assert (info.greedy_clear, info.robust_clear_rate, info.best) == (None, None, False)


def test_a_run_is_told_from_a_checkpoint(run: Path) -> None:
    folder = write(run)
    evaluations.record(folder, greedy_clear=True)
    assert lookup.find_run("a-run") == run
    assert lookup.find_run(run) == run
    for one in (folder, run / "best", "a-run/best", folder / "manifest.json"):
        assert lookup.find_run(one) is None


@pytest.mark.parametrize("name", ["", "x" * 300, "~nobody-of-this-name/x", "a\0b"])
def test_names_that_no_file_can_have_are_one_line(name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        lookup.find_checkpoint(name)
    assert "\n" not in str(caught.value)


def test_a_home_that_is_a_file_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("MARIO_TUI_HOME", str(home / "file"))
    with pytest.raises(InputError, match="no folder"):
        catalog.list_checkpoints()


def test_a_measured_rate_of_none_is_no_better_than_a_greedy_clear(run: Path) -> None:
    clears, fails = write(run, 1), write(run, 2)
    evaluations.record(clears, greedy_clear=True, greedy_x=3161)
    evaluations.record(fails, greedy_clear=False, greedy_x=900, robust_clear_rate=0.0)
    assert (run / "best").resolve() == clears
    assert catalog.list_checkpoints()[0].path == clears


def test_a_note_stays_with_its_checkpoint_and_makes_it_no_better(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    evaluations.annotate(other, "  jumps \n well ")
    assert not (run / "best").exists()
    evaluations.record(one, greedy_x=300)
    assert (run / "best").resolve() == one
    evaluations.annotate(one, "slow")
    assert {info.path: info.note for info in catalog.list_checkpoints()} == {one: "slow", other: "jumps well"}
    evaluations.annotate(one, " ")
    assert evaluations.read(run)[one.name] == {"greedy_x": 300}


def test_a_run_gets_another_name_with_all_that_is_in_it(run: Path) -> None:
    folder = write(run)
    evaluations.record(folder, greedy_clear=True)
    renamed = rename_run(run, "better")
    assert renamed == run.with_name("better")
    assert not run.exists()
    assert (renamed / "best").resolve() == renamed / folder.name
    checkpoint.verify(renamed / folder.name)
    (info,) = catalog.list_checkpoints()
    assert (info.run, info.greedy_clear) == ("better", True)


def test_a_run_is_not_renamed_to_a_name_that_cannot_be_or_while_it_is_trained(run: Path) -> None:
    write(run)
    write(run.with_name("taken"))
    for name, problem in (("taken", "exists"), ("a/b", "cannot be used")):
        with pytest.raises(InputError, match=problem):
            rename_run(run, name)
    with FileLock(run_lock(run)), pytest.raises(InputError, match="is being trained"):
        rename_run(run, "other")
    assert run.is_dir()


def test_a_run_goes_to_the_trash_but_not_while_it_is_trained(run: Path) -> None:
    write(run, 1), write(run, 2)
    with FileLock(run_lock(run)), pytest.raises(InputError, match="'a-run' is being trained"):
        trash(run)
    assert len(lookup.step_folders(run)) == 2
    moved = trash(run)
    assert [checkpoint.verify(folder)["step"] for folder in lookup.step_folders(moved)] == [1, 2]
    assert catalog.list_runs() == []
    FileLock(run_lock(run)).acquire(timeout=0)  # a new run of that name can be trained


def test_a_checkpoint_of_a_run_that_is_trained_goes_to_the_trash(run: Path) -> None:
    folder = write(run)
    with FileLock(run_lock(run)):
        assert trash(folder).is_dir()


def test_a_run_tells_of_its_best_and_its_newest_whole_checkpoint(run: Path) -> None:
    one, two, three, four = write(run, 1), write(run, 2), write(run, 3), write(run, 4)
    evaluations.record(one, greedy_clear=True, robust_clear_rate=0.4)
    evaluations.record(two, greedy_clear=False, robust_clear_rate=0.7)
    evaluations.record(three, greedy_clear=False, robust_clear_rate=0.9)
    (known,) = catalog.list_runs()
    assert [info.path for info in known.checkpoints] == [four, three, two, one]
    assert known.newest is not None
    assert known.best is not None
    assert (known.newest.path, known.best.path) == (four, three)
    os.truncate(three / "agent.bin", 10)
    (known,) = catalog.list_runs()
    assert known.newest is not None
    assert known.best is not None
    assert (known.newest.path, known.best.path) == (four, two), "the best is damaged"
    assert (known.damaged, known.greedy_clear, known.robust_clear_rate) == (1, True, 0.7)
    for folder in (one, two, four):
        (folder / "manifest.json").unlink()
    (known,) = catalog.list_runs()
    assert (known.newest, known.best, known.damaged) == (None, None, 4)
    assert (known.greedy_clear, known.robust_clear_rate) == (None, None)


def test_runs_come_in_the_order_of_the_best_of_each_stage(home: Path) -> None:
    folder = home / "checkpoints"
    write(folder / "a", 1)
    evaluations.record(write(folder / "b", 2), robust_clear_rate=0.9)
    write(folder / "b", 3)
    (folder / "empty").mkdir()
    (folder / "empty" / "config.toml").touch()
    assert [(run.run, len(run.checkpoints)) for run in catalog.list_runs()] == [("b", 2), ("a", 1)]


def test_a_rate_of_another_protocol_counts_as_none(run: Path) -> None:
    old, new = write(run, 1), write(run, 2)
    evaluations.record(old, robust_clear_rate=0.9, greedy_clear=True)
    evaluations.record(new, robust_clear_rate=0.2, greedy_clear=True)
    content = evaluations.read(run)
    content[old.name]["robust_protocol"] = "sticky by step"
    files.write_atomically(run / "evaluations.json", json.dumps(content))
    evaluations.record(new, greedy_x=3161)
    assert (run / "best").resolve() == new
    assert {info.path: info.robust_clear_rate for info in catalog.list_checkpoints()} == {old: None, new: 0.2}


def test_what_was_noted_comes_back_with_what_is_taken_out_of_the_trash(run: Path) -> None:
    one, other = write(run, 1), write(run, 2)
    evaluations.record(one, greedy_clear=True, greedy_x=3161)
    evaluations.record(other, greedy_x=500)
    evaluations.annotate(one, "jumps well")
    moved = trash(one)
    assert evaluations.read(run).keys() == {other.name}
    moved.rename(one)
    checkpoint.verify(one)
    assert evaluations.read(run)[one.name] == {"greedy_clear": True, "greedy_x": 3161, "note": "jumps well"}
    evaluations.annotate(one, "")
    assert evaluations.read(run)[one.name] == {"greedy_clear": True, "greedy_x": 3161}
    assert (run / "best").resolve() == one.resolve() or evaluations.record(one, greedy_x=3161) is None
    assert (run / "best").resolve() == one.resolve()


def test_what_a_person_wrote_between_the_measurements_stays(run: Path) -> None:
    folder = write(run)
    (run / evaluations.EVALUATIONS).write_text(json.dumps({"to do": "watch the last jump", folder.name: {"note": "x"}}))
    evaluations.record(folder, greedy_x=24)
    content = json.loads((run / evaluations.EVALUATIONS).read_text())
    assert content == {"to do": "watch the last jump", folder.name: {"note": "x", "greedy_x": 24}}


def test_a_note_does_nothing_to_the_terminal(run: Path) -> None:
    folder = write(run)
    (run / evaluations.EVALUATIONS).write_text(json.dumps({folder.name: {"note": "x\x1b]0;y\x07\nz"}}))
    (info,) = catalog.list_checkpoints()
    assert info.note == "x?]0;y? z"
    evaluations.annotate(folder, "a\x1b[2Jb")
    assert evaluations.read(run)[folder.name]["note"] == "a?[2Jb"


def test_a_best_that_is_no_link_to_a_checkpoint_does_no_harm(run: Path) -> None:
    folder = write(run)
    (run / "best").symlink_to("best")
    assert not catalog.list_checkpoints()[0].best
    evaluations.record(folder, greedy_x=24)
    assert catalog.list_checkpoints()[0].best
    (run / "best").unlink()
    (run / "best").write_text("mine")
    evaluations.record(folder, greedy_x=25)
    assert (run / "best").read_text() == "mine"
    assert list(run.glob(".best*")) == []


def test_nothing_is_written_beside_a_checkpoint_that_is_in_no_run(home: Path) -> None:
    folder = write(home / "downloads", 7)
    (home / "downloads" / "config.toml").write_text("a_setting_of = 'something else'")
    before = sorted(path.name for path in (home / "downloads").iterdir())
    evaluations.record(folder, greedy_x=25)
    assert sorted(path.name for path in (home / "downloads").iterdir()) == before
    (home / "downloads" / "config.toml").write_text("stage = '1-1'")
    assert lookup.is_run(home / "downloads")


def test_a_run_has_one_lock_by_whatever_link_it_is_found(run: Path, home: Path) -> None:
    write(home / "elsewhere" / "a-run")
    run.parent.mkdir()
    run.symlink_to(home / "elsewhere" / "a-run")
    assert run_lock(run) == run_lock(home / "elsewhere" / "a-run")
    with FileLock(run_lock(run.resolve())), pytest.raises(InputError, match="is being trained"):
        rename_run(run, "another")
    moved = trash(lookup.step_folders(run)[0])
    checkpoint.verify(moved)
    assert trash(run).is_symlink()
    assert (home / "elsewhere" / "a-run").is_dir()


def test_the_order_holds_when_the_clock_is_put_back() -> None:
    ahead = "2099-01-01T00:00:00+00:00"
    assert checkpoint.now_after(ahead) == "2099-01-01T00:00:01+00:00"
    assert checkpoint.now_after(now := checkpoint.now()) > now
    for time in ("", "2020-01-01T00:00:00+00:00", "2020-01-01", "no time", "9999-12-31T23:59:59+00:00"):
        assert checkpoint.now_after(time)[:2] == "20"


def test_a_run_that_has_gone_is_not_made_by_who_notes_something(run: Path) -> None:
    folder = write(run)
    rename_run(run, "another")
    with pytest.raises(CheckpointError, match="is gone"):
        evaluations.annotate(folder, "x")
    assert not run.exists()


def test_training_goes_on_from_the_newest_with_the_replay_unless_what_was_saved_last_had_none(run: Path) -> None:
    def save(step: int, **header: Any) -> Path:
        folder = write(run, step)
        path = folder / MANIFEST
        created = f"2026-01-01T00:00:{step:02d}+00:00"
        path.write_text(json.dumps({**json.loads(path.read_text()), **header, "created": created}))
        return folder

    def summary() -> Path | None:
        (one,) = catalog.run_summaries()
        return one.resumable.path if one.resumable else None

    evaluated = save(1, full=False, evaluated=True)
    assert find_resumable(run) == (summary(), "") == (evaluated, "")
    full = save(2, full=True)
    best = save(3, full=False, evaluated=True)
    why = f"{best.name} was saved as the best so far, without the replay; going on from {full.name} instead"
    assert find_resumable(run) == (summary(), why) == (full, why)
    last = save(4, full=False)
    assert find_resumable(run) == (summary(), "") == (last, "")
    (last / "agent.bin").write_bytes(bytes(700))  # of the same size
    taken, why = find_resumable(run)
    assert (taken, summary()) == (full, full)
    assert why == (
        f"{last / 'agent.bin'} is damaged: its content is not what was saved; going on from {full.name} instead"
    )


def test_lists_know_what_was_found_by_reading_a_checkpoint_through(run: Path) -> None:
    folder = write(run)
    assert [info.verified for info in catalog.list_checkpoints()] == [True], "it was read back when it was saved"
    content = (folder / "agent.bin").read_bytes()
    (folder / "agent.bin").write_bytes(content[:-1] + b"?")
    assert [(info.whole, info.verified) for info in catalog.list_checkpoints()] == [(True, False)]
    with pytest.raises(CheckpointError):
        checkpoint.verify(folder)
    (info,) = catalog.list_checkpoints()
    assert not info.whole
    assert info.problem == f"{folder / 'agent.bin'} is damaged: its content is not what was saved"
    (folder / "agent.bin").write_bytes(content)
    assert [(info.whole, info.verified) for info in catalog.list_checkpoints()] == [(True, False)]
    checkpoint.verify(folder)
    assert [(info.whole, info.verified) for info in catalog.list_checkpoints()] == [(True, True)]


def test_notes_that_cannot_be_read_are_told_of(run: Path) -> None:
    folder = write(run)
    evaluations.annotate(folder, "x")
    assert catalog.run_summaries()[0].unread == ""
    (run / evaluations.EVALUATIONS).write_text("{")
    assert catalog.run_summaries()[0].unread == "evaluations.json"
    evaluations.annotate(folder, "y")
    assert catalog.run_summaries()[0].unread == "evaluations.damaged.json"
