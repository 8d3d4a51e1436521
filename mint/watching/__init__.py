"""The page of `mint watch`: the report of a run, of several or of a sweep, while they go on.

follow    what is new in the files of a run, read by offset; nothing is ever written
activity  what a run does now, since when, and how long it will take
alarms    what is wrong, with the threshold and why it matters
sections  these and the newest replies as HTML
pages     the page of a run, as named parts
overview  the same of several runs and of a sweep
board     the parts with versions, so that a browser is sent what has changed
app       the pages behind `mint.web`
demo      a run made up by code that goes on while one looks
"""
