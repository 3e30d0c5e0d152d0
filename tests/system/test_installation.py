"""What messages advise, by how the program was installed."""

import sys
from pathlib import Path

import pytest

from mario_tui.system import installation


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of an installed program."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(installation, "clone", lambda: None)
    monkeypatch.setattr(installation, "kind", installation.kind.__wrapped__)
    return tmp_path


def test_in_a_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installation.clone() == Path(__file__).parents[2]
    assert installation.kind() == "clone"
    assert installation.repair() == "run 'make setup' again"
    assert installation.with_extra("web") == "run 'make setup' again", "which installs all extras"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert installation.with_extra("cluster") == f"{sys.executable} -m pip install '{installation.clone()}[cluster]'"


@pytest.mark.parametrize(
    ("receipt", "kind", "repair", "add"),
    [
        ("uv-receipt.toml", "uv tool", "run 'uv tool upgrade --reinstall mario-tui'", "uv pip install --python "),
        ("pipx_metadata.json", "pipx", "run 'pipx reinstall mario-tui'", "pipx runpip mario-tui install "),
    ],
)
def test_in_an_environment_of_its_own(prefix: Path, receipt: str, kind: str, repair: str, add: str) -> None:
    (prefix / receipt).touch()
    assert installation.kind() == kind
    assert installation.repair() == repair
    assert installation.with_extra("web").startswith(add)
    assert installation.with_extra("web").endswith("'mario-tui[web]'")


@pytest.mark.parametrize(
    ("installer", "kind", "add"), [("pip\n", "pip", f"{sys.executable} -m pip"), ("uv", "uv", "uv pip")]
)
def test_in_an_environment_with_other_programs(
    prefix: Path, monkeypatch: pytest.MonkeyPatch, installer: str, kind: str, add: str
) -> None:
    metadata = prefix / "mario_tui-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mario-tui\nVersion: 0.1.0\n")
    (metadata / "INSTALLER").write_text(installer)
    monkeypatch.syspath_prepend(str(prefix))
    assert installation.kind() == kind
    assert "make" not in installation.repair()
    assert installation.with_extra("tensorboard").startswith(add)
