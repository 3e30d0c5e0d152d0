"""Ten thousand bad files: every loader refuses them in one line, or makes something of them that it can use.

Real files are changed: bits flipped, ends cut off, values of the wrong kind, of the wrong size or not finite, deep
nesting, names with folders in them. Where a checkpoint's parts are changed its manifest is made to fit, as a stranger
who wants to be read would do. Hypothesis draws the seeds; the changes are made from them, which is faster.
"""

import copy
import functools
import hashlib
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mario_tui import paths
from mario_tui.config import TrainingConfig, load_toml, make_config
from mario_tui.errors import MarioTuiError
from mario_tui.game.action_log import ActionLog
from mario_tui.presets import preset
from mario_tui.store import catalog, checkpoint, lookup
from mario_tui.store.manifest import read_manifest
from mario_tui.training.resume import resume_config

pytestmark = pytest.mark.slow

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "world-1-1"
EVALUATIONS = Path(__file__).parents[2] / "docs" / "curves" / "fast-0" / "evaluations.csv"

EMPTY: list[Any] = []
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 7, 256, 2**31, 2**63, 2**64, 10**30, 10**400, -(10**18), 0.5, -0.0, 1e308, 1e400,
    float("nan"), float("inf"), -float("inf"), "", "1-1", "9-9", "nature", "../../x", "/etc/passwd", "..", "a\0b",
    "\ud800", "\x1b]0;x\x07", "x" * 5000, "\n\n", [], [[]], [1] * 300, {}, {"": {}},
    {"bytes": 1}, {"../x": {"bytes": 1, "sha256": "0" * 64}},
    functools.reduce(lambda inner, _: [inner], range(300), EMPTY),
]  # fmt: skip


def bad(examples: int) -> Callable[[Any], Any]:
    """So many seeds, the same ones every time."""

    def decorate(test: Any) -> Any:
        quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        drawn = given(seed=st.integers(0, 2**64))(test)
        return settings(
            max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=quiet
        )(drawn)

    return decorate


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes of a file with some of them flipped, cut off, written twice, taken out or put in."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[at : at + rng.randrange(40)]
            case 3:
                del data[at : at + rng.randrange(1, 20)]
            case 4:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case _:
                data[at:at] = rng.choice(
                    [b"[" * 50_000, b'{"a":' * 20_000, b"9" * 5000, b"\0" * 9, b"\xff\xfe", b"NaN"]
                )
    return bytes(data)


