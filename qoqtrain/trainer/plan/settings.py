"""Every choice of a training run: one YAML file, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qoqdata.atomic import digest, replacing
from qoqdata.errors import UsageError
from qoqdata.settings import checked, load_mapping
from qoqdata.yaml_document import dump_yaml, parse_yaml
from qoqtrain.drpo.settings import DEFAULT_PRESET as DRPO_PRESET
from qoqtrain.rewards.scheme import DEFAULT_PRESET as REWARD_PRESET

#: What a run writes into its folder of its settings, and of the trained model.
SETTINGS_FILE, MODEL_FOLDER = "settings.yaml", "model"


#: The backends that are servers of their own.
SERVERS = ("vllm", "sglang")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rollouts(_Section):
    """How answers are sampled."""

    per_question: int = Field(5, ge=1, description="rollouts n of each question (its group)")
    temperature: float = Field(1.0, gt=0, description="also divides the logits of the loss")
    top_p: float = Field(1.0, gt=0, le=1, description="mass that is sampled from")
    prompt_tokens: int = Field(4096, ge=1, description="longest prompt; none is ever cut")
    response_tokens: int = Field(1024, ge=1, description="where an answer is cut off")
    overlong: Literal["score", "mask"] = Field(
        "score", description="responses cut at the limit: as scored, or not in the loss"
    )
    overlong_buffer: int = Field(
        0, ge=0, description="tokens before the limit over which the reward falls to 0"
    )
    unfit: Literal["stop", "leave_out"] = Field(
        "stop", description="on a question that is too long or cannot be shown"
    )
    batch_tokens: int = Field(65_536, ge=1, description="tokens generated at once on a rank")
    backend: Literal["local", "vllm", "sglang", "vllm_colocated"] = Field(
        "local", description="the policy itself, servers at `url`, or vLLM on the same accelerators"
    )
    url: str | tuple[str, ...] | None = Field(
        None, description="the server's, such as http://host:8000/v1, or those of several"
    )
    push: bool = Field(True, description="give servers the weights before every step")
    memory: float = Field(
        0.4, gt=0, lt=1, description="share of the accelerator that a colocated engine may take"
    )

    @property
    def serves(self) -> bool:
        """Whether servers sample."""
        return self.backend in SERVERS

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses of all servers."""
        return (self.url,) if isinstance(self.url, str) else self.url or ()


class Loss(_Section):
    """The clipped policy loss (`trainer.step.loss.policy_loss`)."""

    clip_low: float = Field(0.2, gt=0, lt=1)
    clip_high: float = Field(0.3, gt=0)
    dual_clip: float | None = Field(3.0, gt=1)
    kl: float = Field(0.0, ge=0, description="weight of the divergence from the first policy")
    kl_estimator: Literal["k1", "k2", "k3"] = "k3"
    aggregate: Literal["token_mean", "sequence_mean"] = "token_mean"
    ratio: Literal["token", "sequence"] = Field(
        "token", description="sequence: one ratio a response (GSPO); clips of about 3e-4 then"
    )
    entropy: float = Field(0.0, ge=0, description="weight of the entropy bonus")
    importance_cap: float | None = Field(
        None, ge=1, description="truncated importance weights for a server's log-probabilities"
    )


class Optimizer(_Section):
    """AdamW and its learning rate over the optimizer steps."""

    learning_rate: float = Field(1e-6, gt=0)
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: int = Field(0, ge=0, description="optimizer steps of linear warm-up")
    floor: float = Field(0.0, ge=0, le=1, description="where the cosine ends, as a share")
    weight_decay: float = Field(0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient")


class EngineSettings(_Section):
    """Who runs the optimizer, and where its states live."""

    name: Literal["auto", "torch", "deepspeed"] = Field(
        "auto", description="auto: DeepSpeed with several ranks or a ZeRO stage, else torch"
    )
    zero: Literal[0, 1, 2, 3] = Field(0, description="ZeRO stage")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the computation; auto: bfloat16 on an accelerator"
    )
    offload: Literal["none", "optimizer", "all"] = Field(
        "none", description="to CPU memory: the optimizer from ZeRO 1 on, all with ZeRO 3"
    )
    gradient_checkpointing: bool = True
    attention: Literal["sdpa", "eager", "flash_attention_2", "flash_attention_3"] = Field(
        "sdpa", description="how it is computed; flash attention cannot share prompts in updates"
    )

    @model_validator(mode="after")
    def _offload_has_its_stage(self) -> Self:
        needed = {"none": 0, "optimizer": 1, "all": 3}[self.offload]
        if self.zero < needed:
            # DeepSpeed would leave everything where it is, without a word.
            raise ValueError(f"offload {self.offload} needs zero {needed} or more")
        return self


