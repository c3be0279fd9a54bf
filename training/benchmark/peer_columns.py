"""Preparation of the columns of a peer, learned from the training patients alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

__all__ = ["as_measured", "filled_and_scaled", "filled_full_rank"]

SKEWED = 1.0
WINSORISED = 5.0


def as_measured(features: pd.DataFrame) -> ColumnTransformer:
    """Return categories as columns of 0 and 1, and numbers untouched, missing ones included."""
    table = make_column_transformer(_categories(features), remainder="passthrough")
    return table.fit(features)


def filled_and_scaled(features: pd.DataFrame) -> Pipeline:
    """Return columns for a penalised model: gaps filled and flagged, skewed columns logged."""
    table = make_pipeline(
        make_column_transformer(
            *_numbers(features, SimpleImputer(strategy="median", add_indicator=True)),
            _categories(features),
        ),
        StandardScaler(),
        # An indicator that is set in one patient lies 80 deviations out and breaks Newton's steps.
        FunctionTransformer(np.clip, kw_args={"a_min": -WINSORISED, "a_max": WINSORISED}),
    )
    return table.fit(features)


def filled_full_rank(features: pd.DataFrame) -> Pipeline:
    """Return columns for a model without penalty: missing values filled, one level left out.

    Missing values are not flagged: the coefficient of a flag that few patients have, all without an
    event, would diverge without a penalty.
    """
    levels = [list(pd.unique(features[name].dropna())) for name in _texts(features)]
    encoder = OneHotEncoder(
        categories=[sorted(of_column)[1:] for of_column in levels],
        handle_unknown="ignore",
        sparse_output=False,
    )
    table = make_pipeline(
        make_column_transformer(
            *_numbers(features, SimpleImputer(strategy="median")), (encoder, _texts(features))
        ),
        StandardScaler(),
    )
    return table.fit(features)


def _numbers(
    features: pd.DataFrame, fill: SimpleImputer
) -> tuple[tuple[Pipeline, pd.Index], tuple[SimpleImputer, pd.Index]]:
    """Return the filled columns of numbers, skewed ones logged."""
    numbers = features.select_dtypes("number")
    skewed = numbers.columns[(numbers.skew() > SKEWED) & (numbers.min() >= 0)]
    others = numbers.columns.difference(skewed, sort=False)
    return (make_pipeline(FunctionTransformer(np.log1p), fill), skewed), (fill, others)


def _categories(features: pd.DataFrame) -> tuple[OneHotEncoder, pd.Index]:
    """Return the columns that hold categories, with their encoder to columns of 0 and 1."""
    return OneHotEncoder(handle_unknown="ignore", sparse_output=False), _texts(features)


def _texts(features: pd.DataFrame) -> pd.Index:
    return features.select_dtypes(exclude="number").columns
