// Follows the run. The page works without; nothing that a policy wrote is made markup here.

const SECONDS = 5;
const status = document.querySelector("#following");
const pause = document.querySelector("#pause");
let paused = false;

const say = (words) => {
  if (status.textContent !== words) status.textContent = words;
};
const opened = () =>
  new Set([...document.querySelectorAll("details")].flatMap((one, place) => (one.open ? [place] : [])));

const look = async () => {
  const main = document.querySelector("#main");
  if (paused || "ended" in main.dataset || opened().size || document.hidden) return;
  try {
    const version = await (await fetch(main.dataset.watched)).text();
    if (version === main.dataset.version) return;
    const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    const next = fresh.querySelector("#main");
    if (!next) throw new Error("no page");
    main.replaceWith(document.adoptNode(next));
    tell();
  } catch {
    say("The page is no longer served; what is shown stays as it was.");
  }
};

const tell = () => {
  const ended = "ended" in document.querySelector("#main").dataset;
  pause.hidden = ended;
  say(ended ? "The run has ended." : paused ? "Paused." : "Follows the run; waits while a response is open.");
};

pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Follow" : "Pause";
  tell();
  look();
});
tell();
setInterval(look, SECONDS * 1000);
