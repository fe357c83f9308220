// Light or dark: as the system has it, until somebody chooses. Runs before the page is drawn.
(() => {
  const KEY = "mcp-server.theme";
  const NEXT = { system: "light", light: "dark", dark: "system" };
  const SIGN = { system: "◐", light: "☀", dark: "☾" };
  const SAYS = { system: "as the system has them", light: "light", dark: "dark" };
  const stored = () => localStorage.getItem(KEY);
  const chosen = () => (NEXT[stored()] ? stored() : "system");

  function apply() {
    const theme = chosen();
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = SIGN[theme];
      button.setAttribute("aria-label", `Colours: ${SAYS[theme]}`);
      button.title = button.getAttribute("aria-label");
    }
    document.dispatchEvent(new Event("themechange"));
  }

  apply();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      localStorage.setItem(KEY, NEXT[chosen()]);
      apply();
    });
  });
})();
