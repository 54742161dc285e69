"""``capplan recommend``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from capplan.cli.options import JsonOption, OutputOption, PlanArgument, SeedOption, examples
from capplan.cli.recommend_options import ExportToOption, FormatOption, KindOption, WhyOption
from capplan.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from capplan.workflow.export import Exported

EPILOG = examples(
    "capplan recommend sale.yaml",
    "capplan recommend sale.yaml --why 18",
    "capplan recommend sale.yaml --why 18 --kind m7g.large",
    "capplan recommend sale.yaml --export kubernetes",
    "capplan recommend sale.yaml --export aws-asg --export-to -",
    "capplan recommend sale.yaml --json -o recommendation.json",
)


def recommend(
    plan: PlanArgument,
    why: WhyOption = None,
    kind: KindOption = None,
    formats: FormatOption = None,
    export_to: ExportToOption = None,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> ExitCode:
    """Recommend how many servers to start, when, and at what cost and risk.

    Joins the estimated traffic with what one server sustains, each with its uncertainty. Exits
    with 3 when no server count meets the policy of the plan.

    With --export, a time of the schedule that is past is refused.
    """
    from capplan import workflow
    from capplan.cli.output import check, deliver, keep, named, write

    check(output, plan)
    if as_json and str(export_to) == "-":
        raise UsageError("--json and --export-to - both want stdout", "give --export-to a folder")
    if export_to is not None and not formats:
        raise UsageError("--export-to needs --export", "name the format")
    files: tuple[Exported, ...] = ()
    if formats:
        answer, files = workflow.export(plan, formats, to=export_to, why=why, kind=kind, seed=seed)
    else:
        answer = workflow.recommend(plan, why=why, kind=kind, seed=seed)
    if files and str(export_to) == "-":
        write("".join(file.text for file in files))
        keep(answer, output)
    else:
        from capplan.render import terminal  # takes longer to load than a mistake to be found

        shown = terminal.recommendation(answer, named(plan))
        deliver(answer, shown, as_json=as_json, output=output)
        wrote = "".join(f"Wrote {file.path} for review; then: {file.apply}\n" for file in files)
        if as_json:
            sys.stderr.write(wrote)
        elif wrote:
            write(f"\n{wrote}")
    return ExitCode.OK if answer.feasible else ExitCode.FAILED
