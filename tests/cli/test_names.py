"""What files may be called: any name a file can have is one of a video, and is never taken for something else."""

import contextlib
import json
import os
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mario_tui import paths
from mario_tui.cli import main
from mario_tui.config import make_config
from mario_tui.errors import InputError
from mario_tui.game.action_log import ActionLog, load_logs
from mario_tui.printable import printable
from mario_tui.store import lookup
from mario_tui.store import run as runs
from mario_tui.system import crash
from mario_tui.training.run_folder import RunFolder
from mario_tui.tui.services import Services
from mario_tui.video import library
from mario_tui.video.writer import VideoWriter, check_video

LOG = ActionLog("1-1", 4, (130, 131, 131) * 5)
STRANGE = (
    "best:1-1", "12:30", "pipe:1", "data:x", "file:x", "concat:a|b", "http:", "%d", "%03d%s%n", "-x", "--fps", "[b]x",
    "[red]x[/]", "[/]", "a\nframe=9", "\x1b[2J\x1b]0;x\x07", "\r", "\udcff\udc80", "Ж", "马里奥", "é", "e\u0301",
    "\u202egif", "\u200d", " ", "x ", "x.", ".", "..x", ".hidden", "._x", "~", "~root", "$(x)", "`x`", "'\"", "\\n",
    "*?", "a" * 250, "é" * 125, "con", "manifest", "tmp.part", "x.mp4", "x.zip", "🍄",
)  # fmt: skip
LETTERS = st.one_of(st.sampled_from("abz019.:%-[]()/\n\x1b\t '\"\\é\u0301马🍄\udcff~$*"), st.characters())
NAMES = st.one_of(
    st.sampled_from(STRANGE), st.text(LETTERS, min_size=1, max_size=12), st.text(LETTERS, min_size=60, max_size=300)
).map(lambda text: "".join("_" if letter in "/\0" else letter for letter in text))
quick = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def can_be_encoded(name: str) -> bool:
    with contextlib.suppress(UnicodeEncodeError):  # half of a letter, which no command line can hold
        os.fsencode(name)
        return True
    return False


def one_line(text: str) -> bool:
    return text.endswith("\n") and text[:-1].isprintable()


@pytest.mark.slow
@quick
@given(NAMES.filter(can_be_encoded), st.sampled_from([".mp4", ".gif"]), st.integers(0, 3))
@example("a" * 250, ".mp4", 0)
@example("a" * 251, ".gif", 0)
@example("x.mp4 ", "", 0)
@example("", ".mp4", 0)
def test_a_video_has_the_name_it_was_given_or_none_is_left(home: Path, name: str, suffix: str, take: int) -> None:
    """Two frames through a real encoder, with the log beside; as `record` and `replay -o` write them."""
    folder = paths.recordings_dir()
    path = folder / f"{name}{suffix}"
    refused = ""
    try:
        check_video(path, scale=1)
    except InputError as error:
        refused = str(error)
    if refused:
        assert refused.isprintable()
        assert "cannot be recorded to" in refused
        assert len(refused) < 600
        assert names_in(folder) == []
        too_long = len(os.fsencode(path.with_suffix(".json").name)) > 255
        assert too_long or Path(path.name).suffix not in (".mp4", ".gif")
        return
    with VideoWriter(path, scale=1) as video:
        for number in range(2):
            video.add(np.full((16, 64, 3), 100 * number, np.uint8))
        video.put_beside(path.with_suffix(".json"), LOG.to_json(video={"frames": 2}))
    assert names_in(folder) == sorted([path.name, path.with_suffix(".json").name])
    assert path.stat().st_size > 100
    (info,) = library.list_recordings()
    assert (info.path, info.log, info.problem) == (path, path.with_suffix(".json"), "")
    assert load_logs(path.with_suffix(".json")) == (LOG,)
    assert json.loads(json.dumps(info.as_json()))["path"] == str(path)
    if take:
        with contextlib.redirect_stdout(None):
            assert main(["recordings", f"--delete={path if take > 1 else path.name}"]) == 0
    else:
        library.trash(path)
    assert names_in(folder) == [".trash"]
    trashed = names_in(folder / ".trash")
    assert [Path(each).suffix for each in trashed] == sorted([".json", suffix])
    assert len({Path(each).stem for each in trashed}) == 1
    for each in trashed:
        (folder / ".trash" / each).unlink()
    (folder / ".trash").rmdir()


@quick
@given(NAMES)
@example("con")
@example("Aux.1")
@example("com1")
@example("conquest")
@example("x.")
@example("a" * 64)
@example("a" * 65)
def test_a_run_is_called_what_any_disk_can_hold_or_is_refused(home: Path, name: str) -> None:
    refused = ""
    try:
        run = RunFolder.create(make_config(), name)
    except InputError as error:
        refused = str(error)
    if refused:
        assert refused.isprintable()
        assert names_in(paths.checkpoints_dir()) == []
        assert "up to 64 letters" in refused or "Windows" in refused
        return
    assert run.path == paths.checkpoints_dir() / name
    assert name.isascii()
    assert not set(name) & set('<>:"/\\|?*%')
    assert name[0] not in ".-"
    assert name[-1] not in ". "
    run.close()
    runs.run_lock(run.path).unlink()


