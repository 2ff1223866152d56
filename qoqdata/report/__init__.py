"""The report: one page on a data set, for reviewers, that asks for nothing from elsewhere.

`sheets` says what a section consists of; `origin` has the sections on where records are from and
what became of the others, `content` those on what they hold; `samples` draws records and pairs,
within an allowance of bytes; `page` gathers and writes.
"""
