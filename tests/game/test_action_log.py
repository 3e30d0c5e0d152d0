import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_tui.errors import InputError, RecordingError
from mario_tui.game.action_log import (
    MAX_FILE_BYTES,
    MAX_FRAMES,
    ActionLog,
    load_logs,
    logs_to_json,
)
from mario_tui.game.stages import STAGES

quickly = settings(deadline=None, max_examples=50)

LOG = ActionLog("1-1", 4, (130, 131, 0))


def test_the_file_is_as_documented(tmp_path: Path) -> None:
    LOG.save(tmp_path / "log.json")
    assert json.loads((tmp_path / "log.json").read_bytes()) == {
        "format": 1,
        "stage": "1-1",
        "frame_skip": 4,
        "buttons": [130, 131, 0],
    }
    assert LOG.to_json() == '{"format":1,"stage":"1-1","frame_skip":4,"buttons":[130,131,0]}'


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "log.json"


@quickly
@given(
    log=st.builds(
        ActionLog,
        stage=st.sampled_from(STAGES),
        frame_skip=st.integers(1, 60),
        buttons=st.lists(st.integers(0, 255)).map(tuple),
    )
)
def test_what_is_saved_is_loaded(scratch: Path, log: ActionLog) -> None:
    log.save(scratch)
    assert ActionLog.load(scratch) == log


@quickly
@given(content=st.binary(max_size=300) | st.text().map(str.encode))
def test_no_content_breaks_loading(scratch: Path, content: bytes) -> None:
    scratch.write_bytes(content)
    with pytest.raises(InputError):
        ActionLog.load(scratch)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@quickly
@given(key=st.sampled_from(["format", "stage", "frame_skip", "buttons"]), value=_JSON)
def test_any_value_of_a_key_is_an_error_or_a_log(scratch: Path, key: str, value: object) -> None:
    scratch.write_text(json.dumps(json.loads(LOG.to_json()) | {key: value}))
    problem = ""
    try:
        log = ActionLog.load(scratch)
    except InputError as error:
        problem = str(error)
    assert "\n" not in problem
    assert problem or json.loads(log.to_json())[key] == value


def changed(**changes: object) -> bytes:
    return json.dumps(json.loads(LOG.to_json()) | changes).encode()


def without(key: str) -> bytes:
    content = json.loads(LOG.to_json())
    del content[key]
    return json.dumps(content).encode()


