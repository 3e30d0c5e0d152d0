"""What is read back of a run's records."""

import os
from pathlib import Path

from mario_tui.store import history
from mario_tui.store.history import EpisodeRecord, csv_heading, csv_line


def record(number: int, progress: float = 0.5) -> EpisodeRecord:
    return EpisodeRecord(
        number, 100 * (number + 1), 0.1, "1-1", 10.0, 20, 0.0, 0.0, 300, "death", 1.0, "training", progress
    )


def write(run: Path, count: int) -> None:
    lines = [csv_line(record(number)) for number in range(count)]
    (run / "metrics.csv").write_text(csv_heading(EpisodeRecord) + "".join(lines), newline="")


def test_the_last_step_is_that_of_the_last_whole_line(tmp_path: Path) -> None:
    assert history.last_step(tmp_path) == 0
    write(tmp_path, 0)
    assert history.last_step(tmp_path) == 0
    write(tmp_path, 1)
    assert history.last_step(tmp_path) == 100
    write(tmp_path, 500)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("500,50100,0.1")
    assert (tmp_path / "metrics.csv").stat().st_size > history._TAIL_BYTES
    assert history.last_step(tmp_path) == 50_000


def test_a_curve_is_read_again_only_where_its_file_has_changed(tmp_path: Path) -> None:
    assert history.run_curve(tmp_path, "progress", 10) == []
    write(tmp_path, 3)
    assert history.run_curve(tmp_path, "progress", 10) == [(100.0, 50.0), (200.0, 50.0), (300.0, 50.0)]
    path = tmp_path / "metrics.csv"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b",0.5", b",0.7"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert history.run_curve(tmp_path, "progress", 10)[0] == (100.0, 50.0), "as if nothing had been written"
    write(tmp_path, 4)
    assert len(history.run_curve(tmp_path, "progress", 10)) == 4
