"""Which chapter a rule has, and which chapters are still to come.

A rule has the chapter of its own name unless ``CHAPTER`` says otherwise.  A rule whose chapter does
not exist yet stands in ``PLANNED``; when the chapter is written, its name has to leave this table.
"""

CHAPTER = {"amsgrad": "when-adam-fails"}

PLANNED = {"adamw"}
