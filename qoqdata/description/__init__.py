"""What a data set says of itself, as tables that its report, its card and its figures share.

`people` is about age and sex, `label_states` about labels, `quarantine_groups` about what gave no
record, `curation_rules` about what was dropped and for what, `samples` says which records stand for
a domain, `attention` what share of training a domain is to have.
"""
