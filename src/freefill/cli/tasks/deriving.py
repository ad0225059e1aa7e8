"""Commands from tasks: options, bounds, defaults and help are those of the task's own signature.

What a signature says is known once its module is loaded, and NumPy with it. ``freefill --help`` is
to stay quick, so a command is registered by its name and its text, and becomes itself when it is
called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from freefill.cli import shared
from freefill.cli.console import option as spelled
from freefill.cli.tasks.common import fill_photo
from freefill.cli.tasks.remove import remove
from freefill.cli.tasks.stitch import stitch
from freefill.cli.tasks.texts import TEXTS
from freefill.cli.tasks.unmark import unmark
from freefill.cli.tasks.video import video
from freefill.errors import spell
from freefill.tasks.table import TASKS, Task

if TYPE_CHECKING:
    from freefill.tasks.options import Declared

Run = Callable[..., None]

RUNS: dict[str, Run] = {"remove": remove, "stitch": stitch, "unmark": unmark, "video": video}
"""Of tasks that take more than a photo and their options."""
SHORT = {"mask": "-m"}
"""Letters of options that have one."""


class TaskCommand(TyperCommand):
    """A command that is read from its task when it is called."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Hand over to the command itself."""
        [task] = [task for task in TASKS if task.name == self.name]
        return _command(task).make_context(*args, **options)


def add(app: typer.Typer) -> None:
    """Add the commands of all tasks."""
    for task in TASKS:
        if task.command:
            registered = app.command(
                task.name, cls=TaskCommand, help=_help(task), rich_help_panel="Tasks"
            )
            registered(lambda: None)


def derived(task: Task, run: Run) -> Run:
    """Give a function that Typer can read.

    Args:
        task: The task.
        run: What is done. Between its first parameter, the task's function, and its last, the
            task's options as that takes them, are the command's own parameters, in order.

    Returns:
        The function, whose signature holds all of them, the task's options behind ``out``.
    """
    from freefill.tasks.options import options_of

    declared = options_of(task.function)

    def command(**given: Any) -> None:
        values = {one.name: one.value(given.pop(one.name)) for one in declared}
        run(task.function, **given, **values)

    parameters = []
    _, *own, _ = inspect.signature(run, eval_str=True).parameters.values()
    for parameter in own:
        parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        if parameter.name == "out":
            parameters += [_parameter(one) for one in declared]
    # Typer asks for both.
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _command(task: Task) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    function = derived(task, RUNS.get(task.name, fill_photo))
    app.command(task.name, help=_help(task))(function)
    command = typer.main.get_command(app)
    shared.add_to(command, records=True)
    return command


def _help(task: Task) -> str:
    return f"{task.summary}\n\n{TEXTS[task.name]}"


def _parameter(one: Declared) -> inspect.Parameter:
    option, default = one.option, one.plain_default
    text = spell(option.help, spelled).removesuffix(".")
    text += "; repeatable" if option.several else ""
    text += f" ({option.bounds})." if option.le is not None else "."
    names = [spelled(one.name, None)]
    names += [SHORT[one.name]] if one.name in SHORT else []
    metavar, completion, kind = option.form, None, one.plain
    if one.choices:
        # Words, not an enumeration: the task refuses others in one line.
        metavar, kind = f"<{'|'.join(one.choices)}>", str

        def completion(incomplete: str) -> list[str]:
            return [word for word in one.choices if word.startswith(incomplete)]

    elif option.file:
        kind = Path
    elif kind is bool and default:
        names = [f"{names[0]}/{spelled(one.name, 'False')}"]
    info = typer.Option(
        *names,
        help=text,
        metavar=metavar,
        autocompletion=completion,
        show_default=default is not None,
    )
    kind = list[kind] if option.several else kind  # type: ignore[valid-type]
    annotation = Annotated[kind | None if default is None else kind, info]  # type: ignore[valid-type]
    return inspect.Parameter(
        one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
