"""Learning from the training half: the gate, and every form that a rules.yaml can take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from routebench.classes import Protection
from routebench.errors import OutcomesError, StoppedError
from routebench.evaluate import Outcomes
from routebench.evaluate.frontier import single_models
from routebench.evaluate.splits import split
from routebench.rules import Default, RuleSet
from routebench.rules.file.loading import parse_guard
from routebench.strategies import Learned
from routebench.strategies.baselines import cost_of
from routebench.strategies.learned.gain import Gain
from routebench.tune.curve import Curve, Deployable
from routebench.tune.forms import Target, forms
from routebench.tune.ground import Ground, allowed_by
from routebench.tune.mix import with_best_behind
from routebench.tune.protection import protect, with_guards
from routebench.tune.slices import slices_of
from routebench.tune.study import Study
from routebench.types import Model

MAX_RULES = 12
_NO_ANSWERS = (
    "Cascades are left out: they look at answers, and too few are kept; run the models with `store.text: full`, or "
    "import outcomes with a column `response`."
)


def learn(outcomes: Outcomes, models: Sequence[Model], **asked: Any) -> Study:
    """Learns everything, as `learning` does, and returns it at the end."""
    (study,) = deque(learning(outcomes, models, **asked), maxlen=1)
    return study


def learning(
    outcomes: Outcomes,
    models: Sequence[Model],
    *,
    name: str,
    guards: Sequence[Mapping[str, Any]] = (),
    protections: Sequence[Protection] = (),
    max_rules: int = MAX_RULES,
    target: Target = "gateway",
    seed: int = 42,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Study]:
    """Yields what is known so far: after the gate, and after every form; whoever stops asking stops the learning.

    The quicker forms are learned first. The test half is not looked at.

    Args:
        outcomes: the matrix.
        models: settings of the models, weakest first.
        name: of the rule sets that will come out.
        guards: guards in the form of a rules.yaml, which a rule set must carry.
        protections: classes of requests that must not go below the models that somebody named for them.
        max_rules: at most so many rules.
        target: where the rule set will run: forms that need more than a base install there are left out for a gateway.
        seed: of the split.
        stopped: whether somebody on another thread wants no more; the form that takes longest is then given up.

    Raises:
        InputError: a guard names a model that there is not.
        OutcomesError: there are too few cases.
    """
    settings = {model.name: model for model in models if model.name in outcomes.models}
    inside, outside = split(outcomes, seed)
    train, test = outcomes.take(inside), outcomes.take(outside)
    protected = protect(train, protections)
    held = with_guards([parse_guard(guard) for guard in guards], protected)
    by_quality = sorted(single_models(train), key=lambda single: (-single.quality, cost_of(single)))
    baseline = with_best_behind(by_quality[0].name, by_quality)
    frame = RuleSet(
        name=name,
        models={model: settings[model] for model in outcomes.models},
        order=tuple(model for model in settings if model in outcomes.models),
        guards=held,
        default=Default(route=baseline),
    )
    ground = Ground(train, slices_of(train, test, baseline), allowed_by(frame, train), baseline, Gain.of(train))
    teacher = Learned().fit(train)
    assert teacher.chance_ is not None
    made = (
        []
        if teacher.abstained
        else forms(
            teacher,
            models=tuple(settings.values()),
            guards=held,
            # The rule for small slices takes one place, and leaves one.
            max_rules=max(1, max_rules - (ground.slices.stays is not None)),
            target=target,
            stopped=stopped,
        )
    )
    study = Study(
        outcomes,
        inside,
        outside,
        ground,
        test,
        seed,
        frame,
        held,
        protected,
        teacher.chance_.p_value,
        teacher.gain_,
        not teacher.abstained,
        waiting=tuple(form.name for form in made),
    )
    yield study
    names = [form.name for form in made]
    for form in sorted(made, key=lambda form: form.name == "distilled"):
        try:
            study = _with(study, form, names)
        except StoppedError:
            return
        yield study


def _with(study: Study, form: Deployable, names: Sequence[str]) -> Study:
    """Learns one form more; the names of all say in which order they stand."""
    left, ground = tuple(one for one in study.waiting if one != form.name), study.ground
    try:
        fitted = form.fit(ground.train)
    except OutcomesError:
        if form.name != "cascade":
            raise
        return replace(study, waiting=left, left_out=(_NO_ANSWERS,))
    # A cascade that pays nowhere is the fixed mix, and no form.
    added = () if form.name == "cascade" and fitted.abstained else (Curve.of(fitted, ground),)
    curves = tuple(sorted((*study.curves, *added), key=lambda curve: names.index(curve.name)))
    return replace(study, waiting=left, curves=curves, _trials={})
