"""What assignments are checked and graded with; see the instructor's guide of the book.

``checks`` is what their tests call; ``isolation`` runs a submission in a process of its own;
``plugin`` makes Otter-Grader grade that process instead of the notebook itself.
"""
