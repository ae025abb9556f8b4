// The keyboard, the focus and small courtesies; every page works without it.
"use strict";
(() => {
  const typing = (target) => target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
  const rows = () => [...document.querySelectorAll("[data-rows] > [data-row]")];
  const announce = (text) => {
    const place = document.getElementById("announced");
    place.classList.replace("said", "unseen");
    place.textContent = text;
  };
  // a key that does nothing says so, for a while, to everybody
  let saying = 0;
  const nothing = () => {
    const place = document.getElementById("announced");
    announce(place.dataset.nothing);
    place.classList.replace("unseen", "said");
    clearTimeout(saying);
    saying = setTimeout(() => place.classList.replace("said", "unseen"), 2500);
  };
  const current = () => document.querySelector("[data-row].row-here") ?? document.querySelector("[data-row][aria-current=true]");

  const stand = (row) => {
    if (!row) return;
    rows().forEach((other) => { other.classList.toggle("row-here", other === row); other.tabIndex = other === row ? 0 : -1; });
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
    if (row.dataset.row) announce(row.dataset.row);
  };
  const step = (by) => {
    const all = rows();
    const at = all.indexOf(current());
    stand(all[Math.min(all.length - 1, Math.max(0, at + by))]);
  };
  // j k x Enter / ? are the same everywhere; any other letter presses what carries it as data-key, in the open
  // drawer first
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    x: () => { const box = current()?.querySelector("input[type=checkbox]"); if (box) box.click(); },
    Enter: () => { const link = current()?.querySelector("a[data-open]"); if (link) link.click(); },
    "/": () => document.querySelector("[data-search]")?.focus(),
    "?": () => document.querySelector("[data-help]")?.click(),
    Escape: () => (document.querySelector("#help [data-close]") ?? document.querySelector("[data-close]"))?.click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target)) { if (event.key === "Escape") event.target.blur(); return; }
    if (event.key === "Enter" && event.target.matches("a, button, summary, input")) return;
    const pressed = keys[event.key]
      ?? (/^[a-z]$/.test(event.key) ? (() => {
        const pressing = document.querySelector(`.drawer [data-key="${event.key}"]`) ?? document.querySelector(`[data-key="${event.key}"]`);
        if (pressing) pressing.click();
        else if (rows().length) nothing();
      }) : null);
    if (pressed) { event.preventDefault(); pressed(); }
  });

  // the help that lies over the page is closed in place; as a page of its own its link leads back
  document.addEventListener("click", (event) => {
    const panel = event.target.closest("#help [data-close]");
    if (!panel) return;
    event.preventDefault();
    document.getElementById("help").replaceChildren();
    document.querySelector("[data-help]")?.focus();
  });

  // a question before what cannot be taken back
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.ask;
    if (question && !window.confirm(question)) event.preventDefault();
  });
  // one box for all on the page
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-all]")) return;
    document.querySelectorAll(`input[type=checkbox][name="${event.target.dataset.all}"]`).forEach((box) => { box.checked = event.target.checked; });
  });
  // filters act at once where HTMX does not take them
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-at-once]");
    if (form) form.requestSubmit();
  });
  // what asks for the focus gets it: a problem, the row that is open; on a narrow window the drawer lies above its row
  const narrow = window.matchMedia("(max-width: 900px)");
  const focus = (within) => {
    const wanted = within.querySelector?.("[data-focus]");
    const drawer = narrow.matches && wanted?.matches("[data-row]") && within.querySelector(".drawer");
    if (!drawer) { wanted?.focus(); return; }
    drawer.tabIndex = -1;
    drawer.focus({ preventScroll: true });
    drawer.scrollIntoView({ block: "start" });
  };
  // where one stands is seen: the page in the side, the tab among many
  const show = (here) => {
    const around = here?.closest(".side, .tabs");
    if (!around) return;
    const [inner, outer] = [here.getBoundingClientRect(), around.getBoundingClientRect()];
    if (inner.bottom > outer.bottom) around.scrollTop += inner.bottom - outer.bottom + outer.height / 3;
    if (inner.right > outer.right) around.scrollLeft += inner.right - outer.right + 24;
  };
  // on a telephone the rows of a table that is too wide are cards: each cell says what its column is called
  const telephone = window.matchMedia("(max-width: 700px)");
  const stack = (within) => within.querySelectorAll?.(".table:not(.matrix) > table:not(.stacks)").forEach((table) => {
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    if (!telephone.matches || !heads.length || table.scrollWidth <= table.parentElement.clientWidth) return;
    const names = heads.flatMap((head) => Array(head.colSpan).fill(head.textContent.replace(/[↓↑]/g, "").trim()));
    for (const part of [...table.tBodies, table.tFoot]) {
      const from = []; // by column, how many more rows a cell above reaches down to
      for (const row of part?.rows ?? []) {
        let column = 0, named = false;
        for (const cell of row.cells) {
          while (from[column] > 0) from[column++] -= 1;
          const ticks = cell.querySelector("input[type=checkbox]") && !cell.textContent.trim();
          if (ticks) cell.classList.add("tickbox");
          else if (cell.colSpan === 1 && names[column]) cell.dataset.label = names[column];
          if (!ticks && !named) { if (!column || cell.previousElementSibling) cell.classList.add("names"); named = true; }
          for (let wide = 0; wide < cell.colSpan; wide += 1) from[column++] = cell.rowSpan - 1;
        }
        while (column < from.length) { if (from[column] > 0) from[column] -= 1; column += 1; }
      }
    }
    table.classList.add("stacks");
  });
  const arrange = (within) => {
    stack(within);
    document.querySelectorAll(".side [aria-current], .tabs [aria-current]").forEach(show);
    focus(within);
  };
  document.addEventListener("DOMContentLoaded", () => arrange(document));
  document.addEventListener("htmx:after:swap", (event) => {
    const target = event.detail?.ctx?.target ?? document;
    if (target.isConnected) arrange(target); else stack(document); // what was swapped as a whole is there no more
  });
  telephone.addEventListener("change", () => stack(document));
})();
