"""What the game floor loads when it is imported: it runs in worker processes, which must stay light."""

import json
import pkgutil
import subprocess
import sys

import mario_tui.game

MODULES = ["mario_tui.game", *(f"mario_tui.game.{m.name}" for m in pkgutil.iter_modules(mario_tui.game.__path__))]


def modules_after(program: str) -> set[str]:
    """The top-level modules loaded in a new interpreter after running the program."""
    program = f"import sys; sys.path[:] = {sys.path!r}\n{program}\nimport json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_importing_every_module_loads_only_numpy() -> None:
    assert "mario_tui.game.worker" in MODULES
    loaded = modules_after("\n".join(f"import {name}" for name in MODULES))
    assert "numpy" in loaded
    assert not loaded & {"torch", "textual", "pydantic", "gym", "gymnasium", "nes_py", "PIL", "rich"}


def test_playing_loads_no_torch() -> None:
    loaded = modules_after("from mario_tui.game.emulator import open_emulator; open_emulator().close()")
    assert "nes_py" in loaded
    assert not loaded & {"torch", "textual", "pydantic"}
