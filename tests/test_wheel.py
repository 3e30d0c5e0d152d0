"""The wheel is whole: built, installed into an environment of its own, and used from another folder."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from mario_tui import __version__
from mario_tui.store import shipped

CLONE = Path(__file__).parents[1]
READ_ONLY = """
import os, sys

PACKAGE = {package!r}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.utime", "os.truncate",
           "os.chmod", "shutil.rmtree", "shutil.move")

def refuse(event, arguments):
    writes = event in CHANGES or event == "open" and bool((arguments[2] or 0) & WRITING)
    if not writes:
        return
    paths = [os.path.realpath(os.fsdecode(it)) for it in arguments[:2] if isinstance(it, (str, bytes, os.PathLike))]
    if any(path.startswith(PACKAGE) and "__pycache__" not in path for path in paths):
        with os.fdopen(os.dup(2), "w") as stderr:
            print("WRITES TO THE PACKAGE:", event, *paths, file=stderr)
        raise OSError(30, "Read-only file system", paths[0])

sys.addaudithook(refuse)
"""
"""A sitecustomize.py for which the package lies on a disk that cannot be written to: permissions do not stop root."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(CLONE)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")  # which was built from the sdist
    return found


@pytest.mark.slow
def test_it_has_all_that_belongs_to_the_package_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    places = ["mario_tui", *(f"checkpoints/{name}" for name in shipped.NAMES)]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *places]
    tracked = subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("this is no clone: nobody can say which files belong to it")
    left_out = {name for name in tracked if name.endswith(("/best", "_plot.png"))}
    wanted = {name.replace("checkpoints/", "mario_tui/agents/") for name in {*tracked} - left_out}
    assert {name for name in wanted if (CLONE / name).exists() or "/agents/" in name} - names == set()
    assert {name for name in names - wanted if ".dist-info/" not in name} == set()


class Installed:
    """The wheel in an environment that finds all other packages in this one's, with a user and a folder of its own."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        environment, self.here, self.user = (folder / name for name in ("environment", "here", "user"))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        self.python = environment / "bin" / "python"
        install = ["-m", "pip", "--python", str(self.python), "install", "-q", "--no-deps", "--no-index", str(wheel)]
        subprocess.run([sys.executable, *install], check=True)
        (site,) = environment.glob("lib/python3*/site-packages")
        (site / "others.pth").write_text(sysconfig.get_path("purelib"))
        self.package = site / "mario_tui"
        (site / "sitecustomize.py").write_text(READ_ONLY.format(package=str(self.package.resolve())))
        for made in (self.here, self.user):
            made.mkdir()

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        left_out = ("MARIO_TUI_HOME", "PYTHONPATH", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        done = subprocess.run(
            [self.python.with_name("mario-tui"), *arguments], cwd=self.here, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, env={**environment, "HOME": str(self.user)},
        )  # fmt: skip
        assert "WRITES TO THE PACKAGE" not in done.stderr, done.stderr
        return done


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(wheel, tmp_path_factory.mktemp("installed"))


@pytest.mark.slow
def test_the_shipped_agent_works_from_any_folder(installed: Installed) -> None:
    (listed,) = json.loads(installed("checkpoints", "--json").stdout)
    assert listed["run"] == "world-1-1"
    assert listed["whole"]
    assert listed["best"]
    assert Path(listed["path"]).parents[1] == installed.package / "agents"
    played = installed("eval", "world-1-1", "--json")
    assert json.loads(played.stdout)["clears"] == 1
    recorded = installed("record", "world-1-1", "-o", "flag.gif", "--scale", "1", "--fps", "15", "--json")
    assert recorded.returncode == 0, recorded.stderr
    assert (installed.here / "flag.gif").read_bytes()[:6] == b"GIF89a"
    assert {path.name for path in installed.here.iterdir()} == {"flag.gif", "flag.json"}, "nothing else comes there"


@pytest.mark.slow
def test_it_stays_as_it_is_on_a_disk_that_cannot_be_written_to(installed: Installed) -> None:
    for refused in (
        ("runs", "note", "world-1-1", "mine"),
        ("runs", "rename", "world-1-1", "mine"),
        ("runs", "delete", "world-1-1"),
        ("train", "--resume", "world-1-1"),
    ):
        done = installed(*refused)
        assert done.returncode == 2
        assert done.stderr.startswith("mario-tui: world-1-1 is shipped with mario-tui and stays as it is"), done.stderr
        assert done.stderr.count("\n") == 1
    written = installed("export", "world-1-1", "--name", "mine")
    assert written.returncode == 0, written.stderr
    assert [path.parts[-4:-1] for path in installed.user.rglob("config.toml")] == [("mario-tui", "checkpoints", "mine")]


@pytest.mark.slow
def test_it_knows_its_versions_and_where_runs_go(installed: Installed) -> None:
    lines = installed("--version").stdout.splitlines()
    assert lines[0] == f"mario-tui {__version__}"
    assert any(line.startswith("torch 2") for line in lines)
    disk = next(check for check in json.loads(installed("doctor", "--json").stdout) if check["name"] == "disk")
    assert "your data folder, since the current one holds no runs" in disk["found"]
    assert "make" not in installed("serve", "--port", "0").stderr
