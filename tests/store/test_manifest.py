"""A manifest is believed only where it can be."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from saved import write

from mario_tui.errors import CheckpointError
from mario_tui.store import catalog, checkpoint
from mario_tui.store.manifest import check_made_for, read_manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "newer mario-tui"),
        ({"format": 1}, "older mario-tui"),
        ({"format": "1"}, "no manifest"),
        ({"parts": []}, "'parts'"),
        ({"parts": {"../../etc/passwd": {"bytes": 1, "sha256": ""}}}, "outside its folder"),
        ({"parts": {"/etc/passwd": {"bytes": 1, "sha256": ""}}}, "outside its folder"),
        ({"step": "many"}, "'step'"),
        ({"step": 10**400}, "'step'"),
        ({"step": True}, "'step'"),
        ({"step": -1}, "'step'"),
        ({"stage": None}, "'stage'"),
        ({"stage": "1-1\x1b[2J"}, "'stage'"),
        ({"stage": "x" * 101}, "'stage'"),
        ({"sequence": "1"}, "'sequence'"),
        ({"sequence": ...}, "'sequence'"),
        ({"agent": []}, "'agent'"),
        ({"mean_reward": float("nan")}, "'mean_reward'"),
        ({"episodes": 1.5}, "'episodes'"),
        ({"full": "yes"}, "'full'"),
        ({"parts": {"a": {"bytes": 1, "sha256": "none"}}}, "'parts.a.sha256'"),
        ({"parts": {"a": {"bytes": -1, "sha256": "0" * 64}}}, "'parts.a.bytes'"),
        ({"parts": {"-a": {"bytes": 1, "sha256": "0" * 64}}}, "no part has such a name"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(run: Path, change: dict, message: str) -> None:
    folder = write(run)
    manifest = json.loads((folder / "manifest.json").read_text())
    changed = {key: value for key, value in {**manifest, **change}.items() if value is not ...}
    (folder / "manifest.json").write_text(json.dumps(changed))
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint.verify(folder)
    assert str(folder) in str(caught.value)
    assert str(caught.value).isprintable()
    assert catalog.scan().checkpoints[0].whole is False


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["format", "parts", "step", "stage", "bytes"]) | st.text(max_size=3), inner, max_size=4
    ),
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_no_manifest_gives_a_traceback(home: Path, content: bytes) -> None:
    folder = home / "checkpoints" / "odd" / "step-000000001"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.verify(folder)
    assert "\n" not in str(caught.value)


def test_packages_are_named_in_one_line(run: Path) -> None:
    assert read_manifest(write(run, versions={"torch": "\x1b2.0\n"})).versions == {"torch": "?2.0"}


def test_a_manifest_says_once_which_reward_it_was_made_for(run: Path) -> None:
    folder = write(run, reward="9.1")
    with pytest.raises(CheckpointError, match=r"the reward '9\.1', and this mario-tui has '7\.4\.0'.*'mario-tui "):
        check_made_for(folder, read_manifest(folder))
    check_made_for(folder, read_manifest(write(run, reward="7.4.0")))
    learned = write(run, reward="frontier-1", config={"reward": "frontier"})
    check_made_for(learned, read_manifest(learned))
    with pytest.raises(CheckpointError, match=r"the reward '7\.4\.0', and this mario-tui has 'frontier-1'"):
        check_made_for(learned, read_manifest(write(run, reward="7.4.0", config={"reward": "frontier"})))
