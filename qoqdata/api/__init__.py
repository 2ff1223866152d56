"""What the commands do, as functions: typed, silent, and reached as `qoqdata.build` and so on.

`simulating` makes raw files up, `building` makes data sets, `measuring` describes them, `looking`
shows them to people who decide, `publishing` hands them on. Long work takes a callback `progress`;
without one nothing is shown.
"""
