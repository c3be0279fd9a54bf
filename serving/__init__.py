"""How a model is asked over HTTP: routes, problem details, settings and the loaded champion.

It never imports `training`.
"""
