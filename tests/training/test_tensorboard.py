"""TensorBoard shows a run as metrics.csv has it, also after it went on from an earlier checkpoint."""

import itertools
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fake_collector import FakeVectorEnv, fake_trainer
from mario_tui import paths
from mario_tui.store import lookup
from mario_tui.store.history import EpisodeRecord, read_metrics
from mario_tui.training.events import EpisodeEnded, Warned
from mario_tui.training.resume import resume_config
from mario_tui.training.tensorboard import TensorBoardLog
from runs import run_to_end

pytest.importorskip("tensorboard")

Points = list[tuple[int, float]]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file of TensorBoard is begun in a second of its own, by which their names are ordered."""
    from tensorboard.summary.writer import event_file_writer

    seconds = itertools.count(1_700_000_000)
    monkeypatch.setattr(event_file_writer, "time", SimpleNamespace(time=lambda: next(seconds)))


def as_python_loads_it(folder: Path, tag: str) -> Points:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return [(event.step, event.value) for event in found.Scalars(tag)]


def as_the_slow_web_view_loads_it(folder: Path, tag: str) -> Points:
    """With `tensorboard --load_fast=false`, or where there is no data server."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    found = EventAccumulator(str(folder))
    found.Reload()
    return [(event.step, float(make_ndarray(event.tensor_proto))) for event in found.Tensors(tag)]


def as_the_web_view_loads_it(folder: Path, tag: str) -> Points:
    """Through the data server, a program of its own, that `tensorboard --logdir` starts."""
    from tensorboard.context import RequestContext
    from tensorboard.data import server_ingester
    from tensorboard.util.grpc_util import ChannelCredsType

    try:
        binary = server_ingester.get_server_binary()
    except server_ingester.NoDataServerError as error:
        pytest.skip(str(error))
    server = server_ingester.SubprocessServerDataIngester(
        server_binary=binary, logdir=str(folder), reload_interval=0, channel_creds_type=ChannelCredsType.LOCAL
    )
    server.start()  # it ends with this process
    found = server.data_provider.read_scalars(
        RequestContext(), experiment_id="", plugin_name="scalars", downsample=1000
    )
    return [(point.step, float(point.value)) for point in found["."][tag]]


LOADERS = [as_python_loads_it, as_the_slow_web_view_loads_it, as_the_web_view_loads_it]


def episodes(numbers: Iterable[int], reward: float = 0.0) -> list[EpisodeRecord]:
    """Which end at the steps 100, 200, ..."""
    return [EpisodeRecord(n, 100 * (n + 1), 0.1, "1-1", n + reward, 100, 0.1, 0.1, 300, "death", 1.0) for n in numbers]


def sitting(run: Path, new: Iterable[EpisodeRecord], earlier: Iterable[EpisodeRecord] = ()) -> TensorBoardLog:
    log = TensorBoardLog(run, list(earlier))
    for record in new:
        log.observe(EpisodeEnded(record))
    log.close()
    return log


def points(records: Iterable[EpisodeRecord]) -> Points:
    return [(record.step, record.reward) for record in records]


@pytest.mark.parametrize("load", LOADERS)
def test_what_was_given_up_is_gone_from_tensorboard(load: Callable[[Path, str], Points], tmp_path: Path) -> None:
    first = episodes(range(10))
    sitting(tmp_path, first)
    assert load(tmp_path / "tensorboard", "episode/reward") == points(first)
    kept, new = first[:5], episodes([7, 8], 1000)  # whose first episode is longer than those of before
    sitting(tmp_path, new, kept)
    assert load(tmp_path / "tensorboard", "episode/reward") == points([*kept, *new])
    again = episodes([8, 12], 2000)
    sitting(tmp_path, again, [*kept, new[0]])
    assert load(tmp_path / "tensorboard", "episode/reward") == points([*kept, new[0], *again])
    assert load(tmp_path / "tensorboard", "episode/max_x")[-1] == (1300, 300.0)


@pytest.mark.parametrize("load", LOADERS)
def test_a_run_that_goes_on_before_its_first_episode_leaves_nothing_of_the_others(
    load: Callable[[Path, str], Points], tmp_path: Path
) -> None:
    sitting(tmp_path, episodes(range(10)))
    new = episodes([4, 5], 1000)
    sitting(tmp_path, new)
    assert load(tmp_path / "tensorboard", "episode/reward") == points(new)
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2, "nothing is deleted"


