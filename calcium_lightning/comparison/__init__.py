"""Runs side by side: what they left in their folders, which settings differ, and which is the best.

For: the table and the page of ``compare``, and the ranking that a sweep ends with.
Must not know: how runs are made.
"""
