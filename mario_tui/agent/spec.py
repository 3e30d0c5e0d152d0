"""What fixes an agent's network and its input: one list, stored with every checkpoint. Needs no torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mario_tui.buttons import ACTION_SETS, ActionSet
from mario_tui.config import TrainingConfig, check_settings
from mario_tui.errors import InputError
from mario_tui.store.untrusted import sanitize

PREPROCESSING_VERSION = "luminance, 84x84 bilinear with antialiasing, uint8"
"""Names what `grey_frames.grey_frame` does; another version is another input, which a trained network does not know."""

_VALUES = ("value_bins", "value_min", "value_max")  # the range is of no account without bins


class AgentSpec(BaseModel):
    """Two agents of one spec can take each other's weights and place: they see, compute and press the same.

    A new field needs a default, the one that older agents have: without it no older checkpoint can be read.

    Attributes:
        action_set: name of the button combinations that the network's outputs stand for.
        frame_skip: frames for which an action is held.
        frame_stack: frames in an observation.
        network: the convolutional layers, see `network.TRUNKS`.
        head: the layers after them, see `network.HEADS`.
        centered: whether the network sees grey levels as -1..1, not as 0..1.
        averaged: whether an exponential moving average of the weights plays greedily, in place of the newest ones.
        show_buttons: whether frames show the pressed buttons.
        preprocessing: PREPROCESSING_VERSION of the program that made the agent.
        layer_norm: whether the hidden layer is normalised before its ReLU.
        value_bins: bins of the histograms that values are learned as, from value_min to value_max; 0: as numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    action_set: ActionSet
    frame_skip: int
    frame_stack: int
    network: Literal["nature", "small"]
    head: str
    centered: bool
    averaged: bool
    show_buttons: bool
    preprocessing: str
    layer_norm: bool = False
    value_bins: int = 0
    value_min: float = -0.5
    value_max: float = 5.0

    @classmethod
    def from_config(cls, config: TrainingConfig) -> AgentSpec:
        """The spec of the agent that a training with these settings makes."""
        return cls(
            action_set=config.action_set,
            frame_skip=config.frame_skip,
            frame_stack=config.frame_stack,
            network=config.network,
            head="dueling" if config.dueling else "plain",
            centered=config.centered,
            averaged=config.average_updates > 0,
            show_buttons=config.show_buttons,
            preprocessing=PREPROCESSING_VERSION,
            layer_norm=config.layer_norm,
            **{name: getattr(config, name) for name in _VALUES if config.value_bins},
        )

    @classmethod
    def parse(cls, stored: object) -> AgentSpec:
        """The spec that a checkpoint stores; raises ValueError, one line, for one that this version cannot build."""
        try:
            spec = cls.model_validate(stored)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            if first["type"] == "extra_forbidden":
                name = sanitize(first["loc"][-1], 40)
                raise ValueError(f"it has {name!r}, which a newer mario-tui has added: update this one") from None
            raise ValueError(f"agent.{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]) from None
        try:
            check_settings({name: getattr(spec, name) for name in ("frame_skip", "frame_stack", *_VALUES)})
        except InputError as error:
            raise ValueError(str(error)) from None
        if spec.preprocessing != PREPROCESSING_VERSION:
            raise ValueError(
                f"it was made with the preprocessing {spec.preprocessing[:80]!r}, and this mario-tui has "
                f"{PREPROCESSING_VERSION!r}: use the version that made it"
            )
        return spec

    @property
    def actions(self) -> int:
        """The number of actions."""
        return len(ACTION_SETS[self.action_set])

    def settings_to_change(self, config: TrainingConfig) -> dict[str, Any]:
        """Name -> value of the settings that `config` must have instead, for its agent to be of this spec.

        Raises InputError for a head that no setting chooses.
        """
        other = AgentSpec.from_config(config)
        if self.head not in ("plain", "dueling"):
            raise InputError(f"no setting chooses the head {self.head!r}, which this agent has")
        names = {"head": "dueling", "averaged": "average_updates"}
        values = {"head": self.head == "dueling", "averaged": 1 if self.averaged else 0}
        differing = [name for name in type(self).model_fields if getattr(self, name) != getattr(other, name)]
        return {names.get(name, name): values.get(name, getattr(self, name)) for name in differing}


TUTORIAL = AgentSpec.from_config(TrainingConfig())
"""The tutorial's agent."""
