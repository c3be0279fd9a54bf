"""The patients of a run: splits, description, flow, groups and panels."""
