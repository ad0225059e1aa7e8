"""HTTP: the studio's page and an API, a front end as the command line is; extra ``serve``.

Each route parses, calls one function, and answers. Nothing here looks at a pixel.
"""
