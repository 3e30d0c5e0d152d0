"""The command line: `mario-tui` opens the terminal app, `mario-tui COMMAND` does one thing without it.

Nothing heavy is imported here, so that `--help` and mistakes answer at once; each command imports what it needs.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import errno
import itertools
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from mario_tui import __version__
from mario_tui.errors import InputError, MarioTuiError
from mario_tui.printable import printable
from mario_tui.system import output, platforms, signals

Command = Callable[[argparse.Namespace], int]

_EPILOG = """\
`mario-tui` alone opens the app: train, pause, watch, record, all by key.
`mario-tui COMMAND --help` explains a command. Runs go to checkpoints/ and videos to recordings/ in the folder that the
environment variable MARIO_TUI_HOME names, or the line home = "..." in the settings file. Without either it is the
current folder if mario-tui runs from a clone or the folder holds runs already, and otherwise your data folder:
`mario-tui doctor` says which.
"""


def _number(kind: type[int] | type[float], called: str, written: str) -> float:
    try:
        return kind(written)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{written!r} cannot be used: it should be {called}") from None


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for kind, called in ((int, "a whole number"), (float, "a number")):
            self.register("type", kind, partial(_number, kind, called))

    def parse_args(self, *arguments: Any, **named: Any) -> Any:
        parsed, unknown = self.parse_known_args(*arguments, **named)
        if unknown:
            command = f"{self.prog} {parsed.command}" if getattr(parsed, "command", None) else self.prog
            raise InputError(f"unrecognized arguments: {' '.join(unknown)} ('{command} --help' explains)")
        return parsed

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} ('{self.prog} --help' explains)")


class _Version(argparse.Action):
    """Prints the versions of what decides how a run goes, none of which is imported."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib import metadata

        print(f"mario-tui {__version__}")
        print(f"Python {'.'.join(map(str, sys.version_info[:3]))}, {sys.platform}")
        for name in ("torch", "torchrl", "textual", "gym-super-mario-bros", "nes-py"):
            try:
                print(name, metadata.version(name))
            except metadata.PackageNotFoundError:
                print(name, "is not installed")
        parser.exit()