@pytest.mark.parametrize("name", ["con", "NUL", "aux.tar", "Com7", "lpt0", "x.", "a b", "a:b", "ж", "", "..", "-x"])
def test_what_no_new_run_is_called(name: str) -> None:
    with pytest.raises(InputError, match="cannot be used: "):
        paths.check_run_name(name)


@pytest.mark.parametrize("name", ["console", "nula", "x.con", "1-1_2026-11-22T08-30-00", "com", "a" * 64])
def test_what_a_new_run_may_be_called(name: str) -> None:
    assert paths.check_run_name(name) == name


SHIPPED = Path(__file__).parents[2] / "checkpoints" / "world-1-1"


@pytest.mark.parametrize("name", ["a:b %s [red]x[b]", "line\nbreak \x1b[2J", "\udcff", "-o", "nul.", "Ж" * 127, "$'\\"])
def test_a_run_that_somebody_gave_another_name_is_used_all_the_same(
    home: Path, name: str, capsys: pytest.CaptureFixture
) -> None:
    folder = paths.checkpoints_dir() / name
    folder.mkdir(parents=True)
    (folder / "config.toml").write_bytes((SHIPPED / "config.toml").read_bytes())
    (folder / "step-000309583").symlink_to(SHIPPED / "step-000309583")
    assert main(["checkpoints", "--json"]) == 0
    assert [row["run"] for row in json.loads(capsys.readouterr().out)] == [name]
    assert main(["checkpoints"]) == 0
    shown = capsys.readouterr().out
    assert printable(name) in shown
    assert all(map(str.isprintable, shown.splitlines()))
    assert main(["runs", "note", "--", name, "a line"]) == 0
    assert main(["runs", "rename", "--", name, "new"]) == 0
    assert all(map(str.isprintable, capsys.readouterr().out.splitlines()))
    assert {"config.toml", "evaluations.json", "step-000309583"} <= set(names_in(paths.checkpoints_dir() / "new"))
    os.rename(paths.checkpoints_dir() / "new", folder)
    assert main(["runs", "delete", "--", name]) == 0
    (trashed,) = (paths.checkpoints_dir() / ".trash").iterdir()
    assert (trashed / "config.toml").is_file()
    assert name[:20] in trashed.name


def test_the_command_that_goes_on_with_a_run_can_be_typed(home: Path) -> None:
    for name in ("plain", "a b", "it's", "-x", "$x", "caf\xa0e", "line\n\x1b[2J'\\n", "\udcff", "Ж"):
        words = crash.go_on(paths.checkpoints_dir() / name / "step-000000001")
        assert words.isprintable()
        command = words.partition("go on with: mario-tui train ")[2]
        parsed = subprocess.run(["bash", "-c", f"printf %s {command}"], capture_output=True, check=True).stdout
        assert os.fsdecode(parsed).removeprefix("--resume").removeprefix("=") == name


@pytest.fixture
def odd_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = home / "12:30 %d [b]\n\x1b[2J\udcff.zip"
    folder.mkdir()
    monkeypatch.setenv("MARIO_TUI_HOME", str(folder))
    return folder


STRANGE_RUN = "-o \udcff:%s[b]\n\x1b[2J"


