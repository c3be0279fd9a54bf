"""The settings of one training run: one frozen record, from one TOML file.

seed = 0
test_fraction = 0.3                # hold out patients; default: cross-validation by patient
repeats = 4                        # of the cross-validation; default: by number of patients
split = "patient"                  # or "site", "time": hold out the last ones
missingness = "ignorable"          # or "informative": learn from NAME__not_done where it pays
refit_on_all = true                # false: register the model that was judged on those held out
horizons_days = [28, 90, 365]      # default: the horizons of the outcome
primary_horizon_days = 90          # of the verdict on a panel; default: the middle horizon
exclude = ["ward_score"]           # columns to leave out, by the cohort's or the catalogue's name
include = ["education_years"]      # race, income or education, which no model reads unless named
added_value = ["resorption"]       # pathways or variables whose added value the report states
over = ["usual_care", "drivers"]   # base to compare with; default: usual_care
population = "Adults of two ICUs"  # shown wherever a risk is shown
simulated = false
bootstrap_resamples = 1000
interval_folds = 10
max_trees = 500
max_patients = 250000              # a larger cohort is drawn from at random, by patient
threads = 2                        # default: all cores; the model does not depend on it
dask = "local"                     # or a scheduler's address; the model does not depend on it

[boosting]                         # the boosted part; the defaults serve most cohorts
learning_rate = 0.05               # also max_depth, min_patients, column_share, row_share, penalty

[tuning]                           # search for [boosting], on the patients not held out
trials = 40
storage = "sqlite:///tuning.db"    # where a search that was stopped goes on; this is the default

[study]                            # what a run cannot know, for report, model card and TRIPOD+AI
dates = "Admitted 2019-2023, followed up to the end of 2024"
decision = "Referral to a bone clinic"  # decision, user, threshold and action define a clinical use
# ... the fields of models.inference.contract.StudyFacts
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from data_schema.errors import UsageError
from models.inference.contract import StudyFacts

__all__ = [
    "MAX_PATIENTS",
    "MAX_TREES",
    "Boosting",
    "Missingness",
    "RunConfig",
    "SplitBy",
    "Tuning",
    "parse_config",
    "read_config",
]

SplitBy = Literal["patient", "site", "time"]
Missingness = Literal["ignorable", "informative"]

MAX_TREES = 500
"""The estimator's own default, repeated here because its module is slow to import."""

MAX_PATIENTS = 250_000
"""So many patients have `models.targets.MAX_PAIRS` pairs at the usual 12 horizons each."""


@dataclass(frozen=True, slots=True)
class Boosting:
    """The settings of the boosted part, as `models.estimator` describes them.

    Parameters
    ----------
    learning_rate : float
        Shrinkage of each tree, in (0, 1].
    max_depth : int
        Depth of a tree, 1 to 10.
    min_patients : float
        Patients of middling risk that a leaf must hold.
    column_share, row_share : float
        Shares of the columns and of the pairs that a tree learns from, in (0, 1].
    penalty : float
        L2 penalty of the leaves.
    """

    learning_rate: float = 0.05
    max_depth: int = 5
    min_patients: float = 12.0
    column_share: float = 0.5
    row_share: float = 0.7
    penalty: float = 5.0

    def __post_init__(self) -> None:
        """Refuse values out of range, by name and rule."""
        shares = ("learning_rate", "column_share", "row_share")
        rules = {
            name: (0 < getattr(self, name) <= 1, "lie above 0 and at most at 1") for name in shares
        }
        rules |= {
            "max_depth": (1 <= self.max_depth <= 10, "be 1 to 10"),
            "min_patients": (self.min_patients > 0, "be above 0"),
            "penalty": (self.penalty >= 0, "be 0 or more"),
        }
        _require(self, rules, "boosting.")


