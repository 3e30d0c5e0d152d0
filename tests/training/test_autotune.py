"""What is chosen for a machine: by a table of speeds, by what was measured before, and by what the user says."""

import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from mario_tui import paths
from mario_tui.agent import devices
from mario_tui.cli import main
from mario_tui.commands import bench_tune
from mario_tui.config import TrainingConfig, load_toml
from mario_tui.errors import InputError
from mario_tui.presets import preset
from mario_tui.settings import MOST_ENVS
from mario_tui.store.manifest import read_manifest
from mario_tui.system import processors
from mario_tui.training import autotune, autotune_process, machine
from mario_tui.training.autotune import Setup, candidates, choose, usual, usual_processes, worth_trying
from mario_tui.training.fit import fit
from mario_tui.training.restore import open_trainer
from mario_tui.training.resume import resume_config
from runs import SMALL, emulator_pids

FAST = preset("fast").replace(actor_groups=1, envs=4)
ONE, TWO, BOTH = Setup(4, 1, 1), Setup(4, 2, 1), Setup(4, 2, 2)


# what is tried


def test_without_a_measurement_it_is_what_it_always_was() -> None:
    assert [usual(FAST, on_gpu=False, cores=cores) for cores in (1, 2, 4, 16)] == [
        Setup(4, 1, 1), Setup(4, 1, 1), Setup(4, 3, 2), Setup(4, 4, 4),
    ]  # fmt: skip
    assert usual_processes(FAST.replace(envs=30), 16) == 15
    assert usual(FAST.replace(workers=7), on_gpu=False, cores=2).processes == 4, "no more than games"


def test_each_group_of_games_has_a_process(small: Callable[..., TrainingConfig]) -> None:
    in_groups = FAST.replace(actor_groups=2)
    assert usual(in_groups, on_gpu=False, cores=2).processes == 2
    assert usual(in_groups, on_gpu=False, cores=4).processes == 3
    assert {one.processes for one in candidates(in_groups, on_gpu=False, cores=2)} == {2, 4}
    assert usual(in_groups.replace(envs=1), on_gpu=False, cores=2).processes == 1
    for setup in (usual(in_groups, on_gpu=False, cores=2), usual(in_groups, on_gpu=False, cores=4)):
        trainer = open_trainer(small(envs=4, actor_groups=2, steps=12), processes=setup.processes)
        events = trainer.run()
        next(events)
        assert len(emulator_pids(trainer)) == setup.processes
        events.close()


def test_a_gpu_gets_two_games_for_each_process() -> None:
    free = FAST.replace(envs=0)
    assert usual(free, on_gpu=True, cores=16) == Setup(30, 15, 4)
    assert usual(free.replace(workers=4), on_gpu=True, cores=16).games == 8
    assert usual(free, on_gpu=True, cores=500).games == MOST_ENVS
    assert {one.games for one in candidates(free, on_gpu=True, cores=16)} == {30}, "equal machines learn alike"
    assert {one.threads for one in candidates(free, on_gpu=True, cores=16)} == {4}


def test_the_usual_combination_is_tried_first() -> None:
    assert candidates(FAST, on_gpu=False, cores=2) == [
        ONE, Setup(4, 1, 2), TWO, BOTH, Setup(4, 4, 1), Setup(4, 4, 2)
    ]  # fmt: skip
    assert candidates(FAST, on_gpu=False, cores=1) == [ONE, TWO]
    for cores in (3, 4, 8, 64):
        tried = candidates(FAST, on_gpu=False, cores=cores)
        assert tried[0] == usual(FAST, on_gpu=False, cores=cores)
        assert len(set(tried)) == len(tried) <= 16, "a few seconds have to be enough"


def test_what_the_user_says_is_not_tried_otherwise() -> None:
    told = FAST.replace(threads=3, workers=2)
    assert candidates(told, on_gpu=False, cores=16) == [Setup(4, 2, 3)]
    assert {one.threads for one in candidates(FAST.replace(threads=3), on_gpu=False, cores=4)} == {3}
    assert {one.processes for one in candidates(FAST.replace(workers=2), on_gpu=False, cores=4)} == {2}
    assert {one.processes for one in candidates(FAST.replace(envs=30), on_gpu=False, cores=16)} == {8, 15, 16}
    assert {one.games for one in candidates(FAST.replace(envs=0), on_gpu=False, cores=2)} == {4, 8}


# the choice from a table


