"""The same tests on the newer generation of the game, which needs a newer Python than the older one can have."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent


def interpreter() -> str:
    """A Python that can have the newer generation; skips the test where there is none."""
    found = subprocess.run(
        [REPOSITORY / "scripts" / "find-python", "3.14", "3.13"], capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        pytest.skip(found.stderr.splitlines()[-1])
    return found.stdout.strip()


def requirements() -> list[str]:
    """What pyproject.toml asks for on a newer Python, and what these tests need."""
    text = (REPOSITORY / "pyproject.toml").read_text()
    game = re.findall(r"""^ *"([^";]+); python_version >= '3\.13'",$""", text, re.MULTILINE)
    tools = re.findall(r'^ *"((?:pytest|pytest-timeout|hypothesis|psutil)[<>=][^"]*)",$', text, re.MULTILINE)
    assert len(game) >= 3
    assert len(tools) == 4
    return game + tools


def environment(folder: Path) -> Path:
    """The Python of a virtual environment with the newer generation, made if it is not there yet."""
    python, wanted, ready = folder / "bin" / "python", "\n".join(requirements()), folder / "ready.txt"
    if not ready.exists() or ready.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([interpreter(), "-m", "venv", folder], check=True, capture_output=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        installed = subprocess.run([*pip, *requirements()], capture_output=True, text=True, check=False)
        if installed.returncode != 0:
            pytest.skip(f"the newer generation cannot be installed: {installed.stderr.strip().splitlines()[-1]}")
        ready.write_text(wanted)
    return python


def test_these_tests_are_collected_without_torch() -> None:
    """As the environment of the newer generation has none."""
    collect = (
        "import sys, pytest; sys.modules['torch'] = None;"
        f"sys.exit(pytest.main(['--collect-only', '-q', '--confcutdir={HERE}', '-p', 'no:cacheprovider', '{HERE}']))"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    collected = subprocess.run(
        [sys.executable, "-c", collect], cwd=REPOSITORY, env=clean, capture_output=True, text=True, check=False
    )
    assert collected.returncode == 0, collected.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="this Python has the newer generation of the game already")
def test_the_newer_generation_passes_the_same_tests(tmp_path: Path) -> None:
    # Beside the packages of the environment that runs this, so that `make clean` removes it; one of our own otherwise.
    is_virtual = sys.prefix != sys.base_prefix
    python = environment(Path(sys.prefix) / "newer-generation" if is_virtual else tmp_path)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    tests = subprocess.run(
        [python, "-m", "pytest", f"--confcutdir={HERE}", "--tb=short", HERE],
        cwd=REPOSITORY,
        env={**clean, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout
    assert re.search(r"^\d+ passed", tests.stdout.splitlines()[-1]), tests.stdout
