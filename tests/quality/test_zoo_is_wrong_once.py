"""A defect is wrong where its bug is documented and nowhere else, by the oracle's verdict."""

import numpy as np
import pytest
from zoo_triggers import ELSEWHERE, OF_MANY_CALLS, SUPPORTS, TOKENS, VALUES

from samplerfuzz.cases import Case
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import load_all
from samplerfuzz.core.registry import load
from samplerfuzz.targets.plain import PlainTarget
from samplerfuzz.targets.target import Outcome
from samplerfuzz.zoo import DEFECTS

TRIGGERS = SUPPORTS + VALUES + TOKENS
JUDGED = {"support", "distribution", "contract"}


def case_of(target, logits, parameters):
    rows = len(logits)

    def per_row(value):
        if isinstance(value, dict) or (isinstance(value, list) and not target.spec.per_row):
            return [value] * rows
        if isinstance(value, list) and isinstance(value[0], dict):
            return value
        return np.broadcast_to(np.asarray(value, np.float64), rows).copy()

    given = {name: per_row(value) for name, value in parameters.items() if name in target.spec.parameters}
    prompt = [np.array(ids, np.int64) for ids in parameters.get("prompt", [[]] * rows)]
    after = parameters.get("history", parameters.get("output"))
    return Case(
        logits=logits,
        parameters=given,
        history=None if after is None else tuple(np.append(p, np.array(ids, np.int64)) for p, ids in zip(prompt, after, strict=True)),
        prompt_length=None if after is None else np.array([len(ids) for ids in prompt]),
        seeds=np.broadcast_to(parameters["seed"], rows).copy() if "seed" in parameters else None,
        u=np.array(parameters["u"]) if "u" in parameters else None,
    )


def target_of(id):
    return PlainTarget(load(DEFECTS[id].target), locator=DEFECTS[id].target)


def violations(target, case, outcome):
    judgement = Judgement(target.spec, case, outcome)
    checks = [check for check in load_all().values() if check.judge and check.applies(target.spec)]
    return [violation for check in checks for violation in check.judge(check, judgement)]


@pytest.mark.parametrize(("id", "logits", "parameters", "wrong", "right"), TRIGGERS, ids=[row[0] for row in TRIGGERS])
def test_the_oracle_condemns_the_defect_and_not_the_right_answer(id, logits, parameters, wrong, right):
    target = target_of(id)
    case = case_of(target, logits, parameters)
    outcome = target.run(case)
    if JUDGED & set(DEFECTS[id].expected_checks):
        assert violations(target, case, outcome)
    if right is not None:
        if (id, logits, parameters, wrong, right) in SUPPORTS:
            right = [[z if token in stays else -np.inf for token, z in enumerate(row)] for row, stays in zip(logits, right, strict=True)]
        value = np.array(right, np.int64 if outcome.form == "tokens" else np.float64)
        assert not violations(target, case, Outcome(kind="value", form=outcome.form, value=value))


@pytest.mark.parametrize(("id", "logits", "parameters"), ELSEWHERE, ids=[row[0] for row in ELSEWHERE])
def test_the_defect_is_right_beside_its_trigger(id, logits, parameters):
    target = target_of(id)
    case = case_of(target, logits, parameters)
    outcome = target.run(case)
    assert outcome.kind == "value", outcome.message
    assert Judgement(target.spec, case, outcome).judged.all()
    assert not violations(target, case, outcome)


def test_every_defect_is_right_somewhere():
    # what has a state is played in `test_zoo_of_states.py`, beside the class that it is made from
    stateful = {id for id in DEFECTS if target_of(id).spec.stateful}
    assert {row[0] for row in ELSEWHERE} == set(DEFECTS) - OF_MANY_CALLS - stateful
