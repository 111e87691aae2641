"""Ask a real engine, in its own environment, and write what it answered: `python make_golden.py ENGINE`.

What each environment holds stands at the head of its driver. Nothing of samplerfuzz is needed there.
"""

import importlib
import json
import math
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "drivers")]


import golden_cases  # noqa: E402


def answer(driver, case):
    """Return the case with what the engine made of it: kept ids and probabilities, or the exception that it raised."""
    try:
        kept, probabilities = driver.run(case["logits"], dict(case["parameters"]), golden_cases.HISTORY, golden_cases.PROMPT)
    except Exception as error:
        return {**case, "refused": f"{type(error).__name__}: {error}".splitlines()[0][:160]}
    if not kept or any(math.isnan(p) for p in probabilities or ()):
        return {**case, "nonsense": "no token is left" if not kept else "NaN"}
    return {**case, "kept": sorted(kept), "probabilities": probabilities}


def written(value):
    """Return JSON-ready data: what is no finite number becomes its name, a probability keeps nine digits."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): written(item) for key, item in value.items()}
    return [written(item) for item in value] if isinstance(value, list | tuple) else value


def main(engine):
    """Write golden/ENGINE.json."""
    driver = importlib.import_module(engine.replace("-", "_").replace(".", "_") + "_driver")
    answers = [answer(driver, case) for case in golden_cases.cases(driver.TAKES, driver.ONE_FILTER)]
    for item in answers:
        if item.get("probabilities"):
            item["probabilities"] = [float(f"{p:.9g}") for p in item["probabilities"]]
    head = {
        "engine": engine,
        "version": driver.version(),
        "origin": driver.ORIGIN,
        "history": golden_cases.HISTORY,
        "prompt": golden_cases.PROMPT,
    }
    lines = ",\n".join(json.dumps(written(item), separators=(",", ":")) for item in answers)
    text = json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n"
    (HERE / "golden" / f"{engine}.json").write_text(text, encoding="utf-8")
    print(engine, driver.version(), len(answers), "cases;", sum("refused" in a for a in answers), "refused")


if __name__ == "__main__":
    main(sys.argv[1])
