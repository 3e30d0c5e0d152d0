"""Makes golden/*.json anew: `python tests/game/make_golden.py`, with gym-super-mario-bros 7.4.0 and only with it.

It plays that package itself and nothing of mario_tui, so what the tests hold our emulator against is the package's
own reward, RAM and screens. Besides scripted play there are the action logs in logs/: a whole stage, a castle with
its axe, and a way through a pipe.
"""

import json
from collections.abc import Iterable
from importlib import metadata
from typing import Any

from gym_super_mario_bros import SuperMarioBrosEnv

from traces import GOLDEN, LOGS, SCRIPTED_SEEDS, SCRIPTED_STAGES, Trace, buttons_of

MADE_WITH = {package: metadata.version(package) for package in ("gym-super-mario-bros", "nes-py")}


def main() -> None:
    if MADE_WITH["gym-super-mario-bros"] != "7.4.0":
        raise SystemExit(f"golden traces are made with gym-super-mario-bros 7.4.0, not with {MADE_WITH}")
    for stage in SCRIPTED_STAGES:
        make(stage, stage, [{"seed": seed} for seed in SCRIPTED_SEEDS])
    for path in LOGS.glob("*.json"):
        make(path.stem, json.loads(path.read_text())["stage"], [{"log": path.name}])


def make(name: str, stage: str, sources: list[dict[str, Any]]) -> None:
    world, level = stage.split("-")
    env = SuperMarioBrosEnv(target=(int(world), int(level)))
    episodes = [{**source, **play(env, buttons_of(source))} for source in sources]
    env.close()
    trace = {"stage": stage, "made_with": MADE_WITH, "episodes": episodes}
    (GOLDEN / f"{name}.json").write_text(json.dumps(trace, indent=1) + "\n")


def play(env: SuperMarioBrosEnv, buttons: Iterable[int]) -> dict[str, Any]:
    env.reset()
    trace = Trace()
    for byte in buttons:
        _, reward, done, info = env.step(byte)
        trace.add(reward, int(info["x_pos"]), env.ram, env.screen)
        if done:
            break
    last = {"x": int(info["x_pos"]), "status": info["status"]}
    last |= {name: int(info[name]) for name in ("time", "life", "coins", "score")}
    return trace.summary(last, ("clear" if info["flag_get"] else "death") if done else None)


if __name__ == "__main__":
    main()
