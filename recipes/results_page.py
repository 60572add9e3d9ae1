"""Brings the tables and figures of a report into a Markdown page.

    python recipes/results_page.py --report REPORT --page docs/RESULTS.md [--check]

Between `<!-- table PATH -->` and `<!-- end -->` on the page stands the Markdown table REPORT/PATH; every image in
a folder of `images/` that the page shows, and every table in `reports/` that it links to, is that of its name in the
report. Images in `images/` itself are pictures of the page in a browser, which are made elsewhere. With --check nothing
is written: the exit status is 1 if the page, an image or a table is not what the report gives. Bad input gives 2.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from probing_bridge.errors import BridgeError
from probing_bridge.formats.files import written_beside

TABLE = re.compile(r"(<!-- table (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
LINK = re.compile(r"(!)?\[[^\]]*\]\(([^)]+)\)")


def main() -> int:
    """Fills or checks the page; prints one line on an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, required=True, help="the --output of `report`")
    parser.add_argument("--page", type=Path, required=True, help="the Markdown page")
    parser.add_argument("--check", action="store_true", help="only say whether the page agrees with the report")
    arguments = parser.parse_args()
    try:
        wanted = files(arguments.page, arguments.report)
        different = [path for path, content in wanted.items() if not path.is_file() or path.read_bytes() != content]
        if not arguments.check:
            for path in different:
                path.parent.mkdir(parents=True, exist_ok=True)
                with written_beside(path) as beside:
                    beside.write_bytes(wanted[path])
    except (BridgeError, OSError) as error:
        print(f"results_page: {error}", file=sys.stderr)
        return 2
    if arguments.check and different:
        print(f"results_page: not what {arguments.report} gives: {', '.join(map(str, different))}", file=sys.stderr)
    return int(arguments.check and bool(different))


def files(page: Path, report: Path) -> dict[Path, bytes]:
    """What the page, its images and its linked tables have to be.

    Raises:
        OSError: The page, a table or an image is missing.
    """
    text = page.read_text(encoding="utf-8")
    filled = TABLE.sub(lambda block: block[1] + (report / block[2]).read_text(encoding="utf-8") + block[4], text)
    links = [target for image, target in LINK.findall(text) if image or target.startswith("reports/")]
    links = [target for target in links if Path(target).parent != Path("images")]
    sources = {page.parent / target: report / "figures" / Path(target).name for target in links}
    sources |= {path: report / "claims.md" for path in sources if path.name == "claims.md"}
    return {page: filled.encode()} | {path: source.read_bytes() for path, source in sources.items()}


if __name__ == "__main__":
    sys.exit(main())
