"""How fast settings of the learner fit fixed targets: a look at the network alone, without play or bootstrap.

    python benchmarks/fit_targets.py RUN "" "centered=True" "centered=True reward_scale=150 learning_rate=5e-4"
    python benchmarks/fit_targets.py RUN "" "value_bins=51" "layer_norm=True" "shift=4"

RUN is a run with a saved replay. Its n-step targets are computed once, with its own target network; then a fresh
network for each group of settings (the run's own, with those named changed) regresses on them with uniform batches, so
that gamma and n_steps, which make targets, change nothing. Printed of 3,000 transitions that are held out, in units of
the run's scaled reward: the root mean square error, and how much too high the values are of those that end with
Mario's death.
"""

import argparse
import time
from ast import literal_eval

import numpy as np
import torch

HELD_OUT = 3000
CHUNK = 250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="name of a run with a saved replay")
    parser.add_argument("settings", nargs="+", help='changed settings, "name=value name=value"; "" for none')
    parser.add_argument("--updates", type=int, default=3200, help="updates for each group (default 3200)")
    arguments = parser.parse_args()

    from mario_tui.agent.loss import LossResult, Transitions
    from mario_tui.agent.mario import Mario
    from mario_tui.agent.network import MarioNet
    from mario_tui.agent.preprocess import SCORE_ROWS
    from mario_tui.agent.runtime import prepare_processor
    from mario_tui.agent.shift import shifted
    from mario_tui.config import TrainingConfig
    from mario_tui.store import checkpoint, named
    from mario_tui.training import state_files
    from mario_tui.training.resume import resume_config

    def regress(net: MarioNet, batch: Transitions, config: TrainingConfig) -> LossResult:
        output, target = net(batch.s_tm1, "online"), net.head.within(batch.r_t)  # r_t holds the targets
        q = net.head.q_values(output.detach()).gather(1, batch.a_tm1.unsqueeze(1)).squeeze(1)
        return LossResult(net.head.losses(output, batch.a_tm1, target).mean(), q, target - q)

    folder = named.find_checkpoint(arguments.run)
    config = resume_config(folder, {"precision": "float32"})
    prepare_processor(1)
    teacher = Mario(config)
    state_files.read(folder, teacher, checkpoint.verify(folder), envs=config.envs)
    memory = teacher.memory
    rows = np.random.default_rng(0).permutation(memory.sampleable())
    targets = torch.zeros(int(rows.max()) + 1)
    died = torch.zeros(len(targets), dtype=torch.bool)
    for start in range(0, len(rows), CHUNK):
        index = rows[start : start + CHUNK]
        batch = memory.transitions_at(index)
        targets[index] = teacher.td_target(batch.r_t / config.reward_scale, batch.s_t, batch.discount_t)
        died[index] = batch.discount_t == 0
    held_out, seen = rows[:HELD_OUT], rows[HELD_OUT:]
    print(f"{folder}: {len(rows):,} transitions, targets {targets[rows].mean():.2f} ± {targets[rows].std():.2f}")

    for text in arguments.settings:
        changes = {name: literal_eval(value) for name, _, value in (part.partition("=") for part in text.split())}
        student = Mario(config.replace(**{**changes, "replay_size": 100}))
        student.loss = regress
        units = student.config.reward_scale / config.reward_scale
        rng, seconds = np.random.default_rng(1), 0.0
        for _ in range(arguments.updates):
            began = time.perf_counter()
            index = rng.choice(seen, student.config.batch_size)
            batch = memory.transitions_at(index)
            if most := student.config.shift:
                offsets = torch.from_numpy(rng.integers(-most, most, (len(index), 2), np.int32, endpoint=True))
                still = SCORE_ROWS if student.config.show_buttons else 0
                batch = batch._replace(s_tm1=shifted(batch.s_tm1, offsets, still))
            student.optimizer.update(batch._replace(r_t=targets[index] / units))
            seconds += time.perf_counter() - began
        errors = []
        with torch.no_grad():
            for start in range(0, HELD_OUT, CHUNK):
                index = held_out[start : start + CHUNK]
                batch = memory.transitions_at(index)
                errors.append(student.td_estimate(batch.s_tm1, batch.a_tm1) * units - targets[index])
        error = torch.cat(errors)
        print(
            f"{text or 'as it is':60s} {seconds:4.0f} s  rms {error.square().mean().sqrt():.2f}"
            f"  before a death {error[died[held_out]].mean():+.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
