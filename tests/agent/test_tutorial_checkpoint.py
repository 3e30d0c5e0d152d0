"""Checkpoints of the tutorial as people have them: what is taken over, and what is said of the rest."""

import collections
import io
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mario_tui.agent import tutorial_checkpoint
from mario_tui.agent.network import MarioNet
from mario_tui.agent.policy import load_policy
from mario_tui.agent.spec import TUTORIAL
from mario_tui.agent.tutorial_checkpoint import read_tutorial_checkpoint
from mario_tui.errors import CheckpointError

NET = MarioNet(TUTORIAL)
WEIGHTS = NET.state_dict()
FOREIGN = re.compile(r"weights_only|torch\.|allowlist|Unpickl|Error\b|Traceback|\n", re.IGNORECASE)
"""Words of libraries, which say nothing to a user."""


def save(path: Path, content: Any = None, **parts: Any) -> Path:
    torch.save(content if content is not None else parts, path)
    return path


def same_weights(net: MarioNet) -> bool:
    return all(torch.equal(tensor, WEIGHTS[name]) for name, tensor in net.state_dict().items())


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_policy(path)
    text = str(caught.value)
    assert path.name in text
    assert not FOREIGN.search(text), text
    assert len(text) < 500
    return text


@pytest.mark.parametrize("action_set", ["tutorial", "right_only", "simple", "complex"])
def test_a_tutorial_checkpoint_opens(tmp_path: Path, action_set: str) -> None:
    net = MarioNet(TUTORIAL.model_copy(update={"action_set": action_set}))
    policy = load_policy(save(tmp_path / "mario_net_1.chkpt", model=net.state_dict(), exploration_rate=0.5))
    assert policy.spec.action_set == action_set
    assert (policy.spec.frame_skip, policy.spec.frame_stack, policy.stage) == (4, 4, "1-1")


@pytest.mark.parametrize("name", ["a.chkpt", "a.pt", "a.pth", "a.ckpt", "a.tar", "a"])
def test_its_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    assert same_weights(load_policy(save(tmp_path / name, model=WEIGHTS, exploration_rate=0.5)).net)


@pytest.mark.parametrize(
    "epsilon",
    [
        0.25,
        np.float64(0.25),
        np.float32(0.25),
        np.float16(0.25),
        np.dtype(">f8").type(0.25),
        torch.tensor(0.25),
        torch.tensor([0.25]),
        torch.tensor(0.25, dtype=torch.float64),
        torch.tensor(0.25, dtype=torch.bfloat16),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'dtype', '')}",
)
@pytest.mark.parametrize("zipped", [True, False])
def test_epsilon_is_taken_over_whatever_kind_of_number_it_is(tmp_path: Path, epsilon: Any, zipped: bool) -> None:
    content = {"model": WEIGHTS, "exploration_rate": epsilon}
    torch.save(content, tmp_path / "a.chkpt", _use_new_zipfile_serialization=zipped)
    found = read_tutorial_checkpoint(tmp_path / "a.chkpt")
    assert (found.epsilon, found.no_epsilon, found.ignored) == (0.25, "", "")
    assert same_weights(found.net)


@pytest.mark.parametrize("epsilon", [np.int64(1), np.uint8(1), 1, torch.tensor(1)], ids=str)
def test_a_whole_number_is_an_epsilon_too(tmp_path: Path, epsilon: Any) -> None:
    assert read_tutorial_checkpoint(save(tmp_path / "a", model=WEIGHTS, exploration_rate=epsilon)).epsilon == 1.0


