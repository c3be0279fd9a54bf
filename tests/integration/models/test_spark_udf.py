"""The registered model as a function of Spark, which scores a table on many machines."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from models.inference.risk_model import RiskModel
from models.registry import lifecycle as registry

pytest.importorskip("pyspark", reason="pyspark is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
    # Spark and MLflow warn about their own use of pandas 3 and of each other.
    pytest.mark.filterwarnings("ignore"),
]

HORIZON = 28.0
RESULT = "status string, refusal_code string, risk double, risk_low double, risk_high double"


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    patch = pytest.MonkeyPatch()

    # Spark would start the first python3 of the path, which may lack the model's packages.
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "16")
        .getOrCreate()
    )
    yield session
    session.stop()
    patch.undo()


def test_spark_gives_every_patient_the_risk_of_the_model(
    spark: Any,
    named: Callable[..., RiskModel],
    new_run: Callable[[], str],
    patients: pd.DataFrame,
) -> None:
    from pyspark.sql.functions import struct

    risk_model = named("spark")
    uri = registry.register(risk_model, run_id=new_run(), dataset="spark").model_uri
    frame = patients[list(risk_model.features)].head(40).reset_index(drop=True)
    frame.loc[3, "age"] = 12.0
    # At one horizon there is one row per patient, as a function of Spark must give.
    risks = mlflow.pyfunc.spark_udf(
        spark,
        uri,
        result_type=RESULT,
        env_manager="local",
        params={"horizons_days": [HORIZON]},
    )
    table = spark.createDataFrame(
        frame.astype(object).where(frame.notna(), None).to_dict("records")
    )
    # As one record, since columns without names would be read in the order of the signature.
    named_columns = struct(*frame.columns)
    scored = table.select(risks(named_columns).alias("of")).select("of.*").toPandas()
    expected = risk_model.predict(frame, [HORIZON]).to_frame(frame)
    assert scored["status"].tolist() == expected["status"].tolist()
    assert scored["refusal_code"].tolist()[3] == "under_18"
    for name in ("risk", "risk_low", "risk_high"):
        np.testing.assert_allclose(scored[name].astype(float), expected[name].astype(float))