@pytest.mark.parametrize(
    ("speeds", "chosen"),
    [
        ({ONE: [100, 100, 100]}, ONE),
        ({ONE: [100, 100, 100], TWO: [104, 104, 104]}, ONE),
        ({ONE: [100, 100, 100], TWO: [120, 120, 120]}, TWO),
        ({ONE: [100, 50, 10], TWO: [120, 60, 12]}, TWO),
        ({ONE: [100, 100, 100], TWO: [300, 300, 99]}, ONE),
        ({ONE: [100, 100, 100], TWO: [200], BOTH: [130, 130, 130]}, BOTH),
        ({ONE: [100, 100, 100], TWO: [120, 120, 120], BOTH: [123, 123, 123]}, TWO),
        ({ONE: [100, 100, 100], TWO: [120, 120, 120], BOTH: [140, 140, 140]}, BOTH),
        ({ONE: [100, 100], TWO: [90, 90], BOTH: []}, ONE),
    ],
    ids=[
        "alone", "noise", "faster", "faster on a machine that slows down", "slower in one round", "given up early",
        "nearly equal", "fastest", "never measured",
    ],
)  # fmt: skip
def test_the_fastest_is_chosen(speeds: dict[Setup, list[float]], chosen: Setup) -> None:
    assert choose(speeds).setup == chosen


def test_the_reason_is_said() -> None:
    assert choose({ONE: [100.0] * 3}).why == ""
    assert choose({ONE: [100.0] * 3, TWO: [90.0] * 3}).why == "nothing else that was tried is 5% faster"
    why = choose({ONE: [100.0] * 3, TWO: [125.0] * 3}).why
    assert why == "25% faster than 4 games in 1 process, 1 thread for learning"


def test_the_hopeless_are_given_up_after_two_rounds_and_the_usual_never() -> None:
    assert worth_trying({ONE: [100], TWO: [10]}) == [ONE, TWO]
    assert worth_trying({ONE: [100, 100], TWO: [10, 10], BOTH: [95, 95]}) == [ONE, BOTH]
    assert worth_trying({ONE: [10, 10], TWO: [100, 100], BOTH: [95, 95]}) == [ONE, TWO, BOTH]


def test_rounds_go_there_and_back_until_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now, turns = [0.0], []
    speed = {ONE: 100.0, Setup(4, 1, 2): 50.0, TWO: 101.0}

    class Running:
        def __init__(self, config: TrainingConfig, setup: Setup, cancelled: object) -> None:
            assert (config.save_every, config.eval_every, config.record) == (0, 0, False)
            self.processes = setup.processes

        def warm_up(self) -> None:
            now[0] += 10

        def steps_per_second(self, threads: int, seconds: float) -> float:
            now[0] += seconds
            setup = Setup(4, self.processes, threads)
            if seconds:
                turns.append(setup)
            return speed[setup]

        def close(self) -> None:
            turns.append(Setup(0, 0, 0))

    monkeypatch.setattr(autotune_process, "_Running", Running)
    monkeypatch.setattr(autotune_process, "time", SimpleNamespace(monotonic=lambda: now[0]))
    measured = list(autotune_process.rounds(FAST, list(speed), 4.0))
    slow = Setup(4, 1, 2)
    assert turns[:8] == [ONE, slow, TWO, TWO, slow, ONE, ONE, TWO]
    assert turns[8:] == [TWO, ONE, Setup(0, 0, 0), Setup(0, 0, 0)], "trainings with other processes end with it"
    assert now[0] == pytest.approx(2 * 10 + 4 * autotune_process._ROUND_SECONDS)
    assert measured[:2] == [(ONE, 100.0), (slow, 50.0)]


# what was measured before


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> list[list[Setup]]:
    """A machine of two cores where two processes are faster; what was tried, each time that it was measured."""
    tried: list[list[Setup]] = []

    def measured(config: TrainingConfig, setups: Sequence[Setup], **_: object) -> dict[Setup, list[float]]:
        tried.append(list(setups))
        return {setup: [100.0 * min(setup.processes, 2) / setup.threads * setup.games] * 3 for setup in setups}

    monkeypatch.setattr(processors, "count", lambda: 2)
    monkeypatch.setattr(autotune_process, "measured", measured)
    monkeypatch.delenv("MARIO_TUI_AUTOTUNE", raising=False)
    return tried


