"""The chart of the report: bars of wall time, one group per case, as SVG. Pure, no library.

Each group has a scale of its own, on which Python Barman (or, where it takes no part, the slowest)
fills the width: what is compared is who was faster at the same thing. Colours follow the reader's
light or dark setting.
"""

from xml.sax.saxutils import escape

COLOURS = {"barman-rs": "ours", "Python Barman": "barman", "pgBackRest": "pgbackrest"}
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.faint { fill: #57606a; }
.ours { fill: #c2410c; } .barman { fill: #8c959f; } .pgbackrest { fill: #0969da; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .faint { fill: #9198a1; }
  .ours { fill: #fb923c; } .barman { fill: #6e7681; } .pgbackrest { fill: #58a6ff; }
}
"""
WIDTH, NAME, BAR, ROW, GAP = 760, 110, 480, 18, 16


def render(title, groups):
    """An SVG document. A group is a name and its bars: who, and seconds."""
    top = 46
    parts = []
    for name, bars in groups:
        parts.append(text(0, top, name, "title"))
        top += 8
        widest = max(seconds for _, seconds in bars)
        for who, seconds in bars:
            parts += bar(top, who, seconds, seconds / widest * BAR)
            top += ROW
        top += GAP + 10
    body = "\n".join([text(0, 16, title, "title"), *parts])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" '
            f'width="{WIDTH}" height="{top}">\n<title>{escape(title)}</title>\n'
            f"<style>{STYLE}</style>\n{body}\n</svg>\n")


def bar(top, who, seconds, width):
    middle = top + ROW - 5
    return [text(0, middle, who, "faint"),
            f'<rect class="{COLOURS.get(who, "barman")}" x="{NAME}" y="{top + 2}" rx="2" '
            f'width="{max(width, 1):.1f}" height="{ROW - 5}"/>',
            text(NAME + max(width, 1) + 6, middle, f"{seconds:.1f} s", "")]


def text(left, bottom, words, kind):
    return f'<text class="{kind}" x="{left:.1f}" y="{bottom}">{escape(words)}</text>'
