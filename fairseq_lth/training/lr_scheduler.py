"""`rewind_<name>`: every learning-rate scheduler of fairseq, able to go back to an earlier epoch.

Learning-rate rewinding (Renda et al. 2020, arXiv 2003.02389) retrains with the schedule of epoch R onwards while
updates and epochs of the process count on. A subclass of each registered scheduler maps both through offsets,
remembers its state at the end of every dense epoch, and restores it at a rewind. Its state in the checkpoint is
complete, unlike the base classes': also the end-of-epoch step that fairseq takes only after saving is taken again on
resume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fairseq.optim.lr_scheduler import LR_SCHEDULER_DATACLASS_REGISTRY, LR_SCHEDULER_REGISTRY, register_lr_scheduler

from fairseq_lth.errors import RunRefused

PREFIX = "rewind_"
ATTRIBUTE = "rewindable_scheduler"  # where a scheduler can be found on its optimizer


_OURS = ("loss_of_epoch", "updates")  # attributes of RewindMixin among those of the base scheduler


@dataclass(frozen=True)
class Rewound:
    """Positions on the schedule and learning rates before and after a rewind."""

    updates_before: int
    updates_after: int
    lr_before: float
    lr_after: float

    @property
    def lr_rise(self) -> float | None:
        """By what share of itself the rate rises, 0.095 for 9.5 %; None from a rate of 0."""
        return self.lr_after / self.lr_before - 1.0 if self.lr_before else None

    def __str__(self) -> str:
        """For the log."""
        rise = "from 0" if self.lr_rise is None else f"{self.lr_rise:+.1%}"
        before = f"learning rate {self.lr_before:.6g} at update {self.updates_before} of the schedule"
        return f"{before} -> {self.lr_after:.6g} at update {self.updates_after} ({rise})"


class RewindMixin:
    """Comes before a fairseq scheduler in the bases of a `rewind_<name>` class.

    Attributes:
        updates: Updates made so far, not mapped.
        loss_of_epoch: The validation loss after the last update, if there was a validation.
    """

    def __init__(self, cfg: Any, optimizer: Any) -> None:
        """Builds the base scheduler and makes itself known to the optimizer, through which the task finds it."""
        super().__init__(cfg, optimizer)  # type: ignore[call-arg]
        self._initial = self._plain()
        self._offsets = {"epoch": 0, "updates": 0}
        self._frozen: list[float] | None = None
        self.updates = 0
        self._position = 0
        self._epoch = 0
        self._at_end_of_epoch: dict[str, Any] = {}
        self._points: dict[int, dict[str, Any]] = {}
        self._unfinished: list[Any] | None = None
        self.loss_of_epoch: float | None = None
        setattr(optimizer, ATTRIBUTE, self)

    def step_begin_epoch(self, epoch: int) -> Any:
        """Remembers the state at the end of the epoch before, then steps the base scheduler at the mapped epoch."""
        self._epoch = epoch
        self._at_end_of_epoch = self._capture()
        mapped = epoch - self._offsets["epoch"]
        if not any(self._offsets.values()) and self._frozen is None:
            self._points.setdefault(mapped - 1, self._at_end_of_epoch)
        return None if self._frozen else super().step_begin_epoch(mapped)  # type: ignore[misc]

    def step(self, epoch: int, val_loss: float | None = None) -> Any:
        """Steps the base scheduler at the end of an epoch; after a resume, first the step that was still to come."""
        if self._unfinished is not None:
            unfinished, self._unfinished = self._unfinished, None
            if epoch == unfinished[0] + 1:
                self.step(*unfinished)
        if self._frozen:
            return self.optimizer.get_lr()  # type: ignore[attr-defined]
        return super().step(epoch - self._offsets["epoch"], val_loss)  # type: ignore[misc]

    def step_update(self, num_updates: int) -> Any:
        """Steps the base scheduler at the mapped update."""
        self.updates = num_updates
        self._position = num_updates - self._offsets["updates"]
        if self._frozen:
            self._set_lrs(self._frozen)
            return self.optimizer.get_lr()  # type: ignore[attr-defined]
        return super().step_update(self._position)  # type: ignore[misc]

    def rewind(self, epoch: int) -> Rewound:
        """Goes back to the end of an epoch of the dense training; called at the start of an epoch.

        Args:
            epoch: R, 0 for the start of the schedule.

        Returns:
            Where the schedule was and is.

        Raises:
            KeyError: No state is known for that epoch.
        """
        before, point = self._at_end_of_epoch, self._points[epoch]
        self._offsets = {"epoch": self._epoch - epoch - 1, "updates": self.updates - point["position"]}
        self._frozen = None
        self._restore(point)
        self.step_begin_epoch(self._epoch)
        self.step_update(self.updates)
        return Rewound(before["position"], self._position, before["lrs"][0], self._lrs()[0])

    def freeze(self) -> Rewound:
        """Keeps the learning rate of the end of the last epoch from now on; called at the start of an epoch."""
        before = self._at_end_of_epoch
        self._frozen = before["lrs"]
        self._set_lrs(self._frozen)
        return Rewound(before["position"], before["position"], before["lrs"][0], before["lrs"][0])

    def refuse_rate_of_zero(self, level: int, to_come: int) -> None:
        """Refuses a schedule that ends before the level does, whose last updates would train nothing.

        A rate of 0 that the next update raises is a warm-up.

        Args:
            level: The level in training.
            to_come: Updates until its end, 1 or more; the scheduler is left as it is.

        Raises:
            RunRefused: The learning rate is 0 at the last of them, and stays 0 after it.
        """
        now, end, point = self.updates, self.updates + to_come, self._capture()
        zero_from = end
        if not self._is_above_zero(end - 1):  # or so it seems: some schedulers warm up update by update
            self._restore(point)
            zero_from = max((n + 1 for n in range(now, end + 1) if self._is_above_zero(n)), default=now)
        self.step_update(now)
        self._restore(point)
        if zero_from < end:
            raise RunRefused(
                f"the learning rate is 0 from update {zero_from + 1} on, which would train nothing, and level {level} "
                f"lasts to update {end}: give --lr-scheduler a schedule that lasts as long as the dense training"
            )

    def _is_above_zero(self, updates: int) -> bool:
        """Whether any rate is above 0 after so many updates; moves the scheduler there."""
        self.step_update(updates)
        return any(self._lrs())

    def knows(self, epoch: int) -> bool:
        """Whether the state at the end of an epoch of the dense training is known."""
        return epoch in self._points

    def state_dict(self) -> dict[str, Any]:
        """The base scheduler's state and everything needed to go on or back from here exactly."""
        return {
            "base": super().state_dict(),  # type: ignore[misc]
            "now": self._capture(),
            "offsets": dict(self._offsets),
            "frozen": self._frozen,
            "points": dict(self._points),
            "unfinished": [self._epoch, self.loss_of_epoch],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what state_dict returned."""
        super().load_state_dict(state_dict["base"])  # type: ignore[misc]
        self._offsets = dict(state_dict["offsets"])
        self._frozen = state_dict["frozen"]
        self._points = dict(state_dict["points"])
        self._unfinished = list(state_dict["unfinished"])
        self._restore(state_dict["now"])

    def _plain(self) -> dict[str, Any]:
        """The base scheduler's own numbers; ours start with an underscore."""
        plain = (bool, int, float, str, type(None))
        return {
            name: value
            for name, value in vars(self).items()
            if isinstance(value, plain) and not name.startswith("_") and name not in _OURS
        }

    def _capture(self) -> dict[str, Any]:
        """What changes in the course of the schedule, in plain types."""
        inner = getattr(self, "lr_scheduler", None)  # ReduceLROnPlateau keeps a torch scheduler
        return {
            "changed": {n: v for n, v in self._plain().items() if n not in self._initial or v != self._initial[n]},
            "inner": dict(inner.state_dict()) if inner is not None else None,
            "lrs": self._lrs(),
            "position": self._position,
        }

    def _restore(self, point: dict[str, Any]) -> None:
        vars(self).update({**self._initial, **point["changed"]})
        if point["inner"] is not None:
            self.lr_scheduler.load_state_dict(dict(point["inner"]))  # type: ignore[attr-defined]
        self._set_lrs(point["lrs"])

    def _groups(self) -> list[dict[str, Any]]:
        optimizer = self.optimizer  # type: ignore[attr-defined]
        several = getattr(optimizer, "optimizers", None)  # fairseq's composite optimizer
        return [group for one in (several.values() if several else [optimizer]) for group in one.param_groups]

    def _lrs(self) -> list[float]:
        return [float(group["lr"]) for group in self._groups()]

    def _set_lrs(self, lrs: list[float]) -> None:
        for group, lr in zip(self._groups(), lrs, strict=True):
            group["lr"] = lr


def rewindable(name: str) -> str:
    """Registers `rewind_<name>` with the dataclass of `name`, so that its flags parse.

    Args:
        name: A registered scheduler; one that is rewindable already is returned as it is.

    Returns:
        The registered name.
    """
    if name.startswith(PREFIX):
        return name
    rewinding = PREFIX + name
    if rewinding not in LR_SCHEDULER_REGISTRY:
        base = LR_SCHEDULER_REGISTRY[name]
        subclass = type(f"Rewind{base.__name__}", (RewindMixin, base), {"__doc__": f"`{name}`, able to go back."})
        register_lr_scheduler(rewinding, dataclass=LR_SCHEDULER_DATACLASS_REGISTRY.get(name))(subclass)
    return rewinding


def register_all() -> None:
    """Registers a rewindable form of every scheduler known so far."""
    for name in list(LR_SCHEDULER_REGISTRY):
        rewindable(name)
