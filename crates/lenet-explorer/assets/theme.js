// Light, dark, or as the system: kept between visits. Loaded before the page is painted.
(() => {
  const NAMES = { auto: "as the system", light: "light", dark: "dark" };
  const ICONS = { auto: "◐", light: "☀", dark: "☾" };
  const ORDER = /** @type {(keyof typeof NAMES)[]} */ (["auto", "light", "dark"]);

  /** @returns {keyof typeof NAMES} */
  function stored() {
    try {
      const theme = localStorage.getItem("theme");
      return ORDER.find((known) => known === theme) ?? "auto";
    } catch {
      return "auto";
    }
  }

  /** @param {keyof typeof NAMES} theme */
  function apply(theme) {
    document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = ICONS[theme];
      button.setAttribute("aria-label", `Colours: ${NAMES[theme]}`);
      button.title = `Colours: ${NAMES[theme]}`;
    }
    document.dispatchEvent(new Event("themechange"));
  }

  apply(stored());
  document.addEventListener("DOMContentLoaded", () => {
    apply(stored());
    document.getElementById("theme")?.addEventListener("click", () => {
      const now = ORDER.findIndex((known) => known === document.documentElement.dataset.theme);
      const theme = ORDER[(now + 1) % ORDER.length];
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // Without storage the choice lasts until the page is closed.
      }
      apply(theme);
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new Event("themechange"));
  });
})();
