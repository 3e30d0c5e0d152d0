"""The batch script of docs/unattended.md, run by bash; a program in the place of scontrol notes what it is asked."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mario_tui.store import checkpoint, lookup

ROOT = Path(__file__).parents[2]


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.mark.slow
def test_a_job_that_is_warned_saves_and_resumes_in_the_queue(home: Path) -> None:
    page = (ROOT / "docs" / "unattended.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    assert "#SBATCH --signal=B:USR1@" in script
    (home / "job.sh").write_text(script)
    small = "--burn-in 20 --replay-size 2000 --network small --envs 1 --measuring-games 0 --batch-size 8"
    mario_tui = (
        f'case "$*" in *--resume*) more=;; *) more="{small}";; esac\nexec {sys.executable} -m mario_tui "$@" $more'
    )
    program(home / "bin" / "mario-tui", mario_tui)
    program(home / "bin" / "scontrol", f'echo "$@" >> {home}/scontrol')
    environment = {**os.environ, "PATH": f"{home}/bin:{os.environ['PATH']}", "SLURM_JOB_ID": "17"}
    begins = []
    for _ in range(2):
        job = subprocess.Popen(["bash", "job.sh"], cwd=home, env=environment, stdout=subprocess.PIPE, text=True)
        assert job.stdout is not None
        begins += [next(found for line in job.stdout if (found := re.search(r"from step ([\d,]+)", line)))[1]]
        next(line for line in job.stdout if line.startswith(("Episode", "Greedy")))
        job.send_signal(signal.SIGUSR1)
        rest = job.stdout.read()
        assert job.wait() == 0, rest
        newest = lookup.step_folders(home / "checkpoints" / "slurm-17")[-1]
        checkpoint.verify(newest)
    assert begins[0] == "0"
    assert begins[1] != "0"
    assert (home / "scontrol").read_text() == "requeue 17\n" * 2
