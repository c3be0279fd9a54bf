"""XGBoost's own format: boosters as bytes, several joined into one, the horizon resolved.

No other module depends on how XGBoost writes a model. Part of every bundle's `model.py`: it imports
only the standard library, numpy and xgboost.
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np
import xgboost as xgb

__all__ = [
    "TreeContributions",
    "XgbModel",
    "booster_at_horizon",
    "booster_bytes",
    "booster_depth",
    "booster_document",
    "booster_files",
    "joint_booster",
    "load_booster",
    "tree_contributions",
]

TreeContributions = Callable[[Sequence[xgb.Booster], np.ndarray, int], np.ndarray]
"""As `tree_contributions`, which another way of computing the same may replace."""

NO_PARENT = 2147483647


# The keys that are read or written here, as XGBoost names them; its other keys are not changed.
class XgbTree(TypedDict, total=False):
    """One tree, an entry per node; a leaf has the left child -1."""

    id: int
    left_children: list[int]
    right_children: list[int]
    parents: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    split_type: list[int]
    default_left: list[int]
    base_weights: list[float]
    loss_changes: list[float]
    sum_hessian: list[float]
    tree_param: dict[str, str]


class XgbForest(TypedDict):
    """The trees, the class of each, and where each round begins and ends."""

    gbtree_model_param: dict[str, str]
    trees: list[XgbTree]
    tree_info: list[int]
    iteration_indptr: list[int]


class XgbGradientBooster(TypedDict):
    """What holds the forest."""

    model: XgbForest


class XgbLearner(TypedDict):
    """A forest with its objective and its base score."""

    gradient_booster: XgbGradientBooster
    learner_model_param: dict[str, str]
    objective: dict[str, object]


class XgbModel(TypedDict):
    """The whole document."""

    learner: XgbLearner


def load_booster(content: bytes, threads: int) -> xgb.Booster:
    """Return a booster that predicts with this many threads."""
    booster = xgb.Booster(model_file=bytearray(content))
    booster.set_param({"nthread": threads})
    return booster


def booster_bytes(booster: xgb.Booster) -> bytes:
    """Return a booster as a bundle holds it, in UBJSON."""
    return bytes(booster.save_raw("ubj"))


def booster_files(folds: int, *, competing: bool) -> list[str]:
    """Return the file of each part's booster: the main part, the folds, the competing event."""
    of_folds = [f"fold_{k:02d}.ubj" for k in range(folds)]
    return ["booster.ubj", *of_folds, *(["competing.ubj"] if competing else [])]


def booster_at_horizon(model: XgbModel, log_h: float, *, threads: int) -> xgb.Booster:
    """Return the booster whose splits on the horizon are already decided at `log_h`.

    Exact: for every patient it gives the same margin as the whole booster at that horizon, and the
    horizon, its last column, then has no share of its own in the explanation. A resolved node
    passes its cover on to its children, so the covers still add up at every node.

    Parameters
    ----------
    model : XgbModel
        From `booster_document`.
    """
    learner = model["learner"]
    forest = learner["gradient_booster"]["model"]
    horizon = int(learner["learner_model_param"]["num_feature"]) - 1
    at = np.float32(log_h)
    trees = [
        _resolve(tree, horizon, at) if horizon in tree["split_indices"] else tree
        for tree in forest["trees"]
    ]
    resolved = learner | {
        "gradient_booster": {**learner["gradient_booster"], "model": {**forest, "trees": trees}}
    }
    return load_booster(json.dumps({**model, "learner": resolved}).encode(), threads)


def joint_booster(boosters: Sequence[xgb.Booster], threads: int) -> xgb.Booster:
    """Return one booster that gives the margins of several `binary:logistic` boosters, (n, k).

    XGBoost separates the trees of each class of a multi-class model by `tree_info`; here each
    booster is a class, and its margin is exactly the sum that it gives on its own.
    """
    # XGBoost computes margin_c = base_c + sum of the leaves of the trees with `tree_info` c. With
    # class c set to booster c, and all trees in one iteration, margin_c is that booster's own
    # margin, summed in its own order.
    models = [booster_document(booster) for booster in boosters]
    trees: list[XgbTree] = []
    of_booster: list[int] = []
    base: list[np.float32] = []
    for number, model in enumerate(models):
        for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
            trees.append({**tree, "id": len(trees)})
            of_booster.append(number)
        base.append(_base_margin(model["learner"]["learner_model_param"]["base_score"]))
    joint = models[0]
    learner = joint["learner"]
    forest = learner["gradient_booster"]["model"]
    forest |= {"trees": trees, "tree_info": of_booster, "iteration_indptr": [0, len(trees)]}
    forest["gbtree_model_param"]["num_trees"] = str(len(trees))
    count = str(len(boosters))
    learner["objective"] = {
        "name": "multi:softprob",
        "softmax_multiclass_param": {"num_class": count},
    }
    learner["learner_model_param"] |= {
        "num_class": count,
        "base_score": "[" + ",".join(f"{margin:.9g}" for margin in base) + "]",
    }
    return load_booster(json.dumps(joint).encode(), threads)


