"""`masked_<name>` for every criterion, and `magnitude_mask --base-criterion <name>`: the loss of the masked model.

The forward pass never sees an unmasked weight, whatever happened to the weights since the last update. Loss, metrics
and the best-checkpoint value are those of the criterion that is wrapped.
"""

from __future__ import annotations

import argparse
from typing import Any

from fairseq.criterions import CRITERION_DATACLASS_REGISTRY, CRITERION_REGISTRY, FairseqCriterion, register_criterion
from fairseq.dataclass.utils import gen_parser_from_dataclass
from omegaconf import OmegaConf

from fairseq_lth.errors import RunRefused
from fairseq_lth.levels.fields import GateError
from fairseq_lth.levels.sections import check_criterion_name
from fairseq_lth.training.settings import RunSettings

PREFIX = "masked_"
ALIAS = "magnitude_mask"


class MaskedForward:
    """Comes before a fairseq criterion in the bases of a `masked_<name>` class."""

    def forward(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Zeroes pruned weights where the task trains with a mask, then computes the base criterion."""
        engine = getattr(self.task, "engine", None)  # type: ignore[attr-defined]
        if engine is not None:
            engine.mask_weights()
        return super().forward(model, *args, **kwargs)  # type: ignore[misc]


class MagnitudeMaskCriterion(FairseqCriterion):
    """Only the flags of `--criterion magnitude_mask`: the task replaces it by `masked_<base>` before it is built."""

    @classmethod
    def add_args(cls, parser: argparse.ArgumentParser) -> None:
        """Adds `--base-criterion` and the flags of every criterion, which are kept only where they are given."""
        parser.add_argument("--base-criterion", required=True, choices=sorted(_bases()), help="the criterion to mask")
        group = parser.add_argument_group("flags of --base-criterion", argument_default=argparse.SUPPRESS)
        for dataclass in _bases().values():
            if dataclass is not None:
                gen_parser_from_dataclass(group, dataclass(), delete_default=True)
        parser.set_defaults(**{_FLAGS: sorted({action.dest for action in group._group_actions})})

    @classmethod
    def build_criterion(cls, cfg: Any, task: Any) -> FairseqCriterion:
        """Reached only where no `lth_imp` task has replaced the alias."""
        raise RunRefused(f"--criterion {ALIAS} needs --task lth_imp; elsewhere use --criterion {PREFIX}<name>")


_FLAGS = "magnitude_mask_flags"


def resolve_alias(root: RunSettings) -> None:
    """Replaces `magnitude_mask` in fairseq's configuration by the `masked_<name>` it stands for.

    Args:
        root: fairseq's configuration of the whole run; `criterion` may be changed.

    Raises:
        RunRefused: A flag was given that the base criterion does not have.
    """
    criterion = root.criterion
    if getattr(criterion, "_name", None) != ALIAS:
        return
    given = vars(criterion)
    base = given["base_criterion"]
    dataclass = _bases()[base]
    fields = dataclass.__dataclass_fields__ if dataclass is not None else {}
    for flag in given[_FLAGS]:
        if flag in given and flag not in fields:
            raise RunRefused(f"--{flag.replace('_', '-')} is not a flag of --base-criterion {base}")
    if dataclass is None:
        raise RunRefused(f"--base-criterion {base}: has no configuration class; use --criterion {PREFIX}{base}")
    settings = OmegaConf.structured(dataclass(**{name: given[name] for name in fields if name in given}))
    settings = OmegaConf.create(OmegaConf.to_container(settings, resolve=False, enum_to_str=True))
    settings._name = PREFIX + base
    root.criterion = settings


def require_readable(root: RunSettings) -> None:
    """Checks that the levels of a training could be read again: the gate builds some criteria only.

    Args:
        root: fairseq's configuration of the whole run, after resolve_alias.

    Raises:
        RunRefused: Another criterion.
    """
    try:
        check_criterion_name(getattr(root.criterion, "_name", None))
    except GateError as error:
        raise RunRefused(f"the levels of this training could not be read again: {error}") from None


def _bases() -> dict[str, Any]:
    """The criteria that can be wrapped, with their dataclasses."""
    return {
        name: CRITERION_DATACLASS_REGISTRY.get(name)
        for name in CRITERION_REGISTRY
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX) not in CRITERION_REGISTRY
        if name != ALIAS
    }


def register_all() -> None:
    """Registers the masked form of every criterion known so far, and the alias."""
    for name, dataclass in _bases().items():
        if PREFIX + name in CRITERION_REGISTRY:
            continue
        base = CRITERION_REGISTRY[name]
        subclass = type(f"Masked{base.__name__}", (MaskedForward, base), {"__doc__": f"`{name}` of the masked model."})
        register_criterion(PREFIX + name, dataclass=dataclass)(subclass)
    if ALIAS not in CRITERION_REGISTRY:
        register_criterion(ALIAS)(MagnitudeMaskCriterion)
