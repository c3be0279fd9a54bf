"""The HTML report and the model card of a training run or an evaluation.

Nothing is computed here: numbers come from the contract, the evaluation and
`training.cohorts.description`.
"""
