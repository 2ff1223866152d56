"""Local web applications, for one person on one machine: `gate` says who may ask, `guarded` puts an
application behind it and gives its pages their head, `server` binds the address. The viewer and the
training page stand on this.
"""
