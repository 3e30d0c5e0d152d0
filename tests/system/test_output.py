"""Standard output and error as users have them: other character sets, closed, full, a terminal that cannot draw."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mario_tui.errors import InputError
from mario_tui.system import output


@pytest.fixture
def streams() -> Iterator[None]:
    before = sys.stdin, sys.stdout, sys.stderr
    yield
    sys.stdin, sys.stdout, sys.stderr = before


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "é п ▀ \ud83d".encode("utf-8", "backslashreplace") + b" \xff"),
        ("iso-8859-1", b"\xe9 \\u043f \\u2580 \\ud83d \xff"),
        ("cp1251", b"\\xe9 \xef \\u2580 \\ud83d \xff"),
        ("ascii", b"\\xe9 \\u043f \\u2580 \\ud83d \xff"),
    ],
)
def test_any_text_can_be_printed(encoding: str, shown: bytes, streams: None) -> None:
    for name in ("stdout", "stderr"):
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        setattr(sys, name, file)
        output.set_up()
        print("é п ▀ \ud83d \udcff", end="", file=file, flush=True)
        assert file.buffer.getvalue() == shown


@contextmanager
def on_a_terminal() -> Iterator[None]:
    """A pseudo-terminal with UTF-8 is all three streams."""
    before = sys.stdin, sys.stdout, sys.stderr
    master, slave = pty.openpty()
    sys.stdin = os.fdopen(os.dup(slave), encoding="utf-8")
    sys.stdout, sys.stderr = (os.fdopen(os.dup(slave), "w", encoding="utf-8") for _ in range(2))
    opened = sys.stdin, sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        for file in opened:
            file.close()
    os.close(slave)
    os.close(master)


def test_a_bar_is_drawn_where_it_can_be_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def live() -> bool:
        with on_a_terminal():
            return output.is_live(sys.stdout)

    monkeypatch.delenv("CI", raising=False)
    for term, expected in (("xterm-256color", True), ("linux", True), ("dumb", False), ("unknown", False), ("", False)):
        monkeypatch.setenv("TERM", term)
        assert live() is expected, term
    monkeypatch.delenv("TERM")
    assert not live()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", "true")
    assert not live()


def test_no_bar_is_drawn_into_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with (tmp_path / "log").open("w") as file:
        assert not output.is_live(file)


def problem(encoding: str = "utf-8", *, redirected: str = "") -> str:
    """What is said where the app is to be drawn on a terminal; `redirected` is a stream that is a file."""
    with on_a_terminal(), open(os.devnull, "w", encoding="utf-8") as file:
        sys.stderr.reconfigure(encoding=encoding)
        if redirected:
            setattr(sys, redirected, file)
        try:
            output.check_full_screen("no terminal")
        except InputError as error:
            return str(error)
        return ""


def test_the_app_is_not_drawn_where_it_would_be_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert not problem()
    assert not problem("UTF8")
    assert "PYTHONIOENCODING=utf-8" in problem("iso-8859-1")
    assert "standard error" in problem(redirected="stderr")
    assert problem(redirected="stdout") == "no terminal"
    for term in ("dumb", "unknown", ""):
        monkeypatch.setenv("TERM", term)
        assert "TERM" in problem()
        assert term in problem()
        assert "\n" not in problem()


PRINT = (
    "import sys; from mario_tui.system import output; output.set_up(); print('x'); print('y', file=sys.stderr);"
    "sys.stdin.read(); raise SystemExit(output.finish(int(sys.argv[1])))"
)


@pytest.mark.parametrize(
    ("redirection", "code", "says"),
    [
        ("", "0", ""),
        (">&-", "0", ""),
        ("2>&-", "0", ""),
        ("<&- >&- 2>&-", "0", ""),
        (">&- 2>&-", "3", ""),
        pytest.param(
            ">/dev/full",
            "1",
            "mario-tui: standard output: No space left on device\n",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full"),
        ),
    ],
)
def test_closed_and_full_streams(redirection: str, code: str, says: str) -> None:
    given = "3" if code == "3" else "0"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {given} {redirection}', sys.executable, PRINT],
        input=b"", capture_output=True, check=False, env=environment,
    )  # fmt: skip
    assert ended.returncode == int(code), ended.stderr
    assert ended.stderr.decode() == ("" if "2>&-" in redirection else f"y\n{says}")


def test_a_reader_that_has_gone_is_no_traceback() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run(
        ["sh", "-c", '{ "$0" -c "$1" 0; echo "code $?" >&2; } | true', sys.executable, PRINT],
        input=b"", capture_output=True, check=False, env=environment,
    )  # fmt: skip
    assert ended.stderr in (b"y\ncode 1\n", b"y\ncode 0\n")  # the reader may go a little later
