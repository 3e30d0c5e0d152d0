"""Where episodes end, and lines of the user's own in the log."""

import errno
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mario_tui.errors import TrainingError
from mario_tui.store.history import COMPARED, EvaluationRecord, progress, read_metrics, run_curve
from mario_tui.training.curves import END_BUCKET_PIXELS, END_BUCKETS, MEAN_WINDOWS, EndMap, MovingMean, mean_name
from mario_tui.training.metrics import MetricLogger
from mario_tui.training.plots import save_curves


def test_the_map_of_ends_counts_deaths_by_place_and_clears_beside_them() -> None:
    ends = EndMap(columns=8)
    for x, end in ((10, "death"), (END_BUCKET_PIXELS, "loop"), (END_BUCKET_PIXELS + 5, "stall"), (3161, "clear")):
        ends.add(x, end)
    ends.add(10**6, "loop")
    now = ends.ends()
    assert now.episodes == 1
    assert now.clears.tolist() == [0, 0, 0, 1, 0]
    assert [np.flatnonzero(column).tolist() for column in now.deaths] == [[0], [1], [1], [], [END_BUCKETS - 1]]
    assert {name: counts.tolist() for name, counts in now.off_course.items()} == {"loop": [0, 1, 0, 0, 1]}


def test_a_full_map_adds_neighbours_up_and_loses_none() -> None:
    ends = EndMap(columns=8)
    for episode in range(37):
        ends.add(episode * END_BUCKET_PIXELS, "left" if episode % 5 == 1 else "death" if episode % 5 else "clear")
        ends.ends().deaths[:] = 99  # a copy
    now = ends.ends()
    assert now.episodes == 8
    assert len(now.clears) == len(now.deaths) == 5
    assert (now.deaths.sum(axis=1) + now.clears).tolist() == [8, 8, 8, 8, 5]
    clears = [sum(1 for n in range(start, min(start + 8, 37)) if n % 5 == 0) for start in range(0, 37, 8)]
    assert now.clears.tolist() == clears
    assert np.flatnonzero(now.deaths[1]).tolist() == [n for n in range(8, 16) if n % 5]
    left = [sum(1 for n in range(start, min(start + 8, 37)) if n % 5 == 1) for start in range(0, 37, 8)]
    assert now.off_course["left"].tolist() == left


def log_episodes(logger: MetricLogger, ends: str) -> None:
    for step, end in enumerate(ends):
        logger.log_episode(
            0, step=step, epsilon=1.0, max_x=100, progress=0.1, end={"c": "clear", "d": "death"}[end], seconds=1.0
        )


