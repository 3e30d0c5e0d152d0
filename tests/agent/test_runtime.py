import subprocess
import sys

import pytest
import torch

from mario_tui.agent.runtime import prepare_gpu


def test_the_garbage_collector_need_not_look_at_pytorch_and_nothing_complains_at_the_end() -> None:
    code = (
        "import gc, mario_tui.training.trainer\n"
        "from mario_tui.agent.runtime import prepare_processor\n"
        "prepare_processor()\n"
        "print(gc.get_freeze_count(), len(gc.get_objects()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    frozen, watched = map(int, ran.stdout.split())
    assert frozen > 100_000
    assert watched < 1_000
    assert ran.stderr == ""


@pytest.mark.parametrize(("precision", "rounds"), [("float32", False), ("auto", True), ("bfloat16", True)])
def test_float32_means_float32_on_a_gpu_too(precision: str, rounds: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("benchmark", "allow_tf32"):  # and back afterwards
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    prepare_gpu(precision)
    assert torch.backends.cudnn.allow_tf32 == rounds
    assert torch.backends.cudnn.benchmark
