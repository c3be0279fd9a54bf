"""What a reader is given of a run or an evaluation: sections, as one page and as a model card.

Nothing is computed here: numbers come from the contract, the evaluation and
`training.cohorts.description`.
"""
