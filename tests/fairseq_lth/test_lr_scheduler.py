"""The learning rate of every level is the base scheduler's own at the mapped updates."""

import json
import math

import pandas as pd
import pytest
import torch
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.optim import FairseqOptimizer, build_optimizer
from fairseq.optim.lr_scheduler import LR_SCHEDULER_DATACLASS_REGISTRY, LR_SCHEDULER_REGISTRY, build_lr_scheduler
from omegaconf import OmegaConf

from fairseq_lth.errors import RunRefused
from fairseq_lth.training.lr_scheduler import PREFIX, RewindMixin

SCHEDULERS = {
    "inverse_sqrt": "--lr 0.01 --warmup-updates 3",
    "cosine": "--lr 0.01 --warmup-updates 2 --lr-period-updates 9 --lr-shrink 0.5",
    "polynomial_decay": "--lr 0.01 --warmup-updates 2 --total-num-update 40",
    "tri_stage": "--lr 0.01 --warmup-steps 3 --hold-steps 4 --decay-steps 20",
    "reduce_lr_on_plateau": "--lr 0.01 --warmup-updates 3 --lr-shrink 0.5 --lr-threshold 0.2",
    "fixed": "--lr 0.01,0.008,0.002 --warmup-updates 3 --force-anneal 3",
}
E, R, K = 3, 1, 2


def base_scheduler(argv):
    """fairseq's own scheduler for a command line, without the plugin."""
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), argv))
    optimizer = build_optimizer(cfg.optimizer, [torch.nn.Parameter(torch.zeros(1))])
    scheduler = build_lr_scheduler(cfg.lr_scheduler, optimizer)
    assert not isinstance(scheduler, RewindMixin)
    return scheduler


@pytest.mark.parametrize(
    "name",
    [
        "inverse_sqrt",
        *(pytest.param(name, marks=pytest.mark.slow) for name in SCHEDULERS if name != "inverse_sqrt"),
    ],
)
def test_levels_follow_the_base_schedule(train, flags, tmp_path, name):
    """Every update of a real training, to the last bit; of the plateau's schedule with the losses of the level."""
    argv = flags[: flags.index("--lr")] + flags[flags.index("--criterion") :]
    argv += ["--lr-scheduler", name, *SCHEDULERS[name].split()]
    argv += ["--max-epoch", str(E), "--imp-rewind-epoch", str(R), "--imp-iterations", str(K)]
    train([*argv, "--save-dir", tmp_path / "run"], rates=tmp_path / "rates").succeed()
    noted = json.loads((tmp_path / "rates").read_text())
    losses, n_epochs = noted["losses"], E + K * (E - R)
    n = len(noted["updates"]) // n_epochs
    assert n > 4 and len(losses) == n_epochs and len(noted["updates"]) == n * n_epochs
    for level in range(K + 1):
        start = E + (level - 1) * (E - R)
        of_level = losses[:E] if level == 0 else losses[:R] + losses[start : start + E - R]
        expected, _ = walk(base_scheduler(argv), range(1, E + 1), 0, of_level, n)
        expected = expected if level == 0 else expected[R * n :]
        assert len(set(expected)) > 1
        assert [rate for at, rate in noted["updates"] if at == level] == expected, level


def base_and_rewound(name: str, **settings):
    """The base scheduler and its rewindable form, each on an optimizer of its own."""

    class Optimizer(FairseqOptimizer):
        def __init__(self):
            super().__init__(None)
            self._optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)

    pair, name = [], name.split()[0]
    for registered in (name, PREFIX + name):
        cfg = OmegaConf.structured(LR_SCHEDULER_DATACLASS_REGISTRY[name])
        cfg = OmegaConf.create({**OmegaConf.to_container(cfg, resolve=False), "maximize_best_checkpoint_metric": False})
        OmegaConf.set_struct(cfg, False)
        cfg.update({"lr": [0.1], "max_update": 0, **settings})
        pair.append(LR_SCHEDULER_REGISTRY[registered](cfg, Optimizer()))
    return pair


