"""The command line: arguments in, exit status out.

Nothing heavy is imported before it is known what to do, and nothing below this module prints or exits.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlbayes import __version__
from mlbayes.problems import ExitStatus, ProblemError, printable, render

if TYPE_CHECKING:
    from mlbayes.data.table import Table
    from mlbayes.model.model import Model
    from mlbayes.pipeline import Part
    from mlbayes.source import Source

COMMANDS = ("run", "check", "explain", "calibrate")
USAGE = """mlbayes MODEL.inp [--output FILE] [--json FILE] [...]     run a model
       mlbayes check MODEL.inp [...]                            read and check it only
       mlbayes explain MODEL.inp                                say what was understood, and why
       mlbayes calibrate MODEL.inp [--sims N] [...]             is the sampler right for this model
       mlbayes --warm-up | --version | --help"""
EPILOG = """`mlbayes run --help` lists the options of a run, `mlbayes check --help` those of a check.

exit status: 0 done; 1 internal error; 2 error in the script; 3 error in the data or a file;
4 done but not converged (only with --strict) or not calibrated; 5 numerical failure; 130 interrupted"""

OUT_OF_MEMORY = """error: the memory of this machine is not enough for this run
    hint: fewer iterations or chains (BURN, ITER, CHAINS) or a smaller data file need less"""


# ------------------------------------------------------------------ arguments
def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `run` is the one that may be left out."""
    parser = argparse.ArgumentParser(
        "mlbayes",
        usage=USAGE,
        description="Bayesian multilevel models with incomplete data, written in a small command language.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mlbayes {__version__}")
    parser.add_argument("--warm-up", action="store_true", help="compile the engine now, for all later runs")
    commands = parser.add_subparsers(prog="mlbayes", dest="command", metavar="COMMAND", title="commands")
    add_run(commands.add_parser("run", help="run a model (the default)", allow_abbrev=False))
    check = commands.add_parser("check", help="read scripts and data, print the models", allow_abbrev=False)
    check.add_argument("scripts", nargs="+", type=Path, metavar="MODEL.inp", help="scripts to check")
    check.add_argument("--show", choices=("syntax", "graph", "plan"), help="print this stage instead")
    check.set_defaults(action=do_check)
    explain = commands.add_parser("explain", help="say what was understood, and why", allow_abbrev=False)
    explain.add_argument("scripts", nargs="+", type=Path, metavar="MODEL.inp", help="scripts to explain")
    explain.set_defaults(action=do_explain)
    add_calibrate(
        commands.add_parser("calibrate", help="is the sampler right for this model", allow_abbrev=False)
    )
    return parser