@pytest.mark.slow
def test_commands_end_to_end_with_odd_names(odd_home: Path) -> None:
    """Real processes: one line at a time is printed, and the files have the names that were asked for."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    log = odd_home / "-x.json"
    LOG.save(log)

    def command(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mario_tui", *arguments],
            cwd=odd_home,
            env=environment,
            capture_output=True,
            check=False,
        )
        lines = (done.stdout + done.stderr).decode().splitlines()
        assert all(map(str.isprintable, lines)), lines
        assert done.returncode == code, lines
        if code:
            assert len(lines) == 1
        return "\n".join(lines)

    for name in ("best:1-1.mp4", "12:30.gif", "-x.mp4", "\x1b]0;x\x07\n%s.mp4", "\udcff[/].gif", "a" * 250 + ".mp4"):
        shown = command("replay", "--scale", "1", f"-o={name}", "--", "-x.json")
        assert f"Wrote {printable(name)}" in shown
        made = odd_home / name
        assert made.stat().st_size > 1000
        assert load_logs(made.with_suffix(".json")) == (LOG,)
        command("replay", "--json", "--", str(made.with_suffix(".json")))
    command("replay", "-o", "./-y.mp4", "--scale", "1", "--", "-x.json")
    assert "the name is too long" in command("replay", f"-o={'a' * 251}.mp4", "./-x.json", code=2)
    assert "cannot be recorded to" in command("replay", "./-x.json", "-o", "a\nb.avi", code=2)
    assert "is no action log" in command("replay", "\x1b[2J\nno.json", code=2)
    assert "no checkpoint at" in command("verify", "\x1b[2J\nno", code=2)
    assert "no settings file" in command("train", "--config", "\x1b[2J\n\udcff.toml", code=2)
    assert "no demonstrations" in command("train", "--demonstrations", "\x1b[2J\nno", "--steps", "1", code=2)
    assert "is no" in command("recordings", "--delete", "\x1b[2J\udcff", code=2)
    command("recordings")
    command("checkpoints")
    quick = ("--steps", "8", "--burn-in", "1000", "--envs", "2", "--replay-size", "2000", "--no-record")
    command("train", "--name", "run", "--demonstrations", str(odd_home / "\udcff[/].json"), *quick)
    os.rename(paths.checkpoints_dir() / "run", paths.checkpoints_dir() / STRANGE_RUN)
    command("train", f"--resume={STRANGE_RUN}", "--steps", "16")
    command("verify", "--", STRANGE_RUN)
    assert [each.name for each in lookup.step_folders(paths.checkpoints_dir() / STRANGE_RUN)][-1] == "step-000000016"
    assert [each for each in names_in(odd_home) if "part" in each or "taken" in each] == []


def test_an_accent_is_found_in_the_form_that_a_file_system_keeps(home: Path, capsys: pytest.CaptureFixture) -> None:
    kept = paths.recordings_dir() / unicodedata.normalize("NFD", "é.mp4")
    kept.parent.mkdir()
    kept.write_bytes(b"a video")
    assert main(["recordings", "--delete", unicodedata.normalize("NFC", "é.mp4")]) == 0
    assert names_in(paths.recordings_dir()) == [".trash"]


def test_what_cannot_be_printed_is_shown_as_it_would_be_typed() -> None:
    assert printable("plain Ж 马 [b]%") == "plain Ж 马 [b]%"
    assert printable("a\nb\x1b[2J\udcff\u202e\ud800") == "a\\nb\\x1b[2J\\xff\\u202e\\ud800"
    assert str(InputError("a\nb")) == "a\\nb"


@pytest.fixture
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still, as far as the names of files tell."""
    monkeypatch.setattr(paths, "timestamp", lambda: "2026-11-22T08-30-00")


def never() -> bool:
    return False


def test_recordings_of_one_second_have_a_name_each(home: Path, one_second: None) -> None:
    """As r and v in Watch, and g and m in Recordings, make them: at the same time, each in a thread."""
    log = paths.recordings_dir() / "x.json"
    log.parent.mkdir()
    LOG.save(log)

    def make(number: int) -> Path:
        if number % 3:
            return Services().convert(log, "x", (".mp4", ".gif")[number % 2], 1, lambda *_: None, never).path
        held = [130] * 20 + [number] * 20  # another play
        return Services().record_play("x", "1-1", 4, held, 0, (), lambda *_: None, never).path

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(make, range(6)))
    assert len({path.stem for path in made}) == 6
    assert len(list_of_whole := library.list_recordings()) == 6
    assert all(info.log and not info.problem for info in list_of_whole)
    assert [name for name in names_in(paths.recordings_dir()) if "part" in name or "taken" in name] == []


def test_whatever_gets_an_automatic_name_in_one_second_gets_one_of_its_own(home: Path, one_second: None) -> None:
    first, second = RunFolder.create(make_config()), RunFolder.create(make_config())
    assert first.path != second.path
    first.prepare()
    (first.path / "metrics.csv").touch()
    first.close()  # it was over within the second
    third = RunFolder.create(make_config())
    assert third.path not in (first.path, second.path)
    run = first.path
    logs = [crash.write_text(run, f"crash {number}") for number in range(3)]
    assert len(set(logs)) == 3
    assert all(path is not None and path.read_text().endswith(f"crash {n}") for n, path in enumerate(logs))
    with paths.new_play("1-1") as one, paths.new_play("1-1") as other:
        assert one != other
    trashed = []
    for number in range(2):
        video = paths.recordings_dir() / "x.mp4"
        video.parent.mkdir(exist_ok=True)
        video.write_text(str(number))
        LOG.save(video.with_suffix(".json"))
        trashed.append(library.trash(video))
        (paths.checkpoints_dir() / "gone").mkdir()
        trashed.append(runs.trash(paths.checkpoints_dir() / "gone"))
    assert len(set(trashed)) == 4
    assert [trashed[0].read_text(), trashed[2].read_text()] == ["0", "1"]
    assert all(path.exists() for path in trashed)
    assert Services().save_screenshot("<svg/>") != Services().save_screenshot("<svg/>")


def test_watch_takes_a_video_for_its_action_log(
    home: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = paths.recordings_dir() / "12:30 [b].mp4"
    video.parent.mkdir()
    video.touch()
    assert main(["watch", str(video)]) == 2
    assert "12:30 [b].json is no action log" in capsys.readouterr().err
    LOG.save(video.with_suffix(".json"))
    assert main(["watch", str(video)]) == 2
    assert "terminal" in capsys.readouterr().err
