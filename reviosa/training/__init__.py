"""Training: what is drawn from a data set, what is optimised, how a run goes on after a stop.

Light on purpose: ``reviosa.training.config`` is read by commands that load no model. The run itself
is :func:`reviosa.training.run.train`.
"""
