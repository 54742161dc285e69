"""``capplan refserver``."""

from __future__ import annotations

from typing import Annotated

import typer

from capplan.cli.options import examples, read, read_duration, read_rate

EPILOG = examples(
    "capplan refserver",
    "capplan refserver --port 8899 --slots 8 --mean 10ms --for 1h",
    "capplan refserver --service lognormal --cv 1.5 --sla 'p99<200ms'",
    "capplan refserver --fail-above 120rps",
    "capplan refserver --queue 20",
)


PortOption = Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0 is any free one.")]
SlotsOption = Annotated[int, typer.Option(min=1, metavar="N", help="Requests served at once.")]
ServiceOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="exponential, lognormal, deterministic or hyperexponential."),
]
MeanOption = Annotated[str, typer.Option(metavar="TIME", help="Mean service time.")]
CvOption = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="X", help="Standard deviation over mean, where the shape leaves a choice."
    ),
]
ServiceSeedOption = Annotated[int, typer.Option(min=0, metavar="N", help="Of the service times.")]
FailAboveOption = Annotated[
    str | None, typer.Option(metavar="RATE", help="Refuse half of the requests above this rate.")
]
QueueOption = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="N", help="Refuse when so many requests wait; without, none is refused."
    ),
]
LifetimeOption = Annotated[
    str, typer.Option("--for", metavar="TIME", help="It ends by itself after this time.")
]
SlaOption = Annotated[
    str, typer.Option(metavar="SLA", help="What the theoretical rate has to keep.")
]


def refserver(
    port: PortOption = 0,
    slots: SlotsOption = 4,
    service: ServiceOption = "exponential",
    mean: MeanOption = "20ms",
    cv: CvOption = None,
    seed: ServiceSeedOption = 1,
    fail_above: FailAboveOption = None,
    queue: QueueOption = None,
    lifetime: LifetimeOption = "10min",
    sla: SlaOption = "p95<150ms, failures<1%",
) -> None:
    """Run a small server whose sustained rate is known from theory.

    It answers on this machine only, after the time that a queue with these slots and service times
    would need. A load test against it can be checked against the truth.
    """
    from capplan.cli.output import say
    from capplan.plan.sla import parse_sla
    from capplan.refserver import RefServerConfig, parse_service
    from capplan.render.refserver import listening
    from capplan.workflow.refserver import refserver as serve

    config = RefServerConfig(
        slots=slots,
        service=parse_service(service, read_duration("--mean", mean), cv),
        port=port,
        seed=seed,
        fail_above_rps=read_rate("--fail-above", fail_above) if fail_above else None,
        queue=queue,
        lifetime_s=read_duration("--for", lifetime),
    )
    limits = read("--sla", sla, parse_sla)
    serve(config, limits, lambda url, truth: say(listening(url, config, limits, truth)))
