"""The kit of the servers with pages: `mint watch` and whatever else answers a browser.

listen   where a server listens: loopback unless told otherwise, then with a token
guard    what every request passes before a page sees it: host, origin, size, token, headers
site     routes, scripts and pages as one application; the form that asks for the token
events   server-sent events
server   runs an application until a signal comes
"""
