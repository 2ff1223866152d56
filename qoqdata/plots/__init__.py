"""The figures of a paper on a data set, drawn by matplotlib.

Each function of `counts`, `rates`, `labels` and `people` takes a table and returns a figure as wide
as a column; `style` says how they look, and writes them with the same bytes each time.
"""