class Lora(_Section):
    """Low-rank adapters instead of full training (peft)."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: tuple[str, ...] = Field(("q_proj", "k_proj", "v_proj", "o_proj"), min_length=1)


class Groups(_Section):
    """Which groups are worth generating and updating on."""

    skip_tied: bool = Field(
        False,
        description="leave groups without an advantage out of the mean of the update and of its"
        " entropy bonus, without loss.kl; `tokens` does so too",
    )
    tokens: int | None = Field(
        None,
        ge=1,
        description="response tokens of a step, over all ranks, within which questions"
        " are drawn anew until `questions` groups have an advantage; default: one draw",
    )
    foresee: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="questions whose chance of a group that is not tied, by their"
        " success so far, is below this are not asked; 0: all are",
    )
    strength: float = Field(
        2.0, gt=0, description="rollouts that the success rate of a question's domain counts for"
    )


class Budget(_Section):
    """What share of training each domain is to have (`trainer.plan.budget`), for the DRPO presets
    that weigh draws, `budget` among them; others count records, as published."""

    exponent: float = Field(
        0.0, ge=0, le=1, description="share of a domain: studies ** this; 0 alike, 1 in proportion"
    )
    within: Literal["label", "task", "source"] = Field(
        "label", description="what the draws of a domain are cut by"
    )
    within_exponent: float = Field(0.5, ge=0, le=1, description="the same within a domain")
    difficulty_exponent: float | None = Field(
        None,
        ge=0,
        le=1,
        description="the same for hard, middle and easy questions within these, by the set's"
        " difficulty table; default: not cut by difficulty",
    )
    max_repeats: float = Field(
        10.0, ge=1, description="passes an epoch that no part is drawn beyond; weights do the rest"
    )


class Drpo(_Section):
    """The estimator (`qoqtrain.DRPO.from_stats`)."""

    preset: str = DRPO_PRESET
    domain_key: Literal["domain", "source"] = "domain"
    settings: dict[str, Any] = Field(default_factory=dict)


class Reward(_Section):
    """The reward (`qoqtrain.rewards.score`)."""

    preset: str = REWARD_PRESET
    settings: dict[str, Any] = Field(default_factory=dict)


class Validation(_Section):
    """Figures during training, on a fixed part of a split (`trainer.validation`)."""

    every: int | None = Field(None, ge=1, description="steps between validations; default: none")
    split: Literal["train", "validation", "test"] = "validation"
    questions: int = Field(256, ge=1, description="asked each time, alike over domains")
    bootstrap: int = Field(200, ge=0, description="draws for the 95 % intervals; 0: none")
    best: str = Field(
        "macro_f1", description="figure by which policies are kept, such as domains.ct.accuracy"
    )
    keep: int = Field(1, ge=1, description="how many of the best policies stay, in OUT/best")
    patience: int | None = Field(
        None, ge=1, description="validations without a better one after which the run ends"
    )


class Checkpoints(_Section):
    every: int = Field(50, ge=1, description="steps between checkpoints")
    keep: int = Field(2, ge=1, description="how many stay on disk")


class Log(_Section):
    rollouts: bool = Field(True, description="write every rollout as Parquet")
    tensorboard: bool = Field(True, description="when tensorboard is installed")
    wandb: str | None = Field(None, description="a Weights & Biases project")


#: Settings that are not in the mathematics. Sums in another order may differ in their last bits.
FREE: Any = {
    **dict.fromkeys(("out", "data", "steps", "epochs", "micro_batch", "micro_tokens"), True),
    **dict.fromkeys(("validation", "checkpoints", "log", "own_row_groups"), True),
    "rollouts": {"url", "push", "unfit", "batch_tokens", "memory"},
    "engine": {"name", "offload", "gradient_checkpointing", "attention"},
}


class TrainSettings(_Section):
    """One run. Defaults are those of QoQ-Med (arXiv 2506.00711, appendix D and code) but for the
    batch, which is smaller, and KL, which is off and so spares the reference policy's memory."""

    data: str = Field(description="the data set's folder or URL")
    model: str = Field(description="a folder or a name on the hub")
    out: Path = Field(Path("run"), description="folder of the run")
    stage: Literal["align", "sft", "drpo"] = "drpo"
    learn_from: Literal["answers", "traces"] = Field(
        "answers",
        description="of supervised stages: all records, with their reasoning where they have one,"
        " or those alone for which a policy wrote it (`qoqdata traces`)",
    )
    seed: int = Field(0, ge=0)
    steps: int | None = Field(None, ge=1, description="training steps")
    epochs: float | None = Field(None, gt=0, description="passes over the data instead of steps")
    questions: int = Field(64, ge=1, description="questions of a step, over all ranks")
    updates: int = Field(1, ge=1, description="optimizer steps on the rollouts of a step")
    micro_batch: int = Field(2, ge=1, description="sequences of a forward pass on a rank")
    micro_tokens: int | None = Field(
        None,
        ge=1,
        description="as many sequences as fit into these tokens instead, prompts counted once",
    )
    own_row_groups: bool = Field(
        False,
        description="ranks take the questions of a step by the row groups that they read, not in"
        " turn: for several machines",
    )
    groups: Groups = Groups()
    budget: Budget = Budget()
    mix: dict[str, Any] | None = Field(
        None,
        description="how the stream weighs its parts; default the budget's",
    )
    min_pixels: int | None = Field(None, ge=1)
    max_pixels: int | None = Field(None, ge=1)
    ecg: Literal["auto", "none"] | dict[str, Any] = Field(
        "auto",
        description="ECG branch: auto adds one where the data has ECGs; none leaves"
        " ECG records out; or settings of a new one",
    )
    ecg_weights: str | None = Field(None, description="checkpoint of an ECG-JEPA encoder")
    rollouts: Rollouts = Rollouts()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    engine: EngineSettings = EngineSettings()
    lora: Lora | None = None
    drpo: Drpo = Drpo()
    reward: Reward = Reward()
    validation: Validation = Validation()
    checkpoints: Checkpoints = Checkpoints()
    log: Log = Log()

    def decisive(self) -> dict[str, Any]:
        """What decides the numbers of a run, as JSON; a run goes on under another value of what is
        `FREE`: where it writes and how far, who serves it, how much is held at once."""
        facts = self.model_dump(mode="json", exclude=FREE)
        if self.optimizer.schedule == "cosine":
            facts |= {"steps": self.steps, "epochs": self.epochs}
        return facts

    def fingerprint(self) -> str:
        """sha256 of what decides the numbers of a run."""
        return digest(self.decisive())


