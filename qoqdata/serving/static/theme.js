// Theme: of the system, light or dark; remembered in this browser.
const THEMES = { system: "light dark", light: "light", dark: "dark" };
const button = document.querySelector("#theme");
const wear = (theme) => {
  document.documentElement.style.colorScheme = THEMES[theme];
  button.textContent = `Theme: ${theme}`;
  button.dataset.theme = theme;
};
const remembered = localStorage.getItem("theme");
wear(remembered in THEMES ? remembered : "system");
button.hidden = false;
button.addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(button.dataset.theme) + 1) % names.length];
  localStorage.setItem("theme", next);
  wear(next);
});
