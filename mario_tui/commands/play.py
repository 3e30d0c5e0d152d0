"""`play`: a game played by hand."""

from __future__ import annotations

import argparse

from mario_tui import paths
from mario_tui.commands.recording_progress import outcome_of, recording_progress
from mario_tui.errors import MarioTuiError
from mario_tui.game.stages import check_stage
from mario_tui.printable import printable
from mario_tui.system import output


def play(arguments: argparse.Namespace) -> int:
    stage = check_stage(arguments.stage)
    if not arguments.window:
        output.check_full_screen("playing needs a terminal, or a window: add --window")
    video = None if arguments.record is None else paths.expand(arguments.record)
    if video is not None:
        from mario_tui.video.writer import check_video

        check_video(video, scale=arguments.scale, fps=arguments.fps)
    from mario_tui.play.human_player import HumanPlayer
    from mario_tui.tui.text import HOW_TO_LEARN_FROM

    player = HumanPlayer(stage)
    if arguments.window:
        from mario_tui.play.window_mirror import play_in_window

        play_in_window(player)
        code = 0
    else:
        from mario_tui.tui.run import run_app
        from mario_tui.tui.services import Services

        class ThisGame(Services):
            def open_game(self, stage: str) -> HumanPlayer:
                return player

        code = run_app(play=stage, services=ThisGame())
        player.close()
    if player.problem:
        raise MarioTuiError(player.problem)
    if video is not None and player.best is None:
        print("Nothing was recorded: no game took a second or more.")
    elif video is not None and player.best is not None:
        from mario_tui.video.record import record_replay

        game = player.best
        with recording_progress(quiet=False) as progress:
            recording = record_replay(
                game.log,
                video,
                scale=arguments.scale,
                fps=arguments.fps,
                overlay=arguments.overlay,
                progress=progress,
            )
        how = f"{recording.seconds:.1f} s; {outcome_of(recording)}"
        print(f"Wrote {printable(recording.path)} ({how}), the best of the games played")
    if player.logs:
        print(f"Kept as {printable(player.logs[-1])}; {HOW_TO_LEARN_FROM}")
    return code
