"""The tests' shortcut to a configuration of fairseq gives what hydra gives."""

import pytest
import quick_compose
from fairseq import options
from fairseq.dataclass import utils


@pytest.mark.parametrize(
    "extra",
    [
        ["--save-dir", "it's a b", "--lr", "0.3,0.2", "--fp16", "--imp-reinit"],
        ["--optimizer", "nag", "--lr-scheduler", "fixed", "--force-anneal", "3", "--criterion", "cross_entropy"],
    ],
)
def test_the_shortcut_composes_what_hydra_composes(flags, monkeypatch, extra):
    at = flags.index("--adam-betas")
    argv = ["data", *flags[3:at], *flags[at + 2 :], *extra]
    argv = [word for word in argv if word not in ("--label-smoothing", "0.1")]
    namespace = options.parse_args_and_arch(options.get_training_parser(), argv)
    assert utils.compose is quick_compose.quick_compose
    shortcut = [utils.convert_namespace_to_omegaconf(namespace) for _ in range(2)][1]
    monkeypatch.setattr(utils, "compose", quick_compose.compose)
    assert repr(utils.convert_namespace_to_omegaconf(namespace)) == repr(shortcut)
