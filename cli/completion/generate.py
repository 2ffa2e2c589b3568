#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes a shell's completion script out of apfctl's own tables.

    generate.py bash|zsh|fish TEMPLATE TABLES > script

TABLES come from the hidden verb "__tables". A template holds what never
changes; @NAME@ stands for a part made here.
"""

import json
import shlex
import sys


def options_of(tables, verb=None):
    """Options usable with VERB, or with any verb; those of every verb included."""
    return [
        option for option in tables['options']
        if option['every_verb'] or verb is None or option['name'] in verb['options']
    ]


def has_any(verb):
    """Whether the last argument of VERB may be given any number of times."""
    return bool(verb['args']) and verb['args'][-1]['any']


def bash_parts(tables):
    verb_cases = []
    for verb in tables['verbs']:
        words = ' '.join('--' + o['name'] for o in options_of(tables, verb))
        kinds = ' '.join(arg['complete'] for arg in verb['args'])
        verb_cases.append(f'\t{verb["name"]})\n\t\toptions={shlex.quote(words)}\n'
                          f'\t\tkinds=({kinds})\n'
                          f'\t\tany={int(has_any(verb))}\n\t\t;;')
    with_value = '|'.join(dash + name for o in tables['options'] if o['arg']
                          for dash, name in (('-', o['short_name']), ('--', o['name'])) if name)
    return {
        'VERBS': ' '.join(v['name'] for v in tables['verbs']),
        'MODES': ' '.join(tables['modes']),
        'OPTIONS': ' '.join('--' + o['name'] for o in options_of(tables)),
        'OPTIONS_WITH_VALUE': with_value,
        'VERB_CASES': '\n'.join(verb_cases),
    }


def zsh_text(text):
    """Text inside [...] of an _arguments specification, or before a colon."""
    for char in '\\[]:':
        text = text.replace(char, '\\' + char)
    return text


def zsh_option(option):
    action = '_hosts' if option['name'] == 'host' else ' '
    value = f':{zsh_text(option["arg"])}:{action}' if option['arg'] else ''
    names = ['--' + option['name'] + ('=' if option['arg'] else '')]
    if option['short_name']:
        names.append('-' + option['short_name'] + ('+' if option['arg'] else ''))
    return [shlex.quote(f'{name}[{zsh_text(option["help"])}]{value}') for name in names]


def zsh_parts(tables):
    actions = {'vm': '_apfctl_vms', 'mode': f'({" ".join(tables["modes"])})', 'nothing': ' '}
    verb_rows, verb_cases = [], []
    for verb in tables['verbs']:
        verb_rows.append('\t' + shlex.quote(f'{verb["name"]}:{zsh_text(verb["help"])}'))
        specs = [spec for o in options_of(tables, verb) for spec in zsh_option(o)]
        for number, arg in enumerate(verb['args'], 1):
            place = '*' if arg['any'] else number
            specs.append(shlex.quote(f'{place}:{arg["name"]}:{actions[arg["complete"]]}'))
        joined = ' \\\n\t\t\t'.join(specs)
        verb_cases.append(f'\t{verb["name"]})\n\t\t_arguments -S \\\n\t\t\t{joined}\n\t\t;;')
    common = [spec for o in options_of(tables) for spec in zsh_option(o)]
    return {
        'VERB_ROWS': '\n'.join(verb_rows),
        'VERB_CASES': '\n'.join(verb_cases),
        'OPTIONS': ' \\\n\t'.join(common),
    }


def fish_parts(tables):
    lines = []
    verbs = [v['name'] for v in tables['verbs']]
    for verb in tables['verbs']:
        lines.append(f'complete -c apfctl -n "not __fish_seen_subcommand_from $__apfctl_verbs" '
                     f'-a {verb["name"]} -d {shlex.quote(verb["help"])}')
        actions = {'vm': '(__apfctl_vms)', 'mode': ' '.join(tables['modes']), 'nothing': ''}
        for number, arg in enumerate(verb['args'], 1):
            test = '-ge' if arg['any'] else '-eq'
            lines.append(f'complete -c apfctl '
                         f'-n "__apfctl_argument {verb["name"]} {test} {number}" '
                         f'-a {shlex.quote(actions[arg["complete"]])}')
    for option in tables['options']:
        takers = [v['name'] for v in tables['verbs'] if option['name'] in v['options']]
        condition = '' if option['every_verb'] else \
            f'-n "__fish_seen_subcommand_from {" ".join(takers)}" '
        short = f'-s {option["short_name"]} ' if option['short_name'] else ''
        value = '-x ' if option['arg'] else ''
        if option['name'] == 'host':
            value += '-a "(__fish_print_hostnames)" '
        lines.append(f'complete -c apfctl {condition}{short}-l {option["name"]} {value}'
                     f'-d {shlex.quote(option["help"])}')
    return {'VERBS': ' '.join(verbs), 'COMPLETE': '\n'.join(lines)}


PARTS = {'bash': bash_parts, 'zsh': zsh_parts, 'fish': fish_parts}


def main():
    shell, template_path, tables_path = sys.argv[1:]
    with open(tables_path, encoding='utf-8') as file:
        tables = json.load(file)
    with open(template_path, encoding='utf-8') as template:
        text = template.read()
    for name, part in PARTS[shell](tables).items():
        text = text.replace(f'@{name}@', part)
    sys.stdout.write(text)


if __name__ == '__main__':
    main()
