// Keys, zoom, overlays and scrolling. Every page works without; no text is ever made markup here.

const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];

// Filters apply when they change.
const browse = one("#browse");
browse?.addEventListener("change", (event) => {
  if (event.target.name !== "q") browse.requestSubmit();
});

// One figure of a stack at a time; the next ones are fetched before they are asked for.
const figures = all("#figures.stacked figure");
const scroll = one("#scroll");
let current = 0;
const fetchFigure = (number) => {
  for (const mask of figures[number]?.querySelectorAll("image[data-href]") ?? []) {
    mask.setAttribute("href", mask.dataset.href);
    mask.removeAttribute("data-href");
  }
  const image = figures[number]?.querySelector("img[data-src]");
  if (image) {
    image.addEventListener("load", () => zoom(1));
    image.src = image.dataset.src;
    image.removeAttribute("data-src");
  }
};
const show = (number) => {
  if (!scroll) return;
  current = Math.min(Math.max(number, 0), figures.length - 1);
  figures.forEach((figure, place) => { figure.hidden = place !== current; });
  for (const near of [current, current + 1, current - 1]) fetchFigure(near);
  scroll.value = String(current);
  scroll.setAttribute("aria-valuetext", figures[current].querySelector("figcaption").textContent.trim());
};
scroll?.addEventListener("input", () => show(Number(scroll.value)));
show(0);
one("#figures.stacked")?.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (step && scroll) {
    event.preventDefault();
    show(current + step);
  }
});

// Images fit the window and small ones grow to be seen; paper has its own size. Zoom multiplies that.
const shelf = one("#figures");
const SMALLEST = 480;
const fitted = (image) => {
  const [width, height] = ["width", "height"].map((name) => Number(image.getAttribute(name)));
  const beside = shelf.matches(".stacked") || all("#figures figure").length === 1 ? 1 : 2;
  return Math.min(
    shelf.clientWidth / beside - 16,
    (0.7 * innerHeight * width) / height,
    Math.max(width, (SMALLEST * width) / Math.max(width, height)),
  );
};
let factor = 1;
const zoom = (by) => {
  factor = by === 0 ? 1 : Math.min(Math.max(factor * by, 0.1), 16);
  shelf?.classList.toggle("zoomed", factor !== 1);
  for (const image of all("#figures img")) {
    image.dataset.base ??= String(image.hasAttribute("width") ? fitted(image) : image.naturalWidth);
    const base = Number(image.dataset.base);
    image.style.width = base ? `${base * factor}px` : "";
    if (!base) delete image.dataset.base;
  }
};
for (const button of all("[data-zoom]")) {
  button.addEventListener("click", () => zoom(Number(button.dataset.zoom)));
}

zoom(0);

// Another window, from the raw files, for all slices; the size stays that of the stored image.
const choices = all("[data-window]");
const look = (choice) => {
  const image = choice.closest("figure").querySelector("img");
  const url = choice.dataset.window + (choice.value ? `/window/${encodeURIComponent(choice.value)}` : "");
  // What nobody has scrolled to is fetched when somebody does.
  if (image.dataset.src) image.dataset.src = url;
  else image.src = url;
  // What stands beside it is of the stored image, its window among it.
  choice.closest("figcaption").querySelector("small").hidden = choice.value !== "";
};
for (const choice of choices) {
  choice.addEventListener("change", () => {
    for (const other of choices) {
      if (![...other.options].some((option) => option.value === choice.value)) continue;
      other.value = choice.value;
      look(other);
    }
  });
}

// What is drawn over images, by label and reader.
const layers = all("[data-layer]");
const draw = () => {
  const off = (kind) => new Set(layers.filter((l) => l.dataset.layer === kind && !l.checked).map((l) => l.value));
  const [labels, readers] = [off("label"), off("reader")];
  for (const group of all(".over g")) {
    const gone = labels.has(group.dataset.label) || readers.has(group.dataset.reader);
    group.toggleAttribute("hidden", gone);
  }
};
layers.forEach((layer) => layer.addEventListener("change", draw));
draw();

// What others decide, in another tab or on the command line, shows here too; what is typed stays.
const SECONDS = 3;
const main = one("#main");
const follow = async () => {
  if (document.hidden || !main.dataset.watched) return;
  try {
    const version = await (await fetch(main.dataset.watched)).text();
    if (version === main.dataset.version || version.length > 20) return;
    const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    for (const shown of all("[data-live]")) {
      const next = fresh.getElementById(shown.id);
      if (next) shown.replaceWith(document.adoptNode(next));
    }
    main.dataset.version = fresh.querySelector("#main").dataset.version;
  } catch {
    // The viewer has ended, and the page stays as it was.
  }
};
setInterval(follow, SECONDS * 1000);
document.addEventListener("visibilitychange", follow);

// Keys: a decision needs its reason, so a key chooses, Enter in the reason decides.
const decide = one("#decide");
const why = one("#why");
let choice = null;
const choose = (value) => {
  choice = value;
  for (const button of decide.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.value === value));
  }
  const answer = one("#answers [name=answer]");
  if (value === "relabel" && answer) {
    one("#answers").open = true;
    answer.focus();
  } else {
    why.focus();
  }
};
one("#answers")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.target.name !== "answer") return;
  event.preventDefault();
  why.focus();
});
why?.addEventListener("keydown", (event) => {
  if (event.key === "Escape") why.blur();
  if (event.key !== "Enter") return;
  event.preventDefault();
  if (choice) decide.requestSubmit(decide.querySelector(`button[value="${choice}"]`));
});
const go = (relation) => one(`main a[rel="${relation}"]`)?.click();
const KEYS = {
  "/": () => one("#q")?.focus(),
  n: () => go("next"),
  p: () => go("prev"),
  g: () => go("up"),
  k: () => decide && choose("keep"),
  d: () => decide && choose("drop"),
  r: () => decide && choose("relabel"),
  c: () => decide && choose("comment"),
  u: () => one("#undo")?.requestSubmit(),
  "+": () => zoom(1.25),
  "-": () => zoom(0.8),
  0: () => zoom(0),
  "[": () => show(current - 1),
  "]": () => show(current + 1),
  o: () => {
    const on = layers.some((layer) => layer.checked);
    layers.forEach((layer) => { layer.checked = !on; });
    draw();
  },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=checkbox]):not([type=range]), select, textarea")) return;
  const act = KEYS[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});
