"""Commands on terminals and in locales that show little, and the texts of `--help`."""

import argparse
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import warm
from saved import write

from mario_tui.cli import build_parser

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
METRICS = "\n".join(
    (
        "episode,step,epsilon,stage,reward,length,loss,q,max_x,end,seconds",
        "0,20,1.0,1-1,100.0,20,0.0,0.0,150,time,1.0",
        "1,40,1.0,1-1,200.0,20,0.5,1.5,300,time,2.0\n",
    )
)
LATIN_1 = {"PYTHONIOENCODING": "iso-8859-1"}


def ends(command: tuple[str, ...], variables: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONIOENCODING", "LC_ALL")}
    return subprocess.run(
        [sys.executable, "-m", "mario_tui", *command],
        stdin=subprocess.DEVNULL, capture_output=True, env={**environment, **variables}, check=False, timeout=200,
    )  # fmt: skip


@pytest.mark.parametrize("variables", [ASCII, LATIN_1], ids=["ascii", "latin-1"])
def test_names_that_a_locale_does_not_have_are_listed(home: Path, variables: dict[str, str]) -> None:
    recordings = home / "recordings"
    recordings.mkdir()
    (recordings / "übung-привет.mp4").write_bytes(b"no video")
    listed = ends(("recordings",), variables)
    assert (listed.returncode, listed.stderr) == (0, b"")
    as_json = ends(("recordings", "--json"), variables)
    found = json.loads(as_json.stdout)
    assert (as_json.returncode, as_json.stderr) == (0, b"")
    if variables is LATIN_1:  # with the other, names of files are no text for Python
        assert b"\xfcbung-\\u043f" in listed.stdout
        assert found[0]["path"].endswith("übung-привет.mp4")
    failed = ends(("recordings", "--delete", "нет"), variables)
    assert failed.returncode == 2
    assert failed.stderr.count(b"\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("variables", [ASCII, LATIN_1], ids=["ascii", "latin-1"])
def test_curves_and_notes_in_such_a_locale(home: Path, variables: dict[str, str]) -> None:
    for name in ("a", "b"):
        write(home / "checkpoints" / name)
        (home / "checkpoints" / name / "metrics.csv").write_text(METRICS)
    table = ends(("runs", "compare", "a", "b"), variables)
    assert (table.returncode, table.stderr) == (0, b"")
    assert b"\\u" not in table.stdout
    noted = ends(("runs", "note", "a", "Заметка"), variables)
    assert noted.returncode == 0, noted.stderr
    (entry,) = json.loads((home / "checkpoints" / "a" / "evaluations.json").read_text()).values()
    assert entry["note"] == "Заметка"


def on_a_terminal(arguments: tuple[str, ...], variables: dict[str, str]) -> tuple[int, str]:
    """The exit code, and all that a terminal is sent."""
    master, slave = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    process = warm.Popen(
        [sys.executable, "-m", "mario_tui", *arguments],
        stdin=slave, stdout=slave, stderr=slave, env={**environment, **variables}, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    sent = b""
    try:
        while data := os.read(master, 4096):
            sent += data
    except OSError:  # the other end is closed
        pass
    os.close(master)
    return process.wait(200), sent.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("term", ["dumb", ""])
@pytest.mark.parametrize("command", [(), ("play",), ("watch", "world-1-1")])
def test_the_app_says_in_a_line_that_a_terminal_cannot_show_it(home: Path, command: tuple[str, ...], term: str) -> None:
    code, sent = on_a_terminal(command, {"TERM": term})
    assert code == 2
    assert sent.count("\n") == 1
    assert sent.startswith("mario-tui: the app needs a terminal that it can draw on, and TERM ")


@pytest.mark.slow
def test_a_training_on_such_a_terminal_tells_of_itself_in_plain_lines(home: Path) -> None:
    games = ("--envs", "1", "--measuring-games", "0")
    small = (*games, "--steps", "120", "--threads", "1", "--replay-size", "500", "--batch-size", "8")
    often = ("--burn-in", "40", "--max-episode-steps", "20", "--log-every", "1")
    code, sent = on_a_terminal(("train", "--name", "plain", *small, *often), {"TERM": "dumb"})
    assert code == 0, sent
    assert "\x1b" not in sent
    assert len(re.findall(r"(?m)^Episode \d+ - Step \d+ ", sent)) >= 5
    code, sent = on_a_terminal(("checkpoints",), {"TERM": "dumb"})
    assert "\x1b" not in sent
    assert "plain/step-000000120 " in sent, "no name is cut off"


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


PROPER = (
    *("Adam", "CPU", "CUDA", "Ctrl", "DQN", "GB", "GIF", "GPU", "JSON", "MB", "MP4", "Mario", "NES", "PyTorch"),
    *("Python", "Q", "SLURM", "TD", "TOML", "TensorBoard", "URL"),
)
"""Words that have their capitals everywhere but in what is typed: `cuda`, `.mp4`, `--json`."""


def test_help_keeps_the_capitals_of_names() -> None:
    texts = []
    for parser in parsers(build_parser(["train"])):
        texts += [
            parser.description or "",
            parser.epilog or "",
            *(group.title or "" for group in parser._action_groups),
        ]
        texts += [action.help for action in parser._actions if action.help and action.help != argparse.SUPPRESS]
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                texts += [choice.help or "" for choice in action._choices_actions]
    assert len(texts) > 150
    typed = re.compile(
        r"`[^`]*`|'[^']*'|\bauto, (?:\w+, )*(?:\w+ or \S+)?|cuda:1|\((?:\w+, )+default|[.-]\w+|\bmario-tui\b"
        r"|\b\w+[/.]\w+"
    )
    for text in texts:
        prose = typed.sub("", re.sub(r"\([^()]*; default [^()]*\)", "", text))
        for word in PROPER:
            for found in re.finditer(rf"\b{word}\b", prose, re.IGNORECASE):
                assert found[0] == word, text


def test_a_command_is_described_as_it_is_listed() -> None:
    (commands,) = (a for a in build_parser(())._actions if isinstance(a, argparse._SubParsersAction))
    listed = {choice.dest: choice.help or "" for choice in commands._choices_actions}
    assert len(listed) >= 15
    for name, command in commands.choices.items():
        assert command.description == f"{listed[name][0].upper()}{listed[name][1:]}.", name
