"""fairseq's configuration, composed by hydra once for each choice of components; the values are put in by its rules.

Composing takes a third of the time of a training as small as those of the tests, and most of the time of what refuses
one. Whoever imports this has fairseq compose so; test_quick_compose.py holds the result to hydra's own.
"""

import copy

from fairseq.dataclass import utils
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

compose = utils.compose
_parser = OverridesParser.create()
_composed, _parsed = {}, {}


def quick_compose(config_name, overrides, strict):
    """The same as `compose`."""
    components = tuple(line for line in overrides if "." not in line.partition("=")[0])
    if components not in _composed:
        _composed[components] = compose(config_name, overrides=list(components), strict=strict)
    values = [line for line in overrides if line not in components]
    _parsed.update({line: _parser.parse_override(line) for line in values if line not in _parsed})
    config = copy.deepcopy(_composed[components])
    OmegaConf.set_struct(config, True)
    ConfigLoaderImpl._apply_overrides_to_config([_parsed[line] for line in values], config)
    OmegaConf.set_struct(config, strict)
    return config


utils.compose = quick_compose
