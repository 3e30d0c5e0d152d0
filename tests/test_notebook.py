"""docs/colab.ipynb runs from top to bottom, with the real program, and shows what it says it shows."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

REPOSITORY = Path(__file__).parent.parent
NOTEBOOK = REPOSITORY / "docs" / "colab.ipynb"


def kinds_of_output(cell: nbformat.NotebookNode) -> set[str]:
    return {kind for output in cell.outputs for kind in output.get("data", {})}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert "STEPS = 1_000_000\n" in parameters.source
    parameters.source = parameters.source.replace("STEPS = 1_000_000\n", "STEPS = 250\n")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))

    NotebookClient(notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()

    text = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "mario-tui" in text
    assert list(tmp_path.glob("checkpoints/notebook/step-*/manifest.json"))
    pictures = [cell for cell in notebook.cells if cell.cell_type == "code" and "image/png" in kinds_of_output(cell)]
    videos = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "<video" in output.get("data", {}).get("text/html", "")
    ]
    assert len(pictures) == 1
    assert len(videos) == 2
    assert (tmp_path / "shipped.mp4").stat().st_size > 100_000
    (evaluated,) = [cell for cell in notebook.cells if cell.source.startswith("!mario-tui eval")]
    assert "of 5 episodes cleared" in "".join(output.get("text", "") for output in evaluated.outputs)


def test_the_notebook_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")
