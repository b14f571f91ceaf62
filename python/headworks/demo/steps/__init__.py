"""The steps of the tour, in order. A new step is one file here and one line below."""

from headworks.demo.report import Step
from headworks.demo.steps import (
    bulk,
    counters,
    failover,
    https,
    mixed,
    rate,
    refusals,
    reload,
    renewal,
    repeats,
    requests,
    routes,
    websocket,
    weights,
)

STEPS: tuple[Step, ...] = (
    routes.STEP,
    weights.STEP,
    refusals.STEP,
    failover.STEP,
    reload.STEP,
    requests.STEP,
    websocket.STEP,
    repeats.STEP,
    rate.STEP,
    https.STEP,
    mixed.STEP,
    renewal.STEP,
    bulk.STEP,
    counters.STEP,
)