def rewritten(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """The same file with another pickle in it."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, change(data) if name.endswith("data.pkl") else data)
    return path


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_numbers_of_both_generations_of_numpy_are_read(tmp_path: Path, module: bytes) -> None:
    path = save(tmp_path / "a.chkpt", model=WEIGHTS, exploration_rate=np.float64(0.25))
    rewritten(path, lambda data: re.sub(rb"numpy\._?core\.multiarray", module, data))
    assert read_tutorial_checkpoint(path).epsilon == 0.25


@pytest.mark.parametrize(
    "epsilon",
    [float("nan"), -0.1, 1.5, 10**400, True, None, "0.5", np.float64("nan"), np.float64(7), np.complex128(0.5), [0.5],
     np.str_("x"), np.datetime64("2026-01-01"), np.zeros(1), torch.zeros(2), torch.tensor(0.5j), torch.zeros(0)],
    ids=repr,
)  # fmt: skip
def test_what_is_no_epsilon_is_said(tmp_path: Path, epsilon: Any) -> None:
    found = read_tutorial_checkpoint(save(tmp_path / "a.chkpt", model=WEIGHTS, exploration_rate=epsilon))
    assert found.epsilon is None
    assert found.no_epsilon == "its exploration_rate is no number from 0 to 1"


def test_what_else_is_in_it_is_left_out_and_said(tmp_path: Path) -> None:
    memory = collections.deque([(np.zeros(3), 1, np.bool_(True))], maxlen=10)
    optimizer = torch.optim.Adam(nn.Linear(2, 2).parameters()).state_dict()
    found = read_tutorial_checkpoint(
        save(tmp_path / "a", model=WEIGHTS, exploration_rate=0.5, memory=memory, optimizer=optimizer, step=7)
    )
    assert (found.epsilon, found.ignored) == (0.5, "memory, optimizer, step")
    assert same_weights(found.net)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_weights_of_a_wrapped_network_are_its_weights(tmp_path: Path, prefix: str) -> None:
    wrapped = {f"{prefix}{name}": tensor for name, tensor in WEIGHTS.items()}
    inside = {name.replace(".", f".{prefix}", 1): tensor for name, tensor in WEIGHTS.items()}
    for weights in (wrapped, inside):
        found = read_tutorial_checkpoint(save(tmp_path / "a", model=weights, exploration_rate=0.5))
        assert same_weights(found.net)
        assert found.epsilon == 0.5


def test_a_state_dict_alone_is_taken_and_says_no_epsilon(tmp_path: Path) -> None:
    for weights in (WEIGHTS, {f"module.{name}": tensor for name, tensor in WEIGHTS.items()}):
        found = read_tutorial_checkpoint(save(tmp_path / "a.pt", weights))
        assert same_weights(found.net)
        assert (found.epsilon, found.no_epsilon) == (None, "it holds weights only")


def test_weights_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    twice = {**WEIGHTS, "module.online.0.bias": torch.zeros(32)}
    assert "twice" in refusal(save(tmp_path / "a", model=twice))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_converted(tmp_path: Path, dtype: torch.dtype) -> None:
    path = save(tmp_path / "a", model={name: tensor.to(dtype) for name, tensor in WEIGHTS.items()})
    net = load_policy(path).net
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, WEIGHTS[name].to(dtype).float())


def changed(name: str, tensor: Tensor) -> dict[str, Tensor]:
    return {**WEIGHTS, name: tensor}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (changed("online.0.bias", torch.full((32,), float("nan"))), "not all finite"),
        (changed("online.0.bias", torch.full((32,), 1e300, dtype=torch.float64)), "not all finite"),
        (changed("online.0.bias", torch.zeros(32, dtype=torch.int64)), "online.0.bias holds int64 numbers, not floats"),
        (changed("online.0.bias", torch.zeros(32, dtype=torch.complex64)), "holds complex64 numbers"),
        (changed("online.0.bias", torch.zeros(31)), r"online.0.bias has the shape \(31,\), not \(32,\)"),
        (changed("online.0.bias", torch.zeros(1).expand(2**40)), r"has the shape \(1099511627776,\)"),
        (changed("online.9.weight", torch.zeros(3, 512)), "chooses from 3 actions"),
        (changed("online.9.weight", torch.zeros(1).expand(2**40, 512)), "chooses from 1099511627776 actions"),
        (changed("online.0.weight", torch.zeros(32, 3, 8, 8)), r"\(32, 4, 8, 8\), not \(32, 3, 8, 8\)"),
        (changed("online.0.weight", torch.zeros(1).expand(32, 2**40, 8, 8)), "takes 1099511627776 frames at once"),
        (changed("online.0.weight", torch.zeros(1)), "weights of another network"),
        (changed("online.0.bias", torch.zeros(32).to_sparse()), "no plain tensors"),
        (changed("online.11.bias", torch.zeros(1)), "its layers are others: online.11.bias"),
        ({"conv1.weight": torch.zeros(1)}, "weights of another network"),
        ({}, "should hold 'model'"),
        ({"online.0.weight": 3}, "should hold 'model'"),
        ({3: torch.zeros(1)}, "should hold 'model'"),
        ("weights", "should hold 'model'"),
        (torch.zeros(3), "should hold 'model'"),
    ],
)  # fmt: skip
def test_other_weights_are_refused_in_one_line(tmp_path: Path, model: Any, message: str) -> None:
    text = refusal(save(tmp_path / "odd.chkpt", model=model, exploration_rate=0.5))
    assert re.search(message, text), text


@pytest.mark.parametrize("content", [{"weights": {}}, [1, 2], {}, WEIGHTS["online.0.bias"], {"exploration_rate": 0.5}])
def test_what_is_no_tutorial_checkpoint_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "odd.chkpt")
    assert "not a tutorial checkpoint" in refusal(tmp_path / "odd.chkpt")


# Pickles that would run code, or take memory without end.


class Calls:
    """Pickled as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._call


class WholeNetwork(torch.nn.Linear):
    """Pickled with its class."""


CORE: Any = getattr(np, "_core" if np.__version__.startswith("2") else "core")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (Calls(os.system, "touch harm"), "system"),
        (Calls(Path.touch, Path("harm")), "getattr"),
        (Calls(eval, "open('harm', 'w')"), "eval"),
        (Calls(getattr, "x", "join"), "getattr"),
        (Calls(np.load, "harm.npy"), "load"),
        (Calls(np.fromfile, "harm.npy"), "fromfile"),
        (WholeNetwork(2, 2), "WholeNetwork"),
    ],
    ids=["system", "path", "eval", "getattr", "load", "fromfile", "a whole network"],
)
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Any, named: str, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "harm.npy", np.zeros(2))
    for content in (
        {"model": harm},
        {"model": WEIGHTS, "exploration_rate": harm},
        {"model": WEIGHTS, "memory": [harm]},
    ):
        torch.save(content, tmp_path / "odd.chkpt", _use_new_zipfile_serialization=zipped)
        text = refusal(tmp_path / "odd.chkpt")
        assert "not a safe one" in text
        assert named in text
        assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "trick",
    [
        Calls(CORE.multiarray.scalar, np.dtype("V2000000000")),
        Calls(CORE.multiarray.scalar, np.dtype("O"), [1]),
        Calls(CORE.multiarray.scalar, np.dtype("f8"), b"x"),
        Calls(CORE.multiarray.scalar, np.dtype("f8"), b"x" * 800),
        Calls(CORE.multiarray.scalar, np.dtype([("a", "f8", (2**10, 2**10))]), b"x"),
        Calls(CORE.multiarray._reconstruct, np.ndarray, (2**40,), b"d"),
        Calls(np.ndarray, (2**40,)),
        Calls(np.dtype, "f8," * 100_000),
        Calls(np.dtype, [("a", "O")]),
        Calls(collections.deque, [0.5], 1),
    ],
    ids=["void", "object", "short", "long", "subarray", "reconstruct", "ndarray", "fields", "object field", "deque"],
)
def test_numpy_is_never_asked_to_make_what_a_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trick: Any
) -> None:
    path = save(tmp_path / "odd.chkpt", model=WEIGHTS, exploration_rate=trick)
    frombuffer: list[str] = []
    original = np.frombuffer

    def watched(data: Any, dtype: Any) -> Any:
        frombuffer.append(str(dtype))
        return original(data, dtype)

    monkeypatch.setattr(np, "frombuffer", watched)
    assert read_tutorial_checkpoint(path).epsilon is None
    assert set(frombuffer) <= {"float64"}


