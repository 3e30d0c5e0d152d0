"""Which Python `make setup` takes: the newest that works, whatever else is on the machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "find-python"
TOOLS = ("sh", "grep", "sort", "sed", "tail", "head", "ls", "cat")


class Machine:
    """A machine with nothing but the Pythons that a test puts on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = [folder / "bin"]
        self.tools = folder / "tools"
        self.tools.mkdir()
        for tool in TOOLS:
            (self.tools / tool).symlink_to(shutil.which(tool) or "")
        self.script("c++", "exit 0")

    def script(self, path: str | Path, text: str) -> Path:
        file = self.folder / "bin" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file

    def python(self, path: str | Path, version: str, lacks: str = "", level: str = "final", then: str = "") -> Path:
        """This interpreter, which takes itself for another version; `then`: on another system."""
        major, minor = version.split(".")
        program = (
            f"import sys; from types import SimpleNamespace\nclass Version(tuple): releaselevel = {level!r}\n"
            f"sys.version_info = Version(({major}, {minor}, 0, {level!r}, 0))\n"
            + (f"sys.modules[{lacks!r}] = None\n" if lacks else "")
            + "if sys.argv[1] == '-V': print('Python "
            + version
            + ".0')\nelif sys.argv[1] == '-c': exec(sys.argv[2])\n"
            + f"else:\n    import runpy, sysconfig; sysconfig.get_config_vars()\n    {then or 'pass'}\n"
            + "    runpy.run_path(sys.argv[1], run_name='__main__')"
        )
        file = self.folder / f"{len(list(self.folder.iterdir()))}.py"
        file.write_text(program)
        return self.script(path, f'exec "{sys.executable}" -S "{file}" "$@"')

    def find(self, *arguments: str, code: int = 0, **variables: str) -> tuple[str, str]:
        """What it prints, and what it says on stderr."""
        environment = {"HOME": str(self.folder), "PATH": ":".join(map(str, [*self.path, self.tools])), **variables}
        done = subprocess.run(
            ["sh", SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False, cwd=self.folder
        )
        assert done.returncode == code, done.stderr
        return done.stdout.strip(), done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_newest_is_taken_and_named(machine: Machine) -> None:
    for minor in (8, 10, 12, 13):
        machine.python(f"python3.{minor}", f"3.{minor}")
    machine.python("python3", "3.11")
    found, said = machine.find()
    assert found == str(machine.folder / "bin/python3.13")
    assert said == f"using {found} (Python 3.13.0)\n"


def test_a_version_that_is_not_supported_is_not_taken(machine: Machine) -> None:
    machine.python("python3.15", "3.15")
    machine.python("python3", "3.15")
    machine.python("python3.9", "3.9")
    found, said = machine.find(code=1)
    assert not found
    assert "needs Python 3.10 to 3.14: none of 3.14, 3.13, 3.12, 3.11, 3.10 works here" in said
    assert len(said.splitlines()) == 1


def test_python3_counts_where_no_name_has_the_version(machine: Machine) -> None:
    python = machine.python("python3", "3.14")
    machine.python("python3.13", "3.13")
    assert machine.find()[0] == str(python)


@pytest.mark.parametrize("told", ["PYENV_ROOT", "pyenv root", "home"])
def test_a_shim_of_pyenv_fails_and_its_version_is_found_where_it_lies(machine: Machine, told: str) -> None:
    for shim in ("python3.13", "python3.14"):
        machine.script(shim, f"echo 'pyenv: {shim}: command not found' >&2; exit 127")
    machine.python("python3", "3.11")
    root = machine.folder / (".pyenv" if told == "home" else "elsewhere")
    if told == "pyenv root":
        machine.script("pyenv", f'[ "$1" = root ] && echo {root}')
    for release in ("3.9.18", "3.13.2", "3.13.10", "3.13.9", "3.12.1"):
        machine.python(root / "versions" / release / "bin/python", release.rpartition(".")[0])
    (root / "versions/3.14.0/bin").mkdir(parents=True)  # an installation that was interrupted
    found, _ = machine.find(PYENV_ROOT=str(root) if told == "PYENV_ROOT" else "")
    assert found == str(root / "versions/3.13.10/bin/python")


@pytest.mark.parametrize("lacks", ["ensurepip", "venv"])
def test_one_without_venv_is_left_out_with_a_line(machine: Machine, lacks: str) -> None:
    newest = machine.python("python3.14", "3.14", lacks=lacks)
    second = machine.python("python3.13", "3.13")
    found, said = machine.find()
    assert found == str(second)
    assert said.splitlines()[0] == (f"not {newest}: it lacks venv (on Debian and Ubuntu: apt install python3.14-venv)")
    assert len(said.splitlines()) == 2


def test_the_same_version_elsewhere_on_the_path_may_have_it(machine: Machine) -> None:
    machine.path.append(machine.folder / "other")
    machine.python("python3.13", "3.13", lacks="ensurepip")
    other = machine.python(machine.folder / "other/python3.13", "3.13")
    assert machine.find()[0] == str(other)


def test_a_release_candidate_is_left_out(machine: Machine) -> None:
    machine.python("python3.14", "3.14", level="candidate")
    older = machine.python("python3.13", "3.13")
    found, said = machine.find()
    assert found == str(older)
    assert "not a final release" in said


INTEL = "import platform; sys.platform = 'darwin'; platform.machine = lambda: 'x86_64'"
APPLE = (
    "import platform; sys.platform = 'darwin'; platform.machine = lambda: 'arm64'; platform.mac_ver = lambda: ('15.1',)"
)


def test_one_for_another_system_is_left_out_with_a_line(machine: Machine) -> None:
    machine.python("python3.14", "3.14", then=INTEL)
    found, said = machine.find(code=1)
    assert not found
    assert "python3.14: it is for Intel Macs, for which PyTorch has no packages" in said
    assert len(said.splitlines()) == 2
    arm = machine.python("python3.13", "3.13", then=APPLE)
    assert machine.find()[0] == str(arm)


def test_the_python_of_macos_alone_is_one_line(machine: Machine) -> None:
    machine.python("python3", "3.9", then=APPLE)
    found, said = machine.find(code=1)
    assert not found
    assert said.startswith("mario-tui needs Python 3.10 to 3.14: none of 3.14, 3.13, 3.12, 3.11, 3.10 works here.")
    assert len(said.splitlines()) == 1


def test_older_versions_need_a_compiler(machine: Machine) -> None:
    machine.python("python3.12", "3.12")
    (machine.folder / "bin/c++").unlink()
    assert "needs a C++ compiler" in machine.find(code=1)[1]
    newer = machine.python("python3.13", "3.13")
    assert machine.find()[0] == str(newer), "there the emulator is a wheel"
    machine.script("clang++", "exit 0")
    assert machine.find("3.12")[0].endswith("python3.12")


def test_versions_may_be_named_in_order(machine: Machine) -> None:
    for minor in (10, 11, 12, 13):
        machine.python(f"python3.{minor}", f"3.{minor}")
    assert machine.find("3.11", "3.12")[0].endswith("python3.11")
    assert machine.find("3.14", "3.12")[0].endswith("python3.12")
    assert "none of 3.14 works" in machine.find("3.14", code=1)[1]


def test_one_that_is_named_wins_or_is_an_error(machine: Machine) -> None:
    machine.python("python3.13", "3.13")
    older = machine.python("python3.11", "3.11")
    assert machine.find("python3.11")[0] == "python3.11"
    assert machine.find(str(older))[0] == str(older)
    machine.python("python3.12", "3.12", lacks="ensurepip")
    machine.python("python3.9", "3.9")
    machine.script("python3.14", "echo 'pyenv: python3.14: command not found' >&2; exit 127")
    for name, reason in [
        ("python3.12", "lacks venv"),
        ("python3.9", "is Python 3.9.0"),
        ("python3.14", "does not run: pyenv: python3.14: command not found"),
        ("snake", "there is no snake here"),
    ]:
        found, said = machine.find(name, code=1)
        assert not found
        assert reason in said
        assert len(said.splitlines()) == 1


def test_a_path_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "my tools").mkdir()
    machine = Machine(tmp_path / "my tools")
    python = machine.python("python3.13", "3.13")
    assert machine.find()[0] == str(python)


def test_it_finds_one_on_this_machine() -> None:
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=True, env=dict(os.environ))
    version = [done.stdout.strip(), "-c", "import sys; print(sys.version_info[:2] >= (3, 10))"]
    assert subprocess.run(version, capture_output=True, text=True, check=True).stdout.strip() == "True"
