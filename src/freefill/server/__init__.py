"""HTTP: the studio's page and an API. A door beside the command line; needs the extra ``serve``.

Each route parses, calls one function, and answers. Nothing here looks at a pixel.
"""
