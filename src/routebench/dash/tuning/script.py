"""The Python that gives the file of a setting."""

from __future__ import annotations

from routebench.dash.tuning.setting import BEST, MIX, Setting, keywords
from routebench.dash.tuning.state import Tuning

_SEED = 42


def script(tuning: Tuning | None, *, config: str, seed: int, path: str) -> str:
    """Returns lines that tune as the panel does.

    Args:
        tuning: the state; None before the gate.
        config: path of the bench.yaml.
        seed: of the split.
        path: where the file goes.
    """
    seeded = "" if seed == _SEED else f"seed={seed}"
    given = {} if tuning is None else keywords(tuning.constraints)
    asked = ", ".join(f"{name}={value!r}" for name, value in given.items())
    bench = f"bench = rb.Bench({config!r})"
    setting = Setting() if tuning is None else tuning.setting
    stakes = f"# first write these stakes into the bench.yaml, as `stakes_usd`: {dict(setting.stakes)!r}"
    start = [bench, *([stakes] if setting.stakes else [])]
    end = f"tuned.export({path!r})"
    if tuning is None or (setting.form == BEST and not setting.off):
        called = ", ".join(one for one in (seeded, asked) if one)
        return "\n".join(["import routebench as rb", "", *start, f"tuned = bench.tune({called})", end])
    lines = [
        "from datetime import date",
        "",
        "import routebench as rb",
        "from routebench.tune import finish",
        "",
        *start,
    ]
    lines.append(f"study = bench.study({seeded})")
    if setting.off:
        on = [guard.name for guard in tuning.study.frame.guards]
        lines.append(f"*_, study = study.under({on!r})")
    lines += [f"asked = rb.Constraints({asked})", f"found = {_found(setting)}"]
    return "\n".join([*lines, "tuned = finish(study, found, asked, created=date.today())", end])


def _found(setting: Setting) -> str:
    if setting.form == MIX:
        return "study.mixed()"
    if setting.place is not None:
        return f"study.at({setting.form!r}, {setting.place})"
    return "study.choose(asked)" if setting.form == BEST else f"study.choose(asked, {setting.form!r})"