def changed(value: Any, rng: random.Random) -> Any:
    """A copy of what a JSON file says, with odd values at some of its places, or without them."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        inner, place = value, None
        while isinstance(inner, dict | list) and inner and (place is None or rng.random() < 0.7):
            holder = inner
            place = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
            inner = holder[place]
        if place is None or rng.random() < 0.05:
            value = copy.deepcopy(rng.choice(ODD))
        elif rng.random() < 0.15:
            del holder[place]
        elif isinstance(inner, int | float) and rng.random() < 0.3:
            holder[place] = rng.choice([-inner, inner + 1, inner * 1000, str(inner), [inner], 0.5])
        else:
            holder[place] = copy.deepcopy(rng.choice(ODD))
    return value


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", errors="surrogatepass")


def bad_json(value: Any, rng: random.Random) -> bytes:
    return as_bytes(changed(value, rng)) if rng.random() < 0.7 else damaged(as_bytes(value), rng)


def attempt(load: Callable[[], object]) -> bool:
    """Whether it could be loaded; anything but an error of ours, in one line that can be read, is a failure."""
    try:
        load()
    except MarioTuiError as error:
        text = str(error)
        assert text
        assert text.isprintable(), repr(text)[:2000]
        assert len(text) < 1000, text[:2000]
        return False
    return True


class Fence:
    """Notes whatever is done outside a folder while files are loaded, and every program that is started."""

    def __init__(self) -> None:
        self.inside: Path | None = None
        self.crossed: list[str] = []
        sys.addaudithook(self._watch)

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.inside is None:
            return
        if event in ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"):
            self.crossed.append(event)
        elif event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._check(event, path)
        elif event in ("os.rename", "os.symlink", "os.link"):
            self._check(event, arguments[1])
        elif event in ("os.remove", "os.mkdir", "os.rmdir", "os.truncate"):
            where = arguments[0]  # or a descriptor, of a file whose opening was seen
            if isinstance(where, str | bytes | os.PathLike) and os.path.isabs(where):
                self._check(event, where)

    def _check(self, event: str, path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            place = os.path.realpath(os.fsdecode(path))
            if not place.startswith((str(self.inside), "/dev/")) and not any(
                own in place for own in ("__pycache__", "/.hypothesis")
            ):
                self.crossed.append(f"{event} {place}")


FENCE = Fence()


@pytest.fixture(autouse=True)
def fence(home: Path) -> Iterator[None]:
    FENCE.inside, FENCE.crossed = home.resolve().parent, []  # where all temporary folders of these tests are
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    FENCE.inside = None
    assert FENCE.crossed == []


@functools.cache
def shipped_manifest() -> dict[str, Any]:
    (folder,) = lookup.step_folders(SHIPPED)
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return content


@bad(3500)
def test_manifests(home: Path, seed: int) -> None:
    rng = random.Random(seed)
    run = paths.run_dir("strange")
    folder = run / "step-000309583"
    if not folder.exists():
        folder.mkdir(parents=True)
        (run / "config.toml").touch()
        (folder / "agent.safetensors").touch()
    (folder / "manifest.json").write_bytes(bad_json(shipped_manifest(), rng))
    attempt(lambda: checkpoint.verify(folder))
    attempt(lambda: resume_config(folder))
    (info,) = catalog.scan().checkpoints
    assert as_bytes(info.as_json())


@bad(2600)
def test_action_logs(home: Path, seed: int) -> None:
    rng = random.Random(seed)
    log = ActionLog("1-1", 4, tuple(rng.choice([129, 130, 131]) for _ in range(30)))
    (home / "log.json").write_bytes(bad_json(json.loads(log.to_json(video={"frames": 9, "max_x": 4})), rng))
    if attempt(lambda: ActionLog.load(home / "log.json")):
        loaded = ActionLog.load(home / "log.json")
        assert all(0 <= byte <= 255 for byte in loaded.buttons)
        assert 1 <= loaded.frame_skip <= 60


@bad(1500)
def test_settings_of_a_run(home: Path, seed: int) -> None:
    rng = random.Random(seed)
    content = preset(rng.choice(["tutorial", "fast"])).to_toml()
    if rng.random() < 0.5:
        lines = content.splitlines()
        at = rng.randrange(len(lines))
        odd = ["-1", "1e999", "nan", "inf", "''", '"../x"', "[]", "{}", "true", "99999999999999999999", "0x7fffffff",
               "1979-05-27", "[" * 2000, '"' + "x" * 2000 + '"', "0.5", '"cuda:99"']  # fmt: skip
        lines[at] = f"{lines[at].partition('=')[0]}= {rng.choice(odd)}"
        data = "\n".join(lines).encode()
    else:
        data = damaged(content.encode(), rng)
    (home / "config.toml").write_bytes(data)
    if attempt(lambda: load_toml(home / "config.toml")):
        assert isinstance(make_config(**load_toml(home / "config.toml")), TrainingConfig)


@bad(900)
def test_settings_of_the_app(home: Path, seed: int) -> None:
    from mario_tui.tui import preferences as app

    rng = random.Random(seed)
    content = b'theme = "nord"\ngraphics = "blocks"\n[keys]\n"train.pause" = "p"\n"watch.rewind" = "left,j"\n'
    odd = [
        b"theme = [[1]]\n",
        b"graphics = []\n",
        b"graphics = {}\n",
        b"keys = []\n",
        b'keys = {"a" = 1}\n',
        b"[" * 3000,
    ]
    data = damaged(content, rng) if rng.random() < 0.8 else rng.choice(odd)
    paths.settings_file().write_bytes(data)
    found = app.load()
    assert all("\n" not in problem for problem in found.problems)


@bad(1000)
def test_what_lies_beside_checkpoints(home: Path, seed: int) -> None:
    """evaluations.json, metrics.csv and evaluations.csv: what cannot be used of them is left out."""
    from mario_tui.store.history import COMPARED, read_metrics, run_curve
    from mario_tui.training.metrics import MetricLogger

    rng = random.Random(seed)
    run = paths.run_dir("strange")
    folder = run / "step-000309583"
    if not folder.exists():
        shutil.copytree(SHIPPED, run, symlinks=True)
    (run / "evaluations.json").write_bytes(bad_json(json.loads((SHIPPED / "evaluations.json").read_bytes()), rng))
    lines = (SHIPPED / "metrics.csv").read_bytes().splitlines(keepends=True)[:12]
    (run / "metrics.csv").write_bytes(damaged(b"".join(lines), rng))
    (run / "evaluations.csv").write_bytes(damaged(EVALUATIONS.read_bytes()[:400], rng))
    (info,) = catalog.scan().checkpoints
    assert as_bytes(info.as_json())
    read_metrics(run / "metrics.csv")
    run_curve(run, rng.choice(COMPARED), 10)
    logger = MetricLogger(run, "1-1", 1)
    logger.load_state_dict({**logger.state_dict(), "episode": 5}, step=100_000)
    logger.begin()


def fit_manifest(folder: Path, part: str, data: bytes) -> None:
    """Writes a part, and makes the manifest say that it should be so."""
    (folder / part).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["parts"][part] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def bad_tensors(content: bytes, rng: random.Random) -> bytes:
    """A safetensors file with another header, or other content."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    kind = rng.randrange(4)
    if kind == 0:
        return damaged(content[: 8 + size], rng) + content[8 + size :]
    if kind == 1:
        data = bytearray(content)
        for _ in range(30):
            at = rng.randrange(8 + size, len(data))
            data[at : at + 4] = rng.choice([b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f", rng.randbytes(4)])
        return bytes(data[: len(content)])
    name = rng.choice([name for name in header if name != "__metadata__"])
    if kind == 2:
        entry = header[name]
        match rng.randrange(4):
            case 0:
                entry["dtype"] = rng.choice(["F64", "F16", "I64", "U8", "BOOL", "BF16", "F8_E4M3", "C64", "X"])
            case 1:
                entry["shape"] = rng.choice([[], [0], [1, *entry["shape"]], entry["shape"][::-1], [2**40], [-1]])
            case 2:
                entry["data_offsets"] = rng.choice([[0, 0], [0, 2**60], [-4, 0], [8, 4]])
            case _:
                header[rng.choice(["online.99.weight", "../x", "", "7.step", "-1.step", "x.y.z"])] = header.pop(name)
    else:
        header = changed(header, rng)
    text = as_bytes(header)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A trainer that is about to go on from a full checkpoint: of another one, in each case, that is bad."""
    import numpy as np
    import torch

    from mario_tui.training.restore import open_trainer

    before = os.environ.get("MARIO_TUI_HOME")
    os.environ["MARIO_TUI_HOME"] = str(tmp_path_factory.mktemp("trained"))
    config = preset("fast").replace(
        replay_size=100, envs=2, threads=1, precision="float32", average_updates=0, n_steps=2, device="cpu"
    )
    trainer = open_trainer(config, run="bad")
    mario = trainer.agent
    rng = np.random.default_rng(0)
    for tick in range(60):
        frame = torch.from_numpy(rng.integers(0, 9, (2, 84, 84), dtype=np.uint8))
        begins, ends = np.array([tick % 20 == 0] * 2), np.array([tick % 20 == 19] * 2)
        mario.cache(frame, rng.integers(0, 2, 2), rng.normal(size=2), ends, begins, ends)
    mario.learning_net.zero_grad()
    mario.update()
    mario.count_steps(120)
    step = {"actions": [1], "first": [False], "last": [False], "dropped": [False]}
    games = {
        "groups": [
            {"frame_logs": [[129] * 8], "noop_steps": [0], "under_way": step},
            {"frame_logs": [[130] * 4], "noop_steps": [3]},
        ]
    }
    trainer.collector.load_state_dict(games, trainer.collector.observations)
    trainer.save()
    yield trainer
    trainer.close()
    os.environ.pop("MARIO_TUI_HOME") if before is None else os.environ.update(MARIO_TUI_HOME=before)


def stranger(trained: Any, home: Path) -> Path:
    """A copy of the trained checkpoint, in which parts can be replaced."""
    folder = home / "checkpoints" / "strange" / trained.last_checkpoint.name
    if not folder.exists():
        shutil.copytree(trained.last_checkpoint, folder)
    return folder


def try_to_go_on(trained: Any, whole: Path, folder: Path, part: str, data: bytes) -> bool:
    fit_manifest(folder, part, data)
    from mario_tui.training.restore import load_checkpoint, read_checkpoint

    try:
        return attempt(lambda: load_checkpoint(trained, folder, read_checkpoint(folder)[0]))
    finally:
        fit_manifest(folder, part, (whole / part).read_bytes())


def is_sane(trained: Any) -> None:
    """What was made of a bad file can be trained on."""
    mario = trained.agent
    assert 0 <= mario.exploration_rate <= 1
    assert 0 <= trained.ticks.learn_due <= 256
    assert all(tensor.isfinite().all() for tensor in mario.net.state_dict().values())
    if mario.memory.ready:
        batch = mario.memory.transitions_at(mario.memory.draw().index[0])
        assert batch.r_t.isfinite().all()
        assert batch.a_tm1.max() < mario.spec.actions


def test_the_whole_checkpoint_goes_on(trained: Any, home: Path) -> None:
    """Otherwise what follows would refuse everything for another reason."""
    whole = trained.last_checkpoint
    folder = stranger(trained, home)
    assert try_to_go_on(trained, whole, folder, "trainer.json", (whole / "trainer.json").read_bytes())
    is_sane(trained)


@bad(200)
def test_trainer_json(trained: Any, home: Path, seed: int) -> None:
    rng = random.Random(seed)
    whole = trained.last_checkpoint
    state = json.loads((whole / "trainer.json").read_bytes())
    if try_to_go_on(trained, whole, stranger(trained, home), "trainer.json", bad_json(state, rng)):
        is_sane(trained)


@bad(200)
def test_the_tensors_of_a_training(trained: Any, home: Path, seed: int) -> None:
    rng = random.Random(seed)
    whole = trained.last_checkpoint
    part = rng.choice(["agent", "optimizer", "actors", "replay", "replay"]) + ".safetensors"
    data = bad_tensors((whole / part).read_bytes(), rng)
    if try_to_go_on(trained, whole, stranger(trained, home), part, data):
        is_sane(trained)


@bad(120)
def test_the_replays_frames(trained: Any, home: Path, seed: int) -> None:
    rng = random.Random(seed)
    whole = trained.last_checkpoint
    data = damaged((whole / "replay.frames").read_bytes(), rng)
    if try_to_go_on(trained, whole, stranger(trained, home), "replay.frames", data):
        is_sane(trained)


@bad(200)
def test_agents(home: Path, seed: int) -> None:
    from mario_tui.agent.policy import load_policy

    rng = random.Random(seed)
    source = SHIPPED / "step-000309583"
    folder = home / "step-000309583"
    if not folder.exists():
        shutil.copytree(source, folder)
    manifest = shipped_manifest()
    if rng.random() < 0.5:
        (folder / "manifest.json").write_bytes(as_bytes({**manifest, "agent": changed(manifest["agent"], rng)}))
        (folder / "agent.safetensors").write_bytes((source / "agent.safetensors").read_bytes())
    else:
        (folder / "manifest.json").write_bytes(as_bytes(manifest))
        fit_manifest(folder, "agent.safetensors", bad_tensors((source / "agent.safetensors").read_bytes(), rng))
    if attempt(lambda: load_policy(folder)):
        policy = load_policy(folder)
        assert all(tensor.isfinite().all() for tensor in policy.net.state_dict().values())


@functools.cache
def small_chkpt() -> bytes:
    """As the tutorial saves, with networks of other sizes: what it says is read, and then refused."""
    import io

    import torch

    file = io.BytesIO()
    model = {f"online.{layer}.weight": torch.ones(2, 4, 1, 1) for layer in (0, 2, 4, 7, 9)}
    torch.save({"model": model, "exploration_rate": 0.5}, file)
    return file.getvalue()


@bad(600)
def test_tutorial_checkpoints(home: Path, seed: int) -> None:
    from mario_tui.agent.policy import load_policy

    rng = random.Random(seed)
    (home / "mario_net_1.chkpt").write_bytes(damaged(small_chkpt(), rng))
    assert not attempt(lambda: load_policy(home / "mario_net_1.chkpt"))


class Touch:
    """What a pickle may ask for when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("way", ["pickle", "torch", "torch, old format", "inside a model"])
def test_a_pickle_that_would_run_code_runs_none(home: Path, way: str) -> None:
    import torch

    from mario_tui.agent.policy import load_policy
    from mario_tui.training.restore import open_trainer

    ran, path = home / "ran", home / "mario_net_1.chkpt"
    match way:
        case "pickle":
            path.write_bytes(pickle.dumps(Touch(ran)))
        case "torch":
            torch.save(Touch(ran), path)
        case "torch, old format":
            torch.save({"model": Touch(ran)}, path, _use_new_zipfile_serialization=False)
        case _:
            torch.save({"model": {"online.9.weight": torch.ones(2, 512), "x": Touch(ran)}}, path)
    assert not attempt(lambda: load_policy(path))
    assert not attempt(lambda: open_trainer(TrainingConfig(replay_size=100), run="x", resume=path))
    for part in ("agent.safetensors", "optimizer.safetensors"):  # no part is a pickle, whatever it holds
        folder = home / "checkpoints" / "strange" / "step-000309583"
        shutil.copytree(SHIPPED / "step-000309583", folder, dirs_exist_ok=True)
        fit_manifest(folder, part, path.read_bytes())
        if part == "agent.safetensors":
            assert not attempt(lambda folder=folder: load_policy(folder))  # type: ignore[misc]
    assert not ran.exists()
    if way == "pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert ran.exists(), "read the other way it would have"
    FENCE.crossed.clear()


def test_a_link_in_the_place_of_a_part_is_not_written_through(home: Path) -> None:
    """Taking the replay out of an older checkpoint, or saving anew, leaves alone what a stranger's link leads to."""
    outside = home / "mine"
    outside.write_text("mine")
    run = paths.run_dir("strange")
    folder = run / "step-000000001"
    shutil.copytree(SHIPPED / "step-000309583", folder)
    (folder / "replay.frames").symlink_to(outside)
    checkpoint.drop_parts(folder, ("replay.frames",))
    assert outside.read_text() == "mine"
    assert not (folder / "replay.frames").is_symlink()


def strange_run(name: str = "strange") -> Path:
    """The shipped checkpoint in a run of its own, as one gets it from somebody."""
    run = paths.run_dir(name)
    shutil.copytree(SHIPPED / "step-000309583", run / "step-000309583")
    shutil.copy(SHIPPED / "config.toml", run / "config.toml")
    return run


@pytest.mark.parametrize("name", ["step-000309583/manifest.json", "evaluations.json", "metrics.csv", "log"])
@pytest.mark.parametrize("kind", ["a pipe", "a device without an end"])
def test_what_is_no_file_is_not_waited_for(home: Path, name: str, kind: str) -> None:
    """Runs in a process of its own, which would hang or fill the memory."""
    run = strange_run()
    (run / name).unlink(missing_ok=True)
    if kind == "a pipe":
        os.mkfifo(run / name)
    else:
        (run / name).symlink_to("/dev/zero")
    code = """
import sys
from pathlib import Path
from mario_tui.store import catalog
from mario_tui.training.export import export_policy
from mario_tui.errors import MarioTuiError
from mario_tui.store.history import progress, read_metrics, run_curve
from mario_tui.training.metrics import MetricLogger
run = Path(sys.argv[1])
print(len(catalog.scan().checkpoints))
read_metrics(run / "metrics.csv"), progress(run, 3), run_curve(run, "progress", 3)
logger = MetricLogger(run, "1-1", 1)
logger.note(1, "a line")
logger.log_episode(0, step=1, epsilon=1.0, max_x=1, progress=0.1, end="death", seconds=1.0)
logger.history()
try:
    export_policy(run / "step-000309583", "exported")
except MarioTuiError as error:
    assert str(error).isprintable()
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(run)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["1", "done"]
    FENCE.crossed.clear()  # the process


def test_a_link_in_the_place_of_a_log_is_neither_written_through_nor_passed_on(home: Path) -> None:
    from mario_tui.training.export import export_policy
    from mario_tui.training.metrics import MetricLogger

    secret = home / "mine"
    secret.write_text("secret, and its last line has no end")
    run = strange_run()
    for name in ("log", "metrics.csv", "loss_plot.png"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(secret)
    logger = MetricLogger(run, "1-1", 1)
    logger.note(1, "a line")
    logger.log_episode(0, step=1, epsilon=1.0, max_x=1, progress=0.1, end="death", seconds=1.0)
    assert "it is a link, or no file" in logger.problem
    assert secret.read_text() == "secret, and its last line has no end"
    exported = export_policy(run / "step-000309583", "shared")
    assert sorted(path.name for path in exported.parent.iterdir() if path.is_file()) == ["config.toml"]


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(home: Path) -> None:
    import zipfile

    from mario_tui.agent.policy import load_policy

    path = home / "mario_net_1.chkpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(300 * 2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(MarioTuiError, match="315 MB of memory"):
        load_policy(path)


@pytest.mark.parametrize("logs", [[{"stage": ["1-1"]}], [{"buttons": "x"}], [7], "abc", {"a": 1}, [[[]]], 3])
def test_forged_demonstrations_are_refused(home: Path, logs: Any) -> None:
    from mario_tui.training.state_files import read_demonstrations

    folder = strange_run() / "step-000309583"
    fit_manifest(folder, "demonstrations.json", as_bytes({"logs": logs}))
    assert not attempt(lambda: read_demonstrations(folder, read_manifest(folder)))


def test_a_video_said_to_have_more_frames_than_can_be_is_listed(home: Path) -> None:
    from mario_tui.video import library

    folder = paths.recordings_dir()
    folder.mkdir()
    (folder / "v.mp4").write_text("")
    log = ActionLog("1-1", 4, (130,)).to_json(video={"frames": 10**400, "max_x": -(10**30)})
    (folder / "v.json").write_text(log)
    (info,) = library.list_recordings()
    assert (info.seconds, info.max_x) == (4 / 60, None)
