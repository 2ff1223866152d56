// Calipers: a length between two points, by pointer or by keys. In mm where an image has its spacing,
// in ms and mV on paper; figures without a scale are not measured.

const SVG = "http://www.w3.org/2000/svg";
const [MM_A_SECOND, MM_A_MILLIVOLT] = [25, 10];
const button = document.querySelector("#measure");
const measured = document.querySelector("#measured");
const figures = document.querySelector("#figures");
let on = false;
let shelf = null; // Where the points lie: canvas, its size in mm, whether it is paper.
let points = []; // As shares of the width and height of the canvas.
let cursor = [0.5, 0.5];

const scaled = () =>
  [...figures.querySelectorAll("figure:not([hidden]) .canvas")].filter(
    (canvas) => canvas.dataset.mm || canvas.dataset.paper,
  );
const open = (canvas) => {
  const paper = "paper" in canvas.dataset;
  const size = (paper ? canvas.dataset.paper : canvas.dataset.mm).split(" ").map(Number);
  shelf = { canvas, paper, size };
};
const told = () => {
  const [[x, y], [other_x, other_y]] = points;
  const across = Math.abs(other_x - x) * shelf.size[0];
  const down = Math.abs(other_y - y) * shelf.size[1];
  if (!shelf.paper) return `${Math.hypot(across, down).toFixed(1)} mm`;
  const milliseconds = ((1000 * across) / MM_A_SECOND).toFixed(0);
  return `${milliseconds} ms, ${(down / MM_A_MILLIVOLT).toFixed(2)} mV`;
};
const draw = () => {
  document.querySelector(".calipers")?.remove();
  if (!on || !shelf) return;
  const svg = document.createElementNS(SVG, "svg");
  const facts = { class: "calipers", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" };
  for (const [name, value] of Object.entries(facts)) svg.setAttribute(name, value);
  const line = ([x1, y1], [x2, y2]) => {
    for (const look of ["dark", "light"]) {
      const stroke = document.createElementNS(SVG, "line");
      for (const [name, value] of Object.entries({ x1, y1, x2, y2, class: look })) {
        stroke.setAttribute(name, String(value));
      }
      svg.append(stroke);
    }
  };
  if (points.length === 2) line(...points);
  for (const [x, y] of [...points, cursor]) {
    line([x - 0.015, y], [x + 0.015, y]);
    line([x, y - 0.015], [x, y + 0.015]);
  }
  shelf.canvas.append(svg);
};
const say = (words) => {
  measured.textContent = words;
};
const place = (point) => {
  points = points.length === 1 ? [points[0], point] : [point];
  say(points.length === 2 ? told() : "Now the other end.");
  draw();
};
const toggle = () => {
  on = !on;
  points = [];
  shelf = null;
  cursor = [0.5, 0.5];
  button.setAttribute("aria-pressed", String(on));
  figures.classList.toggle("measuring", on);
  const [first] = scaled();
  if (on && first) open(first);
  const how = first ? "Click both ends, or move with the arrows and press Enter." : "It has no scale.";
  say(on ? how : "");
  draw();
};
const click = (event) => {
  const canvas = event.target.closest(".canvas");
  if (!on || !canvas) return;
  if (!scaled().includes(canvas)) {
    say("It has no scale.");
    return;
  }
  if (shelf?.canvas !== canvas) points = [];
  open(canvas);
  const box = canvas.getBoundingClientRect();
  cursor = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  place(cursor);
};
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const key = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=checkbox]), select, textarea")) return;
  const move = MOVES[event.key];
  if (event.key === "m" || (on && event.key === "Escape")) toggle();
  else if (!on || !shelf || event.target.closest("a, button:not(#measure), summary")) return;
  else if (event.key === "Enter") place([...cursor]);
  else if (move) {
    const step = (event.shiftKey ? 10 : 1) / 200;
    cursor = cursor.map((one, n) => Math.min(Math.max(one + step * move[n], 0), 1));
    draw();
  } else return;
  event.preventDefault();
  event.stopImmediatePropagation();
};

if (button) {
  button.addEventListener("click", toggle);
  figures.addEventListener("click", click);
  document.addEventListener("keydown", key, true);
}
