"""The steps of the tour, in order. A new step is one file here and one line below."""

from headworks.demo.report import Step
from headworks.demo.steps import bulk, counters, failover, refusals, reload, routes, weights

STEPS: tuple[Step, ...] = (
    routes.STEP,
    weights.STEP,
    refusals.STEP,
    failover.STEP,
    reload.STEP,
    bulk.STEP,
    counters.STEP,
)
