"""Where things are in a data set on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths below a data set's folder."""

    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def build(self) -> Path:
        """Receipts and the lock of the build; nothing in it belongs to the data set itself."""
        return self.root / ".build"

    @property
    def lock(self) -> Path:
        return self.build / "lock"

    @property
    def release(self) -> Path:
        """The outgoing tree of a publication."""
        return self.build / "release"

    @property
    def searched(self) -> Path:
        """Receipts of outgoing files in which a publication found no secret."""
        return self.build / "searched"

    @property
    def plan(self) -> Path:
        """What a plan whose chunks are built in parts consists of; written after all of it."""
        return self.build / "plan" / "plan.json"

    @property
    def parts(self) -> Path:
        """A note for each part that was begun, `<part>-of-<parts>`."""
        return self.build / "plan" / "parts"

    @property
    def traces(self) -> Path:
        """Of a release: its records with reasoning, which are a configuration of their own."""
        return self.root / "traces" / "train.parquet"

    @property
    def verdicts(self) -> Path:
        return self.root / "curation" / "verdicts.parquet"

    @property
    def decisions(self) -> Path:
        """What people decided about records, one after another."""
        return self.root / "curation" / "decisions.jsonl"

    @property
    def decisions_lock(self) -> Path:
        return self.build / "decisions.lock"

    @property
    def phi_findings(self) -> Path:
        return self.root / "curation" / "phi.parquet"

    @property
    def phi_receipt(self) -> Path:
        return self.root / "curation" / "phi.json"

    @property
    def leakage_findings(self) -> Path:
        return self.root / "curation" / "leakage.parquet"

    @property
    def duplicates(self) -> Path:
        return self.root / "curation" / "duplicates.parquet"

    @property
    def study_copies(self) -> Path:
        """Images that stand twice in one study."""
        return self.root / "curation" / "study_copies.parquet"

    @property
    def likeness_receipt(self) -> Path:
        return self.root / "curation" / "likeness.json"

    @property
    def quality_findings(self) -> Path:
        return self.root / "curation" / "quality.parquet"

    @property
    def answerers(self) -> Path:
        """What those score who see no image, by source, task and split."""
        return self.root / "curation" / "answerers.parquet"

    @property
    def label_errors(self) -> Path:
        """Answers that are likely wrong, as the last audit that looked for them found them."""
        return self.root / "curation" / "label_errors.parquet"

    @property
    def benchmark_images(self) -> Path:
        """Records that show an image of a benchmark, as the last pass with an index found them."""
        return self.root / "curation" / "benchmark_images.parquet"

    @property
    def burned_in_findings(self) -> Path:
        return self.root / "curation" / "burned_in.parquet"

    @property
    def burned_in_receipt(self) -> Path:
        return self.root / "curation" / "burned_in.json"

    @property
    def burned_in_page(self) -> Path:
        """Findings to look at, with their pixels: for the owner alone."""
        return self.root / "curation" / "burned_in.html"

    @property
    def review(self) -> Path:
        """Who looked through the images of which source."""
        return self.root / "curation" / "review.json"

    @property
    def report(self) -> Path:
        """One page for reviewers, as the last `qoqdata report` wrote it."""
        return self.root / "report" / "index.html"

    def card(self, source: str) -> Path:
        """The card as built, a user's mapping included."""
        return self.root / "cards" / f"{source}.json"

    def shards(self, source: str) -> Path:
        return self.root / "data" / source

    def shard(self, source: str, name: str) -> Path:
        return self.shards(source) / f"{name}.parquet"

    def likenesses(self, source: str) -> Path:
        """What the images and signals of shards are recognised by; made anew where it is lost."""
        return self.root / "curation" / "likeness" / source

    def likeness(self, source: str, name: str) -> Path:
        return self.likenesses(source) / f"{name}.parquet"

    def metadata(self, source: str) -> Path:
        """All columns of the source's records but media and signals."""
        return self.root / "meta" / f"{source}.parquet"

    def receipts(self, source: str) -> Path:
        return self.build / "receipts" / source

    def receipt(self, source: str, name: str) -> Path:
        return self.receipts(source) / f"{name}.json"

    def raw_keys(self, source: str) -> Path:
        """Keyed hashes of the source's raw keys, by which a publication recognises them."""
        return self.build / "raw_keys" / f"{source}.bin"

    def containers(self, source: str) -> Path:
        """Digests of the containers that the source's units lie in, with their stamps."""
        return self.build / "containers" / f"{source}.json"

    def summary(self, source: str) -> Path:
        """The planning result of a source, for the manifest of later builds."""
        return self.build / "sources" / f"{source}.json"

    def planned_units(self, source: str) -> Path:
        """The units of a plan, with the stamps of their files."""
        return self.build / "plan" / f"{source}.parquet"

    def planned_source(self, source: str) -> Path:
        """What a plan says of a source beside its units."""
        return self.build / "plan" / f"{source}.json"

    def planned_keys(self, source: str) -> Path:
        """Keyed hashes of the raw keys that planning found."""
        return self.build / "plan" / f"{source}.bin"

    def patient_splits(self, namespace: str) -> Path:
        """The official splits of a namespace by keyed patient, for later builds of its sources."""
        return self.build / "patient_splits" / f"{namespace}.json"

    def tally(self, family: str) -> Path:
        """What the records of a family of sources counted to, for later statistics."""
        return self.build / "statistics" / f"{family}.json"

    def quarantine(self, source: str) -> Path:
        return self.root / "quarantine" / f"{source}.parquet"

    def statistics(self, table: str) -> Path:
        return self.root / "stats" / f"{table}.parquet"

    @property
    def difficulty(self) -> Path:
        return self.root / "difficulty"
