"""The viewer: a local web application for people who look at records and decide on them.

`record_index` holds the light columns of all records in memory, `selection` answers what is
searched, filtered, counted and sorted; `media` reads and draws what a record shows, `ecg_paper`
its ECG; `record_view` gathers one record, `quarantine_view` what gave none. `gate` says who may
ask, `app` answers, `serving` binds the address.
"""