@pytest.mark.parametrize("load", LOADERS)
def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(load: Callable[[Path, str], Points], tmp_path: Path) -> None:
    first = episodes(range(10))
    sitting(tmp_path, first)
    (events,) = (tmp_path / "tensorboard").iterdir()
    events.write_bytes(events.read_bytes()[:-7])
    new = episodes([6, 9], 1000)
    sitting(tmp_path, new, first[:4])
    assert load(tmp_path / "tensorboard", "episode/reward") == points([*first[:4], *new])


@pytest.mark.parametrize("load", [as_python_loads_it, as_the_slow_web_view_loads_it])
def test_episodes_of_several_games_that_end_at_one_step_stay(
    load: Callable[[Path, str], Points], tmp_path: Path
) -> None:
    twins = [*episodes([0]), *episodes([1, 1, 1])]
    sitting(tmp_path, [*twins, *episodes([3])])
    new = episodes([5], 1000)
    sitting(tmp_path, new, twins)
    assert load(tmp_path / "tensorboard", "episode/reward") == points([*twins, *new])


def test_nothing_is_forgotten_before_there_is_something_new(tmp_path: Path) -> None:
    first = episodes(range(10))
    sitting(tmp_path, first)
    sitting(tmp_path, [], first[:5])
    assert as_the_slow_web_view_loads_it(tmp_path / "tensorboard", "episode/reward") == points(first)


def test_events_that_cannot_be_written_do_not_end_the_training(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file where the folder should be")
    log = TensorBoardLog(tmp_path)
    for record in episodes(range(3)):
        log.observe(EpisodeEnded(record))
    told = list(log.poll())
    assert [type(event) for event in told] == [Warned]
    assert "TensorBoard's events cannot be written: File exists" in str(told[0])
    assert list(log.poll()) == []
    log.close()


class ShortGames(FakeVectorEnv):
    end_chance = 1 / 20


@pytest.mark.slow
def test_a_run_that_was_killed_and_went_on_twice_shows_what_its_metrics_have(small, home: Path) -> None:
    settings = {"tensorboard": True, "save_every": 200, "network": "small", "envs": 2, "replay_size": 200}
    run_to_end(fake_trainer(small(steps=600, **settings), run="board", games=ShortGames))
    run = paths.run_dir("board")

    def shown() -> set[tuple[int, float]]:
        return set(as_the_slow_web_view_loads_it(run / "tensorboard", "episode/reward"))

    def in_metrics() -> set[tuple[int, float]]:
        return {(one.step, float(np.float32(one.reward))) for one in read_metrics(run / "metrics.csv")}

    shutil.rmtree(lookup.step_folders(run)[-1])  # as after kill -9: the files say more than the last checkpoint
    for folder, steps in ((lookup.step_folders(run)[-1], 500), (lookup.step_folders(run)[0], 700)):
        config = resume_config(folder, {"steps": steps})
        run_to_end(fake_trainer(config, resume=folder, games=ShortGames))
        assert len(in_metrics()) > 5
        assert shown() == in_metrics()
    notes = [line for line in (run / "log").read_text().splitlines() if line.startswith("#")]
    assert sum("what is above of later steps was given up" in note for note in notes) == 2


def test_an_episode_without_updates_has_no_loss_and_no_q(tmp_path: Path) -> None:
    sitting(tmp_path, [replace(record, loss=0.0, q=0.0) for record in episodes(range(3))])
    sitting(tmp_path / "b", [replace(record, loss=0.5, q=record.episode - 1.0) for record in episodes(range(3))])
    for run, expected in ((tmp_path, 0), (tmp_path / "b", 3)):
        folder = run / "tensorboard"
        assert len(as_python_loads_it(folder, "episode/reward")) == 3
        for tag in ("episode/loss", "episode/q"):
            if expected:
                assert len(as_python_loads_it(folder, tag)) == 3
            else:
                with pytest.raises(KeyError):
                    as_python_loads_it(folder, tag)