def tree_contributions(
    boosters: Sequence[xgb.Booster], columns: np.ndarray, threads: int
) -> np.ndarray:
    """Return TreeSHAP of every column, then the base, by XGBoost itself.

    Parameters
    ----------
    boosters : sequence of Booster, length k
        Of one margin each.
    columns : ndarray of float32, shape (n, c)
        NaN where not measured.
    threads : int
        Threads to compute with.

    Returns
    -------
    ndarray of float, shape (k, n, c + 1)
        Log-odds; each row sums to the booster's margin, but for rounding to float32.
    """
    rows = xgb.DMatrix(columns, nthread=threads)
    values = [
        booster.predict(rows, pred_contribs=True, validate_features=False) for booster in boosters
    ]
    return np.asarray(values).reshape(len(boosters), len(columns), columns.shape[1] + 1)


def booster_document(booster: xgb.Booster) -> XgbModel:
    """Return a booster as the JSON document that XGBoost writes."""
    document: XgbModel = json.loads(bytes(booster.save_raw("json")))
    return document


def booster_depth(booster: xgb.Booster) -> int:
    """Return the splits above the deepest leaf of a booster."""
    deepest = 0
    for tree in booster_document(booster)["learner"]["gradient_booster"]["model"]["trees"]:
        depth = [0] * len(tree["left_children"])
        # A node stands before its children.
        for node, left in enumerate(tree["left_children"]):
            if left >= 0:
                depth[left] = depth[tree["right_children"][node]] = depth[node] + 1
        deepest = max(deepest, *depth)
    return deepest


def _base_margin(base_score: str) -> np.float32:
    """Return the logit of a booster's base score, in XGBoost's own precision."""
    # logit(p) = -log(1 / p - 1): the order of operations in float32 is that of XGBoost's
    # `ProbToMargin`, so that the base margin is the same to the last bit.
    risk = np.float32(base_score.strip("[]"))
    odds_against = np.float32(1) / risk - np.float32(1)
    return np.float32(-math.log(float(odds_against)))


def _resolve(tree: XgbTree, feature: int, log_h: np.float32) -> XgbTree:
    """Return one tree without its splits on the horizon; siblings stay adjacent."""
    left, right = tree["left_children"], tree["right_children"]
    split, condition = tree["split_indices"], tree["split_conditions"]

    def settle(node: int) -> int:
        while left[node] >= 0 and split[node] == feature:
            node = left[node] if log_h < np.float32(condition[node]) else right[node]
        return node

    # TreeSHAP weighs the two sides of a split by their covers, as shares of the parent's. A node
    # that replaces a resolved one takes its cover too, and passes the ratio share = new cover / own
    # cover on to its children.
    cover = tree["sum_hessian"]
    order, parents, new_cover = [settle(0)], [NO_PARENT], [cover[0]]
    children: list[tuple[int, int]] = []
    for place in range(len(split)):
        if place == len(order):
            break
        node = order[place]
        if left[node] < 0:
            children.append((-1, -1))
            continue
        children.append((len(order), len(order) + 1))
        share = new_cover[place] / cover[node]
        for child in (left[node], right[node]):
            order.append(settle(child))
            parents.append(place)
            new_cover.append(cover[child] * share)
    return tree | {
        "split_indices": [split[node] for node in order],
        "split_conditions": [condition[node] for node in order],
        "default_left": [tree["default_left"][node] for node in order],
        "split_type": [tree["split_type"][node] for node in order],
        "base_weights": [tree["base_weights"][node] for node in order],
        "loss_changes": [tree["loss_changes"][node] for node in order],
        "left_children": [a for a, _ in children],
        "right_children": [b for _, b in children],
        "parents": parents,
        "sum_hessian": new_cover,
        "tree_param": {**tree["tree_param"], "num_nodes": str(len(order))},
    }
