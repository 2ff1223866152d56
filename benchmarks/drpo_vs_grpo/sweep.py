"""All runs: search, seeds, ablations; one JSON line each, kept and reused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.drpo_vs_grpo.arms import ABLATIONS, ARMS, MAIN
from benchmarks.drpo_vs_grpo.domains import World
from benchmarks.drpo_vs_grpo.evaluation import evaluate, mean_f1
from benchmarks.drpo_vs_grpo.question_set import Questions, build, read, write_statistics
from benchmarks.drpo_vs_grpo.schedule import Choice, Schedule
from benchmarks.drpo_vs_grpo.supervised import Start, first_rollouts, supervised, traced, warm_up
from benchmarks.drpo_vs_grpo.training import train_arm

#: Tried for every arm: all on the first of the search's seeds, the better half on the others too.
CHOICES = tuple(Choice(rate, entropy=0.1) for rate in (7e-5, 2e-4, 6e-4, 1.8e-3))
SEARCH_SEEDS = (100, 101, 102)
#: Reported in every world for every arm alike, whatever the search says.
FIXED = CHOICES[1:3]
#: Ablations run with the choice of the arm that they vary.
PARENT = {"grpo_balanced": "grpo", "cold_balanced": "cold"}


@dataclass(frozen=True)
class Plan:
    """What to run: `main` world with `seeds` of every main arm; `worlds` with `few` seeds of each
    of the arms `compared`; these run at both FIXED rates, in the main world too; and
    the `sampled` arms in the `longer` world."""

    main: World
    worlds: tuple[World, ...]
    schedule: Schedule
    seeds: int
    few: int
    compared: tuple[str, ...] = ("grpo", "paper", "cold", "stats")
    sampled: tuple[str, ...] = ("grpo", "cold", "grpo_balanced", "cold_balanced")

    @property
    def longer(self) -> World:
        """The main world, trained on for three times as long."""
        return replace(self.main, passes=3)


class Journal:
    """The runs that are done, in a file of JSON lines; a kill costs the run under way.

    A last line that a kill left unfinished is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text() if path.is_file() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole)
        self.rows = {row["key"]: row for row in map(json.loads, whole.splitlines())}

    def once(self, key: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The row of `key`, from the file or from `run`."""
        if key not in self.rows:
            self.rows[key] = {"key": key, **run()}
            with self.path.open("a") as file:
                file.write(json.dumps(self.rows[key]) + "\n")
        return self.rows[key]


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """All rows that `folder` holds by key, in the order they were run."""
    return Journal(folder / "runs.jsonl").rows


class Bench:
    """One world at hand: its data set, and where each seed starts, both made when first needed."""

    def __init__(self, world: World, folder: Path, schedule: Schedule) -> None:
        self.world, self.folder = world, folder
        self.schedule = replace(schedule, batches=schedule.batches * world.passes)
        self._questions: dict[str, Questions] | None = None
        self._start: tuple[int, Start, Any] | None = None

    @property
    def questions(self) -> dict[str, Questions]:
        """The data set's records by split."""
        if self._questions is None:
            self._questions = read(build(self.world, self.folder))
        return self._questions

    def start(self, seed: int) -> tuple[Start, Any]:
        """The warmed-up policy of `seed` and the statistics of the data set under it."""
        if self._start is None or self._start[0] != seed:
            train = self.questions["train"]
            start = warm_up(self.world.contrast, self.schedule.warm_up, seed, train)
            rewards = first_rollouts(start, train, seed)
            out = build(self.world, self.folder)
            stats = write_statistics(out, train.ids, rewards, f"warm-up-{seed}")
            self._start = seed, start, stats
        return self._start[1], self._start[2]

    def base(self, seed: int) -> dict[str, Any]:
        """The warmed-up policy itself on the test split."""
        return {
            **self._named("base", seed),
            "test": evaluate(self.start(seed)[0].policy, self.questions["test"]),
        }

    def ceiling(self, seed: int) -> dict[str, Any]:
        """The policy of `seed` taught by the answers themselves."""
        found = supervised(self.start(seed)[0], self.questions, self.schedule, seed)
        return {**self._named("ceiling", seed), "test": found}

    def traces(self, seed: int) -> dict[str, Any]:
        """The policy of `seed` taught what it got right in as many rollouts as an arm has."""
        train = self.questions["train"]
        start = self.start(seed)[0]
        rewards = first_rollouts(start, train, seed)
        found = traced(start, self.questions, rewards, self.schedule, seed)
        return {**self._named("traces", seed), "test": found, "asked": len(train.ids)}

    def run(
        self, name: str, choice: Choice, seed: int, updates: int | None = None
    ) -> dict[str, Any]:
        """One arm, trained and evaluated."""
        start, stats = self.start(seed)
        began = time.process_time()
        drpo = ARMS[name].estimator(stats)
        result = train_arm(
            ARMS[name], drpo, start, self.questions, self.schedule, choice, seed, updates
        )
        seconds = round(time.process_time() - began, 1)
        return {
            **self._named(name, seed),
            "choice": asdict(choice),
            "cpu_seconds": seconds,
            **result,
        }

    def _named(self, arm: str, seed: int) -> dict[str, Any]:
        return {"world": asdict(self.world), "arm": arm, "seed": seed}


def sweep(plan: Plan, folder: Path) -> Iterator[dict[str, Any]]:
    """Every run of the plan in turn, each written to `folder`/runs.jsonl before the next."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / "runs.jsonl")
    main = Bench(plan.main, folder, plan.schedule)
    yield from _search(main, journal)
    chosen = choices(journal.rows, plan.main)
    yield from _compare(main, tuple(MAIN), range(plan.seeds), chosen, journal)
    yield from _fixed(main, plan.compared, range(plan.seeds), journal)
    yield from _compare(main, tuple(ABLATIONS), range(plan.seeds), chosen, journal)
    longer = Bench(plan.longer, folder, plan.schedule)
    yield from _compare(longer, plan.sampled, range(plan.few), chosen, journal)
    for world in plan.worlds:
        bench = Bench(world, folder, plan.schedule)
        yield from _fixed(bench, plan.compared, range(plan.few), journal)


def choices(rows: dict[str, dict[str, Any]], world: World) -> dict[str, Choice]:
    """Arm -> its choice; ablations have that of the arm that they vary."""
    found = {arm: choice_of(rows, world, arm) for arm in MAIN}
    return found | {arm: found[PARENT.get(arm, "stats")] for arm in ABLATIONS}


def choice_of(rows: dict[str, dict[str, Any]], world: World, arm: str) -> Choice:
    """The choice with the best mean macro-F1 on the validation split over all search seeds."""

    def reached(choice: Choice) -> float:
        return validated(rows, world, arm, choice) or 0.0

    return max(_finalists(rows, world, arm), key=reached)


def validated(
    rows: dict[str, dict[str, Any]],
    world: World,
    arm: str,
    choice: Choice,
    seeds: tuple[int, ...] = SEARCH_SEEDS,
) -> float | None:
    """Mean macro-F1 on the validation split at the end of the search's runs of one choice; None
    where it has not been tried."""
    keys = [_key("search", world, arm, choice, seed) for seed in seeds]
    ends = [rows[key]["curve"][-1]["validation"] for key in keys if key in rows]
    return sum(map(mean_f1, ends)) / len(ends) if ends else None


def _finalists(rows: dict[str, dict[str, Any]], world: World, arm: str) -> list[Choice]:
    """The better half of the choices on the first search seed."""

    def reached(choice: Choice) -> float:
        return validated(rows, world, arm, choice, SEARCH_SEEDS[:1]) or 0.0

    return sorted(CHOICES, key=reached, reverse=True)[: len(CHOICES) // 2]


def _search(bench: Bench, journal: Journal) -> Iterator[dict[str, Any]]:
    for seed in SEARCH_SEEDS:
        for arm in MAIN:
            first = seed == SEARCH_SEEDS[0]
            for choice in CHOICES if first else _finalists(journal.rows, bench.world, arm):

                def run(
                    arm: str = arm, choice: Choice = choice, seed: int = seed
                ) -> dict[str, Any]:
                    found = bench.run(arm, choice, seed)
                    del found["test"]  # what is not there cannot be chosen by
                    return {"kind": "search", **found}

                yield journal.once(_key("search", bench.world, arm, choice, seed), run)


def _fixed(
    bench: Bench, arms: tuple[str, ...], seeds: range, journal: Journal
) -> Iterator[dict[str, Any]]:
    for seed in seeds:
        for choice in FIXED:
            alike = dict.fromkeys(arms, choice)
            yield from _compare(bench, arms, range(seed, seed + 1), alike, journal)


def _compare(
    bench: Bench,
    arms: tuple[str, ...],
    seeds: range,
    chosen: dict[str, Choice],
    journal: Journal,
) -> Iterator[dict[str, Any]]:
    for seed in seeds:

        def base(seed: int = seed) -> dict[str, Any]:
            return {"kind": "base", **bench.base(seed)}

        yield journal.once(f"base {bench.world.name} {seed}", base)
        for arm in arms:

            def run(arm: str = arm, seed: int = seed) -> dict[str, Any]:
                return {"kind": "run", **bench.run(arm, chosen[arm], seed)}

            yield journal.once(_key("run", bench.world, arm, chosen[arm], seed), run)


def _key(kind: str, world: World, arm: str, choice: Choice, seed: int) -> str:
    return f"{kind} {world.name} {arm} {choice.rate:g} {choice.entropy:g} {seed}"


def worlds(quick: bool) -> tuple[World, tuple[World, ...]]:
    """The main world, CLIMB's own shares, and the others: less skew, and easier findings."""
    train, held = (1_200, 60) if quick else (24_000, 250)
    main = World(train=train, held=held)
    others = tuple(
        replace(main, skew=skew, contrast=main.contrast * factor)
        for skew, factor in ((0.5, 1.0), (0.5, 2.0))
    )
    return main, others
