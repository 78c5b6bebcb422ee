"""Questions over many public repositories, made from what their authors wrote: commits, comments, messages, tests.

`python -m benchmarks corpus` makes all of it again from fetched repositories. Only `manifest.jsonl` is kept with the
sources: names, revisions, licences and languages. No text of a repository ever is.
"""