def test_the_stand_ins_are_known_only_while_a_file_is_read(tmp_path: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    read_tutorial_checkpoint(save(tmp_path / "a", model=WEIGHTS, exploration_rate=np.float64(0.5)))
    assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(CheckpointError):
        read_tutorial_checkpoint(save(tmp_path / "b", model=WEIGHTS, exploration_rate=Calls(os.getcwd)))
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("zipped", [True, False])
def test_a_few_bytes_that_ask_for_much_memory_are_refused(tmp_path: Path, zipped: bool) -> None:
    class Much:
        def __reduce__(self) -> Any:
            return bytearray, (3 * 10**9,)

    file = tmp_path / "much.chkpt"
    torch.save({"model": Much()}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="names 'bytearray'"):
        read_tutorial_checkpoint(file)


def test_a_file_that_would_take_much_memory_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.chkpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"x")
        archive.writestr("archive/data/0", bytes(tutorial_checkpoint.MAX_BYTES))
    assert (tmp_path / "bomb.chkpt").stat().st_size < 2**20
    assert "MB of memory" in refusal(tmp_path / "bomb.chkpt")
    with (tmp_path / "large.chkpt").open("wb") as file:
        file.write(b"\x80\x02")
        file.truncate(tutorial_checkpoint.MAX_BYTES + 1)  # a hole, which takes no room
    assert "MB of memory" in refusal(tmp_path / "large.chkpt")