def test_it_is_measured_once(measurements: list[list[Setup]]) -> None:
    said: list[str] = []
    first = fit(FAST, say=said.append)
    assert (first.config.envs, first.config.threads, first.config.workers, first.processes) == (4, 1, 0, 2)
    assert first.config == FAST.replace(threads=1), "all else stays"
    assert first.text == (
        "4 games in 2 processes, 1 thread for learning (100% faster than 4 games in 1 process, 1 thread for learning)"
    )
    assert fit(FAST, say=said.append) == first
    assert len(measurements) == len(said) == 1
    assert fit(FAST.replace(seed=7, gamma=0.9)).processes == 2
    assert len(measurements) == 1, "what it costs does not depend on them"
    fit(FAST.replace(network="nature"))
    assert len(measurements) == 2


@pytest.mark.parametrize("name", ["cores", "node", "torch"])
def test_another_machine_is_measured_anew(
    name: str, measurements: list[list[Setup]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(FAST)
    if name == "cores":
        monkeypatch.setattr(processors, "count", lambda: 4)
    elif name == "node":
        monkeypatch.setattr(platform, "node", lambda: "another")
    else:
        monkeypatch.setattr(metadata, "version", lambda package: "99.0")
    fit(FAST)
    assert len(measurements) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", "\udcff", '{"x": 3}'])
def test_a_damaged_file_is_written_anew(content: str, measurements: list[list[Setup]]) -> None:
    paths.machine_file().write_bytes(content.encode(errors="surrogateescape"))
    fit(FAST)
    assert fit(FAST).processes == 2
    assert len(measurements) == 1


def test_an_entry_that_nobody_wrote_is_not_taken(measurements: list[list[Setup]]) -> None:
    fit(FAST)
    known = json.loads(paths.machine_file().read_text())
    entries: list[Any] = [{"games": 4, "processes": 0, "threads": 1, "why": ""}, {"games": "many"}, None, []]
    for entry in entries:
        paths.machine_file().write_text(json.dumps(dict.fromkeys(known, entry)))
        assert fit(FAST).processes == 2
    assert len(measurements) == 5


def test_what_cannot_be_kept_is_used_all_the_same(
    measurements: list[list[Setup]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(machine, "write_atomically", full)
    assert fit(FAST).processes == 2


# what the user says, and when nothing is measured


def test_what_the_user_says_wins(measurements: list[list[Setup]]) -> None:
    told = fit(FAST.replace(threads=3, workers=1))
    assert (told.config.threads, told.config.workers, told.processes) == (3, 1, 1)
    assert measurements == []
    assert fit(FAST.replace(workers=1)).processes == 1


def test_games_are_measured_only_where_the_user_asks(measurements: list[list[Setup]]) -> None:
    free = FAST.replace(envs=0)
    assert fit(free, asked=["envs"]).config.envs == 8
    assert {one.games for one in measurements[0]} == {4, 8}
    assert fit(free).config.envs == 4, "of a preset for a GPU, and here is none"


@pytest.mark.parametrize("limit", [{"steps": 10_000}, {"episodes": 40}])
def test_a_short_training_measures_nothing(limit: dict[str, int], measurements: list[list[Setup]]) -> None:
    short = fit(FAST.replace(**limit))
    assert (short.config.threads, short.processes, short.measured, measurements) == (1, 1, False, [])
    assert short.text == "4 games in 1 process, 1 thread for learning"
    fit(FAST)
    assert fit(FAST.replace(**limit)).processes == 2, "it takes what is known"


def test_the_environment_can_forbid_it(measurements: list[list[Setup]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARIO_TUI_AUTOTUNE", "0")
    assert fit(FAST).processes == 1
    assert measurements == []


def test_nothing_is_measured_for_demonstrations_that_are_not_there(measurements: list[list[Setup]]) -> None:
    said: list[str] = []
    with pytest.raises(InputError, match="no demonstrations at 'nowhere'"):
        fit(FAST.replace(demonstrations="nowhere"), say=said.append)
    assert (said, measurements) == ([], [])
    fit(FAST.replace(demonstrations="ways"))
    fit(FAST.replace(demonstrations="nowhere", network="nature"), resumes=True, asked=["threads"])
    assert len(measurements) == 2, "a run that goes on has them in its checkpoint"


def test_what_cannot_be_measured_is_as_usual_and_not_remembered(
    measurements: list[list[Setup]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autotune_process, "measured", lambda *_, **__: {})
    assert fit(FAST).processes == 1
    assert not paths.machine_file().exists()


def test_a_run_that_goes_on_keeps_its_threads(measurements: list[list[Setup]]) -> None:
    of_another_machine = FAST.replace(threads=3)
    resumed = fit(of_another_machine, resumes=True)
    assert (resumed.config, resumed.processes, measurements) == (of_another_machine, 1, [])
    before_there_was_a_choice = fit(FAST, resumes=True)
    assert (before_there_was_a_choice.config.threads, measurements) == (0, [])


def test_a_run_that_goes_on_has_the_processes_of_this_machine(measurements: list[list[Setup]]) -> None:
    begun = fit(FAST)
    assert fit(begun.config, resumes=True).processes == 2
    assert len(measurements) == 1


def test_a_run_that_goes_on_is_fitted_where_the_user_asks(measurements: list[list[Setup]]) -> None:
    resumed = fit(FAST.replace(envs=0), resumes=True, asked=["envs", "threads"])
    assert (resumed.config.envs, resumed.config.threads, len(measurements)) == (8, 1, 1)


# in a run


def test_the_numbers_are_written_into_the_run_and_kept(home: Path, capsys: pytest.CaptureFixture) -> None:
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items() if type(value) is int]
    settings.remove("--threads=1")
    command = ["train", "--preset=fast", "--network=small", "--envs=0", "--device=cpu", "--no-record", *settings]
    assert main([*command, "--steps=40", "--name=free"]) == 0
    written = load_toml(home / "checkpoints/free/config.toml")
    assert (written["envs"], written["threads"], written["workers"]) == (4, processors.half(), 0)
    said = capsys.readouterr().out.splitlines()[0]
    assert "from step 0 with 4 games in " in said
    (checkpoint,) = (home / "checkpoints/free").glob("step-*")
    assert {name: read_manifest(checkpoint).config[name] for name in written} == written
    assert resume_config(checkpoint).envs == 4
    assert main(["train", "--resume=free", "--steps=60"]) == 0
    now = load_toml(home / "checkpoints/free/config.toml")
    assert {**now, "steps": 40} == written


def test_the_processes_are_no_setting_of_the_run(small: Callable[..., TrainingConfig]) -> None:
    trainer = open_trainer(small(envs=3, steps=12), run="two", processes=2)
    events = trainer.run()
    next(events)
    assert len(emulator_pids(trainer)) == 2
    events.close()
    assert load_toml(trainer.run_dir / "config.toml")["workers"] == 0


def test_a_preset_has_other_games_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "resolve_device", lambda name: torch.device("cpu" if name == "cpu" else "cuda:0"))
    assert autotune.for_device(FAST, "fast").envs == 0
    assert autotune.for_device(FAST.replace(device="cpu"), "fast").envs == FAST.envs
    assert autotune.for_device(preset("tutorial"), "tutorial").envs == 3
    monkeypatch.setattr(processors, "count", lambda: 16)
    assert autotune.with_games(FAST.replace(envs=0)).envs == 30


# with the real trainer


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One round and more in no time, and no process is left."""
    monkeypatch.setattr(bench_tune, "MEASURED_SECONDS", 0.1)
    before = set(psutil.Process().children(recursive=True))
    yield
    deadline = time.monotonic() + 10
    while (left := set(psutil.Process().children(recursive=True)) - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


@pytest.mark.slow
def test_bench_tune_measures_the_real_trainer(
    quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(processors, "count", lambda: 2)
    assert main(["bench", "--tune", "--json", "--device=cpu"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    tried = {Setup(row["games"], row["processes"], row["threads"]): row for row in result["tried"]}
    games = preset("fast").envs
    assert set(tried) == {Setup(games, processes, threads) for processes in (2, 4) for threads in (1, 2)}
    assert all(1 < row["steps_per_second"] < 100_000 for row in tried.values())
    assert tried[Setup(games, 2, 1)]["rounds"] >= autotune_process.LEAST_ROUNDS
    assert Setup(**result["chosen"]) in tried
    remembered = fit(preset("fast").replace(device="cpu"))
    assert (remembered.processes, remembered.measured) == (result["chosen"]["processes"], True)


@pytest.mark.slow
def test_a_measurement_that_is_cancelled_leaves_nothing(quick: None) -> None:
    asked: list[float] = []

    def cancelled() -> bool:
        asked.append(time.monotonic())
        return asked[-1] > asked[0] + 2

    assert autotune_process.measured(FAST.replace(device="cpu"), [ONE, TWO], cancelled=cancelled) == {}


def test_what_is_measured_needs_little_memory() -> None:
    short = autotune_process._short(FAST.replace(replay_size=400_000, corrections=0.5, corrections_size=200_000))
    assert (short.replay_size, short.corrections) == (8_000, 0)
