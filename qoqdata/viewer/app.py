"""The pages of the viewer and what they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from qoqdata.contract.vocabulary import ANSWER_JOIN
from qoqdata.curation import decisions
from qoqdata.curation.lineage import lineage
from qoqdata.dataset import Dataset
from qoqdata.description.lineage_steps import lineage_steps
from qoqdata.drawing.ecg_paper import sheet_svg, sheets
from qoqdata.drawing.pixels import Drawing, drawn_image, drawn_mask
from qoqdata.drawing.record_figures import Outline
from qoqdata.errors import UsageError
from qoqdata.records.identity import Salt
from qoqdata.serving.gate import Gate
from qoqdata.serving.guarded import guarded_app
from qoqdata.viewer.record_index import STATES, RecordIndex
from qoqdata.viewer.record_view import record_view
from qoqdata.viewer.selection import (
    FILTERS,
    SORTS,
    RecordQuery,
    Selections,
    parse_query,
    without,
)
from qoqdata.viewer.viewed import Viewed, view_of

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

#: Records on a page of the grid; values of a filter, and labels, that can be picked from a list.
PAGE, VALUES, LABELS = 48, 500, 2000


def viewer_app(
    dataset: Dataset | Path,
    gate: Gate,
    *,
    policy: str | None = None,
    rollouts: Path | None = None,
    raw: Mapping[str, Path] | None = None,
    salt: Salt | None = None,
    author: str,
) -> Flask:
    """The WSGI application of a data set, behind `gate`; decisions are `author`'s.

    `dataset` is a folder where its build has not ended; `rollouts` are a policy's, `raw`
    the raw folders of sources, `salt` that of the build. Raises as `view_of`.
    """
    return app_of(view_of(dataset, policy, rollouts, raw, salt), gate, author)


def app_of(look: Callable[[], Viewed], gate: Gate, author: str) -> Flask:
    """The application of what `look` gives, which each request asks anew."""
    app = guarded_app(__name__, gate)
    app.jinja_env.globals["author"] = author

    def shown() -> Viewed:
        """What this request shows, the same for all of it."""
        if "viewed" not in g:
            g.viewed = look()
        viewed: Viewed = g.viewed
        return viewed

    def page_of(template: str, **more: Any) -> str:
        viewed = shown()
        title = viewed.dataset.manifest.name or "data set"
        return render_template(template, title=title, viewed=viewed, **more)

    @app.before_request
    def follow() -> None:
        if request.endpoint in ("grid", "record", "decide", "version"):
            viewed = shown()
            if viewed.dataset.in_folder:
                # Others decide too, and curate.
                viewed.index.follow(viewed.dataset.layout.verdicts)

    @app.get("/")
    def grid() -> str:
        viewer = shown()
        index = viewer.index
        query = parse_query(request.args)
        found = viewer.selections.answer(query)
        pages = max(1, -(-len(found.rows) // PAGE))
        page = min(max(request.args.get("page", 1, type=int), 1), pages)
        first = (page - 1) * PAGE
        rows = [int(row) for row in found.rows[first : first + PAGE]]
        viewer.media.expect(rows)
        return page_of(
            "grid.html",
            query=query,
            filters=FILTERS,
            found=found,
            total=len(index),
            page=page,
            pages=pages,
            cards=[_card(index, row, first + n) for n, row in enumerate(rows)],
            sorts=[sort for sort in SORTS if sort == "order" or sort in index.numbers],
            shown_values=VALUES,
            chips=_chips(query),
            all_labels=index.labels.sort().head(LABELS),
            without=without,
            version=_version(viewer),
        )

    @app.get("/version")
    def version() -> Response:
        return Response(_version(shown()), mimetype="text/plain")

    @app.get("/record/<id_>")
    def record(id_: str) -> str:
        return record_page(id_, request.args, done=request.args.get("done", ""))

    def record_page(id_: str, asked: MultiDict[str, str], **more: str) -> str:
        viewer = shown()
        index = viewer.index
        row = _row(index, id_)
        query = parse_query(asked)
        at = asked.get("at", type=int)
        before, after = _neighbours(viewer.selections, query, row, at)
        return page_of(
            "record.html",
            record=record_view(viewer, viewer.media.record(row)),
            mask_url=partial(_mask_url, id_),
            state=STATES[index.states[row]],
            query=query,
            at=at,
            page=1 if at is None else at // PAGE + 1,
            before=before,
            after=after,
            version=_version(viewer),
            **{"done": "", "why": "", "refused": "", **more},
        )

    @app.get("/record/<id_>/why")
    def why(id_: str) -> str:
        viewer = shown()
        _row(viewer.index, id_)
        if viewer.half_built:
            abort(404, "a record has a lineage when its build has ended")
        return page_of("why.html", id_=id_, steps=lineage_steps(lineage(viewer.dataset, id_)))

    @app.get("/thumbnail/<int:row>/<id_>")
    def thumbnail(row: int, id_: str) -> Response:
        viewer = shown()
        if not (row < len(viewer.index) and viewer.index.ids[row] == id_):
            # A build that goes on has put others before it.
            row = _row(viewer.index, id_)
        if (drawing := viewer.media.thumbnail(row)) is None:
            abort(404, "nothing to draw")
        return _drawn(drawing)

    def stored(id_: str) -> dict[str, Any]:
        viewer = shown()
        return viewer.media.record(_row(viewer.index, id_))

    @app.get("/record/<id_>/image/<int:number>")
    def image(id_: str, number: int) -> Response:
        member = _member(stored(id_)["images"], number)
        return _drawn(drawn_image(member["bytes"]))

    @app.get("/record/<id_>/image/<int:number>/window/<name>")
    def window(id_: str, number: int, name: str) -> Response:
        return _drawn(shown().raw.drawn(stored(id_), number, name))

    @app.get("/record/<id_>/mask/<int:number>/<int:code>/<int:colour>")
    def mask(id_: str, number: int, code: int, colour: int) -> Response:
        member = _member(stored(id_)["masks"], number)
        return _drawn(drawn_mask(member["bytes"], code, colour))

    @app.get("/record/<id_>/ecg/<int:number>")
    def ecg(id_: str, number: int) -> Response:
        signal = stored(id_)["ecg"]
        if not signal or number >= sheets(signal):
            abort(404, "there is no such sheet")
        return _drawn(Drawing(sheet_svg(signal, number).encode(), "image/svg+xml"))

    @app.get("/quarantine")
    def quarantine() -> str:
        return page_of("quarantine.html", groups=shown().quarantine)

    @app.post("/decide")
    def decide() -> AnyResponse:
        id_, form = request.form.get("id", ""), request.form
        dataset = _may_decide(shown())
        # The index knows the records; reading all ids again would take a second for millions.
        record = stored(id_)
        try:
            _decided(dataset, record, form, author)
        except UsageError as error:
            # What was typed stays typed.
            code = 409 if isinstance(error, decisions.DecidedMeanwhile) else 400
            page = record_page(id_, form, why=form.get("why", ""), refused=str(error))
            return Response(page, code)
        return _back(id_, "decided")

    @app.post("/undo")
    def undo() -> AnyResponse:
        gone = decisions.undo(_may_decide(shown()), request.form.get("id") or None, author)
        return _back(gone.id, "undone")

    return app


def _decided(
    dataset: Dataset, record: Mapping[str, Any], form: MultiDict[str, str], author: str
) -> None:
    """Carry out what the form of a record asks for; raises UsageError where it cannot be."""
    choice, why, seen = form.get("choice"), form.get("why", ""), form.get("seen", type=int)
    if choice == "comment":
        decisions.comment(dataset, record["id"], why, author, known=True)
    elif choice == "relabel":
        answer = ANSWER_JOIN.join(one for one in form.getlist("answer") if one)
        decisions.relabel(dataset, record, answer, why, author, seen=seen)
    elif choice in ("keep", "drop"):
        keep = choice == "keep"
        decisions.decide(dataset, record["id"], keep, why, author, known=True, seen=seen)
    else:
        raise UsageError("a decision is keep, drop, relabel or comment")


def _mask_url(id_: str, outline: Outline, colour: int) -> str:
    assert outline.mask is not None
    number, code = outline.mask
    return url_for("mask", id_=id_, number=number, code=code, colour=colour)


def _card(index: RecordIndex, row: int, at: int) -> Mapping[str, Any]:
    names = ("source", "split", "task", "question", "answer")
    return {
        **{name: index.text(name, row) for name in names},
        "row": row,
        "at": at,
        "id": index.ids[row],
        "state": STATES[index.states[row]],
        "shows": bool(index.numbers["images"][row] or index.signals[row]),
    }


def _chips(query: RecordQuery) -> list[tuple[str, str]]:
    """Everything that narrows a query, as name and value."""
    words = [("q", query.text)] if query.text else []
    values = [(name, value) for name, values in query.filters for value in values]
    return [*words, *values, *(("label", label) for label in query.labels)]


def _row(index: RecordIndex, id_: str) -> int:
    row = index.row_of(id_)
    if row is None:
        abort(404, f"there is no record {id_}")
    return row


def _member(members: list[dict[str, Any]] | None, number: int) -> dict[str, Any]:
    if not members or number >= len(members):
        abort(404, "the record has no such image")
    return members[number]


def _neighbours(
    selections: Selections, query: RecordQuery, row: int, at: int | None
) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    """The records before and after one in its selection: id and place."""
    if at is None or at < 0:
        return None, None
    rows = selections.answer(query).rows
    # A record that left the selection by a decision has made room for the next one.
    after = at + 1 if at < len(rows) and rows[at] == row else at
    ids = selections.index.ids
    return (
        (ids[int(rows[at - 1])], at - 1) if 0 < at <= len(rows) else None,
        (ids[int(rows[after])], after) if after < len(rows) else None,
    )


def _may_decide(viewer: Viewed) -> Dataset:
    if viewer.undecided:
        fix = "view the folder where the set was built, when its build has ended"
        where = viewer.dataset.where
        raise UsageError("decisions are written into the set", where=where, fix=fix)
    return viewer.dataset


def _version(viewer: Viewed) -> str:
    """Changes with states, and with the records of a build that goes on."""
    return f"{len(viewer.index)}-{viewer.index.version}"


def _back(id_: str, done: str) -> AnyResponse:
    """To the record, with the selection that the page came from."""
    query, at = parse_query(request.form), request.form.get("at", type=int)
    place = {} if at is None else {"at": at}
    return redirect(f"{url_for('record', id_=id_)}?{query.as_url(done=done, **place)}", 303)


def _drawn(drawing: Drawing) -> Response:
    return Response(drawing.content, mimetype=drawing.kind)