# Files of something else.


def archive_of(name: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, "{}")
    return data.getvalue()


def saved(*, zipped: bool = True) -> bytes:
    data = io.BytesIO()
    torch.save({"model": WEIGHTS, "exploration_rate": 0.5}, data, _use_new_zipfile_serialization=zipped)
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"hello", "is no checkpoint"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "is no checkpoint"),
        (b"\x08\0\0\0\0\0\0\0{}      ", "is no checkpoint"),  # safetensors
        (b"\x80", "not a tutorial checkpoint"),
        (pickle.dumps({"model": 1}), "not a tutorial checkpoint"),
        (archive_of("a.txt"), "is a zip archive, and no checkpoint"),
        (archive_of("my-run/step-000000100/manifest.json"), "a run in a zip archive: unpack it into"),
        (archive_of("a/data.pkl"), "not a tutorial checkpoint"),
        (saved()[:5_000_000], "cut off"),
        (saved()[:-20], "cut off"),
        (saved(zipped=False)[:5_000_000], "damaged"),
        (b"PK\x03\x04", "cut off"),
    ],
    ids=["empty", "text", "jpeg", "safetensors", "a byte", "pickle", "zip", "run", "no pickle", "half", "most", "old",
         "start"],
)  # fmt: skip
def test_files_of_something_else_are_refused_in_our_own_words(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "odd.chkpt").write_bytes(content)
    assert message in refusal(tmp_path / "odd.chkpt")


def test_what_was_made_of_random_bytes_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    good = saved(zipped=False)
    start = good.index(b"online.0.weight")
    for n in range(60):
        data = bytearray(good)
        for at in rng.integers(0, start + 2000, 3):
            data[at] = rng.integers(256)
        (tmp_path / f"odd-{n}.chkpt").write_bytes(data)
        try:
            load_policy(tmp_path / f"odd-{n}.chkpt")
        except CheckpointError:
            refusal(tmp_path / f"odd-{n}.chkpt")
        (tmp_path / f"odd-{n}.chkpt").unlink()