@dataclass(frozen=True, slots=True)
class Tuning:
    """A search for the settings of the boosted part.

    Parameters
    ----------
    trials : int
        Settings to try, the defaults first.
    storage : str
        Database of the search, as SQLAlchemy names it. One run at a time may search there for the
        same patients: a trial that another has left open counts as stopped.
    """

    trials: int = 40
    storage: str = "sqlite:///tuning.db"

    def __post_init__(self) -> None:
        """Refuse values out of range, by name and rule."""
        rules = {
            "trials": (self.trials >= 2, "be 2 or more"),
            "storage": ("://" in self.storage, "be a database, such as sqlite:///tuning.db"),
        }
        _require(self, rules, "tuning.")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """What a user decides about a training run; stored in the bundle and in MLflow.

    Parameters
    ----------
    seed : int
        Seed of the split, the fit and the resamples: the same seed gives the same model.
    test_fraction : float or None
        Share of the patients to hold out for the evaluation; None for cross-validation by patient,
        or for `HELD_OUT_SHARE` where `split` names sites or times.
    repeats : int or None
        Repeats of the 5-fold cross-validation; None for 10, 4 or 1 by number of patients.
    split : {"patient", "site", "time"}
        Hold out patients at random, the last sites, or the last patients in time.
    refit_on_all : bool
        Whether the registered model learns from all patients once a hold-out has been judged;
        after cross-validation it always does.
    missingness : {"ignorable", "informative"}
        Whether flags of "recorded as not done" may be learned from. They are if they pay,
        which every fit decides on its own patients, and the model then reads them from batches of
        the same feed only.
    horizons_days : tuple of float
        Default horizons; empty for those of the outcome.
    primary_horizon_days : float or None
        Horizon of the verdict on a panel, one of the horizons; None for the middle one.
    exclude : tuple of str
        Columns left out of the predictors, by the cohort's or the catalogue's name.
    include : tuple of str
        Columns of race, income or education that the model may read; all others are left out.
    added_value, over : tuple of str
        Pathways or variables of a panel, and its base; empty `over` for usual care.
    population : str
        The patients in one sentence; empty for a public data set, which states it itself.
    simulated : bool
        Whether the patients are simulated; the name of the model then says so.
    bootstrap_resamples : int
        Resamples of the evaluated patients for the intervals of the metrics.
    interval_folds : int
        Fold models for the interval of a risk, at least 3: no risk is given without one.
    max_trees : int
        Largest number of trees of the boosted part.
    max_patients : int
        Most patients that a run reads; of a larger cohort so many are drawn at random. Time and
        memory do not grow beyond it.
    threads : int or None
        None for all cores.
    dask : str
        Where fits run: `local`, the address of a Dask scheduler, or empty for this process.
    boosting : Boosting
        Settings of the boosted part.
    tuning : Tuning or None
        A search for better ones among the patients that are not held out, which replaces them.

    study : StudyFacts
        What the authors state of the study: the table `[study]`.
    """

    seed: int = 0
    test_fraction: float | None = None
    repeats: int | None = None
    split: SplitBy = "patient"
    refit_on_all: bool = True
    missingness: Missingness = "ignorable"
    horizons_days: tuple[float, ...] = ()
    primary_horizon_days: float | None = None
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    added_value: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    population: str = ""
    simulated: bool = False
    bootstrap_resamples: int = 1000
    interval_folds: int = 10
    max_trees: int = MAX_TREES
    max_patients: int = MAX_PATIENTS
    threads: int | None = None
    dask: str = ""
    boosting: Boosting = field(default_factory=Boosting)
    tuning: Tuning | None = None
    study: StudyFacts = field(default_factory=StudyFacts)

    def __post_init__(self) -> None:
        """Refuse values out of range, by name and rule."""
        ascending = list(self.horizons_days) == sorted(set(self.horizons_days))
        of_verdict = self.horizons_days or (self.primary_horizon_days,)
        rules = {
            "seed": (self.seed >= 0, "be 0 or more"),
            "test_fraction": (
                self.test_fraction is None or 0 < self.test_fraction < 1,
                "lie strictly between 0 and 1",
            ),
            "repeats": (
                self.repeats is None or (self.repeats >= 1 and not self.holds_out),
                "be 1 or more, and not be stated beside test_fraction or a split by site or time",
            ),
            "split": (self.split in get_args(SplitBy), f"be one of {_words(SplitBy)}"),
            "missingness": (
                self.missingness in get_args(Missingness),
                f"be one of {_words(Missingness)}",
            ),
            "horizons_days": (
                ascending and all(0 < days < math.inf for days in self.horizons_days),
                "be days above 0 in ascending order",
            ),
            "primary_horizon_days": (
                self.primary_horizon_days is None
                or (bool(self.added_value) and self.primary_horizon_days in of_verdict),
                "be one of horizons_days, and be stated with an added_value only",
            ),
            "refit_on_all": (
                self.refit_on_all or self.holds_out,
                "be true unless patients are held out (test_fraction, or split by site or time)",
            ),
            "over": (bool(self.added_value) or not self.over, "be stated with an added_value only"),
            "bootstrap_resamples": (self.bootstrap_resamples >= 50, "be 50 or more"),
            "interval_folds": (self.interval_folds >= 3, "be 3 or more"),
            "max_trees": (self.max_trees >= 1, "be 1 or more"),
            "max_patients": (self.max_patients >= 1_000, "be 1000 or more"),
            "threads": (self.threads is None or self.threads >= 1, "be 1 or more"),
            "tuning": (
                self.tuning is None or self.holds_out,
                "be stated with patients held out (test_fraction, or split by site or time), or "
                "the figures would be of patients that it has seen",
            ),
        }
        _require(self, rules)

    @property
    def holds_out(self) -> bool:
        """Whether patients are held out on request, instead of cross-validated."""
        return self.test_fraction is not None or self.split != "patient"

    def as_json(self) -> dict[str, object]:
        """Return the settings as the bundle and MLflow store them.

        Where the run took place is left out. So are the study's facts: the contract holds those,
        completed by what a public data set states of itself.
        """
        left_out = {"dask", "study"}
        stored = {name: value for name, value in asdict(self).items() if name not in left_out}
        return stored | {"tuning": None if self.tuning is None else {"trials": self.tuning.trials}}


