"""What a bundle carries: the code that predicts in training, in the service and in MLflow clients.

It imports the standard library, numpy, pandas and xgboost only; `pyfunc` also mlflow.
"""
