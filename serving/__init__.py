"""The HTTP service: routes, problem details, settings and the loaded champion.

It never imports `training`.
"""
