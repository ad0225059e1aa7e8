"""Every command as its own ``--help`` tells it."""

from __future__ import annotations

import html
import re

import typer
import typer.main
from typer.cli import get_docs_for_click

from freefill.cli.main import app

NAME = "freefill"
EXAMPLE = re.compile(r" +\S|(freefill|curl) ")
COMMAND = re.compile(r"([A-Z_]+=\S+ )?(freefill|curl|torchrun|pip)\b")


def page() -> str:
    """Give all commands as Markdown: a heading, the text, and the options of each."""
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name=NAME)
    return tidy(get_docs_for_click(obj=group, ctx=context, name=NAME))


def tidy(text: str) -> str:
    r"""Make what Typer writes readable on a page.

    Args:
        text: Markdown of ``typer utils docs``.

    Returns:
        The same without the first heading, with examples as blocks of code, and with links to the
        commands of a group, whose descriptions Typer cuts off.

    Examples:
        >>> print(tidy("# `freefill`\n\nTry:\n\n  freefill a --b &#x27;c&#x27;\n"))
        Try:
        <BLANKLINE>
        ```console
        $ freefill a --b 'c'
        ```
        <BLANKLINE>
    """
    text = "\n".join(_in_blocks(text.split("\n")[2:])) + "\n"
    text = re.sub(r"^\* `--help`: Show this message and exit\.\n", "", text, flags=re.M)
    text = re.sub(r"\*\*Options\*\*:\n\n(?!\*)", "", text)
    firsts = dict(re.findall(rf"^#+ `{NAME} ([a-z ]+)`\n\n(.+?)(?: Examples?:)?$", text, re.M))
    group = ""
    lines = []
    for line in text.split("\n"):
        if heading := re.match(rf"#+ `{NAME} ([a-z ]+)`", line):
            group = f"{heading[1]} "
        elif (listed := re.match(r"\* `([a-z]+)`:", line)) and group + listed[1] in firsts:
            name = group + listed[1]
            anchor = f"{NAME}-{name.replace(' ', '-')}"
            line = f"* [`{listed[1]}`](#{anchor}): {firsts[name]}"
        lines.append(line)
    return "\n".join(lines)


def _in_blocks(lines: list[str]) -> list[str]:
    """Put examples, which ``--help`` indents, into blocks of code."""
    found: list[str] = []
    block: list[str] = []
    inside = False
    for line in lines:
        if line.startswith("```"):
            inside = not inside
        if not inside and EXAMPLE.match(line):
            block.append(html.unescape(line.strip()))
        elif block and not line.strip():
            continue  # examples are paragraphs of their own
        else:
            if block:
                found += ["", *_block(block), ""]
                block = []
            found.append(line)
    if block:
        found += [*_block(block)]
    return found


def _block(lines: list[str]) -> list[str]:
    commands = [bool(COMMAND.match(line)) for line in lines]
    if not any(commands):
        return ["```text", *lines, "```"]
    shown = [f"$ {x}" if one else f"  {x}" for x, one in zip(lines, commands, strict=True)]
    return ["```console", *shown, "```"]
