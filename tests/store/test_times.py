"""Times: files state them so that they mean the same everywhere, people read those of the place where they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from saved import write

from mario_tui import paths
from mario_tui.cli import main
from mario_tui.store import catalog
from mario_tui.system import crash, times
from mario_tui.tui import run_tree
from mario_tui.video import library


@pytest.fixture
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("UTC", "2026-11-23 05:26"),
        ("Asia/Tokyo", "2026-11-23 14:26"),
        ("America/St_Johns", "2026-11-23 01:56"),
        ("Pacific/Kiritimati", "2026-11-23 19:26"),
    ],
    indirect=["place"],
)
def test_a_time_is_shown_as_clocks_of_the_place_show_it(
    home: Path, capsys: pytest.CaptureFixture, place: str, shown: str
) -> None:
    write(home / "checkpoints" / "a", created="2026-11-23T05:26:38+00:00")
    assert times.local("2026-11-23T05:26:38+00:00") == shown
    assert times.local("2026-11-23T05:26:38Z") == shown
    assert main(["checkpoints"]) == 0
    assert shown in capsys.readouterr().out
    assert main(["checkpoints", "--json"]) == 0
    assert '"created": "2026-11-23T05:26:38+00:00"' in capsys.readouterr().out


@pytest.mark.parametrize("place", ["Europe/Berlin"], indirect=True)
def test_when_clocks_are_put_back_later_still_comes_after_earlier(home: Path, place: str) -> None:
    before, after = "2026-10-25T02:30:00+02:00", "2026-10-25T02:10:00+01:00"  # forty minutes later
    assert times.order(before) < times.order(after) == times.order("2026-10-25T01:10:00Z")
    assert (times.local(before), times.local(after)) == ("2026-10-25 02:30", "2026-10-25 02:10")
    for name, created in (("a", after), ("b", before)):
        write(home / "checkpoints" / name, created=created)
    found = catalog.scan()
    assert [run.run for run in found.runs] == ["a", "b"]
    assert [info.run for info in found.checkpoints] == ["a", "b"]
    rows = [run_tree.Row(run) for run in reversed(found.runs)]
    assert [row.run.run for row in run_tree.visible_rows(rows, order="age", words="", opened=())] == ["a", "b"]


@pytest.mark.parametrize("stated", ["", "yesterday", "2026-13-40T00:00:00+00:00", "0001-01-01T00:00:00", "9" * 90])
def test_a_time_that_cannot_be_read_is_the_earliest_and_not_shown(stated: str) -> None:
    assert times.order(stated) <= times.order("0001-01-02T00:00:00+00:00")
    assert times.local(stated) in ("", "0001-01-01 00:00")
    assert times.local("9999-12-31T23:59:59-12:00") in ("", "9999-12-31 23:59")


@pytest.mark.parametrize("place", ["Asia/Tokyo"], indirect=True)
def test_what_is_saved_now_states_its_offset(home: Path, place: str) -> None:
    began = datetime.now(timezone.utc)
    folder = write(home / "checkpoints" / "a")
    (home / "recordings").mkdir()
    (home / "recordings" / "x.gif").write_bytes(b"GIF89a")
    (info,) = catalog.scan().checkpoints
    for created in (info.created, library.list_recordings()[0].created, times.of_timestamp(folder.stat().st_mtime)):
        then = datetime.fromisoformat(created)
        assert then.utcoffset() is not None
        assert abs(then - began) < timedelta(minutes=5)
    named = datetime.strptime(paths.timestamp(), "%Y-%m-%dT%H-%M-%S")
    assert abs(named - (began + timedelta(hours=9)).replace(tzinfo=None)) < timedelta(minutes=5)


def test_names_of_one_moment_replace_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the hour that comes twice in autumn."""
    monkeypatch.setattr(paths, "timestamp", lambda: "2026-10-25T02-30-00")
    logs = [crash.write_text(None, text) for text in ("one", "two")]
    assert [log.read_text().splitlines()[-1] for log in logs if log] == ["one", "two"]
