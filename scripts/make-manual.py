#!/usr/bin/env python3
"""Writes the manual page of a `fusebox` binary to standard output: what its own help says, as roff.

    scripts/make-manual.py .build/release/fusebox > fusebox.1
"""

import json
import subprocess
import sys


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in text.splitlines())


def names(argument):
    words = [("--" if name["kind"] == "long" else "-") + name["name"] for name in argument.get("names", [])]
    value = argument.get("valueName", "")
    if argument["kind"] == "positional":
        return f"<{value}>"
    return ", ".join(words) + (f" <{value}>" if argument["kind"] == "option" else "")


def options(command):
    for argument in command.get("arguments", []):
        if not argument.get("shouldDisplay", True):
            continue
        yield f'.TP\n\\fB{roff(names(argument))}\\fR\n{roff(argument.get("abstract", ""))}'


def sections(command, path=()):
    for own in command.get("subcommands", []):
        if own["commandName"] == "help" or not own.get("shouldDisplay", True):
            continue
        full = (*path, own["commandName"])
        yield f'.SS "{" ".join(full)}"\n{roff(own.get("abstract", ""))}'
        if own.get("discussion"):
            yield ".PP\n.nf\n" + roff(own["discussion"]) + "\n.fi"
        yield from options(own)
        yield from sections(own, full)


dumped = subprocess.run([sys.argv[1], "--experimental-dump-help"], capture_output=True, check=True, text=True)
root = json.loads(dumped.stdout)["command"]
version = subprocess.run([sys.argv[1], "--version"], capture_output=True, check=True, text=True).stdout.split("\n")[0]
print(f'.TH FUSEBOX 1 "" "{roff(version)}" "Fusebox"')
print(f'.SH NAME\nfusebox \\- {roff(root["abstract"])}')
print(".SH SYNOPSIS\n.B fusebox\n\\fIcommand\\fR [\\fIoptions\\fR]")
print(".SH DESCRIPTION\n" + roff(root.get("discussion", "")))
print(".SH COMMANDS")
print("\n".join(sections(root)))
