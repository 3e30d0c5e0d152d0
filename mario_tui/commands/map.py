"""`map`: a picture of a run's stage, with the ways of its episodes and where they ended."""

from __future__ import annotations

import argparse
import json
from collections import Counter

from mario_tui import paths
from mario_tui.commands.checkpoint_argument import run_of
from mario_tui.errors import InputError, RecordingError
from mario_tui.printable import printable
from mario_tui.system.files import write_atomically


def map_(arguments: argparse.Namespace) -> int:
    run = run_of(arguments.of_run)
    output = paths.expand(arguments.output or f"{run.name}-map.png")
    if output.suffix.lower() != ".png":
        raise InputError(f"{printable(output)} is no name for a map: it is a picture that ends with .png")
    if arguments.last < 1 or arguments.lines < 1:
        raise InputError("--last and --lines should be 1 or more")
    import io

    from PIL import Image

    from mario_tui.play.run_map import draw_map, in_lines, read_map, up_to

    found = read_map(run)
    episodes = up_to(found.episodes, arguments.to_step or None, arguments.last)
    if not episodes:
        raise InputError(f"no episode of {run.name} had ended at step {arguments.to_step:,}")
    stage = episodes[-1].record.stage
    content = io.BytesIO()
    Image.fromarray(in_lines(draw_map(stage, episodes), arguments.lines)).save(content, "PNG")
    try:
        write_atomically(output, content.getvalue())
    except OSError as error:
        raise RecordingError(f"the map {output} cannot be written: {error.strerror}") from error
    ends = Counter(one.record.end for one in episodes)
    first, last = episodes[0].record, episodes[-1].record
    if arguments.json:
        told = {"path": str(output), "run": run.name, "stage": stage, "episodes": len(episodes)}
        print(json.dumps({**told, "first_episode": first.episode, "last_episode": last.episode, "ends": dict(ends)}))
        return 0
    words = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    print(f"Wrote {printable(output)}: {len(episodes)} episodes, {first.episode:,} to {last.episode:,} ({words})")
    return 0
