"""The command line as outside checks call it: exit codes, one-line errors, JSON keys."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import warm

from mario_tui.agent.network import MarioNet
from mario_tui.agent.spec import TUTORIAL
from mario_tui.buttons import ACTION_SETS
from mario_tui.cli import main
from mario_tui.play.exam import Exam, write_exam
from mario_tui.presets import PRESETS
from mario_tui.store import catalog, evaluations

SMALL = (
    "--burn-in", "20", "--replay-size", "500", "--batch-size", "8", "--threads", "1", "--max-episode-steps", "40",
)  # fmt: skip


def mario_tui(*arguments: str, run: Any = warm.run, **options) -> subprocess.CompletedProcess:
    return run(
        [sys.executable, "-m", "mario_tui", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280, check=False, **options,
    )  # fmt: skip


@pytest.fixture
def chkpt(home: Path) -> Path:
    """A checkpoint as the tutorial writes it."""
    torch.manual_seed(0)
    path = home / "mario_net_0.chkpt"
    torch.save({"model": MarioNet(TUTORIAL).state_dict(), "exploration_rate": 0.9}, path)
    return path


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from mario_tui.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'textual', 'gym', 'gymnasium', 'pydantic', 'numpy', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "checkpoints" in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "eval",
        "audit",
        "search",
        "export",
        "record",
        "replay",
        "watch",
        "play",
        "checkpoints",
        "verify",
        "bench",
        "doctor",
    ],
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"mario-tui {command}" in capsys.readouterr().out


BAD = [
    (),
    ("nonsense",),
    ("train", "--stage", "9-9"),
    ("train", "--stage", "../1-1"),
    ("train", "--episodes", "-3"),
    ("train", "--episodes", "many"),
    ("train", "--learning-rate", "0"),
    ("train", "--preset", "slow"),
    ("train", "--unknown-flag", "1"),
    ("train", "--name", "../escape"),
    ("train", "--name", "a/b"),
    ("train", "--name", ".."),
    ("train", "--name", ".hidden"),
    ("train", "--name", "two words"),
    ("train", "--name", "x" * 65),
    ("train", "--name", "two\nlines"),
    ("train", "--name", "run.lock"),
    ("train", "--name", "/absolute"),
    ("train", "--name", "nul\0byte"),
    ("train", "extra"),
    ("train", "--steps"),
    ("train", "--steps", "1e6"),
    ("train", "--steps", "999999999999999999999"),
    ("train", "--learning-rate", "nan"),
    ("train", "--learning-rate", "inf"),
    ("train", "--gamma", "1.5"),
    ("train", "--sticky", "nan"),
    ("train", "--noops", "-1"),
    ("train", "--envs", "-1"),
    ("train", "--workers", "-1"),
    ("train", "--seed", "-1"),
    ("train", "--batch-size", "0"),
    ("train", "--device", "gpu"),
    ("train", "--device", "mps"),
    ("train", "--device", "cuda:97"),
    ("train", "--actors", "spark"),
    ("train", "--actors", "ray:head"),
    ("train", "--seeds", "0,1"),
    ("train", "--run-cores", "2"),
    ("train", "--on", "spark"),
    ("train", "--on", "ray", "--seeds", "0;1"),
    ("train", "--on", "ray", "--run-cores", "0"),
    ("train", "--on", "ray", "--run-gpus", "1.5"),
    ("train", "--on", "ray", "--name", "a/b"),
    ("train", "--on", "ray", "--resume", "mario_net_0.chkpt"),
    ("train", "--on", "ray", "--init-from", "mario_net_0.chkpt"),
    ("train", "--on", "ray", "--actors", "ray"),
    ("train", "--init-from", "missing"),
    ("train", "--init-from", "foreign"),
    ("train", "--init-from", "notes.chkpt"),
    ("train", "--init-from", ""),
    ("train", "--init-from", "mario_net_0.chkpt", "--network", "small"),
    ("train", "--init-from", "mario_net_0.chkpt", "--resume", "mario_net_0.chkpt"),
    ("train", "--network", "huge"),
    ("train", "--action-set", "all"),
    ("train", "--json=yes"),
    ("train", "--resume", "../.."),
    ("train", "--resume", "/etc/passwd"),
    ("train", "--resume", "nul\0byte"),
    ("train", "--resume", "x" * 5000),
    ("train", "--config", ""),
    ("train", "--config", "table.toml"),
    ("train", "--config", "wrong.toml"),
    ("train", "--config", "bytes.toml"),
    ("train", "--config", "missing.toml"),
    ("train", "--config", "unknown.toml"),
    ("train", "--config", "broken.toml"),
    ("train", "--resume", "missing"),
    ("train", "--resume", "foreign"),
    ("train", "--resume", "notes.txt"),
    ("train", "--replay-size", "1000000000", "--episodes", "1"),
    ("train", "--demonstrations", "missing"),
    ("train", "--demonstrations", "notes.txt"),
    ("train", "--demonstrations", "foreign"),
    ("train", "--demonstration-share", "1.1"),
    ("train", "--resume", ""),
    ("train", "--name", ""),
    ("eval",),
    ("eval", ""),
    ("eval", "mario_net_0.chkpt", "--stage", ""),
    ("record", "mario_net_0.chkpt", "-o", ""),
    ("eval", "missing"),
    ("eval", "notes.txt"),
    ("eval", "notes.chkpt"),
    ("eval", "mario_net_0.chkpt", "--stage", "0-1"),
    ("eval", "mario_net_0.chkpt", "--episodes", "0"),
    ("eval", "mario_net_0.chkpt", "--sticky", "2"),
    ("exam", "mario_net_0.chkpt", "missing"),
    ("exam", "mario_net_0.chkpt", "notes.txt"),
    ("exam", "mario_net_0.chkpt"),
    ("audit", "mario_net_0.chkpt", "--actions", "nonsense"),
    ("audit", "mario_net_0.chkpt", "--back", "4,x"),
    ("audit", "mario_net_0.chkpt", "--back", "0"),
    ("audit", "mario_net_0.chkpt", "--threads", "0"),
    ("audit", "mario_net_0.chkpt", "--episodes", "0"),
    ("record", "mario_net_0.chkpt", "-o", "x.avi"),
    ("record", "mario_net_0.chkpt", "-o", "x.mp4", "--scale", "0"),
    ("record", "mario_net_0.chkpt", "-o", "x.mp4", "--fps", "17"),
    ("record", "mario_net_0.chkpt", "missing"),
    ("record", "mario_net_0.chkpt", "--grid", "2"),
    ("record", "mario_net_0.chkpt", "mario_net_0.chkpt", "--grid", "2"),
    ("record", "mario_net_0.chkpt", "mario_net_0.chkpt", "--overlay", "-o", "x.mp4"),
    ("record", "mario_net_0.chkpt", "mario_net_0.chkpt", "--best-of", "2", "-o", "x.mp4"),
    ("record", "mario_net_0.chkpt", "--best-of", "0", "-o", "x.mp4"),
    ("record", "mario_net_0.chkpt", "--sticky", "2", "-o", "x.mp4"),
    ("record", "mario_net_0.chkpt", "--stage", "1-1,9-9", "-o", "x.mp4"),
    ("record", "mario_net_0.chkpt", "--stage", "1-1,", "-o", "x.mp4"),
    ("record", "mario_net_0.chkpt", "mario_net_0.chkpt", "--stage", "1-1,1-2", "-o", "x.mp4"),
    ("replay", "missing.json"),
    ("replay", "notes.txt"),
    ("watch", "missing"),
    ("watch", "mario_net_0.chkpt"),
    ("play",),
    ("play", "--stage", "9-9"),
    ("play", "--stage", ""),
    ("play", "--record", "x.avi"),
    ("play", "--record", "x.gif", "--fps", "60"),
    ("play", "--window", "--terminal"),
    ("verify", "missing"),
    ("verify", ""),
    ("serve", "--port", "99999999"),
    ("keys", "extra"),
    ("checkpoints", "extra"),
    ("bench", "--steps", "-1"),
    ("bench", "--preset", "slow"),
    ("bench", "--envs", "-1"),
    ("bench", "--device", "tpu"),
    ("bench", "--device", "cuda:97", "--steps", "10"),
    ("bench", "--precision", "half"),
    ("bench", "--preset", "tutorial", "--evaluations"),
    ("export", "mario_net_0.chkpt", "--name", "shared"),
    ("export", "missing", "--name", "shared"),
    ("export", "foreign", "--name", "../escape"),
]  # fmt: skip


@pytest.fixture
def odd_files(home: Path, chkpt: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    (home / "unknown.toml").write_text("leerning_rate = 1e-4\n")
    (home / "broken.toml").write_text("stage = \n")
    (home / "table.toml").write_text("[train]\nsteps = 5\n")
    (home / "wrong.toml").write_text("learning_rate = nan\n")
    (home / "bytes.toml").write_bytes(b"\xff\xfe")
    (home / "notes.txt").write_text("hello")
    (home / "notes.chkpt").write_text("hello")
    (home / "foreign").mkdir()
    return home


@pytest.mark.parametrize("arguments", BAD, ids=lambda arguments: " ".join(arguments)[:60])
def test_bad_input_is_one_line_and_exit_2(arguments: tuple, odd_files: Path, capfd: pytest.CaptureFixture) -> None:
    before = sorted(odd_files.rglob("*"))
    assert main(list(arguments)) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"mario-tui: [^\n]+\n", err)
    assert "Traceback" not in err
    left = sorted(
        path for path in odd_files.rglob("*") if path.name not in {"checkpoints"} and ".lock" not in path.name
    )
    assert left == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("noise.chkpt", bytes(range(256)) * 20),
        ("empty.pt", b""),
        ("picture.jpg", b"\xff\xd8\xff\xe0"),
        ("cut.pth", b"PK\x03\x04" + bytes(500)),
        ("old", b"\x80\x02" + bytes(500)),
        ("folder", None),
    ],
)
def test_verify_says_in_one_line_what_is_no_checkpoint(
    name: str, content: bytes | None, home: Path, capfd: pytest.CaptureFixture
) -> None:
    if content is None:
        (home / name).mkdir()
    else:
        (home / name).write_bytes(content)
    assert main(["verify", str(home / name)]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(rf"mario-tui: [^\n]*{name}[^\n]+\n", err)
    assert not re.search("torch|Error|weights_only", err, re.IGNORECASE)


def test_a_tutorial_checkpoint_of_any_name_is_whole(chkpt: Path, capfd: pytest.CaptureFixture) -> None:
    other = chkpt.rename(chkpt.with_name("mine.pth"))
    assert main(["verify", str(other)]) == 0
    assert capfd.readouterr() == (f"{other} is whole\n", "")


def test_an_unexpected_error_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def fail() -> list:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(catalog, "scan", fail)
    assert main(["checkpoints"]) == 1
    assert capsys.readouterr().err == "mario-tui: RuntimeError: two lines (add --debug for the traceback)\n"
    with pytest.raises(RuntimeError):
        main(["checkpoints", "--debug"])


def test_from_training_to_a_recording_and_back(home: Path) -> None:
    """The whole path of a headless user, through real processes."""
    arguments = ("train", "--preset", "tutorial", "--episodes", "2", "--name", "path", "--json", *SMALL)
    trained = mario_tui(*arguments, run=subprocess.run)
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr == ""
    lines = [json.loads(line) for line in trained.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["started", "episode", "episode", "finished"]
    finished = lines[-1]
    assert set(finished) == {
        "event", "steps", "episodes", "clears", "seconds", "steps_per_second", "checkpoint", "first_greedy_clear",
    }  # fmt: skip
    assert finished["episodes"] == 2
    assert finished["first_greedy_clear"] is None
    saved = finished["checkpoint"]

    assert mario_tui("verify", saved).returncode == 0
    evaluated = mario_tui("eval", saved, "--json")
    result = json.loads(evaluated.stdout)
    assert set(result) == {"episodes", "clears", "clear_rate", "mean_reward", "mean_x", "max_x", "per_episode"}

    (listed,) = json.loads(mario_tui("checkpoints", "--json").stdout)
    assert set(listed) == {
        "path", "run", "stage", "step", "created", "size_bytes", "whole", "best", "greedy_clear", "robust_clear_rate",
        "mean_reward",
    }  # fmt: skip
    rewards = [line["reward"] for line in lines if line["event"] == "episode"]
    assert listed["mean_reward"] == pytest.approx(sum(rewards) / 2)
    assert f"{listed['mean_reward']:,.0f}" in mario_tui("checkpoints").stdout
    assert listed["path"] == saved
    assert listed["best"] is True
    assert listed["greedy_clear"] is False

    for name in ("x.mp4", "x.gif"):
        recorded = mario_tui("record", "path", "-o", str(home / name), "--json", "--scale", "1")
        assert recorded.returncode == 0, recorded.stderr
        recording = json.loads(recorded.stdout)
        assert set(recording) == {"path", "frames", "seconds", "max_x", "cleared", "action_log"}
        assert recording["max_x"] == result["max_x"]
        assert Path(recording["path"]).stat().st_size > 1000
        played = json.loads(mario_tui("replay", recording["action_log"], "--json").stdout)
        assert set(played) == {"frames", "ram_crc32", "screen_crc32", "max_x", "reward", "cleared", "matches"}
        assert played["matches"] is True
        assert played["frames"] == recording["frames"]
        assert played["max_x"] == recording["max_x"]
        assert played["reward"] == result["mean_reward"]

    resumed = mario_tui("train", "--resume", "path", "--episodes", "3", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout.splitlines()[-1])["episodes"] == 3

    part = Path(saved) / "agent.safetensors"
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    whole = {info["path"]: info["whole"] for info in json.loads(mario_tui("checkpoints", "--json").stdout)}
    assert whole.pop(saved) is False, "it was read through"
    assert whole
    assert all(whole.values())
    damaged = mario_tui("verify", saved)
    assert damaged.returncode == 1
    assert damaged.stderr.count("\n") == 1
    assert "agent.safetensors" in damaged.stderr
    assert mario_tui("eval", saved).returncode == 2


def test_a_tutorial_checkpoint_evaluates_and_records(chkpt: Path, home: Path) -> None:
    evaluated = mario_tui("eval", str(chkpt), "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    recorded = mario_tui("record", str(chkpt), "-o", str(home / "t.gif"), "--json", "--scale", "1", "--overlay")
    assert recorded.returncode == 0, recorded.stderr
    assert json.loads(recorded.stdout)["max_x"] == json.loads(evaluated.stdout)["max_x"]


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_saves_and_stops(home: Path, name: str, code: int) -> None:
    import signal

    process = warm.Popen(
        [sys.executable, "-m", "mario_tui", "train", "--name", "told", "--json", *SMALL],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert "started" in process.stdout.readline()
    assert "episode" in process.stdout.readline()
    process.send_signal(getattr(signal, name))
    rest = process.stdout.read()
    assert process.wait(60) == code
    finished = json.loads(rest.splitlines()[-1])
    assert finished["event"] == "finished"
    assert Path(finished["checkpoint"]).is_dir()


def test_a_killed_trainer_leaves_no_process_behind(home: Path) -> None:
    import psutil

    process = warm.Popen(
        [sys.executable, "-m", "mario_tui", "train", "--name", "gone", "--json", "--envs", "2", *SMALL],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in children if "game.worker" in " ".join(child.cmdline())]
    assert len(workers) >= 1
    if sys.platform == "linux":
        workers[0].suspend()  # it cannot notice anything
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_second_trainer_of_a_run_is_refused(home: Path) -> None:
    with warm.Popen(
        [sys.executable, "-m", "mario_tui", "train", "--name", "one", "--save-every", "20", "--json", *SMALL],
        stdout=subprocess.PIPE, text=True,
    ) as first:  # fmt: skip
        assert first.stdout is not None
        next(line for line in first.stdout if "saved" in line)
        for arguments in (("--name", "one", *SMALL), ("--resume", "one")):
            refused = mario_tui("train", *arguments, "--json")
            assert refused.returncode == 2
            assert re.fullmatch(r"mario-tui: the run 'one' is being trained by another mario-tui.*\n", refused.stderr)
            assert refused.stdout == ""
        next(line for line in first.stdout if "episode" in line)  # the first goes on
        first.kill()
    freed = mario_tui("train", "--resume", "one", "--steps", "1", "--json")
    assert freed.returncode == 0, "who was killed holds nothing"


@pytest.mark.parametrize(
    "once_too_often",
    [
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)",
        "threading.Thread(target=lambda: (threading.main_thread().join(), "
        "[(os.kill(os.getpid(), signal.SIGINT), time.sleep(0.1)) for _ in range(6000)])).start()",
    ],
)
def test_ctrl_c_while_the_program_ends_shows_no_traceback(home: Path, once_too_often: str) -> None:
    code = (
        f"import atexit, os, signal, sys, threading, time\n{once_too_often}\n"
        "from mario_tui.cli import program\nsys.exit(program())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "checkpoints"], capture_output=True, text=True, check=False, timeout=120
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout


def test_a_training_whose_reader_goes_away_is_saved(home: Path) -> None:
    process = warm.Popen(
        [sys.executable, "-m", "mario_tui", "train", "--name", "unread", "--json", *SMALL],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert "started" in process.stdout.readline()
    process.stdout.close()
    assert process.wait(120) == 1
    assert mario_tui("verify", "unread").returncode == 0


@pytest.mark.parametrize("name", ["agent.safetensors", "manifest.json"])
def test_a_damaged_newest_checkpoint_is_said_and_the_one_before_is_taken(home: Path, name: str) -> None:
    steps = ("--preset", "tutorial", "--steps", "60", "--save-every", "30")
    first = mario_tui("train", *steps, "--name", "fall", "--json", *SMALL)
    newest = Path(json.loads(first.stdout.splitlines()[-1])["checkpoint"])
    (newest / name).write_bytes(b"short")
    resumed = mario_tui("train", "--resume", "fall", "--steps", "40", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert name in resumed.stderr
    assert "step-000000030" in resumed.stderr
    assert json.loads(resumed.stdout.splitlines()[0])["step"] == 30


def test_bench_measures_real_training() -> None:
    result = mario_tui("bench", "--steps", "30", "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert set(figures) == {
        "envs", "steps_per_second", "emulator_steps_per_second", "update_ms", "replay_bytes_per_transition",
        "peak_rss_mb", "phases",
    }  # fmt: skip
    assert all(value > 0 for name, value in figures.items() if name != "phases")
    phases = figures["phases"]
    assert set(phases) >= {"act", "update", "wait", "emulate"}
    in_turn = sum(share for name, share in phases.items() if name != "emulate")  # which runs beside the others
    assert 0 < in_turn < 1.001, "phases follow one another within the time that was measured"
    assert figures["replay_bytes_per_transition"] < 7300


def test_doctor_names_what_it_looked_at() -> None:
    result = mario_tui("doctor", "--json", env={**os.environ, "DISPLAY": ""})
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert {"python", "cores", "torch", "device", "emulator", "display", "ffmpeg", "disk"} <= set(checks)
    assert checks["python"]["ok"]
    assert checks["emulator"]["ok"]
    assert not checks["display"]["ok"]
    assert checks["display"]["fix"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/y"),
            "/x/y: No space left on device; make room on the disk",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: Permission denied"),
        (OSError("odd"), "OSError: odd (add --debug for the traceback)"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, error: OSError, line: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(catalog, "scan", fail)
    assert main(["checkpoints"]) == 1
    assert capsys.readouterr().err == f"mario-tui: {line}\n"


def test_of_the_figures_in_the_bar_as_many_are_shown_as_fit() -> None:
    from mario_tui.commands.reporters import as_many_as_fit

    assert as_many_as_fit(("40 steps/s", "reward 605", "eps 0.9"), 21) == "40 steps/s reward 605"
    assert as_many_as_fit(("40 steps/s", "reward 605", "eps 0.9"), 20) == "40 steps/s"
    assert as_many_as_fit(("40 steps/s",), -3) == ""


def test_a_checkpoint_alone_among_other_files_is_not_trained_on(home: Path, capsys: pytest.CaptureFixture) -> None:
    folder = home / "downloads"
    shutil.copytree(
        Path(__file__).parents[2] / "checkpoints" / "world-1-1" / "step-000309583", folder / "step-000309583"
    )
    (folder / "config.toml").write_text("mine = 1")
    (folder / "best").write_text("mine")
    before = sorted((path.name, path.read_bytes()) for path in folder.iterdir() if path.is_file())
    assert main(["train", "--resume", str(folder / "step-000309583")]) == 2
    assert "is no run's folder, and training would write into it: move step-000309583" in capsys.readouterr().err
    assert sorted((path.name, path.read_bytes()) for path in folder.iterdir() if path.is_file()) == before


def test_an_exam_says_in_how_many_states_an_agent_is_right(home: Path, capsys: pytest.CaptureFixture) -> None:
    agent = str(Path(__file__).parents[2] / "checkpoints" / "world-1-1" / "step-000309583")
    states = np.random.default_rng(0).integers(256, size=(6, 4, 84, 84), dtype=np.uint8)
    for stage in ("1-1", "1-2"):
        safe, deaths = np.eye(2, dtype=bool)[[0, 1, 0, 1, 0, 1]], np.arange(6) // 2
        write_exam(Exam(stage, 4, ACTION_SETS["run"], True, states, safe, deaths), home / stage)
    assert main(["exam", agent, str(home / "1-1"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["states"], found["deaths"], found["stage"]) == (6, 3, "1-1")
    assert found["share"] == found["right"] / 6
    assert main(["exam", agent, str(home / "1-1")]) == 0
    assert f"safe in {found['right']} of 6 decisive states" in capsys.readouterr().out
    assert main(["exam", agent, str(home / "1-2")]) == 2
    assert "the exam is of 1-2" in capsys.readouterr().err


def test_a_result_that_cannot_be_kept_is_printed_all_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    shipped = Path(__file__).parents[2] / "checkpoints" / "world-1-1"
    folder = home / "checkpoints" / "mine" / "step-000309583"
    shutil.copytree(shipped / folder.name, folder)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(evaluations, "write_atomically", full)
    assert main(["eval", str(folder), "--episodes", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["episodes"] == 1
    assert err.splitlines()[-1] == "mario-tui: the result is not kept with the checkpoint: No space left on device"


@pytest.mark.slow
def test_a_run_goes_on_with_other_games_or_lends_its_weights_to_a_new_one(home: Path) -> None:
    """Through real processes, from the preset that is taken where none is named."""
    steps = ("--steps", "60", "--eval-every", "0", "--device", "cpu", *SMALL)
    assert mario_tui("train", "--name", "first", *steps).returncode == 0
    assert 'network = "small"' in (home / "checkpoints/first/config.toml").read_text(), "of the preset fast"

    resumed = mario_tui("train", "--resume", "first", "--envs", "5", "--steps", "100")
    assert resumed.returncode == 0, resumed.stderr
    lines = [line for line in resumed.stdout.splitlines() if "goes on with 5: these begin anew" in line]
    assert len(lines) == 1

    refused = mario_tui("train", "--resume", "first", "--stage", "1-2")
    assert refused.returncode == 2
    advice = re.search(r"'mario-tui (train --init-from first --stage 1-2)'", refused.stderr)
    assert advice, refused.stderr
    began = mario_tui(*advice[1].split(), "--name", "second", *steps)
    assert began.returncode == 0, began.stderr
    settings = (home / "checkpoints/second/config.toml").read_text()
    assert 'stage = "1-2"' in settings
    assert re.search(r'init_from = "first/step-0000001\d\d"', settings)

    assert mario_tui("export", "second", "--name", "shared").returncode == 0
    refused = mario_tui("train", "--resume", "shared")
    assert refused.returncode == 2
    advice = re.search(r"'mario-tui (train --init-from shared)'", refused.stderr)
    assert advice, refused.stderr
    assert mario_tui(*advice[1].split(), "--name", "third", *steps).returncode == 0

    for flags in (("--network", "nature"), ("--resume", "first"), ("--init-from", "nowhere"), ("--init-from", "")):
        refused = mario_tui("train", "--init-from", "first", *flags)
        assert refused.returncode == 2
        assert re.fullmatch(r"mario-tui: [^\n]+\n", refused.stderr)


def test_help_names_the_preset_that_is_taken_and_its_values(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "(default fast). fast: a first clear; " in text
    assert all(f" {name}: " in text for name in PRESETS)
    assert "nature, small; default small" in text
    assert "--init-from" in text
    assert "cuda:N" in text


def test_doctor_names_every_device(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from types import SimpleNamespace

    from mario_tui.agent import devices

    def compute(name: str) -> None:
        if name == "cuda:0":
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    card = SimpleNamespace(name="Some GPU", total_memory=16 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda name: (6, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75"])
    monkeypatch.setattr(devices, "compute_on", compute)
    main(["doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert {"python", "torch", "device", "emulator", "display", "ffmpeg", "disk"} < set(checks)
    assert checks["device"]["found"].startswith("auto takes cuda:1 (Some GPU, 16 GiB)")
    assert checks["cuda:1"]["ok"]
    assert not checks["cuda:1 test"]["ok"]
    assert "cuda:1 does not do what the processor does (frames: " in checks["cuda:1 test"]["found"]
    assert "cuda:0 test" not in checks
    assert not checks["cuda:0"]["ok"]
    assert "it is sm_60, and there is sm_75" in checks["cuda:0"]["found"]
    assert checks["cuda:0"]["fix"]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    main(["doctor"])
    assert "auto takes cpu (" in capsys.readouterr().out
