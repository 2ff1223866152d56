"""The Hugging Face Hub as a target.

Contents are uploaded first, where no reader sees them; then one commit makes them the revision.
Readers therefore see the old revision or the new one. A publication that was interrupted goes on
where it stopped, because the Hub keeps uploaded contents and says which it has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError, QoqdataError, UsageError
from qoqdata.progress import ProgressCallback, silent
from qoqdata.publication.target import AT_A_TIME, Delivery, Outgoing
from qoqdata.remote.faults import retried, status
from qoqdata.threads import several

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

KIND = "dataset"
#: Files a call of the upload protocol: an interrupted publication loses at most these.
BATCH = 64

#: Seconds without a byte before a request is given up and tried again; the client waits for ever.
PATIENCE = 120.0

#: Bytes up to which the Hub may take a file for text, which is sent with the commit.
_SMALL = 10 * 2**20

_QUOTA = {402: "payment is required", 413: "a file is too large", 507: "the storage is full"}

_T = TypeVar("_T")


@dataclass(frozen=True)
class Hub:
    """A dataset repository on the Hub. `endpoint` None means $HF_ENDPOINT or huggingface.co."""

    repo_id: str
    revision: str = "main"
    private: bool = False
    token: str | None = field(default=None, repr=False)
    endpoint: str | None = None

    @property
    def url(self) -> str:
        """The address of the release for `qoqdata.open`."""
        return f"hf://datasets/{self.repo_id}@{self.revision}"

    def prepare(self) -> None:
        """Make the repository and the branch where they do not exist."""
        api = self._api()
        self._ask(
            lambda: api.create_repo(
                self.repo_id, repo_type=KIND, private=self.private, exist_ok=True
            )
        )
        if self.revision != "main":
            self._ask(
                lambda: api.create_branch(
                    self.repo_id, branch=self.revision, repo_type=KIND, exist_ok=True
                )
            )

    def open(self) -> Dataset | None:
        """The present release; None when there is none."""
        if self.read("manifest.json") is None:
            return None
        options = {"token": self._token(), "endpoint": self.endpoint}
        return open_dataset(self.url, storage_options=options)

    def read(self, path: str) -> bytes | None:
        """The content of a file of the present release; None when there is none."""
        from huggingface_hub import HfFileSystem

        def fetch() -> bytes | None:
            files = HfFileSystem(
                token=self._token(), endpoint=self.endpoint, skip_instance_cache=True
            )
            try:
                return bytes(files.cat_file(f"datasets/{self.repo_id}@{self.revision}/{path}"))
            except FileNotFoundError:
                return None

        return self._ask(fetch)

    def deliver(
        self,
        files: Iterable[Outgoing],
        *,
        message: str,
        tag: str,
        progress: ProgressCallback = silent,
    ) -> Delivery:
        """Make `files` the content of the revision and tag it; `progress` hears of files sent.

        Raises UsageError for a token that does not suffice, DatasetError when the Hub stays
        unreachable, is full, or when somebody else published meanwhile.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        files = tuple(files)
        api, head = self._api(), self._head()
        there = self._tree(head)
        changed = [file for file in files if not _holds(there.get(file.path), file)]
        gone = sorted(set(there) - {file.path for file in files} - {".gitattributes"})
        sent = dict.fromkeys(file.path for file in changed)
        unchanged = tuple(file.path for file in files if file.path not in sent)
        if not changed and not gone:
            self._tag(head, tag)
            return Delivery(head, (), unchanged, (), 0)
        here = [file for file in changed if file.making is None]
        made = [file for file in changed if file.making is not None]
        adds = [CommitOperationAdd(file.path, str(file.local)) for file in here]
        for start in range(0, len(adds), BATCH):
            part = adds[start : start + BATCH]
            self._ask(lambda part=part: self._upload(api, part))  # type: ignore[misc]
            progress(min(start + BATCH, len(adds)), len(changed))
        for add in several(lambda file: self._passed(api, file), made, at_a_time=AT_A_TIME):
            adds.append(add)
            progress(len(adds), len(changed))
        commit = self._ask(
            lambda: api.create_commit(
                self.repo_id,
                [*adds, *(CommitOperationDelete(path) for path in gone)],
                commit_message=message,
                repo_type=KIND,
                revision=self.revision,
                parent_commit=head,
            )
        )
        revision = str(commit.oid)
        self._verify(revision, files)
        self._tag(revision, tag)
        return Delivery(revision, tuple(sent), unchanged, tuple(gone), sum(f.size for f in changed))

    def _upload(self, api: HfApi, adds: list[Any], *, free_memory: bool = False) -> None:
        api.preupload_lfs_files(
            self.repo_id, adds, repo_type=KIND, revision=self.revision, free_memory=free_memory
        )

    def _passed(self, api: HfApi, file: Outgoing) -> Any:
        """Send a file that is made for it, and forget its content; what is left goes with the
        commit."""
        from huggingface_hub import CommitOperationAdd

        with file.holding() as path:
            # Only small files may travel in the commit itself.
            content = path.read_bytes() if file.size < _SMALL else str(path)
            add = CommitOperationAdd(file.path, content)
            self._ask(lambda: self._upload(api, [add], free_memory=True))
        return add

    def _verify(self, revision: str, files: tuple[Outgoing, ...]) -> None:
        there = self._tree(revision)
        wrong = [file.path for file in files if not _holds(there.get(file.path), file)]
        if wrong:
            what = f"{len(wrong)} files differ from what was sent, such as {wrong[0]}"
            raise DatasetError(what, where=self.url, fix="publish again")

    def _head(self) -> str:
        info = self._ask(
            lambda: self._api().repo_info(self.repo_id, repo_type=KIND, revision=self.revision)
        )
        return str(info.sha)

    def _tree(self, revision: str) -> dict[str, RepoFile]:
        from huggingface_hub.hf_api import RepoFile

        def ask() -> dict[str, RepoFile]:
            listed = self._api().list_repo_tree(
                self.repo_id, recursive=True, expand=True, revision=revision, repo_type=KIND
            )
            return {item.path: item for item in listed if isinstance(item, RepoFile)}

        return self._ask(ask)

    def _tag(self, revision: str, tag: str) -> None:
        self._ask(
            lambda: self._api().create_tag(
                self.repo_id, tag=tag, revision=revision, repo_type=KIND, exist_ok=True
            )
        )

    def _api(self) -> HfApi:
        from huggingface_hub import HfApi, get_session

        get_session().timeout = PATIENCE
        return HfApi(endpoint=self.endpoint, token=self._token())

    def _token(self) -> str | None:
        return self.token or os.environ.get("HF_TOKEN") or None

    def _ask(self, call: Callable[[], _T]) -> _T:
        """The answer of the Hub, with patience; what lasts is told in one line."""
        try:
            return retried(lambda: _quota(call), url=self.url)
        except FileNotFoundError as error:
            fix = "check the name, and whether the token may see it"
            raise UsageError("there is no such repository", where=self.url, fix=fix) from error
        except QoqdataError as error:
            if status(error) == 412:
                fix = "look at the new revision, then publish again"
                what = "somebody else published meanwhile"
                raise DatasetError(what, where=self.url, fix=fix) from error
            raise


def _quota(call: Callable[[], _T]) -> _T:
    """Faults that no patience mends, told before anybody tries again."""
    try:
        return call()
    except Exception as error:
        if reason := _QUOTA.get(status(error) or 0):
            fix = "free space or raise the account's quota, then publish again"
            raise UsageError(f"the Hub refuses: {reason}", fix=fix) from error
        raise


def _holds(there: RepoFile | None, file: Outgoing) -> bool:
    """Whether the revision holds this content at this path."""
    if there is None or there.size != file.size:
        return False
    if there.lfs is not None:
        return bool(there.lfs.sha256 == file.sha256)
    return bool(there.blob_id == file.git_oid())
