"""What recordings in the background cost the training beside them.

    python benchmarks/recording_cost.py [--preset fast] [--rounds 6] [--seconds 20]

One run trains; for so many seconds nothing is recorded, then for as long one recording after the other is made by the
background process that a training has for its highlights, and so on in turn. In practice a training records for some
seconds in ten minutes, so that it costs this times `share_in_practice`: the length of the recording that was made, in
the 600 seconds from one to the next. Prints one line of JSON; steps per second are of each block.

The two kinds of block follow each other closely, as the machine may have other work, whose share differs from minute to
minute; where it has much, the recordings, which are nicer than it, get little done (`recordings`), and cost little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from mario_tui.game.action_log import ActionLog
from mario_tui.presets import preset
from mario_tui.training.events import Stepped
from mario_tui.training.highlights import BEST_EVERY_SECONDS
from mario_tui.training.restore import open_trainer
from mario_tui.video.background import BackgroundRecording

WARM_UP_STEPS = 1200
LOG = ActionLog("1-1", 4, ((131,) * 5 + (130,) * 3) * 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MARIO_TUI_HOME"] = folder
        print(json.dumps(measure(arguments.preset, arguments.rounds, arguments.seconds, Path(folder))))


def measure(name: str, rounds: int, seconds: float, folder: Path) -> dict[str, object]:
    config = preset(name).replace(burn_in=1000, save_every=0, eval_every=0, record=False, until_clear=False, seed=1)
    trainer = open_trainer(config, run="cost")
    speeds: dict[bool, list[float]] = {False: [], True: []}
    took: list[float] = []
    recording: BackgroundRecording | None = None
    records, block_step, block_at, begun_at = False, 0, 0.0, 0.0
    for event in trainer.run():
        if not isinstance(event, Stepped) or event.step < WARM_UP_STEPS:
            continue
        now = time.monotonic()
        if recording is not None and (outcome := recording.outcome()):
            assert not outcome.problem, outcome.problem
            took.append(now - begun_at)
            recording = None
        if not block_at:
            block_step, block_at = event.step, now
        elif now - block_at >= seconds:
            speeds[records].append((event.step - block_step) / (now - block_at))
            records = not records
            if recording is not None:
                recording.cancel()
                recording = None
            if not records and len(speeds[True]) == rounds:
                trainer.control.stop()
            block_step, block_at = event.step, time.monotonic()
        if records and recording is None:
            recording, begun_at = BackgroundRecording(LOG, folder / "cost.mp4"), now
    ratios = [with_it / without for without, with_it in zip(*speeds.values(), strict=True)]
    cost, share = 1 - statistics.median(ratios), (statistics.median(took) if took else seconds) / BEST_EVERY_SECONDS
    return {
        "preset": name,
        "without": [round(speed, 1) for speed in speeds[False]],
        "recording_all_the_time": [round(speed, 1) for speed in speeds[True]],
        "cost_all_the_time": round(cost, 3),
        "recordings": len(took),
        "seconds_each": round(statistics.median(took), 1) if took else None,
        "share_in_practice": round(share, 3),
        "cost_in_practice": round(cost * share, 4),
        "load_average": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    main()
