"""Modules that are started in processes of their own import what this program imports, wherever they are started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mario_tui.system.processes import module_command, start_module

PROBE = """
import random, sys
import mario_tui.errors
print(__name__, sys.argv[1:], str(sys.orig_argv).count("probe"))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files would be imported by `python -m`; the module `probe` can be imported from another."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "probe.py").write_text(PROBE)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    folder = tmp_path / "current"
    (folder / "mario_tui").mkdir(parents=True)
    (folder / "mario_tui" / "__init__.py").write_text("")
    for name in ("random", "runpy"):
        (folder / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    return folder


@pytest.mark.parametrize("has_safe_path", [False, True])
@pytest.mark.parametrize("options", [[], ["-S"]])
def test_a_module_imports_nothing_of_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, has_safe_path: bool, options: list[str]
) -> None:
    if has_safe_path and sys.version_info < (3, 11):
        pytest.skip("this Python does not know -P")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    command = module_command("probe", "one", "-S", options=options, has_safe_path=has_safe_path)
    import_path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": import_path}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "__main__ ['one', '-S'] 1\n"


def test_a_module_is_started_in_the_form_that_this_python_knows(folder: Path) -> None:
    with start_module("probe", cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.communicate()[0] == b"__main__ [] 1\n"
