"""Which public data sets a model may be validated on."""

import pytest

from data_schema.errors import UsageError
from training.validation.external import require_other_patients


@pytest.mark.parametrize(
    ("model", "dataset", "message"),
    [
        ("osteon-mortality-support2", "rhc", "support2 and rhc share patients"),
        ("osteon-mortality-rhc", "support2", "rhc and support2 share patients"),
        ("osteon-mortality-support2", "support2", "it learned from that data set"),
    ],
)
def test_data_sets_with_the_same_patients_are_no_validation(
    model: str, dataset: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        require_other_patients(model, dataset)


def test_other_patients_are_a_validation() -> None:
    require_other_patients("osteon-mortality-support2", "flchain")
    require_other_patients("osteon-mortality", "rhc")
