"""An application behind its gate: nothing of it is seen, cached or framed from outside."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, abort, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from qoqdata import drawing
from qoqdata.drawing.markup import shown_value
from qoqdata.errors import QoqdataError, UsageError
from qoqdata.serving.gate import COOKIE, HEADERS, Gate


def guarded_app(name: str, gate: Gate) -> Flask:
    """A Flask application for the pages of the module `name`; every request passes `gate`.

    It has the styles and the markup of `qoqdata.drawing` as the blueprint `drawing`, and the head
    that pages share (`page.html`) as `serving`; text of
    records stays text; errors of ours become a page with their line.
    """
    app = Flask(name)
    app.jinja_options = {"finalize": shown_value, "trim_blocks": True, "lstrip_blocks": True}
    app.wsgi_app = gate.below_root(app.wsgi_app)  # type: ignore[method-assign]
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.register_blueprint(_blueprint("drawing", drawing.__name__))
    app.register_blueprint(_blueprint("serving", __name__))
    app.jinja_env.globals["command"] = gate.command

    @app.before_request
    def pass_gate() -> AnyResponse | None:
        entrance = request.path == "/" and not request.script_root
        if entrance and gate.admits(request.args.get("token", "")):
            if not gate.knows_host(request.headers.get("Host", "")):
                abort(403, f"this host name is not that of `{gate.command}`")
            # The token leaves the address bar, and with it the history.
            place = f"{gate.root}/"
            answer = redirect(place, 303)
            answer.set_cookie(COOKIE, gate.token, path=place, httponly=True, samesite="Strict")
            return answer
        if reason := gate.refusal(request):
            abort(403, reason)
        return None

    @app.after_request
    def harden(answer: Response) -> Response:
        answer.headers.update(HEADERS)
        # What is shown is about patients: nothing of it stays in the browser's cache.
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @app.errorhandler(HTTPException)
    def tell(error: HTTPException) -> tuple[str, int]:
        return render_template(
            "fault.html", fault=error.description or error.name
        ), error.code or 500

    @app.errorhandler(QoqdataError)
    def tell_ours(error: QoqdataError) -> tuple[str, int]:
        code = 400 if isinstance(error, UsageError) else 500
        return render_template("fault.html", fault=str(error)), code

    return app


def _blueprint(name: str, module: str) -> Blueprint:
    """What a package has of markup and style."""
    return Blueprint(
        name,
        module,
        template_folder="templates",
        static_folder="static",
        static_url_path=f"/static/{name}",
    )