def build_parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of all commands; the training settings are only added where `argv` asks for them."""
    parser = _Parser(
        prog="mario-tui",
        description="Train, watch and record a Double-DQN agent that plays Super Mario Bros, in the terminal.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the versions of this program and its parts")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def add(name: str, help_text: str, run: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_text, description=_sentence(help_text))
        command.set_defaults(run=run)
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return command

    train = add("train", "train an agent without the app", "train.train")
    if "train" in argv:
        from mario_tui.commands.train import add_arguments

        add_arguments(train)

    evaluate = add("eval", "play episodes with a checkpoint and print how far it gets", "evaluate.evaluate")
    _add_checkpoint(evaluate)
    _add_stage(evaluate)
    evaluate.add_argument(
        "--verdict",
        action="store_true",
        help="one greedy episode and ten robust ones, kept with the checkpoint: what e does in the app",
    )
    evaluate.add_argument("--episodes", type=int, default=1, metavar="N", help="how many (default 1)")
    evaluate.add_argument(
        "--values",
        metavar="FILE",
        help="write the first episode to a .csv, a step a line: value, action, reward and the return that came",
    )
    _add_chance(evaluate)
    _add_json(evaluate)

    audit = add("audit", "say which failures of a checkpoint could have been avoided, and how late", "audit.audit")
    _add_checkpoint(audit)
    _add_stage(audit)
    audit.add_argument("--episodes", type=int, default=100, metavar="N", help="how many (default 100)")
    audit.add_argument("--seed", type=int, default=0, metavar="S", help="of sticky actions and no-op starts")
    audit.add_argument("--actions", metavar="SET", help="the action set that is searched (default: the checkpoint's)")
    audit.add_argument(
        "--back", default="4,8,12,20", metavar="K,K", help="how many steps before the end (default 4,8,12,20)"
    )
    audit.add_argument("--threads", type=int, metavar="N", help="episodes at a time (default: one for each core)")
    _add_json(audit)

    exam = add("exam", "say in how many decisive states a checkpoint chooses an action that is safe", "exam.exam")
    _add_checkpoint(exam)
    exam.add_argument("exam", metavar="FILE", help="the states, as benchmarks/make_exam.py writes them")
    _add_json(exam)

    search = add("search", "look for a way through a stage, without an agent: an action log", "search.search")
    search.add_argument("--stage", required=True, metavar="S", help="1-1 to 8-4")
    search.add_argument(
        "--actions", metavar="SET", help="the action set (default: the one that the stage is trained with)"
    )
    search.add_argument("--seed", type=int, default=0, metavar="S", help="of what is tried (default 0)")
    search.add_argument(
        "--transitions", type=int, default=0, metavar="N", help="give up for now after so many steps (default: never)"
    )
    search.add_argument(
        "--minutes", type=float, default=0.0, metavar="M", help="give up for now after so long (default: never)"
    )
    search.add_argument("--new", action="store_true", help="begin anew, and not where the last search was stopped")
    _add_json(search)

    campaign = add("campaign", "train stages one after another, each until a first clear", "campaign.campaign")
    campaign.add_argument("--stages", default="all", metavar="S,S", help="all (default), or some: 1-1,1-2")
    campaign.add_argument(
        "--name", default="campaign", metavar="NAME", help="the run of a stage is NAME_STAGE (default campaign)"
    )
    campaign.add_argument("--steps", type=int, default=0, metavar="N", help="budget of each stage (default 400,000)")
    campaign.add_argument("--preset", default="", metavar="P", help="of all trainings (default fast)")
    campaign.add_argument("--at-once", type=int, default=1, metavar="N", help="trainings at a time (default 1)")
    campaign.add_argument("--seed", type=int, default=0, metavar="S", help="of each training (default 0)")
    campaign.add_argument(
        "--cold", action="store_true", help="begin no training with the weights of an earlier stage of its kind"
    )
    campaign.add_argument(
        "--demonstrations",
        default="",
        metavar="PATH",
        help="learn from these action logs as well, e.g. plays/; ways: those that come with mario-tui",
    )
    _add_json(campaign)

    record = add("record", "write a checkpoint's greedy play to an MP4 or GIF", "record.record")
    record.add_argument(
        "checkpoint",
        nargs="*",
        metavar="CKPT",
        help="a checkpoint folder, a run or its name, or a tutorial .chkpt; several: all of them side by side",
    )
    record.add_argument(
        "--game",
        action="store_true",
        help="the whole game: from 1-1 on each stage by its best agent, or by a log in plays/ that clears it where no "
        "agent does; to the first stage that has neither",
    )
    record.add_argument("--stop", action="store_true", help="with --game: end where a stage is not cleared")
    record.add_argument(
        "--grid", type=int, metavar="M", help="side by side: M checkpoints of the run, from its first to its newest"
    )
    record.add_argument(
        "--race",
        action="store_true",
        help="in one picture: the checkpoints that are named, or those of the run, as ghosts beside the best",
    )
    record.add_argument(
        "--racers", type=int, metavar="M", help="with --race: at most M checkpoints of the run (default 6)"
    )
    record.add_argument("--best-of", type=int, default=1, metavar="N", help="the best of N episodes (default 1)")
    _add_chance(record)
    record.add_argument("-o", "--output", metavar="FILE", help="an .mp4 or .gif (default: an MP4 in recordings/)")
    record.add_argument(
        "--stage",
        type=lambda text: text.split(","),
        action="extend",
        metavar="S",
        help="1-1 to 8-4 (default: the one it was trained on); several, as in 1-1,1-2: one after the other",
    )
    _add_video(record)
    _add_json(record)

    export = add("export", "copy a checkpoint's greedy network into a run of a few MB", "export.export")
    _add_checkpoint(export)
    export.add_argument("--name", required=True, metavar="RUN", help="name of the new run")
    export.add_argument("--half", action="store_true", help="in 16 bits: half the size, and to be measured again")
    _add_json(export)

    attach = add("attach", "show a training that another process does, and steer it", "attach.attach")
    attach.add_argument("of_run", metavar="RUN", help="a run that 'mario-tui train' trains on this machine")

    run_map = add("map", "draw the ways of a run's episodes on the map of its stage, as PNG", "map.map_")
    run_map.add_argument("of_run", metavar="RUN", help="a run or its name")
    run_map.add_argument("-o", "--output", metavar="FILE", help="a .png (default: RUN-map.png here)")
    run_map.add_argument("--last", type=int, default=100, metavar="N", help="the last N episodes (default 100) ...")
    run_map.add_argument("--to-step", type=int, metavar="S", help="... up to this step of the training")
    run_map.add_argument("--lines", type=int, default=1, metavar="N", help="the map in N parts, one under the other")
    _add_json(run_map)

    replay = add("replay", "play an action log again, print its checksums and check them", "replay.replay")
    replay.add_argument("log", metavar="LOG", help="the .json beside a recording; with --episode a run")
    _add_episode(replay)
    replay.add_argument("-o", "--output", metavar="FILE", help="also write it to an .mp4 or .gif")
    replay.add_argument(
        "--ledger", action="store_true", help="also print what the reward is made of, as the run of --episode learns it"
    )
    replay.add_argument(
        "--no-ghosts", action="store_true", help="with -o: leave out the ghosts that LOG's recording has"
    )
    _add_video(replay)
    _add_json(replay)

    watch = add("watch", "watch a checkpoint's greedy play, or a recording's action log", "watch.watch")
    watch.add_argument(
        "checkpoint",
        nargs="?",
        metavar="CKPT",
        help="a checkpoint folder, a run or its name (its newest), a tutorial .chkpt, or a recording or its action log",
    )
    watch.add_argument("--game", action="store_true", help="the whole game, as with 'record --game'")
    watch.add_argument("--stop", action="store_true", help="with --game: stay where a stage is not cleared")
    _add_stage(watch)
    _add_episode(watch)
    where = watch.add_mutually_exclusive_group()
    where.add_argument("--terminal", action="store_true", help="in the terminal (the default)")
    where.add_argument("--window", action="store_true", help="in the emulator's window")

    play = add("play", "play by hand", "play.play")
    play.add_argument("--stage", default="1-1", metavar="S", help="1-1 to 8-4 (default 1-1)")
    where = play.add_mutually_exclusive_group()
    where.add_argument("--terminal", action="store_true", help="in the terminal (the default)")
    where.add_argument("--window", action="store_true", help="in the emulator's window: keys are held there")
    play.add_argument("--record", metavar="FILE", help="write the best of the games to an .mp4 or .gif at the end")
    _add_video(play)

    _add_runs(add("runs", "rename, delete, annotate and compare runs and their checkpoints", "runs"))

    serve = add("serve", "show the app in a browser (extra 'web')", "serve.serve")
    serve.add_argument(
        "--host",
        default="localhost",
        metavar="HOST",
        help="the address to listen on (default localhost: this machine only)",
    )
    serve.add_argument("--port", type=int, default=8000, metavar="PORT", help="where (default 8000)")
    serve.add_argument(
        "--url",
        metavar="URL",
        help="what browsers call it, to show, and for a reverse proxy that hides its name (any address works without)",
    )
    add("keys", "list the app's keys, with the names by which a settings file changes them", "keys.keys")
    recordings = add("recordings", "list the recordings, the newest first, or delete one", "lists.recordings")
    recordings.add_argument(
        "--delete", metavar="FILE", help="move this one and its action log to recordings/.trash; nothing is asked"
    )
    _add_json(recordings)
    _add_json(add("stages", "the board: how far you are on each of the 32 stages", "stages.stages"))
    _add_json(add("checkpoints", "list the checkpoints, the best of each stage first", "lists.checkpoints"))
    verify = add("verify", "say whether a checkpoint is whole", "verify.verify")
    verify.add_argument("path", metavar="PATH", help="a checkpoint folder, a run or its name, or a .chkpt file")
    bench = add("bench", "measure training speed on this machine", "bench.bench")
    bench.add_argument("--steps", type=int, default=1000, metavar="N", help="steps to measure (default 1000)")
    bench.add_argument("--preset", metavar="P", help="fast (default with --tune), robust, or tutorial (default)")
    bench.add_argument("--device", metavar="D", help="auto, cpu, mps, cuda or cuda:N (default: the preset's)")
    bench.add_argument("--envs", type=int, metavar="N", help="games at the same time (default: the preset's)")
    bench.add_argument("--workers", type=int, metavar="N", help="processes that run them (default: the preset's)")
    bench.add_argument("--precision", metavar="P", help="of updates: auto, float32 or bfloat16 (default: the preset's)")
    bench.add_argument(
        "--tune",
        action="store_true",
        help="for some minutes, try threads and processes, or on a processor with '--envs 0' threads and games; "
        "trainings take what is fastest here",
    )
    bench.add_argument("--no-graph", action="store_true", help="on a GPU, without a CUDA graph of the update")
    bench.add_argument(
        "--evaluations", action="store_true", help="also measure with evaluations and saves, as often as in the preset"
    )
    _add_json(bench)
    _add_json(add("doctor", "check Python, PyTorch, devices, emulator, display, ffmpeg and disk", "doctor.doctor"))
    return parser


def _sentence(text: str) -> str:
    """With a capital at the beginning; `str.capitalize` would take away the others, as in "MP4 or GIF"."""
    return f"{text[:1].upper()}{text[1:]}."


def _add_runs(runs: argparse.ArgumentParser) -> None:
    actions = runs.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=_Parser)

    def add(name: str, help_text: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=help_text, description=_sentence(help_text))
        action.set_defaults(run=f"runs.{name}")
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return action

    rename = add("rename", "give a run another name")
    rename.add_argument("run_name", metavar="RUN", help="the run's name or folder")
    rename.add_argument("new_name", metavar="NEW", help="letters, digits, '.', '_' and '-'")
    delete = add("delete", "move a run, or one of its checkpoints, to checkpoints/.trash; nothing is asked")
    delete.add_argument(
        "path", metavar="PATH", help="a run, by name or folder, or a checkpoint, e.g. my-run/step-000120000"
    )
    note = add("note", "keep a line of your own with a checkpoint; the lists show it")
    note.add_argument("checkpoint", metavar="CKPT", help="a checkpoint folder, or a run or its name (its newest)")
    note.add_argument("text", metavar="TEXT", help="the line; an empty one, '', takes the note away")
    compare = add("compare", "compare the curves of several runs: how far they got, reward, clear rate, loss, Q")
    compare.add_argument("runs", nargs="+", metavar="RUN", help="two runs or more, by name or folder")
    compare.add_argument(
        "--points", type=int, default=200, metavar="N", help="of each curve at most, in JSON (default 200)"
    )
    compare.add_argument(
        "--seeds",
        action="store_true",
        help="in JSON, too, runs that differ by their seed alone as one: [step, mean, lowest, highest]",
    )
    _add_json(compare)


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint", metavar="CKPT", help="a checkpoint folder, a run or its name (its newest), or a tutorial .chkpt"
    )


def _add_stage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", metavar="S", help="1-1 to 8-4 (default: the one it was trained on)")


def _add_chance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sticky", type=float, default=0.0, metavar="P", help="chance per frame that the buttons before stay held"
    )
    parser.add_argument(
        "--noops", type=int, default=0, metavar="N", help="start with up to N frames without a button, drawn at random"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of sticky actions and no-op starts")


def _add_video(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", type=int, default=2, metavar="K", help="pixels per NES pixel, 1 to 8 (default 2)")
    parser.add_argument("--fps", type=int, metavar="F", help="60, 30 or 15 (default: 60 for MP4, 30 for GIF)")
    parser.add_argument("--overlay", action="store_true", help="draw buttons, Q values and reward below the game")


def _add_episode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--episode", type=int, metavar="N", help="of a run: episode N of its training, as metrics.csv numbers them"
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 for a failure, 2 for bad input."""
    argv = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in itertools.takewhile(lambda argument: argument != "--", argv)
    try:
        if sys.platform == "win32":  # before anything is imported that Windows lacks
            raise InputError(platforms.ON_WINDOWS)
        arguments = build_parser(argv).parse_args(argv)
        return _run(arguments)
    except MarioTuiError as error:
        if debug:
            raise
        print(f"mario-tui: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has gone, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.strerror:
            return _say_what_failed(error)
        message = printable(" ".join(str(error).split()))
        print(f"mario-tui: {type(error).__name__}: {message} (add --debug for the traceback)", file=sys.stderr)
        return 1


def _say_what_failed(error: OSError) -> int:
    """One line about what the system refused; returns the exit code."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    what = f"{printable(name)}: {error.strerror}" if name else str(error.strerror)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what += "; make room on the disk"
    elif name and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and _is_at_home(name):
        print(f"mario-tui: {what}; mend that, or have MARIO_TUI_HOME name another folder", file=sys.stderr)
        return 2
    print(f"mario-tui: {what}", file=sys.stderr)
    return 1


def _is_at_home(path: str) -> bool:
    """Whether a file or folder is in the folder that holds everything, or on the way to it."""
    from mario_tui import paths

    with contextlib.suppress(InputError):
        home, path = str(paths.home()), os.path.abspath(path)
        return os.path.commonpath((home, path)) in (home, path)
    return False


def program() -> int:
    """`main` as a program of its own: Ctrl+C while it ends, e.g. once too often, ends it at once."""
    signals.begin()
    output.set_up()
    try:
        code = main()
    except SystemExit as end:  # by a signal, or of --help and --version
        code = end.code if isinstance(end.code, int) else 0
    code = output.finish(code)
    signals.take(signals.ENDINGS, lambda *_: os._exit(code))  # e.g. where a thread hangs
    atexit.register(signals.ignore, signals.ENDINGS)
    return code


def _sweep() -> None:
    """Removes what programs left that were killed while they wrote."""
    from mario_tui import paths
    from mario_tui.system import files

    with contextlib.suppress(OSError, InputError):
        for folder in (
            paths.checkpoints_dir(),
            paths.recordings_dir(),
            paths.plays_dir(),
            paths.settings_file().parent,
        ):
            files.sweep(folder, at_start=True)
            files.sweep(folder / ".trash", at_start=True)
        if any(paths.checkpoints_dir().glob("*/.*.part")):  # seldom: checkpoints are slow to import
            from mario_tui.store.run import sweep_runs

            sweep_runs()


def _run(arguments: argparse.Namespace) -> int:
    _sweep()
    if arguments.command is None:
        served = "TEXTUAL_DRIVER" in os.environ  # by `mario-tui serve`, to a browser
        if not served:
            output.check_full_screen(
                "the app needs a terminal; without one use 'mario-tui train', 'eval', 'record', 'replay' "
                "or 'checkpoints' ('mario-tui --help' explains)"
            )
        from mario_tui.tui.run import run_app

        return run_app()
    module, _, function = arguments.run.partition(".")
    from importlib import import_module

    command: Command = getattr(import_module(f"mario_tui.commands.{module}"), function)
    return command(arguments)
