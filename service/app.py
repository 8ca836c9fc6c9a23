"""The application: every router, the errors, the edge, the documentation page, the writer and the ticker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from service import scheduler
from service.api import (
    audit,
    board,
    cases,
    clock,
    contacts,
    docs,
    enterprises,
    feeds,
    filings,
    health,
    messages,
    notices,
    obligations,
    programmes,
    requests,
    webhooks,
)
from service.api.door import Trusted
from service.api.edge import Edge, Limits
from service.api.errors import install
from service.api.lane import Lane
from service.api.looks import Looks
from service.api.openapi import complete
from service.running import Running
from service.storage.db import THREADS
from service.writer import Writer

VERSION = "0.1.0"
PREFIX = "/api/v1"
ROUTERS = (
    programmes.router, enterprises.router, cases.router, requests.router, contacts.router, notices.router,
    notices.public, filings.router, obligations.router, board.router, messages.router, feeds.router, feeds.public,
    webhooks.router, audit.router, clock.router,
)  # fmt: skip


def build(process: Running, *, ticking: bool = True) -> FastAPI:
    """The application of one process; without `ticking` nobody ticks but POST /clock."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        writer = app.state.writer = Writer(process)
        writer.start()
        app.state.looks = Looks(process)
        ticker = scheduler.start(process) if ticking else None
        yield
        if ticker is not None:
            ticker.shutdown(wait=True)
        writer.stop()
        process.db.close()

    app = FastAPI(
        title="jinji 晋级",
        version=VERSION,
        summary="Runs a grading programme such as 创A晋B as a workflow.",
        description=docs.DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        # It would ask for exporters with every request, and tell them what bodies hold.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=_operation_id,
    )
    app.state.running = process
    app.state.trusted = Trusted()
    app.state.limits = Limits(process.settings)
    install(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.include_router(health.router)
    _add_documentation(app)
    app.add_middleware(Lane)
    app.add_middleware(
        Edge,
        arrived=process.clock.arrived,
        chance=process.books.chance,
        max_body_bytes=process.settings.max_body_bytes,
        body_seconds=process.settings.body_seconds,
    )
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _add_documentation(app: FastAPI) -> None:
    """The API's page, its script and style served from here: officers sit behind closed networks."""
    app.mount("/docs/static", StaticFiles(directory=docs.static_folder()), name="docs-static")

    @app.get("/docs", include_in_schema=False)
    async def page() -> HTMLResponse:
        shown = get_swagger_ui_html(
            openapi_url=f"{PREFIX}/openapi.json",
            title="jinji API",
            swagger_js_url="/docs/static/swagger-ui-bundle.js",
            swagger_css_url="/docs/static/swagger-ui.css",
            swagger_favicon_url="/docs/static/favicon.png",
            swagger_ui_parameters={"validatorUrl": None},
        )
        shown.headers["Content-Security-Policy"] = docs.POLICY
        return shown

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    framework = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(framework())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
