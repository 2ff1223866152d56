"""The viewer: a local web application for people who look at records and decide on them.

`record_index` holds the light columns of all records in memory, `selection` answers what is
searched, filtered, counted and sorted; `media` reads what a record shows, which `qoqdata.drawing`
draws; `record_view` gathers one record. `app` answers, behind the gate of `qoqdata.serving`.
"""
