/* What pages do beyond links and forms, all of which work without this. It is loaded in the head, so that the theme is
   there before anything is shown. */
"use strict";
(() => {
  const root = document.documentElement;
  const THEMES = ["auto", "light", "dark"];
  let theme = "auto";
  try {
    theme = localStorage.getItem("registry-theme") || "auto";
  } catch {
    // A browser may forbid it.
  }

  const wear = () => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  const nameTheme = () => {
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.textContent = `Theme: ${theme}`;
    }
  };
  const nextTheme = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try {
      localStorage.setItem("registry-theme", theme);
    } catch {
      // As above.
    }
    wear();
    nameTheme();
  };

  const copy = async (button) => {
    const from = button.dataset.copy;
    const text = from.startsWith("#") ? document.querySelector(from).textContent : from;
    try {
      await navigator.clipboard.writeText(text.trim());
    } catch {
      // Without TLS there is no clipboard: a field is copied, as browsers of old do.
      const field = document.createElement("textarea");
      field.className = "sr-only";
      field.value = text.trim();
      button.after(field);
      field.select();
      document.execCommand("copy");
      field.remove();
      button.focus();
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };

  const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((row) => row.contains(document.activeElement) || row.classList.contains("current"));
    const row = all[now < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, now + step))];
    for (const other of all) other.classList.toggle("current", other === row);
    const target = row.querySelector("a[href], button, input");
    if (target) target.focus();
    row.scrollIntoView({ block: "nearest" });
  };

  let pressed = "";
  const keys = (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (event.ctrlKey || event.metaKey || event.altKey || typing || document.querySelector("dialog[open]")) return;
    const before = pressed;
    pressed = event.key;
    if (event.key === "/") document.getElementById("search").focus();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "?") document.getElementById("help").showModal();
    else if (event.key === "h" && before === "g") location.assign(document.body.dataset.home);
    else return;
    event.preventDefault();
  };

  /* What htmx has loaded below an entry of the tree is hidden and shown again. */
  const expand = (button) => {
    const opens = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", opens);
    const word = opens ? "Collapse" : "Expand";
    button.setAttribute("aria-label", button.getAttribute("aria-label").replace(button.textContent, word));
    button.textContent = word;
    button.closest("li").querySelector(":scope > .opened").hidden = !opens;
  };

  /* A range of checkboxes of one form, by shift and a click. */
  let checked = null;
  const check = (event) => {
    const box = event.target;
    const all = [...document.querySelectorAll("input[type=checkbox][data-many]")];
    if (event.shiftKey && checked && all.includes(checked)) {
      const [from, to] = [all.indexOf(checked), all.indexOf(box)].sort((a, b) => a - b);
      for (const each of all.slice(from, to + 1)) each.checked = box.checked;
    }
    checked = box;
  };

  wear();
  root.classList.add("js");
  document.addEventListener("DOMContentLoaded", nameTheme);
  document.addEventListener("keydown", keys);
  document.addEventListener("click", (event) => {
    const pressedOn = event.target.closest("[data-theme-switch], [data-copy], [data-open], [data-many], [data-all], [data-expand]");
    if (!pressedOn) return;
    if ("themeSwitch" in pressedOn.dataset) nextTheme();
    else if ("copy" in pressedOn.dataset) copy(pressedOn);
    else if ("open" in pressedOn.dataset) document.getElementById(pressedOn.dataset.open).showModal();
    else if ("many" in pressedOn.dataset) check(event);
    else if ("expand" in pressedOn.dataset) expand(pressedOn);
    else for (const box of document.querySelectorAll("input[data-many]")) box.checked = pressedOn.checked;
  });
})();
