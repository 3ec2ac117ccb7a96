"""What the runs of a sweep ask for: checked with the plan, and counted before the first run begins."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from seqtune.config.errors import Path, Problem
from seqtune.sweep.planning.candidate import Candidate
from seqtune.sweep.planning.resource_request import ResourceRequest
from seqtune.sweep.planning.resources import AMOUNTS, Resources, values_of
from seqtune.sweep.planning.search_points import first_point, tried_points
from seqtune.sweep.planning.spec import SweepSpec

if TYPE_CHECKING:
    from seqtune.sweep.planning.plan import Cell


def resource_problems(resources: Resources, *, cells: Iterable["Cell"]) -> list[Problem]:
    """Conditions of `resources.when` on paths that no run has, and on arms that are none."""
    if not resources.when:
        return []
    cells = list(cells)
    known: dict[str, Any] = {}
    for values in _values(resources, cells=cells):
        known |= values
    known.pop("arm", None)
    arms = {cell.arm: None for cell in cells if cell.arm is not None}
    return list(resources.path_problems(known, arms=arms))


def unused_cases(resources: Resources, *, cells: Iterable["Cell"]) -> Iterator[Problem]:
    """Entries of `resources.when` that hold of no run that was tried."""
    tried = list(_values(resources, cells=cells)) if resources.when else []
    for index, case in enumerate(resources.when):
        if not any(case.fits(values) for values in tried):
            yield Problem(("resources", "when", index), "holds of no run, so it changes nothing")


def request_kinds(
    resources: Resources, *, cells: Iterable["Cell"]
) -> dict[ResourceRequest, dict[str, Path]]:
    """Everything that runs ask for, as far as they were tried, with the place in the file of each amount."""
    found: dict[ResourceRequest, dict[str, Path]] = {}
    for values in _values(resources, cells=cells):
        origins = {name: resources.origin(name, values) for name in AMOUNTS}
        found.setdefault(resources.request(values), origins)
    return found


def device_problems(sweep: SweepSpec, *, cells: Iterable["Cell"]) -> Iterator[Problem]:
    """Runs that this machine cannot train: CUDA or a precision that its devices do not have."""
    for cell in cells:
        draft = Candidate(sweep, cell.arm, cell.compared, cell.tune, cell.matched)
        for tuned in tried_points(cell.tune):
            spec = cell.run(tuned=tuned, seed=0)
            if spec.training.precision == "fp32" and spec.training.device != "cuda":
                continue  # every device trains in fp32, and torch is not imported to learn that
            from seqtune.runs.build import DeviceError, choose_device

            gpu = sweep.resources.request(values_of(spec, arm=cell.arm)).gpu
            try:
                choose_device(spec, cuda=None if gpu else False)
            except DeviceError as error:
                yield Problem(draft.origin(error.problem.path), error.problem.message)


def _values(resources: Resources, *, cells: Iterable["Cell"]) -> Iterator[dict[str, Any]]:
    """The values of the runs that show what can be asked for."""
    by_value = any(case.model_extra for case in resources.when)
    for cell in cells:
        points = tried_points(cell.tune) if by_value else [first_point(cell.tune)]
        for tuned in points:
            yield values_of(cell.run(tuned=tuned, seed=0), arm=cell.arm)
