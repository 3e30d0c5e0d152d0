"""The table that benchmarks/gpu.py prints and writes."""

from typing import Any

from gpu import make_report

RESULT: dict[str, Any] = {
    "envs": 30,
    "steps_per_second": 1500.4,
    "steps_per_second_with_evaluations": 1490.2,
    "emulator_steps_per_second": 3000.0,
    "update_ms": 0.351,
    "replay_bytes_per_transition": 7100.0,
    "peak_rss_mb": 2000.4,
    "peak_gpu_mb": 1100.0,
    "phases": {"act": 0.25, "update": 0.5},
}


def test_the_table_says_what_was_measured_with_hardware_and_versions() -> None:
    without = {name: value for name, value in RESULT.items() if name != "peak_gpu_mb"}
    lines = make_report([(True, RESULT), (False, without)], "cpu", 1000).splitlines()
    assert lines[0].startswith("### Training on the processor alone, 2")
    assert "torch " in lines[2]
    assert "--steps 1000" in lines[2]
    cells = "| 30 | yes | 1500 | 1490 | 3000 | 50% | 0.35 ms | 2000 MB | 1100 MB | act 25%, update 50% |"
    assert lines[-2] == cells
    assert lines[-1] == cells.replace("yes", "no").replace("1100 MB", "")
    assert {line.count("|") for line in lines[4:]} == {11}
