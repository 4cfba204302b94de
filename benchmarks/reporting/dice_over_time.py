"""What `time_to_dice.py` found, in words, tables and a plot."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hilum.evaluation.intervals import Bootstrap, resampled_means
from hilum.report.figures import INK, MUTED, PALETTE, figure

BARS = (0.80, 0.83, 0.85, 0.875, 0.89)
DRAWN = (0.83, 0.89)
Result = Mapping[str, Any]


def final_dice(result: Result) -> float:
    """The mean over cases of each structure's Dice, then over structures, of the labels written at the end."""
    return float(np.nanmean(np.array(list(result["cases"].values())), axis=0).mean())


def reached_s(result: Result, bar: float) -> float | None:
    """When a validation first gave a Dice of `bar`, in seconds since the command was given."""
    return next((seconds for seconds, dice in result["curve"] if dice >= bar), None)


def paired(ours: Result, theirs: Result, patients: Mapping[str, str]) -> tuple[float, float, float, int]:
    """Mean difference of the cases' Dice, its 95 % interval by patient, and in how many cases ours is higher."""
    cases = sorted(ours["cases"])
    differences = np.array([np.nanmean(ours["cases"][case]) - np.nanmean(theirs["cases"][case]) for case in cases])
    bootstrap = Bootstrap(resamples=10_000)
    means = resampled_means(differences, [patients[case] for case in cases], bootstrap)
    low, high = bootstrap.interval(means.reshape(-1)) or (float("nan"), float("nan"))
    return float(differences.mean()), low, high, int((differences > 0).sum())


def show(results: Path, patients: Mapping[str, str]) -> None:
    """Print what there is, write the differences a case into `differences.csv`, draw `time_to_dice.png`."""
    found: dict[str, Result] = {file.stem: json.loads(file.read_text()) for file in sorted(results.glob("*.json"))}
    bare = found.pop("bare", None)
    if bare is not None:
        _show_bare(bare)
    if not found:
        return
    _show_times(found)
    peers = [result for result in found.values() if result["tool"] == "nnU-Net"]
    if peers:
        _show_pairs(found, max(peers, key=final_dice), patients, results.parent / "differences.csv")
    draw(found, results.parent / "time_to_dice.png")


def _show_bare(bare: Result) -> None:
    machine, rounds = bare["machine"], bare["rounds"]
    print(f"\n{machine['cpu']}, {machine['threads']} threads; seconds of a bare training step, a sample")
    base = "same, float32"
    for name in rounds[0]:
        times = [one[name] for one in rounds]
        ratios = [one[base] / one[name] for one in rounds]
        words = name.replace("same", "nnU-Net's network (32 to 256)").replace("small", "hilum's network (16 to 128)")
        print(f"{words:<42} {statistics.mean(times):6.3f} s, {statistics.mean(ratios):5.2f} times as fast")


def _show_times(found: Mapping[str, Result]) -> None:
    print(f"\n{'run':<32} {'steps':>6} " + " ".join(f"{f'to {bar:g}':>8}" for bar in BARS) + "   ended  last Dice")
    for name, result in found.items():
        times = [reached_s(result, bar) for bar in BARS]
        cells = " ".join(f"{'-' if one is None else f'{one:.0f} s':>8}" for one in times)
        print(f"{name:<32} {result['steps']:6d} {cells} {result['seconds']:5.0f} s  {final_dice(result):.4f}")
    groups: dict[tuple[str, float], list[float]] = {}
    for result in found.values():
        groups.setdefault((result["recipe"], result.get("minutes", 30)), []).append(final_dice(result))
    for (recipe, minutes), values in groups.items():
        if len(values) > 1:
            spread = statistics.stdev(values)
            print(f"{recipe}, {minutes:g} min: {len(values)} runs, mean {statistics.mean(values):.4f}, sd {spread:.4f}")


def _show_pairs(found: Mapping[str, Result], best: Result, patients: Mapping[str, str], table: Path) -> None:
    print(f"\nagainst the better run of nnU-Net ({final_dice(best):.4f}), case by case, interval by patient")
    lines = ["run,case_id,patient_id,difference"]
    for name, result in found.items():
        if result is best:
            continue
        mean, low, high, higher = paired(result, best, patients)
        print(f"{name:<32} {mean:+.4f} [{low:+.4f}, {high:+.4f}], higher in {higher} of {len(result['cases'])} cases")
        for case in sorted(result["cases"]):
            difference = np.nanmean(result["cases"][case]) - np.nanmean(best["cases"][case])
            lines.append(f"{name},{case},{patients[case]},{difference:.6f}")
    table.write_text("\n".join(lines) + "\n")


def draw(found: Mapping[str, Result], out: Path) -> None:
    """A plot of Dice over minutes, a line a run, a colour a recipe."""
    shown = {name: result for name, result in found.items() if result["curve"]}
    recipes = list(dict.fromkeys(result["recipe"] for result in shown.values()))
    with figure(6.4, 3.6, out) as picture:
        axes = picture.subplots()
        for bar in DRAWN:
            axes.axhline(bar, color=MUTED, linewidth=0.7, linestyle=":")
            axes.annotate(
                f"{bar:g}", (1.0, bar), xycoords=("axes fraction", "data"), color=MUTED, fontsize=7, va="center"
            )
        for result in shown.values():
            _draw_run(axes, result, recipes)
        axes.set_xscale("log")
        ticks: Sequence[float] = (0.5, 1, 1.5, 3, 6, 15, 30, 45)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_ylim(0, 0.95)
        axes.set_xlabel("minutes since the command was given")
        axes.set_ylabel("mean Dice of the validation cases")
        axes.set_title("Hippocampus, fold 0, two cores")
        lines = [
            axes.plot([], [], color=PALETTE[number], marker="o", markersize=3)[0] for number in range(len(recipes))
        ]
        axes.legend(lines, recipes, loc="lower right", labelcolor=INK)


def _draw_run(axes: Any, result: Result, recipes: Sequence[str]) -> None:
    minutes = [seconds / 60 for seconds, _ in result["curve"]]
    dices = [dice for _, dice in result["curve"]]
    axes.plot(minutes, dices, color=PALETTE[recipes.index(result["recipe"])], marker="o", markersize=3, alpha=0.85)
