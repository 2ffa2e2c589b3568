#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Generates a shell's completion script from apfctl's own tables.

    generate.py bash|zsh|fish TEMPLATE TABLES > script

TABLES is the output of the hidden verb "__tables". In the template, @NAME@ stands
for a part that is generated here.
"""

import json
import shlex
import sys


def options_of(tables, verb=None):
    """Options that VERB takes, or that any verb takes; includes those of every verb."""
    return [
        option for option in tables['options']
        if option['every_verb'] or verb is None or option['name'] in verb['options']
    ]


def kinds_of(verb):
    """What the shell completes at each place of VERB's arguments, and whether the last repeats.

    A place can have more than one kind: after the first VM of "set" comes a VM or the mode.
    """
    args = verb['args']
    repeated = [i for i, arg in enumerate(args) if arg['count'] in ('any', 'some')]
    if not repeated:
        return [[arg['complete']] for arg in args], False
    kinds = [[arg['complete']] for arg in args[:repeated[0] + 1]]
    if len(args) > len(kinds):
        kinds.append([arg['complete'] for arg in args[repeated[0]:]])
    return kinds, True


def values_of(verb):
    """{option: words} of the options of VERB that have a list of words."""
    return {option: words for option, words in verb['values'].items() if words}


def bash_parts(tables):
    verb_cases = []
    for verb in tables['verbs']:
        words = ' '.join('--' + o['name'] for o in options_of(tables, verb))
        places, any_number = kinds_of(verb)
        kinds = ' '.join(shlex.quote(' '.join(place)) for place in places)
        verb_cases.append(f'\t{verb["name"]})\n\t\toptions={shlex.quote(words)}\n'
                          f'\t\tkinds=({kinds})\n'
                          f'\t\tany={int(any_number)}\n\t\t;;')
    with_value = '|'.join(dash + name for o in tables['options'] if o['arg']
                          for dash, name in (('-', o['short_name']), ('--', o['name'])) if name)
    return {
        'VERBS': ' '.join(v['name'] for v in tables['verbs']),
        'MODES': ' '.join(tables['modes']),
        'OPTIONS': ' '.join('--' + o['name'] for o in options_of(tables)),
        'OPTIONS_WITH_VALUE': with_value,
        'VALUE_CASES': '\n'.join(
            f'\t\t{verb["name"]}:--{option})\n\t\t\tvalues={shlex.quote(" ".join(words))}\n\t\t\t;;'
            for verb in tables['verbs'] for option, words in values_of(verb).items()),
        'VERB_CASES': '\n'.join(verb_cases),
    }


def zsh_text(text):
    """Escapes text for [...] of an _arguments specification, or before a colon."""
    for char in '\\[]:':
        text = text.replace(char, '\\' + char)
    return text


def zsh_option(option, values=()):
    action = '_hosts' if option['name'] == 'host' else ' '
    if values and option['arg'] == 'LIST':
        action = f'_values -s , word {" ".join(values)}'
    elif values:
        action = f'({" ".join(values)})'
    value = f':{zsh_text(option["arg"])}:{action}' if option['arg'] else ''
    names = ['--' + option['name'] + ('=' if option['arg'] else '')]
    if option['short_name']:
        names.append('-' + option['short_name'] + ('+' if option['arg'] else ''))
    return [shlex.quote(f'{name}[{zsh_text(option["help"])}]{value}') for name in names]


def zsh_parts(tables):
    actions = {
        'vm': '_apfctl_vms',
        'stored': '_apfctl_stored',
        'mode': f'({" ".join(tables["modes"])})',
        'verb': '_apfctl_verbs',
        'vm mode': '_apfctl_vms_and_modes',
        'nothing': ' ',
    }
    verb_rows, verb_cases = [], []
    for verb in tables['verbs']:
        verb_rows.append('\t' + shlex.quote(f'{verb["name"]}:{zsh_text(verb["help"])}'))
        specs = [spec for o in options_of(tables, verb) for spec in zsh_option(o)]
        places, any_number = kinds_of(verb)
        for number, kinds in enumerate(places, 1):
            place = '*' if any_number and number == len(places) else number
            specs.append(shlex.quote(f'{place}:argument:{actions[" ".join(kinds)]}'))
        joined = ' \\\n\t\t\t'.join(specs)
        verb_cases.append(f'\t{verb["name"]})\n\t\t_arguments -S \\\n\t\t\t{joined}\n\t\t;;')
    # zsh completes an option's value before it looks at the verb: the words of all verbs.
    words = {}
    for verb in tables['verbs']:
        for option, values in values_of(verb).items():
            words[option] = list(dict.fromkeys(words.get(option, []) + values))
    common = [spec for o in options_of(tables)
              for spec in zsh_option(o, words.get(o['name'], ()))]
    return {
        'VERB_ROWS': '\n'.join(verb_rows),
        'VERB_CASES': '\n'.join(verb_cases),
        'OPTIONS': ' \\\n\t'.join(common),
        'MODES': ' '.join(tables['modes']),
    }


def fish_parts(tables):
    lines = []
    verbs = [v['name'] for v in tables['verbs']]
    for verb in tables['verbs']:
        lines.append(f'complete -c apfctl -n "not __fish_seen_subcommand_from $__apfctl_verbs" '
                     f'-a {verb["name"]} -d {shlex.quote(verb["help"])}')
        actions = {'vm': '(__apfctl_vms __vms)', 'stored': '(__apfctl_vms __stored)',
                   'mode': ' '.join(tables['modes']), 'verb': ' '.join(verbs), 'nothing': ''}
        places, any_number = kinds_of(verb)
        for number, kinds in enumerate(places, 1):
            test = '-ge' if any_number and number == len(places) else '-eq'
            for kind in kinds:
                lines.append(f'complete -c apfctl '
                             f'-n "__apfctl_argument {verb["name"]} {test} {number}" '
                             f'-a {shlex.quote(actions[kind])}')
        for option, words in values_of(verb).items():
            lines.append(f'complete -c apfctl '
                         f'-n "__fish_seen_subcommand_from {verb["name"]}" -x -l {option} '
                         f'-a {shlex.quote(" ".join(words))}')
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
