"""BLEU of translations that are none of the levels (of an average of checkpoints), by the measures of the levels.

python score.py --translations generate-test.txt --reference newstest2014.de --metrics sacrebleu --output bleu.txt
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import written_beside
from probing_bridge.formats.text import plain_lines
from probing_bridge.translation.generated import read_generated
from probing_bridge.translation.metrics import METRICS, take


def main() -> int:
    """Writes a line for each measure; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--translations", type=Path, required=True, help="what fairseq-generate wrote")
    parser.add_argument("--reference", type=Path, required=True, help="plain references, one a line")
    parser.add_argument("--metrics", nargs="+", choices=METRICS, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        references, translations = plain_lines(arguments.reference), read_generated(arguments.translations)
        lines = []
        for name in arguments.metrics:
            found = take(METRICS[name], METRICS[name].texts(translations, references))
            lines.append(f"{name} {found.score:.2f} [{found.low:.2f}, {found.high:.2f}] {found.signature}\n")
        with written_beside(arguments.output) as beside:
            beside.write_text("".join(lines), encoding="utf-8")
    except BridgeError as error:
        print(f"score: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