def read_config(path: str | Path) -> RunConfig:
    """Return the settings in a TOML file."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"config must be a TOML file in UTF-8; {path} cannot be read.") from None
    return parse_config(text)


def parse_config(text: str) -> RunConfig:
    """Return the settings in a TOML text, whose keys are the fields of `RunConfig`.

    Examples
    --------
    >>> parse_config('seed = 7\\nhorizons_days = [28, 90]').horizons_days
    (28.0, 90.0)
    """
    try:
        stated = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"config must be valid TOML: {error}.") from None
    boosting, tuning = stated.pop("boosting", {}), stated.pop("tuning", None)
    study = _study(stated.pop("study", {}))
    return replace(
        _settings("config", stated, RunConfig),
        boosting=_settings("[boosting]", boosting, Boosting),
        tuning=None if tuning is None else _settings("[tuning]", tuning, Tuning),
        study=study,
    )


_T = TypeVar("_T", RunConfig, Boosting, Tuning)


def _settings(place: str, stated: Any, kind: type[_T]) -> _T:
    """Return the settings in one table of the file; refuse keys that it does not have."""
    if not isinstance(stated, dict):
        raise UsageError(f"{place} must be a table of settings; got {stated!r}.")
    known = {setting.name for setting in fields(kind)} - {"boosting", "tuning", "study"}
    unknown = sorted(set(stated) - known)
    if unknown:
        raise UsageError(
            f"{place} has unknown keys: {', '.join(unknown)}. Known: {', '.join(sorted(known))}."
        )
    return kind(**{name: _typed(name, value) for name, value in stated.items()})


def _require(
    settings: RunConfig | Boosting | Tuning, rules: dict[str, tuple[bool, str]], place: str = ""
) -> None:
    """Raise `UsageError` for the first rule that does not hold."""
    for name, (holds, rule) in rules.items():
        if not holds:
            raise UsageError(f"{place}{name} must {rule}; got {getattr(settings, name)!r}.")


def _study(stated: Any) -> StudyFacts:
    """Return the table `[study]`: texts, each under the name of a field."""
    if not isinstance(stated, dict):
        raise UsageError(
            f"study must be a table: [study], then lines of NAME = TEXT; got {stated!r}."
        )
    known = {f.name for f in fields(StudyFacts)}
    unknown = sorted(set(stated) - known)
    if unknown:
        raise UsageError(
            f"study has unknown keys: {', '.join(unknown)}. Known: {', '.join(sorted(known))}."
        )
    not_text = [name for name, value in stated.items() if not isinstance(value, str)]
    if not_text:
        raise UsageError(f"study must hold texts; {', '.join(not_text)} are not.")
    return StudyFacts(**stated)


_NUMBER = (int, float)
_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "seed": (int, "a whole number"),
    "test_fraction": (_NUMBER, "a number"),
    "repeats": (int, "a whole number"),
    "split": (str, "a text"),
    "missingness": (str, "a text"),
    "refit_on_all": (bool, "true or false"),
    "horizons_days": (_NUMBER, "a list of numbers"),
    "primary_horizon_days": (_NUMBER, "a number"),
    "exclude": (str, "a list of texts"),
    "include": (str, "a list of texts"),
    "added_value": (str, "a list of texts"),
    "over": (str, "a list of texts"),
    "population": (str, "a text"),
    "simulated": (bool, "true or false"),
    "bootstrap_resamples": (int, "a whole number"),
    "interval_folds": (int, "a whole number"),
    "max_trees": (int, "a whole number"),
    "max_patients": (int, "a whole number"),
    "threads": (int, "a whole number"),
    "dask": (str, "a text"),
    "learning_rate": (_NUMBER, "a number"),
    "max_depth": (int, "a whole number"),
    "min_patients": (_NUMBER, "a number"),
    "column_share": (_NUMBER, "a number"),
    "row_share": (_NUMBER, "a number"),
    "penalty": (_NUMBER, "a number"),
    "trials": (int, "a whole number"),
    "storage": (str, "a text"),
}
_LISTS = ("horizons_days", "exclude", "include", "added_value", "over")


def _typed(name: str, value: Any) -> Any:
    """Return one value of the file in the type of its field; true and false are not numbers."""
    allowed, words = _TYPES[name]
    parts = value if name in _LISTS and isinstance(value, list) else [value]
    fits = isinstance(value, list) == (name in _LISTS) and all(
        isinstance(part, allowed) and (allowed is bool or not isinstance(part, bool))
        for part in parts
    )
    if not fits:
        raise UsageError(f"{name} must be {words}; got {value!r}.")
    if name == "horizons_days":
        return tuple(float(days) for days in value)
    return tuple(value) if name in _LISTS else value


def _words(choices: Any) -> str:
    return ", ".join(get_args(choices))
