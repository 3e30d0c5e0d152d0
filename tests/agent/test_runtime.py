import subprocess
import sys


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
