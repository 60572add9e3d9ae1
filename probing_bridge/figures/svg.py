"""A figure as bytes: SVG with tooltips, PDF, PNG, and SVG inside the page. The same bytes for the same figure.

No dates, fixed ids. Place in the flow: figures -> svg -> report.
"""

from __future__ import annotations

import html
import io
import re

from matplotlib.figure import Figure
from PIL import Image

from probing_bridge.figures.style import THEME

_PNG_DPI = 200
_GLYPH = re.compile(r'<path id="([A-Za-z]+(?:-[A-Za-z]+)*-[0-9a-f]+)"(?: d="([^"]*)")?[^>]*/>')


def to_svg(figure: Figure) -> str:
    """A figure as SVG text: no dates, hover texts as tooltips, the same text for the same figure."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return re.sub(r'<g id="mark\|([^|"]*)\|([^|"]*)\|([^"]*)">', _as_title, stream.getvalue())


def _as_title(match: re.Match[str]) -> str:
    """The opening tag of a marked group, with its tooltip."""
    level, layer, text = (html.escape(html.unescape(part)) for part in match.groups())
    return f'<g class="mark" data-level="{level}" data-layer="{layer}"><title>{text}</title>'


def to_bytes(figure: Figure, form: str) -> bytes:
    """A figure as the bytes of a PDF or PNG file, without dates.

    The PNG has 200 dots an inch on white and at most 256 colours: a third of the size that all of them would take.
    """
    stream = io.BytesIO()
    if form == "pdf":
        figure.savefig(stream, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
        return stream.getvalue()
    figure.savefig(stream, format="png", dpi=_PNG_DPI, facecolor="white", pil_kwargs={"compress_level": 0})
    image = Image.open(stream).convert("RGB")
    colors = 32 if image.getcolors(512) else 256  # a page of text has its greys alone
    image = image.quantize(colors, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    image.save(stream, "png", dpi=(_PNG_DPI, _PNG_DPI))
    return stream.getvalue()


def inline_svg(svg: str, name: str, sprite: dict[str, str]) -> str:
    """Makes a figure's SVG part of the page: colours that follow the page, letters shared by all figures.

    Args:
        svg: What to_svg returned.
        name: Stem that keeps its other ids apart from those of other figures.
        sprite: Glyph id -> outline, filled here; the page defines each once.

    Returns:
        The `<svg>` element.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
    glyphs = _GLYPH.findall(body)
    sprite.update({glyph: outline for glyph, outline in glyphs if _is_glyph(glyph)})
    body = _GLYPH.sub(lambda match: "" if _is_glyph(match[1]) else match[0], body)
    body = re.sub(r"<defs>\s*</defs>", "", body)
    body = re.sub(r' id="(?!m[0-9a-f]{10}"|p[0-9a-f]{10}"|h[0-9a-f]{10}"|C[0-9a-f]+_)[^"]*"', "", body)
    body = re.sub(r'(id="|href="#|url\(#)((?:[mph][0-9a-f]{10}|C[0-9a-f]+_))', rf"\1{name}-\2", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r' xmlns(:xlink)?="[^"]*"', "", body)
    for color, (variable, _) in THEME.items():
        body = body.replace(color, f"var(--{variable})")
    body = re.sub(r"\s*\n\s*", "\n", body)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.S)
    box = re.search(r'viewBox="([^"]*)"', body)
    assert box is not None, "Matplotlib writes a viewBox"
    width = float(box[1].split()[2])
    opening = f'<svg viewBox="{box[1]}" style="--width:{width:.0f}" aria-hidden="true" focusable="false">'
    return re.sub(r"<svg[^>]*>", opening, body, count=1)


def _is_glyph(name: str) -> bool:
    """Whether an id is that of a letter's outline."""
    return name.startswith(("DejaVu", "STIX", "Cmr"))
