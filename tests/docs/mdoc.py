# SPDX-License-Identifier: GPL-2.0
"""Reads a manual page in mdoc: what the tests of the documentation need of it."""

import pathlib
import re
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
MACROS = {'No', 'Ns', 'Cm', 'Ar', 'Fl', 'Va', 'Fa', 'Fn', 'Sy', 'Em', 'Dv', 'Er', 'Ev', 'Op', 'Pa',
          'Pq', 'Xr', 'Sx', 'Ql', 'Li'}


def words(line):
    """Words of a macro line; quotes hold words together, an apostrophe does not."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.quotes = '"'
    lexer.escape = ''
    lexer.commenters = ''
    return list(lexer)


class Page:
    def __init__(self, name):
        self.path = ROOT / 'man' / name
        self.lines = self.path.read_text(encoding='utf-8').splitlines()

    def section(self, title, subtitle=None):
        """Lines of .Sh TITLE, or of its .Ss SUBTITLE; [] if there is none."""
        lines = self._between(self.lines, '.Sh ', title)
        return self._between(lines, '.Ss ', subtitle) if subtitle else lines

    @staticmethod
    def _between(lines, macro, title):
        inside, found = False, []
        for line in lines:
            if line.startswith(macro):
                inside = line[len(macro):] == title
            elif inside:
                found.append(line)
        return found

    def rendered(self, section):
        """Lines of a section as printed, without indentation, wrapped nowhere."""
        text = subprocess.run(['mandoc', '-Tascii', '-Owidth=400', self.path],
                              capture_output=True, text=True, check=True).stdout
        text = re.sub('.\b', '', text)
        match = re.search(rf'^{re.escape(section)}\n(.*?)(?=^\S|\Z)', text, re.M | re.S)
        return [line.strip() for line in match.group(1).splitlines() if line.strip()]


def marked(lines, macro):
    """Words that MACRO marks, e.g. marked(lines, 'Va'): .Va a , b No (s) -> a, b."""
    found = []
    for line in lines:
        if not re.match(r'\.[A-Z]', line):
            continue
        inside = False
        for word in words(line[1:]):
            if word == macro:
                inside = True
            elif word in MACROS or word == 'It':
                inside = False
            elif inside and re.search(r'\w', word):
                found.append(word)
    return found


def items(lines, depth=1):
    """Words of the .It lines of the lists at DEPTH."""
    found, level = [], 0
    for line in lines:
        if line.startswith('.Bl'):
            level += 1
        elif line.startswith('.El'):
            level -= 1
        elif line.startswith('.It') and level == depth:
            found.append(words(line)[1:])
    return found
