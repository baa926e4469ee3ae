"""The API's description (`openapi.yaml`, written by hand) and a page to read and try it: Swagger UI, from the package
swagger-ui-py; nothing is fetched from anywhere else.
"""

import functools
from importlib import resources

import msgspec
import yaml
from aiohttp import web

import schemas
from service.http.bodies import JSON
from service.http.problems import Problem
from service.http.security_headers import DOCS, POLICY

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Underten: API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

# A file of its own, so that a content security policy need not allow inline scripts.
START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null});\n'


@functools.cache
def description() -> bytes:
    """Read `openapi.yaml` as JSON, with the version that runs."""
    text = resources.files("service").joinpath("openapi.yaml").read_text(encoding="utf-8")
    document = yaml.load(text, yaml.CSafeLoader)
    document["info"]["version"] = schemas.__version__
    return msgspec.json.encode(document)


async def show_openapi(request: web.Request) -> web.Response:
    """Handle GET /openapi.json."""
    return web.Response(body=description(), headers={"Content-Type": JSON})


async def show_docs(request: web.Request) -> web.Response:
    """Handle GET /docs."""
    return web.Response(text=PAGE, content_type="text/html", headers={POLICY: DOCS, "Cache-Control": "no-cache"})


async def serve_asset(request: web.Request) -> web.Response:
    """Handle GET /docs/{file}: the page's scripts and styles."""
    name = request.match_info["file"]
    if name == "start.js":
        return web.Response(text=START, content_type="text/javascript")
    if name not in ASSETS:
        raise Problem(404, "not-found", "there is no such file")
    return web.Response(
        body=_asset_bytes(name), headers={"Content-Type": ASSETS[name], "Cache-Control": "public, max-age=3600"}
    )


@functools.cache
def _asset_bytes(name: str) -> bytes:
    return resources.files("swagger_ui").joinpath("static", name).read_bytes()
