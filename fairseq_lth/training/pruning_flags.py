"""What the flags of pruning say together, and every combination of them that is refused before training starts."""

from __future__ import annotations

from pathlib import Path

from fairseq_lth.errors import RunRefused
from fairseq_lth.levels.paths import LAST
from fairseq_lth.training.settings import RunSettings, TaskSettings
from probing_bridge.pruning.criteria import PRUNING_CRITERIA

MOST_ITERATIONS = 1000  # at the usual rate of 0.2 no weight is left after 100 prunings


def given_rewind_epochs(cfg: TaskSettings) -> list[int]:
    """The numbers of `--imp-rewind-epoch`, none if it is not given: 30 or 30,30,12 there, 30 or [30,30,12] in hydra.

    Raises:
        RunRefused: Something else.
    """
    if cfg.imp_rewind_epoch is None:
        return []
    try:
        return [int(number) for number in str(cfg.imp_rewind_epoch).strip("[]").split(",")]
    except ValueError:
        raise RunRefused(
            f"--imp-rewind-epoch {cfg.imp_rewind_epoch}: must be an epoch, or one for each pruning as in 30,30,12"
        ) from None


def rewind_epochs(cfg: TaskSettings) -> tuple[int, ...]:
    """R of every pruning; a single number stands for all.

    Raises:
        RunRefused: Neither one number nor one for each pruning.
    """
    given = given_rewind_epochs(cfg)
    if cfg.imp_iterations == 0:
        return ()
    if len(given) not in (1, cfg.imp_iterations):
        raise RunRefused(
            f"--imp-rewind-epoch has {len(given)} numbers for --imp-iterations {cfg.imp_iterations}: "
            "give one, or one for each pruning"
        )
    return tuple(given * cfg.imp_iterations if len(given) == 1 else given)


def check_pruning(cfg: TaskSettings, epochs: int) -> None:
    """Checks the values of the pruning flags.

    Args:
        cfg: The task's configuration.
        epochs: E, the value of `--max-epoch`.

    Raises:
        RunRefused: A value that makes no experiment, with the flag and what is allowed.
    """
    if epochs <= 0:
        raise RunRefused("--max-epoch is needed: E, the number of epochs of the dense training")
    if not 0 <= cfg.imp_iterations <= MOST_ITERATIONS:
        raise RunRefused(f"--imp-iterations {cfg.imp_iterations}: must be 0 to {MOST_ITERATIONS}")
    if not -(2**63) <= cfg.imp_seed < 2**63:
        raise RunRefused(f"--imp-seed {cfg.imp_seed}: must be a whole number of 64 bits")
    if not 0.0 <= cfg.imp_rate < 1.0:
        raise RunRefused(f"--imp-rate {cfg.imp_rate}: must be 0 or more and below 1")
    given = given_rewind_epochs(cfg)
    if cfg.imp_iterations and not given:
        raise RunRefused("--imp-rewind-epoch is needed: the epoch R < --max-epoch that each pruning rewinds to")
    for epoch in given:
        if not 0 <= epoch < epochs:
            raise RunRefused(f"--imp-rewind-epoch {epoch}: must be 0 or more and less than --max-epoch {epochs}")
    rewind_epochs(cfg)
    for flag, (is_given, reason) in (_senseless(cfg) | _of_data(cfg)).items():
        if is_given:
            raise RunRefused(f"{flag}: {reason}")


def _senseless(cfg: TaskSettings) -> dict[str, tuple[bool, str]]:
    """Controls and what they cannot be combined with: is it given, and why it makes no experiment."""
    score, scope, rewind = str(cfg.imp_score), str(cfg.imp_scope), str(cfg.imp_rewind)
    masks, reinit, none = cfg.imp_masks_from is not None, cfg.imp_reinit, cfg.imp_rate == 0
    score_flag, scope_flag = f"--imp-score {score}", f"--imp-scope {scope}"
    return {
        f"--imp-masks-from {cfg.imp_masks_from}": (
            masks and cfg.imp_iterations == 0,
            "no level has a mask: give --imp-iterations",
        ),
        "--imp-reinit": (reinit and cfg.imp_iterations == 0, "no level draws its weights anew: give --imp-iterations"),
        "--imp-rate 0.0 with masks of a run": (none and (masks or reinit), "they prune: leave --imp-rate out"),
        f"--imp-rate 0.0 with {score_flag}": (none and score != "magnitude", "nothing is pruned, so nothing is chosen"),
        f"--imp-rate 0.0 with {scope_flag}": (none and scope != "global", "nothing is pruned, so nothing is chosen"),
        f"{score_flag} with masks of a run": (
            (masks or reinit) and score != "magnitude",
            "the masks are chosen already",
        ),
        f"{scope_flag} with masks of a run": ((masks or reinit) and scope != "global", "the masks are chosen already"),
        f"{score_flag} with {scope_flag}": (
            score == "shuffle" and scope == "layer",
            "each module loses the same share then, as with --imp-score random --imp-scope layer: use that",
        ),
        f"--imp-reinit with --imp-rewind {rewind}": (
            reinit and rewind != "lr",
            "weights that are drawn anew need the rate of an epoch, and are not rewound: use --imp-rewind lr",
        ),
    }


def _of_data(cfg: TaskSettings) -> dict[str, tuple[bool, str]]:
    """What scores that see data need, and what they cannot see: is it so, and what to do."""
    score, n_batches = str(cfg.imp_score), cfg.imp_calibration_batches
    data = PRUNING_CRITERIA[score].data
    padded = cfg.required_seq_len_multiple > 1 or cfg.num_batch_buckets > 0
    return {
        f"--imp-score {score}": (
            bool(data) and n_batches is None,
            "it looks at batches of the training set: say how many with --imp-calibration-batches",
        ),
        f"--imp-calibration-batches {n_batches}": (
            n_batches is not None and (n_batches < 1 or not data),
            "must be 1 or more" if data else f"--imp-score {score} looks at no data: leave it out",
        ),
        f"--imp-score {score} with --imp-prune-embeddings": (
            data == "input_norms" and cfg.imp_prune_embeddings,
            "what an embedding is given is a word, not features whose norm could be taken",
        ),
        f"--imp-score {score} with --required-seq-len-multiple or --num-batch-buckets": (
            data == "input_norms" and padded,
            "the padding would count as words",
        ),
    }


def resolve_masks(cfg: TaskSettings, root: RunSettings) -> None:
    """Makes the run that a reinitialised branch branched from the source of its masks, unless another is given.

    Raises:
        RunRefused: There is none, or it is the run itself.
    """
    given = Path(root.checkpoint.restore_file)
    if cfg.imp_reinit and cfg.imp_masks_from is None:
        if str(given) == LAST:
            raise RunRefused(
                "--imp-reinit needs masks: branch with --restore-file RUN/checkpoint_lth0.pt, or give --imp-masks-from"
            )
        cfg.imp_masks_from = str(given.parent)
    if cfg.imp_masks_from is None:
        return
    if Path(cfg.imp_masks_from).resolve() == Path(root.checkpoint.save_dir).resolve():
        raise RunRefused(f"--imp-masks-from {cfg.imp_masks_from}: is the --save-dir of this run, give another run's")