SETTINGS = {
    "inverse_sqrt": {"warmup_updates": 3},
    "cosine": {"warmup_updates": 2, "lr_period_updates": 9},
    "polynomial_decay": {"warmup_updates": 2, "total_num_update": 30},
    "tri_stage": {"warmup_steps": 3, "hold_steps": 4, "decay_steps": 20},
    "reduce_lr_on_plateau": {"lr_patience": 0, "lr_shrink": 0.5},
    "reduce_lr_on_plateau with a warm-up": {"lr_patience": 0, "lr_shrink": 0.5, "warmup_updates": 3},
    "fixed": {"lr": [0.1, 0.05, 0.02]},
    "step": {"lr_deacy_period": 5},
    "triangular": {"lr": [0.01], "max_lr": 0.1, "lr_period_updates": 8},
}


def walk(scheduler, epochs, updates, losses, per_epoch=4):
    """Steps a scheduler as fairseq's trainer does, and returns the rate of every update."""
    rates = []
    scheduler.step_update(updates)
    for epoch, loss in zip(epochs, losses, strict=True):
        scheduler.step_begin_epoch(epoch)
        scheduler.step_update(updates)
        for _ in range(per_epoch):
            rates.append(scheduler.optimizer.get_lr())
            updates += 1
            scheduler.step_update(updates)
        scheduler.step(epoch, loss)
        scheduler.step_update(updates)
    return rates, updates


