"""The sources that come with qoqdata: in an installation they lie here, by domain; in a checkout
they are the folder `converters/` at its top, which this package then points at."""

from qoqdata.shipped import shipped_folder

__path__ = [str(shipped_folder("converters"))]
