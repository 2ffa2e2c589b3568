# SPDX-License-Identifier: GPL-2.0
"""A program on a terminal of tmux: keys in, the picture out."""

import re
import shlex
import subprocess
import time

# Bounds of what a user sees at once; slow machines get the rest.
PATIENCE_SEC = 20


class Tmux:
    """One window; a shell of ours stays in it when the program has ended."""

    def __init__(self, directory, env, columns=80, rows=24):
        self.socket = directory / 'tmux'
        # A terminal without it has no colour, and one must not be begun inside another.
        self.env = {k: v for k, v in env.items() if k not in ('TMUX', 'TMUX_PANE')}
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', str(columns), '-y', str(rows),
                  'env PS1="READY> " bash --norc --noprofile -i')
        self.wait(lambda text: 'READY>' in text, 'the shell')

    def tmux(self, *args):
        result = subprocess.run(['tmux', '-S', self.socket, *args], env=self.env,
                                capture_output=True, text=True, timeout=30, check=False)
        assert result.returncode == 0, (args, result.stderr)
        return result.stdout

    def type(self, text):
        self.tmux('send-keys', '-l', text)

    def keys(self, *names):
        self.tmux('send-keys', *names)

    def run(self, *argv):
        self.type(' '.join(shlex.quote(str(word)) for word in argv))
        self.keys('Enter')

    def resize(self, columns, rows):
        self.tmux('resize-window', '-x', str(columns), '-y', str(rows))

    @property
    def text(self):
        return self.tmux('capture-pane', '-p')

    @property
    def lines(self):
        return self.text.rstrip('\n').split('\n')

    @property
    def styled(self):
        return self.tmux('capture-pane', '-p', '-e')

    def format(self, name):
        return self.tmux('display-message', '-p', f'#{{{name}}}').strip()

    def wait(self, condition, what, timeout=PATIENCE_SEC):
        """Waits until CONDITION(picture) is true, and returns what it is."""
        end = time.monotonic() + timeout
        while True:
            text = self.text
            value = condition(text)
            if value:
                return value
            assert time.monotonic() < end, f'not seen: {what}\n{text}'
            time.sleep(0.05)

    def wait_for(self, pattern):
        return self.wait(lambda text: re.search(pattern, text, re.M), pattern)

    def close(self):
        subprocess.run(['tmux', '-S', self.socket, 'kill-server'], env=self.env, timeout=30,
                       capture_output=True, check=False)