def test_the_clear_rate_is_that_of_the_last_hundred(tmp_path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    assert logger.clear_rate == 0
    log_episodes(logger, "cdd")
    assert logger.clear_rate == 1 / 3
    log_episodes(logger, 60 * "d" + 40 * "c")
    assert logger.clear_rate == 0.4
    assert [record.end for record in logger.recent[-2:]] == ["clear", "clear"]
    assert len(logger.recent) == 100


def test_a_resumed_run_knows_where_its_episodes_ended(tmp_path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_episodes(logger, "cddcd")
    again = MetricLogger(tmp_path, "1-1", 1)
    again.load_state_dict(logger.state_dict())
    assert again.end_map.ends().clears.tolist() == [1, 0, 0, 1, 0]


def test_notes_stand_in_the_log_beneath_its_heading(tmp_path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_episodes(logger, "d")
    logger.note(1200, "now with\n a lower\tlearning rate")
    logger.log_means(step=1300, epsilon=0.5)
    heading, note, line = (tmp_path / "log").read_text().splitlines()
    assert heading.split()[:3] == ["Episode", "Step", "Epsilon"]
    assert note.startswith("# step 1200, ")
    assert note.endswith(": now with a lower learning rate")
    assert line.split()[:2] == ["0", "1300"]


def test_the_progress_of_a_run_is_how_far_its_episodes_got(tmp_path) -> None:
    assert progress(tmp_path, 4) == []
    logger = MetricLogger(tmp_path, "1-1", 1)
    for n in range(10):
        logger.log_episode(0, step=n, epsilon=1.0, max_x=40, progress=n / 10, end="death", seconds=1.0)
    assert progress(tmp_path, 2) == pytest.approx([0.2, 0.7])
    assert progress(tmp_path, 50) == pytest.approx([n / 10 for n in range(10)])
    logger.log_episode(0, step=11, epsilon=1.0, max_x=3161, progress=1.0, end="clear", seconds=1.0)
    assert progress(tmp_path, 50)[-1] == 1, "what was kept is not what is there now"


def test_a_curve_to_compare_is_the_mean_of_a_hundred_episodes_by_step(tmp_path) -> None:
    assert run_curve(tmp_path, "progress", 5) == []
    logger = MetricLogger(tmp_path, "1-1", 1)
    for n in range(300):
        end = "clear" if n >= 250 else "death"
        logger.log_update(0.5, 1.0)
        logger.log_episode(0, step=10 * n, epsilon=1.0, max_x=n, progress=n / 1000, end=end, seconds=1.0)
    curve = run_curve(tmp_path, "progress", 4)
    assert [step for step, _ in curve] == [0.0, 1000.0, 1990.0, 2990.0]
    assert [value for _, value in curve] == pytest.approx([0.0, 5.05, 14.95, 24.95])
    assert run_curve(tmp_path, "clear rate", 4)[-1] == (2990.0, 0.5)
    assert all(run_curve(tmp_path, name, 1000) for name in COMPARED)


def test_a_damaged_file_is_read_as_far_as_it_can_be(tmp_path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    for n in range(3):
        logger.log_episode(0, step=n, epsilon=1.0, max_x=100, progress=0.1, end="death", seconds=1.0)
    path = tmp_path / "metrics.csv"
    whole = path.read_bytes()
    line = whole.splitlines()[-1]
    for damage in (b"\xff\xfe\x00\r\n", b"\0" * 200_000 + b"\r\n", line.replace(b",100,", b"," + b"9" * 40 + b",")):
        path.write_bytes(whole + damage)
        assert len(read_metrics(path)) == 3
        assert progress(tmp_path, 7) == [0.1] * 3
    path.write_bytes(whole + b'"' + b"x" * 200_000 + b"\r\n" + line)
    assert len(read_metrics(path)) == 3


def test_files_change_when_a_run_goes_on_and_what_is_given_up_is_set_aside(tmp_path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_episodes(logger, "cd")
    state, history = logger.state_dict(), logger.history()
    log_episodes(logger, "dc")
    for step in (1, 2, 3):
        logger.log_evaluation(EvaluationRecord(step, 1.0, "greedy", 1, 0, 0.0, 0.0, 100))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = MetricLogger(tmp_path, "1-1", 1)
    again.load_state_dict(state, history, step=1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before, "nothing was trained yet"
    assert again.history() == history
    assert [record.episode for record in again.episodes()] == [0, 1]
    again.begin()
    again.begin()
    after = {path.name.split(".until-")[0]: path.read_bytes() for path in tmp_path.iterdir() if ".until-" in path.name}
    assert after == {"metrics": before["metrics.csv"], "evaluations": before["evaluations.csv"]}
    assert (tmp_path / "metrics.csv").read_bytes().decode() == history
    assert (tmp_path / "evaluations.csv").read_text().count("greedy") == 1


def test_what_was_set_aside_before_stays_when_its_hour_comes_again(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mario_tui.paths.timestamp", lambda: "2026-10-25T02-30-00")
    given_up = []
    for ends in ("dc", "cc"):
        logger = MetricLogger(tmp_path, "1-1", 1)
        state, history = logger.state_dict(), logger.history()
        log_episodes(logger, ends)
        given_up.append((tmp_path / "metrics.csv").read_bytes())
        again = MetricLogger(tmp_path, "1-1", 1)
        again.load_state_dict(state, history, step=0)
        again.begin()
    assert sorted(path.read_bytes() for path in tmp_path.glob("metrics.until-*")) == sorted(given_up)


def test_what_is_set_aside_twice_in_one_second_is_there_twice(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mario_tui.paths.timestamp", lambda: "2026-11-22T08-30-00")
    given_up = []
    for _ in range(2):
        logger = MetricLogger(tmp_path, "1-1", 1)
        log_episodes(logger, "c")
        state, history = logger.state_dict(), logger.history()
        log_episodes(logger, "d")
        given_up.append((tmp_path / "metrics.csv").read_bytes())
        again = MetricLogger(tmp_path, "1-1", 1)
        again.load_state_dict(state, history)
        again.begin()
    kept = [path.read_bytes() for path in sorted(tmp_path.glob("metrics.until-*.csv"))]
    assert sorted(kept) == sorted(given_up)


def test_where_there_is_no_room_to_set_it_aside_that_is_said(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_episodes(logger, "c")
    state, history = logger.state_dict(), logger.history()
    log_episodes(logger, "d")
    before = (tmp_path / "metrics.csv").read_bytes()
    logger = MetricLogger(tmp_path, "1-1", 1)
    logger.load_state_dict(state, history)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mario_tui.training.metrics.write_atomically", full)
    with pytest.raises(TrainingError, match="No space left on device; make room"):
        logger.begin()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"metrics.csv": before}
    monkeypatch.undo()
    logger.begin()
    assert (tmp_path / "metrics.csv").read_bytes().decode() == history


def test_a_line_that_is_no_number_is_left_out(tmp_path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_episodes(logger, "cc")
    text = (tmp_path / "metrics.csv").read_bytes()
    (tmp_path / "metrics.csv").write_bytes(text + text.splitlines()[-1].replace(b",1.0,", b",nan,") + b"\r\n")
    assert len(read_metrics(tmp_path / "metrics.csv")) == 2


def test_metrics_that_a_spreadsheet_has_saved_are_read(tmp_path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_episodes(logger, "cd")
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_metrics(path) == list(logger.recent)


def log_learning(logger: MetricLogger, updates: Sequence[tuple[float, float] | None]) -> None:
    """An episode each, with an update of this loss and Q value or with none."""
    for update in updates:
        if update is not None:
            logger.log_update(*update)
        logger.log_episode(0, step=10 * logger.episode, epsilon=1.0, max_x=100, progress=0.1, end="death", seconds=1.0)


def test_while_nothing_is_learned_loss_and_q_have_no_points(tmp_path: Path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_learning(logger, [None, None])
    assert len(logger.curves["reward"].points()) == 2
    assert logger.learned_mean("loss") is None
    for name in ("loss", "q", "loss_mean", "q_mean"):
        assert logger.curves[name].points() == (), name
    assert [run_curve(tmp_path, name, 10) for name in ("loss", "Q")] == [[], []]
    assert len(run_curve(tmp_path, "reward", 10)) == 2
    log_learning(logger, [(0.5, 2.0), (1.5, 4.0)])
    assert logger.curves["loss"].points() == ((2, 0.5), (3, 1.5))
    assert logger.curves["q_mean"].points() == ((2, 2.0), (3, 3.0))
    assert logger.learned_mean("q") == 3.0
    assert logger.mean("loss") == 0.5, "the tutorial's log counts all episodes"
    assert run_curve(tmp_path, "loss", 10) == [(20.0, 0.5), (30.0, 1.0)]
    assert run_curve(tmp_path, "Q", 10) == [(20.0, 2.0), (30.0, 3.0)]
    rows = read_metrics(tmp_path / "metrics.csv")
    assert [row.loss for row in rows] == [0, 0, 0.5, 1.5], "a line of the file has all of its columns"
    assert [row.learned for row in rows] == [False, False, True, True]


@pytest.mark.parametrize("window", [1, 3, 10])
def test_a_moving_mean_is_that_of_the_values_among_the_last(window: int) -> None:
    rng = np.random.default_rng(window)
    values = [None if rng.random() < 0.4 else float(rng.normal()) * 10**6 for _ in range(200)]
    moving = MovingMean(window)
    for n, value in enumerate(values, 1):
        last = [one for one in values[max(0, n - window) : n] if one is not None]
        assert moving.add(value) == pytest.approx(np.mean(last) if last else None, abs=1e-6)


def test_there_are_curves_of_means_over_more_and_fewer_episodes(tmp_path: Path) -> None:
    assert MEAN_WINDOWS == (10, 100, 1000)
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_learning(logger, [None, *((n / 100, n) for n in range(1, 150)), None])
    points = {window: logger.curves[mean_name("q", window)].points() for window in MEAN_WINDOWS}
    assert {len(of) for of in points.values()} == {149}, "episodes in which something was learned"
    assert points[10][-1] == (149, pytest.approx(np.mean(range(140, 150))))
    assert points[100][-1] == (149, pytest.approx(np.mean(range(50, 150))))
    assert points[1000][-1] == (149, pytest.approx(np.mean(range(1, 150))))
    assert points[10][4] == points[100][4] == (5, 3.0), "as many as there are"


def test_a_curve_to_compare_can_be_of_more_or_fewer_episodes(tmp_path: Path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_learning(logger, [(0.5, n) for n in range(1, 41)])
    assert [value for _, value in run_curve(tmp_path, "Q", 4, 1)] == [1, 14, 27, 40]
    assert [value for _, value in run_curve(tmp_path, "Q", 4, 10)] == pytest.approx([1, 9.5, 22.5, 35.5])
    assert run_curve(tmp_path, "Q", 4, 1000)[-1][1] == pytest.approx(20.5)


def test_a_resumed_run_has_the_same_curves(tmp_path: Path) -> None:
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_learning(logger, [None, (0.5, 2.0), None, (1.5, -4.0)])
    again = MetricLogger(tmp_path, "1-1", 1)
    again.load_state_dict(logger.state_dict())
    assert {name: curve.points() for name, curve in again.curves.items()} == {
        name: curve.points() for name, curve in logger.curves.items()
    }
    assert again.curves["q"].points() == ((1, 2.0), (3, -4.0))


@pytest.mark.slow  # matplotlib
def test_the_pictures_of_loss_and_q_say_that_nothing_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.axes import Axes

    said: list[str] = []
    text = Axes.text
    monkeypatch.setattr(Axes, "text", lambda self, x, y, s, **more: (said.append(s), text(self, x, y, s, **more))[1])
    logger = MetricLogger(tmp_path, "1-1", 1)
    log_learning(logger, [None, None])
    save_curves(tmp_path, logger.curves)
    assert said == ["nothing learned yet"] * 2
    log_learning(logger, [(0.5, 2.0)])
    save_curves(tmp_path, logger.curves)
    assert len(said) == 2
    assert len(list(tmp_path.glob("*_plot.png"))) == 4
