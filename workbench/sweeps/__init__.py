"""Sweeps: the same training many times over with one thing changed, and what came of it.

``config`` says what a sweep file may hold (``rules`` how pairs are chosen, ``axes`` what a grid may
vary), ``grid`` makes arms of the axes, ``load`` reads and checks a file, ``schema`` describes it to
editors, ``plan`` makes trials of it, ``run`` runs them.
"""
