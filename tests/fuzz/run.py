"""Fuzz for some minutes: ``make fuzz MINUTES=10``, or ``python tests/fuzz/run.py --minutes 10``.

Each target has a process of its own, with a limit of memory, and its share of the time. Where
Atheris is installed it looks for inputs that reach new lines of freefill; elsewhere inputs are
changed at random. An input that fails, takes more than ten seconds of the processor, or ends the
process is kept in a file; ``--replay FILE --target NAME`` runs it again, with its traceback.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import random
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

STUCK = 30
"""Seconds after which an input is taken to have no end: other programs run beside it."""
MEMORY = 4096
"""MiB that a process may have."""
ADDRESSES = 16 << 30
"""Bytes of addresses that a process may have: libraries reserve some that they never use."""
LATE = 60
"""Seconds that a process may take beyond its time: for imports, and to end."""
NAMES = ("photos", "masks", "metadata", "weights", "requests")


def main() -> int:
    """Fuzz all targets, or one; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="of all targets together")
    parser.add_argument("--target", choices=NAMES, action="append", help="by default all")
    parser.add_argument("--seed", type=int, help="by default another each time")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"), help="where inputs are kept")
    parser.add_argument("--plain", action="store_true", help="without Atheris")
    parser.add_argument("--replay", type=Path, help="run one kept input")
    parser.add_argument("--child", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.target or NAMES
    if arguments.replay is not None:
        replay(names[0], arguments.replay)
        return 0
    seed = random.SystemRandom().randrange(2**31) if arguments.seed is None else arguments.seed
    plain = arguments.plain or importlib.util.find_spec("atheris") is None
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.child is not None:
        loop = by_chance if plain else by_coverage
        return loop(names[0], seed, arguments.child, arguments.out)
    print(f"seed {seed}, {'at random' if plain else 'by Atheris'}", flush=True)
    seconds = 60 * arguments.minutes / len(names)
    kept = [fuzz(name, seed, seconds, arguments.out, plain=plain) for name in names]
    return int(any(kept))


def fuzz(name: str, seed: int, seconds: float, out: Path, *, plain: bool) -> list[Path]:
    """Fuzz one target in a process of its own.

    Args:
        name: Of the target.
        seed: Of its choices.
        seconds: How long.
        out: Where inputs that fail are kept.
        plain: Without Atheris.

    Returns:
        Inputs that failed, which are named in a line.
    """
    before = set(out.iterdir())
    command = [sys.executable, __file__, "--target", name, "--seed", str(seed), "--out", str(out)]
    command += ["--child", str(seconds), *(["--plain"] if plain else [])]
    try:
        ran = subprocess.run(
            command, capture_output=True, timeout=seconds + LATE, check=False, preexec_fn=_limit
        )
        code, told = ran.returncode, (ran.stdout + ran.stderr).decode("utf-8", "replace")
    except subprocess.TimeoutExpired as stuck:
        code, told = -9, (stuck.stderr or b"").decode("utf-8", "replace")
    count = re.search(r"number_of_executed_units: (\d+)", told)
    number = int(count[1]) if count else 0
    last = out / f"{name}-last"
    if code != 0 and last.exists() and set(out.iterdir()) <= {*before, last}:
        # The process was ended, or did not end: by what it was at.
        last.rename(out / f"{name}-ended-{seed}")
    last.unlink(missing_ok=True)
    kept = sorted(set(out.iterdir()) - before)
    print(f"{name}: {number:,} inputs, {number / seconds:.0f}/s, exit code {code}", flush=True)
    if code != 0 and not kept:
        kept = [out / f"{name}.log"]
        kept[0].write_text(told)
    if kept:
        quiet = ("stat::", "INFO:", "#", '"', "Found", "Did not", "TIFFFetch", "<Tiff", "<tiff")
        lines = [line for line in told.splitlines() if not line.startswith(quiet)]
        print("\n".join(lines)[-3000:])
        for path in kept:
            print(f"{name}: kept {path}; run it again with --target {name} --replay {path}")
    return kept


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def replay(name: str, path: Path) -> None:
    """Run one input; what it raises is raised."""
    from targets import TARGETS, run_check

    run_check(TARGETS[name], path.read_bytes())


def by_chance(name: str, seed: int, seconds: float, out: Path) -> int:
    """Change seeds at random."""
    from mutate import mutate
    from targets import TARGETS, run_check

    target = TARGETS[name]
    corpus = list(target.seeds().values())
    rng, last = random.Random(f"{name} {seed}"), out / f"{name}-last"
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        content = mutate(rng, rng.choice(corpus), corpus)
        # Written before it is run: it may end the process.
        last.write_bytes(content)
        faulthandler.dump_traceback_later(STUCK, exit=True)
        try:
            run_check(target, content)
        except Exception:
            last.rename(out / f"{name}-failed-{seed}-{number}")
            raise
        number += 1
    faulthandler.cancel_dump_traceback_later()
    last.unlink(missing_ok=True)
    print(f"number_of_executed_units: {number}", flush=True)
    return 0


def by_coverage(name: str, seed: int, seconds: float, out: Path) -> int:
    """Let Atheris change seeds, and inputs that reached new lines."""
    import atheris

    with atheris.instrument_imports(include=["freefill"]):
        from targets import TARGETS, folder, run_check
    from mutate import mutate

    target = TARGETS[name]
    seeds = list(target.seeds().values())
    corpus = folder() / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds):
        (corpus / str(number)).write_bytes(content)

    def change(content: bytes, most: int, number: int) -> bytes:
        # Its own changes are of single bytes; ours know where faults were.
        if number % 2:
            return bytes(atheris.Mutate(content, most))
        return mutate(random.Random(number), content, seeds)[:most]

    options = [
        f"-max_total_time={max(1, round(seconds))}",
        f"-seed={seed}",
        f"-timeout={STUCK}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={out}/{name}-",
        "-print_final_stats=1",
        "-verbosity=0",
        "-len_control=0",
        f"-max_len={1 << 20}",
    ]
    # What it finds is this run's alone: the corpus stays small, and our own.
    atheris.Setup(
        [sys.argv[0], *options, str(corpus)],
        lambda content: run_check(target, content),
        custom_mutator=change,
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
