"""A run that played on a cluster connects nobody to it who goes on with it."""

from __future__ import annotations

import json

from fake_collector import fake_trainer
from mario_tui.store.manifest import MANIFEST, read_manifest
from mario_tui.training.resume import resume_config, resume_notes
from runs import run_to_end


def test_a_resumed_run_forgets_the_cluster_unless_it_is_named_again(small) -> None:
    trainer = fake_trainer(small(steps=30), run="stranger")
    run_to_end(trainer)
    saved = trainer.last_checkpoint
    assert saved is not None
    content = json.loads((saved / MANIFEST).read_text())
    content["config"]["actors"] = "ray:10.0.0.1:6379"
    (saved / MANIFEST).write_text(json.dumps(content))
    config = resume_config(saved)
    assert config.actors == "local"
    notes = list(resume_notes(read_manifest(saved), config, "cpu"))
    assert "its games ran on ray:10.0.0.1:6379, and now run on this machine: --actors says where" in notes
    assert resume_config(saved, {"actors": "ray"}).actors == "ray"