MALFORMED = {
    "empty": b"",
    "no JSON": b"buttons",
    "cut off": LOG.to_json().encode()[:-5],
    "not UTF-8": b"\xff\xfe\xfa",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "too deep": b"[" * 100_000,
    "a number too long to read": b'{"format":' + b"9" * 5000 + b"}",
    **{f"without {key}": without(key) for key in ("format", "stage", "frame_skip", "buttons")},
    "format 2": changed(format=2),
    "format 0": changed(format=0),
    "format as text": changed(format="1"),
    "format true": changed(format=True),
    "stage 9-9": changed(stage="9-9"),
    "stage as a list": changed(stage=["1-1"]),
    "frame_skip 0": changed(frame_skip=0),
    "frame_skip negative": changed(frame_skip=-4),
    "frame_skip too large": changed(frame_skip=61),
    "frame_skip true": changed(frame_skip=True),
    "frame_skip 4.0": changed(frame_skip=4.0),
    "buttons as text": changed(buttons="130"),
    "buttons as an object": changed(buttons={"0": 130}),
    "a button of 256": changed(buttons=[256]),
    "a negative button": changed(buttons=[-1]),
    "a button true": changed(buttons=[True]),
    "a button 1.0": changed(buttons=[1.0]),
    "a button NaN": b'{"format":1,"stage":"1-1","frame_skip":4,"buttons":[NaN]}',
    "a button as text": changed(buttons=["1"]),
    "a button null": changed(buttons=[None]),
    "nested buttons": changed(buttons=[[1]]),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        ActionLog.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200


def test_keys_of_others_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_bytes(changed(comment="by hand", version=[2]))
    assert ActionLog.load(tmp_path / "log.json") == LOG


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(LOG.to_json().encode().ljust(MAX_FILE_BYTES))
    assert ActionLog.load(path) == LOG
    path.write_bytes(LOG.to_json().encode().ljust(MAX_FILE_BYTES + 1))
    with pytest.raises(InputError, match="larger than 8 MiB"):
        ActionLog.load(path)


@pytest.mark.parametrize("several", [False, True])
def test_a_log_that_would_be_played_for_days_is_refused(tmp_path: Path, several: bool) -> None:
    path = tmp_path / "log.json"
    longest = ActionLog("1-1", 50, (8,) * (MAX_FRAMES // 50))  # 8 is START, which stops the game's clock
    half = ActionLog("1-1", 50, longest.buttons[: len(longest.buttons) // 2])
    path.write_text(logs_to_json([half, half] if several else [longest]))
    assert sum(log.frames for log in load_logs(path)) == MAX_FRAMES
    more = ActionLog("1-1", 50, (*half.buttons, 8))
    path.write_text(logs_to_json([half, more] if several else [ActionLog("1-1", 50, (*longest.buttons, 8))]))
    with pytest.raises(InputError, match="it has 4,000,050 frames, and at most 4,000,000 are played again"):
        load_logs(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "missing.json", tmp_path / "pipe", "nul\0l", tmp_path / ("x" * 300)):
        with pytest.raises(InputError):
            ActionLog.load(path)


def test_saving_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    LOG.save(path)
    ActionLog("8-4", 1, ()).save(path)
    assert ActionLog.load(path) == ActionLog("8-4", 1, ())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "log.json"
    LOG.save(path)

    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, disk_full)
    with pytest.raises(RecordingError, match="No space left on device"):
        ActionLog("8-4", 1, ()).save(path)
    assert ActionLog.load(path) == LOG
    assert list(tmp_path.iterdir()) == [path]


def test_saving_where_there_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("missing", "file"):
        with pytest.raises(RecordingError):
            LOG.save(tmp_path / folder / "log.json")


def test_checksums_are_kept_and_say_nothing_about_what_was_pressed(tmp_path: Path) -> None:
    checked = ActionLog("1-1", 4, (130, 131, 0), ram_crc32=1, screen_crc32=2**32 - 1)
    checked.save(tmp_path / "log.json")
    loaded = ActionLog.load(tmp_path / "log.json")
    assert (loaded.ram_crc32, loaded.screen_crc32) == (1, 2**32 - 1)
    assert loaded == LOG
    assert (LOG.ram_crc32, LOG.screen_crc32) == (None, None)


@pytest.mark.parametrize("value", [-1, 2**32, 1.0, "1", True, []])
@pytest.mark.parametrize("name", ["ram_crc32", "screen_crc32"])
def test_malformed_checksums(tmp_path: Path, name: str, value: object) -> None:
    (tmp_path / "log.json").write_bytes(changed(**{name: value}))
    with pytest.raises(InputError, match=name):
        ActionLog.load(tmp_path / "log.json")


def test_several_episodes_in_a_file(tmp_path: Path) -> None:
    logs = (ActionLog("1-1", 4, (130,), 1, 2), ActionLog("8-4", 1, (131, 0)))
    (tmp_path / "log.json").write_text(logs_to_json(logs, video={"frames": 6}))
    loaded = load_logs(tmp_path / "log.json")
    assert loaded == logs
    assert [(log.ram_crc32, log.screen_crc32) for log in loaded] == [(1, 2), (None, None)]
    with pytest.raises(InputError, match="it has 2"):
        ActionLog.load(tmp_path / "log.json")
    assert logs_to_json(logs[1:]) == logs[1].to_json(), "one episode is format 1, which older versions read"


@pytest.mark.parametrize(
    "logs", [None, [], {}, [1], [{"format": 2, "logs": []}], [json.loads(LOG.to_json()) | {"stage": "9-9"}]]
)
def test_malformed_lists_of_episodes(tmp_path: Path, logs: object) -> None:
    (tmp_path / "log.json").write_text(json.dumps({"format": 2, "logs": logs}))
    with pytest.raises(InputError) as caught:
        load_logs(tmp_path / "log.json")
    assert "\n" not in str(caught.value)