def add_calibrate(calibrate: argparse.ArgumentParser) -> None:
    """The arguments of `calibrate`."""
    calibrate.add_argument("script", type=Path, metavar="MODEL.inp", help="the script")
    calibrate.add_argument(
        "--sims", type=positive, default=200, metavar="N", help="data sets to simulate and fit (default: 200)"
    )
    calibrate.add_argument(
        "--jobs", type=positive, default=0, metavar="N", help="processes to use (default: all processors)"
    )
    calibrate.add_argument("--seed", type=positive, metavar="N", help="use this seed instead of the script's")
    calibrate.add_argument(
        "--burn", type=positive, default=500, metavar="N", help="burn-in of each fit (default: 500)"
    )
    calibrate.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help="keep results there, to be continued (default: MODEL.calibration.jsonl; with --blocks nowhere)",
    )
    calibrate.add_argument(
        "--blocks", action="store_true", help="test each sampling step alone against the joint law instead"
    )
    calibrate.add_argument("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    calibrate.add_argument("--quiet", action="store_true", help="nothing on stderr but errors")
    calibrate.set_defaults(action=do_calibrate)


def add_run(run: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    run.add_argument("script", type=Path, metavar="MODEL.inp", help="the script")
    run.add_argument(
        "--output", type=Path, metavar="FILE", help="write the report there instead of to stdout"
    )
    run.add_argument("--json", type=Path, metavar="FILE", help="also write the whole result as JSON")
    run.add_argument(
        "--threads", type=positive, default=0, metavar="N", help="processors to use (default: all)"
    )
    run.add_argument("--seed", type=positive, metavar="N", help="use this seed instead of the script's")
    run.add_argument("--strict", action="store_true", help="exit with 4 if the chains have not converged")
    run.add_argument(
        "--usage",
        action="store_true",
        help="say on stderr what time and memory the run took (a terminal is told)",
    )
    run.add_argument("--quiet", action="store_true", help="nothing on stderr but errors")
    run.add_argument(
        "--allow-outside", action="store_true", help="let SAVE write outside the folder of the script"
    )
    run.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FOLDER",
        help="keep the state of the run there, so that after an interruption the same call goes on from it",
    )
    run.add_argument("--truncate", help=argparse.SUPPRESS)  # front ends pass it; names are never cut here
    run.set_defaults(action=do_run)


def positive(text: str) -> int:
    """A whole number above zero."""
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def with_command(arguments: list[str]) -> list[str]:
    """Put in `run` where the command was left out."""
    first = arguments[0] if arguments else ""
    if first in COMMANDS or first in ("", "-h", "--help", "--version", "--warm-up"):
        return arguments
    return ["run", *arguments]


# ------------------------------------------------------------------ commands
def do_run(options: argparse.Namespace) -> ExitStatus:
    """Run a model and report."""
    return for_script(options.script, lambda source: run_source(source, options))


def run_source(source: Source, options: argparse.Namespace) -> ExitStatus:
    """The whole path for a script, with the signs of life around it."""
    from mlbayes import console, pipeline
    from mlbayes.convergence import shortcomings

    settings = pipeline.RunOptions(
        options.output,
        options.json,
        options.threads,
        options.seed,
        options.allow_outside,
        options.checkpoint,
    )
    terminal = console.Console(options.quiet, usage=options.usage)
    documents, report = pipeline.run(source, settings, terminal)
    sys.stdout.write(report)
    terminal.usage()
    if not documents[-1].complete:
        rest = "; the same call goes on from here" if options.checkpoint else ""
        terminal.notice(f"interrupted: the report covers what was finished{rest}")
        return ExitStatus.INTERRUPTED
    doubts = [doubt for document in documents for doubt in shortcomings(document)]
    for doubt in doubts:
        terminal.notice(f"warning: {doubt}")
    return ExitStatus.NOT_CONVERGED if doubts and options.strict else ExitStatus.DONE


def do_calibrate(options: argparse.Namespace) -> ExitStatus:
    """Simulate, fit and rank, and report."""
    return for_script(options.script, lambda source: calibrate_source(source, options))


def calibrate_source(source: Source, options: argparse.Namespace) -> ExitStatus:
    """The path of a calibration."""
    from mlbayes import console, pipeline
    from mlbayes.calibrate import block_report, report
    from mlbayes.calibrate.run import CalibrationOptions, calibrate, check_blocks
    from mlbayes.output.atomic import write_bytes

    jobs = options.jobs or pipeline.processors()
    settings = CalibrationOptions(options.sims, jobs, options.seed, options.burn, options.file, options.json)
    terminal = console.Console(options.quiet)
    if options.blocks:
        check = check_blocks(source, settings, terminal)
        passed, text, content = check.passed, block_report.render(check), block_report.as_json(check)
    else:
        found = calibrate(source, settings, terminal)
        passed, text, content = found.passed, report.render(found), report.as_json(found)
    if options.json is not None:
        write_bytes(options.json, [content.encode()])
    sys.stdout.write(text + "\n")
    return ExitStatus.DONE if passed else ExitStatus.NOT_CONVERGED


def do_check(options: argparse.Namespace) -> ExitStatus:
    """Check scripts and print what was understood."""
    return for_scripts(options.scripts, lambda source: checked_text(source, options.show))


def checked_text(source: Source, stage: str | None) -> str:
    """What `check` prints of a script."""
    from mlbayes import pipeline

    if stage == "syntax":
        from mlbayes.show import show

        script, problems = pipeline.parse(source)
        pipeline.stop_at(problems)
        return show(script)
    parts, table = pipeline.understand_parts(source)
    return by_group(parts, lambda part: checked_part(part, stage)) if parts else simulated_text(table)


def checked_part(part: Part, stage: str | None) -> str:
    """What `check` prints of a model."""
    from mlbayes import pipeline

    if stage == "graph":
        from mlbayes.show import show

        return show(part.model)
    if stage == "plan":
        return pipeline.plan_part(part).describe()
    return model_text(part.model)


def by_group(parts: list[Part], text: Callable[[Part], str]) -> str:
    """The texts of all groups below each other, each under its name."""
    return "\n\n".join(
        f"GROUP {part.group.label}\n\n{text(part)}" if part.group else text(part) for part in parts
    )


def simulated_text(table: Table) -> str:
    """What there is to say of a script that only simulates data."""
    from mlbayes.output.report import render_simulated_data
    from mlbayes.results.simulated import simulated_document

    return render_simulated_data(simulated_document(table, 0)).strip("\n")


def model_text(model: Model) -> str:
    """The models as the report prints them, and the warnings."""
    from mlbayes.model.describe import describe
    from mlbayes.output.report import render_model_information

    warnings = "\n".join(f"WARNING: {warning}" for warning in model.warnings)
    return "\n\n".join(
        part for part in (render_model_information(describe(model)).strip("\n"), warnings) if part
    )


def do_explain(options: argparse.Namespace) -> ExitStatus:
    """Say of every variable and every default where it comes from, and how each block is drawn."""
    return for_scripts(options.scripts, explained_text)


def explained_text(source: Source) -> str:
    """What `explain` prints of a script; a model that cannot be run yet is explained all the same."""
    from mlbayes import pipeline

    parts, table = pipeline.understand_parts(source)
    return by_group(parts, lambda part: explained_part(part, source)) if parts else simulated_text(table)


def explained_part(part: Part, source: Source) -> str:
    """What `explain` prints of a model."""
    from mlbayes import pipeline
    from mlbayes.model.describe import explain

    try:
        sampling = pipeline.plan_part(part).describe()
    except ProblemError as error:
        sampling = "\n".join(["Sampling", *(render(problem, source) for problem in error.problems)])
    return "\n\n".join((explain(part.model).strip("\n"), sampling.strip("\n")))


# ------------------------------------------------------------------ scripts and their problems
def for_script(path: Path, action: Callable[[Source], ExitStatus]) -> ExitStatus:
    """Do something with a script; problems are printed with their place in it."""
    from mlbayes import console, pipeline

    source: Source | None = None
    try:
        source = pipeline.read(path)
        return action(source)
    except ProblemError as error:
        sys.stdout.flush()
        console.print_problems(error.problems, source)
        return min(problem.kind.exit_status for problem in error.problems)


def for_scripts(paths: list[Path], text: Callable[[Source], str]) -> ExitStatus:
    """Print a text for each script; the status of the first that failed."""
    status = ExitStatus.DONE
    for path in paths:
        if len(paths) > 1:
            print(f"{'' if path is paths[0] else chr(10)}==> {printable(str(path))} <==")

        def print_text(source: Source) -> ExitStatus:
            print(text(source))
            return ExitStatus.DONE

        outcome = for_script(path, print_text)
        status = status or outcome
    return status


# ------------------------------------------------------------------ entry
def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the caller: what goes there goes nowhere
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115  for as long as the program runs
    parser = make_parser()
    options = parser.parse_args(with_command(sys.argv[1:] if argv is None else argv))
    if options.warm_up:
        action = do_warm_up
    elif options.command:
        action = options.action
    else:
        parser.print_usage(sys.stderr)
        return ExitStatus.SCRIPT
    try:
        status = action(options)
        sys.stdout.flush()
        return int(status)
    except BrokenPipeError:
        forget_stdout()  # the reader (head, less) has seen enough
        return ExitStatus.DONE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitStatus.INTERRUPTED
    except MemoryError:
        print(OUT_OF_MEMORY, file=sys.stderr)
        return ExitStatus.DATA
    except OSError as error:
        if error.filename is not None:  # no matter of stdout
            return internal_error(error)
        forget_stdout()
        print(f"error: cannot write to stdout: {error.strerror or error}", file=sys.stderr)
        return ExitStatus.DATA
    except Exception as error:
        return internal_error(error)


def forget_stdout() -> None:
    """Let what is still to be written to stdout vanish, or Python would complain again when it closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def do_warm_up(options: argparse.Namespace) -> ExitStatus:
    """Fill the cache of compiled code."""
    from mlbayes.warmup import warm_up

    warm_up()
    return ExitStatus.DONE


def internal_error(error: Exception) -> int:
    """One paragraph about a fault of the program itself; never a traceback unless it is asked for."""
    if os.environ.get("MLBAYES_DEBUG"):
        raise error
    print(
        f"internal error: {type(error).__name__}: {printable(str(error))}\n"
        "This is a fault of mlbayes, not of your script or data. Please report it with the script and this\n"
        f"message (mlbayes {__version__}); MLBAYES_DEBUG=1 shows where it happened.",
        file=sys.stderr,
    )
    return ExitStatus.INTERNAL