def read_settings(
    path: Path | None = None,
    values: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
) -> TrainSettings:
    """Settings of the YAML file `path`, then `values` (top-level; None counts as absent), then
    `assignments` ("loss.kl=1e-4", values in YAML); the last word counts.

    Raises UsageError, naming the field, for unknown fields and impossible values.
    """
    fields: dict[str, Any] = {} if path is None else load_mapping(path, may_be_empty=True)
    fields |= {name: value for name, value in (values or {}).items() if value is not None}
    for assignment in assignments:
        _assign(fields, assignment)
    fix = "see `qoqtrain train --show-settings`"
    settings = checked(TrainSettings, fields, where="training settings", fix=fix)
    if settings.steps is not None and settings.epochs is not None:
        raise UsageError("both steps and epochs are set", fix="give one of them")
    return settings


def as_yaml(settings: TrainSettings) -> str:
    """The settings as the YAML that `read_settings` reads."""
    return dump_yaml(settings.model_dump(mode="json"))


def write_settings(settings: TrainSettings) -> None:
    """Write the settings into the run's folder, for people and for `qoqtrain watch`; after a run
    went on under others, those that it goes on under."""
    settings.out.mkdir(parents=True, exist_ok=True)
    with replacing(settings.out / SETTINGS_FILE) as draft:
        draft.write_text(as_yaml(settings), encoding="utf-8")


def _assign(fields: dict[str, Any], assignment: str) -> None:
    name, sign, text = assignment.partition("=")
    if not sign or not name:
        fix = "write it as section.name=value"
        raise UsageError(f"{assignment!r} is no assignment", where="--set", fix=fix)
    value = parse_yaml(text, where=f"--set {name}")
    *sections, last = name.split(".")
    for section in sections:
        inner = fields.get(section)
        fields[section] = dict(inner) if isinstance(inner, Mapping) else {}
        fields = fields[section]
    fields[last] = value
