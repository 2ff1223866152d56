"""What a record shows, drawn for people: for the viewer, the report and the dataset card.

`pixels` makes stored images and masks what a browser can draw, `ecg_paper` draws signals;
`record_figures` says which figures a record has and what lies over them. The folders `templates`
and `static` have the markup and the style that pages share.
"""
