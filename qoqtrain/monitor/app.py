"""The page of a run, served: it follows the run by itself, and can be paused."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from flask import Flask, Response, abort, render_template, request, url_for

from qoqdata.dataset import Dataset
from qoqdata.drawing.markup import MaskUrl
from qoqdata.drawing.pixels import Drawing
from qoqdata.drawing.record_figures import Outline
from qoqdata.drawing.samples import DrawnFigure
from qoqdata.serving.gate import Gate
from qoqdata.serving.guarded import guarded_app
from qoqtrain.monitor.answered import AnsweredQuestion
from qoqtrain.monitor.page import FACTS, RunPage, run_page
from qoqtrain.monitor.run_folder import RunFolder

#: Steps whose drawn questions are remembered.
_STEPS = 4


def watch_app(folder: RunFolder, dataset: Dataset | None, note: str, gate: Gate) -> Flask:
    """The WSGI application of a run, behind `gate`."""
    app = guarded_app(__name__, gate)
    app.jinja_env.globals |= FACTS
    drawn: OrderedDict[int, dict[tuple[str, int], DrawnFigure]] = OrderedDict()
    lock = Lock()

    def page_of(step: int | None) -> RunPage:
        page = run_page(folder, dataset, note, step=step)
        if page.step is not None:
            with lock:
                drawn[page.step] = {
                    (question.id, number): figure
                    for question in page.questions
                    for number, figure in enumerate(question.figures)
                }
                drawn.move_to_end(page.step)
                while len(drawn) > _STEPS:
                    drawn.popitem(last=False)
        return page

    def figure_of(step: int, id_: str, number: int) -> DrawnFigure:
        if step not in drawn:
            page_of(step)
        with lock:
            figure = drawn.get(step, {}).get((id_, number))
        if figure is None:
            abort(404, "nothing is drawn of this")
        return figure

    @app.get("/")
    def run() -> str:
        version = folder.version
        page = page_of(request.args.get("step", type=int))

        def image_url(question: AnsweredQuestion, number: int) -> str:
            return url_for("image", step=page.step, id_=question.id, number=number)

        def mask_url(question: AnsweredQuestion, number: int) -> MaskUrl:
            def address(outline: Outline, colour: int) -> str:
                assert outline.mask is not None
                return url_for(
                    "mask",
                    step=page.step,
                    id_=question.id,
                    number=number,
                    mask=outline.mask[0],
                    code=outline.mask[1],
                    colour=colour,
                )

            return address

        return render_template(
            "live.html",
            page=page,
            version=version,
            follows="step" not in request.args,
            image_url=image_url,
            mask_url=mask_url,
        )

    @app.get("/version")
    def version() -> Response:
        return Response(folder.version, mimetype="text/plain")

    @app.get("/drawn/<int:step>/<id_>/<int:number>")
    def image(step: int, id_: str, number: int) -> Response:
        return _sent(figure_of(step, id_, number).image)

    @app.get("/drawn/<int:step>/<id_>/<int:number>/<int:mask>/<int:code>/<int:colour>")
    def mask(step: int, id_: str, number: int, mask: int, code: int, colour: int) -> Response:
        drawing = figure_of(step, id_, number).masks.get(((mask, code), colour))
        if drawing is None:
            abort(404, "there is no such mask")
        return _sent(drawing)

    return app


def _sent(drawing: Drawing) -> Response:
    return Response(drawing.content, mimetype=drawing.kind)
