"""The errors that this program raises on purpose: each message is one line that says what is wrong and what to do."""

from mario_tui.printable import printable


class MarioTuiError(Exception):
    """Something failed that the user should read about; the command line prints the message and exits with 1."""

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__())  # it may hold the name of a file


class InputError(MarioTuiError):
    """The user gave something that cannot be used: a flag, a setting, a path, a file. Exit code 2."""

    exit_code = 2


class CheckpointError(InputError):
    """A checkpoint is missing, damaged, foreign or made by a newer version of the program."""


class DamagedError(CheckpointError):
    """A file of a checkpoint is missing, or not what was saved."""


class EmulatorError(MarioTuiError):
    """The emulator, or a process that runs one, failed."""


class EvaluationError(MarioTuiError):
    """Episodes could not be played in a process of their own."""


class RecordingError(MarioTuiError):
    """A video could not be written."""


class TrainingError(MarioTuiError):
    """Training could not go on."""


class NotSavedError(TrainingError):
    """A training that should end could not be saved, e.g. as the disk is full."""
