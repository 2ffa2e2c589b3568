# SPDX-License-Identifier: GPL-2.0
"""The screen of a terminal as an HTML page: text and the escape sequences that tmux prints for it."""

import html
import re

# 0 to 7, then the bright ones.
COLOURS = ("#1e2127", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf",
           "#7f8793", "#ff7b86", "#b5e890", "#ffd68a", "#7cc4ff", "#e29bf0", "#7ad9e4", "#ffffff")
FOREGROUND, BACKGROUND = "#d7dae0", COLOURS[0]

PAGE = """<!DOCTYPE html><meta charset="utf-8">
<style>
body {{ margin: 0; background: {background}; }}
pre {{ display: inline-block; margin: 0; padding: 12px 16px; background: {background}; color: {foreground};
    font: 14px/1.35 "DejaVu Sans Mono", monospace; }}
b {{ font-weight: bold; }}
</style><pre>{text}</pre>
"""


class Style:
    def __init__(self):
        self.bold = self.reverse = self.dim = False
        self.foreground = self.background = None

    def apply(self, code):
        """One parameter of "select graphic rendition"."""
        if code == 0:
            self.__init__()
        elif code in (1, 2, 7):
            setattr(self, {1: "bold", 2: "dim", 7: "reverse"}[code], True)
        elif code == 22:
            self.bold = self.dim = False
        elif code == 27:
            self.reverse = False
        elif 30 <= code <= 37 or 90 <= code <= 97:
            self.foreground = COLOURS[code - 30 if code < 90 else code - 82]
        elif 40 <= code <= 47:
            self.background = COLOURS[code - 40]
        elif code == 39:
            self.foreground = None
        elif code == 49:
            self.background = None

    def css(self):
        foreground, background = self.foreground or FOREGROUND, self.background or BACKGROUND
        if self.reverse:
            foreground, background = background, foreground
        return (f"color:{foreground};background:{background}" + (";font-weight:bold" if self.bold else "")
                + (";opacity:.7" if self.dim else ""))


def page(styled):
    """@styled: as `tmux capture-pane -p -e` prints it."""
    style, out = Style(), []
    for number, part in enumerate(re.split(r"\x1b\[([\d;]*)m", styled.rstrip("\n"))):
        if number % 2:
            for code in part.split(";"):
                style.apply(int(code or 0))
        elif part:
            out.append(f'<span style="{style.css()}">{html.escape(part)}</span>')
    return PAGE.format(background=BACKGROUND, foreground=FOREGROUND, text="".join(out))