@pytest.mark.parametrize("name", SETTINGS)
def test_rewound_schedulers_repeat_the_base_scheduler(name):
    base, rewinding = base_and_rewound(name, **SETTINGS[name])
    dense, again = [5.0, 4.0, 4.5, 4.6], [4.2, 4.3, 4.4]
    rates, _ = walk(base, range(1, 5), 0, dense)
    first, updates = walk(rewinding, range(1, 5), 0, dense)
    assert first == rates
    for level in (1, 2):
        start = 5 + 3 * (level - 1)
        rewinding.step_begin_epoch(start)
        rewinding.step_update(updates)
        rewound = rewinding.rewind(1)
        assert rewound.updates_after == 4 and rewound.lr_after == pytest.approx(rates[4], rel=1e-12)
        second, updates = walk(rewinding, range(start, start + 3), updates, again)
        fresh, _ = base_and_rewound(name, **SETTINGS[name])
        expected, _ = walk(fresh, range(1, 5), 0, [dense[0], *again])
        assert second == pytest.approx(expected[4:], rel=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_saved_scheduler_goes_on_exactly(name):
    _, whole = base_and_rewound(name, **SETTINGS[name])
    losses = [5.0, 5.1, 4.0, 4.5, 4.6, 4.7]
    rates, _ = walk(whole, range(1, 7), 0, losses)
    _, saved = base_and_rewound(name, **SETTINGS[name])
    _, updates = walk(saved, range(1, 3), 0, losses[:2])
    saved.step_begin_epoch(3)
    for _ in range(4):
        updates += 1
        saved.step_update(updates)
    saved.loss_of_epoch = losses[2]
    state, lr = saved.state_dict(), saved.optimizer.get_lr()  # fairseq saves before the step at the end of the epoch
    _, resumed = base_and_rewound(name, **SETTINGS[name])
    resumed.load_state_dict(state)
    resumed.optimizer.set_lr(lr)
    resumed.step_update(updates)
    resumed.step(4)
    resumed.step_update(updates)
    resumed.step(4)
    after, _ = walk(resumed, range(4, 7), updates, losses[3:])
    assert after == rates[12:]


def test_none_keeps_the_last_rate():
    _, scheduler = base_and_rewound("inverse_sqrt", warmup_updates=3)
    _, updates = walk(scheduler, range(1, 3), 0, [5.0, 4.0])
    scheduler.step_begin_epoch(3)
    scheduler.freeze()
    later, _ = walk(scheduler, range(3, 5), updates, [4.0, 4.0])
    assert set(later) == {0.1 * math.sqrt(3) * updates**-0.5}


def test_every_registered_scheduler_has_a_rewindable_form():
    for name in [name for name in LR_SCHEDULER_REGISTRY if not name.startswith(PREFIX)]:
        assert issubclass(LR_SCHEDULER_REGISTRY[PREFIX + name], (RewindMixin, LR_SCHEDULER_REGISTRY[name]))


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("to_come", [1, 4, 11])
def test_looking_for_a_rate_of_zero_changes_nothing(name, to_come):
    """Before every epoch of the dense training, of a level, and after it."""
    _, looking = base_and_rewound(name, **SETTINGS[name])
    _, plain = base_and_rewound(name, **SETTINGS[name])
    updates, losses = 0, [5.0, 4.0, 4.5, 4.6, 4.2, 4.3, 4.4]
    for epoch, loss in enumerate(losses, start=1):
        for scheduler in (looking, plain):
            scheduler.step_begin_epoch(epoch)
            scheduler.step_update(updates)
            if epoch == 5:
                scheduler.rewind(1)
        looking.refuse_rate_of_zero(level=0, to_come=to_come)
        assert looking.updates == updates and looking.state_dict() == plain.state_dict()
        rates, after = walk(looking, [epoch], updates, [loss])
        assert walk(plain, [epoch], updates, [loss]) == (rates, after)
        updates = after


@pytest.mark.parametrize("end", [4, 6, 12, 15, 16, 20])
@pytest.mark.parametrize("known", [4, 16])
def test_a_schedule_that_ends_before_the_level_is_refused(end, known):
    """Four epochs of four updates, of which those of an epoch or of the level are known; a warm-up from 0 is no end."""
    base, scheduler = base_and_rewound("polynomial_decay", warmup_updates=2, total_num_update=end)
    rates, _ = walk(base, range(1, 5), 0, [4.0] * 4)
    zeros = [update for update, rate in enumerate(rates, start=1) if rate == 0 and update > 1]
    done, said = 0, None
    for epoch in range(1, 5):
        scheduler.step_begin_epoch(epoch)
        scheduler.step_update(done)
        to_come = min(known, 16 - done)
        try:
            scheduler.refuse_rate_of_zero(level=0, to_come=to_come)
        except RunRefused as error:
            said = str(error)
            break
        _, done = walk(scheduler, [epoch], done, [4.0])
    if zeros:
        assert done == (0 if known == 16 else 4 * ((zeros[0] - 1) // 4))
        assert said is not None and f"from update {zeros[0]} on" in said
        assert f"level 0 lasts to update {done + to_come}:" in said
    else:
        assert said is None and done == 16
        scheduler.step_begin_epoch(5)
        scheduler.step_update(done)
        scheduler.rewind(3)
        scheduler.refuse_rate_of_zero(level=1, to_come=4)


@pytest.mark.parametrize(("share", "rewind"), [(0.75, "lr"), (1, "none")])
def test_a_schedule_that_ends_too_early_is_refused(train, flags, dense, tmp_path, share, rewind):
    """In the middle of the second of two dense epochs, before the first; and where the last rate, 0, would be kept."""
    updates = int(pd.read_csv(dense / "lth.csv").set_index("level")["updates"][0])
    end = int(updates * share)
    argv = flags[: flags.index("--lr")] + flags[flags.index("--criterion") :]
    argv += ["--lr-scheduler", "polynomial_decay", "--lr", "0.01", "--total-num-update", str(end)]
    said = train([*argv, "--imp-rewind", rewind, "--save-dir", tmp_path / "run"]).error()
    assert f"the learning rate is 0 from update {end + 1} on" in said
    level, last = (0, updates) if share < 1 else (1, updates + updates // 2)
    assert f"level {level} lasts to update {last}:" in said
    assert (tmp_path / "run" / "checkpoint_lth0.pt").is_file() == (share == 1)


@pytest.mark.parametrize(
    "frequency", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_updates_without_a_last_batch_are_counted_as_they_are_made(train, flags, tmp_path, frequency):
    """--skip-remainder-batch leaves out the last batch, even a full one, and then those that do not fill an update."""
    argv = [*flags, "--skip-remainder-batch", "--update-freq", str(frequency), "--imp-iterations", "1"]
    train([*argv, "--save-dir", tmp_path / "run"]).succeed()
    levels = pd.read_csv(tmp_path / "run" / "lth.csv").set_index("level")["updates"].tolist()
    at = argv.index("--lr")
    argv = [*argv[:at], *argv[argv.index("--criterion") :], "--lr-scheduler", "polynomial_decay", "--lr", "0.01"]
    train([*argv, "--total-num-update", str(levels[0]), "--save-dir", tmp_path / "fits"]).succeed()
    assert pd.read_csv(tmp_path / "fits" / "lth.csv").set_index("level")["updates"].tolist() == levels
    said = train([*argv, "--total-num-update", str(levels[0] - 1), "--save-dir", tmp_path / "ends"]).error()
    assert f"the learning rate is 0 from update {levels[0]} on" in said
    assert f"level 0 lasts to update {levels[0]}:" in said
